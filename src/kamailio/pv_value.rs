//! HostValue: a `pv_value_t` in whichever of its two layouts the host has.

use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicI8;

use super::abi::{PV_INT, PV_NULL, PV_STR, PV_TYPE_INT, PvValue32, PvValue64, Str};
use super::sys::host;
use super::text::length;
use crate::value::Value;

/// A value that a getter fills.
pub struct HostValue(*mut c_void);

/// What a setter is given.
pub enum Assigned<'a> {
    /// `$null`
    Null,
    /// An integer or a string.
    Value(Value<'a>),
}

/// An empty string that the host may write its NUL to.
static EMPTY: AtomicI8 = AtomicI8::new(0);

impl HostValue {
    /// The value behind a getter's pointer.
    ///
    /// # Safety
    /// `value` points to a `pv_value_t` of this host that is ours to write.
    pub unsafe fn new(value: *mut c_void) -> Self {
        Self(value)
    }

    /// Makes it `$null`.
    pub fn set_null(&mut self) {
        self.fill(
            Str {
                s: EMPTY.as_ptr(),
                len: 0,
            },
            0,
            PV_NULL,
        );
    }

    /// Makes it the string that `buffer` holds. The buffer has to keep it.
    pub fn set_text(&mut self, buffer: &mut Vec<u8>) {
        self.fill(terminated(buffer), 0, PV_STR);
    }

    /// Makes it an integer, whose decimal text `buffer` holds and keeps. On hosts with 32-bit
    /// integers it is one that fits.
    pub fn set_integer(&mut self, number: i64, buffer: &mut Vec<u8>) {
        self.fill(terminated(buffer), number, PV_STR | PV_INT | PV_TYPE_INT);
    }

    fn fill(&mut self, rs: Str, ri: i64, flags: c_int) {
        // SAFETY: by the contract of `new`, with the layout of this host's family.
        unsafe {
            if host().family.has_long_integers() {
                self.0
                    .cast::<PvValue64>()
                    .write(PvValue64 { rs, ri, flags });
            } else {
                self.0.cast::<PvValue32>().write(PvValue32 {
                    rs,
                    ri: ri as i32,
                    flags,
                });
            }
        }
    }
}

/// The bytes as a string of the host, which wants a NUL behind them that it may overwrite.
fn terminated(buffer: &mut Vec<u8>) -> Str {
    let len = length(buffer);
    buffer.push(0);
    Str {
        s: buffer.as_mut_ptr().cast(),
        len,
    }
}

impl Assigned<'_> {
    /// Reads what a setter is given. A value with an integer counts as integer, whatever else it
    /// carries, as in the C module.
    ///
    /// # Safety
    /// `value` is NULL or points to a `pv_value_t` of this host that stays as it is for `'a`.
    pub unsafe fn read<'a>(value: *mut c_void) -> Assigned<'a> {
        if value.is_null() {
            return Assigned::Null;
        }
        // SAFETY: by this function's contract, with the layout of this host's family.
        let (rs, ri, flags) = unsafe {
            if host().family.has_long_integers() {
                let value = &*value.cast::<PvValue64>();
                (value.rs, value.ri, value.flags)
            } else {
                let value = &*value.cast::<PvValue32>();
                (value.rs, i64::from(value.ri), value.flags)
            }
        };
        if flags & PV_NULL != 0 {
            Assigned::Null
        } else if flags & (PV_INT | PV_TYPE_INT) != 0 {
            Assigned::Value(Value::Integer(ri))
        } else {
            // SAFETY: a value with a string flag has a string.
            Assigned::Value(Value::Text(unsafe { rs.bytes() }))
        }
    }
}
