//! `HostValue` is a `pv_value_t`, in whichever of its two layouts the host uses; `OwnValue` is one in
//! memory of our own.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::AtomicU8;

use super::host::family::Family;
use super::host::layout::{
    PV_INT, PV_NULL, PV_PKG, PV_SHM, PV_STR, PV_TYPE_INT, PvValue32, PvValue64, Str,
};
use super::host::string::length;
use super::host::symbols::host;
use crate::item::value::Value;

/// A value that a getter fills.
pub(super) struct HostValue {
    value: *mut c_void,
    family: Family,
}

/// A value in memory of our own, for functions of the host that read or write variables.
pub(super) struct OwnValue {
    /// Room for the larger one of the two layouts.
    room: PvValue64,
    family: Family,
}

/// The value that a setter gets.
pub(super) enum Assigned<'a> {
    /// `$null`
    Null,
    /// An integer or a string.
    Value(Value<'a>),
}

/// An empty string. The host may write its NUL to it.
static EMPTY: AtomicU8 = AtomicU8::new(0);

impl HostValue {
    /// The value behind a getter's pointer.
    ///
    /// # Safety
    /// `value` points to a `pv_value_t` of a host of `family` that is ours to write.
    pub(super) unsafe fn new(family: Family, value: *mut c_void) -> Self {
        Self { value, family }
    }

    /// Makes it `$null`.
    pub(super) fn set_null(&mut self) {
        self.fill(
            Str {
                s: EMPTY.as_ptr().cast(),
                len: 0,
            },
            0,
            PV_NULL,
        );
    }

    /// Makes it the string in `buffer`, which must not change while the host uses the value; `$null` if there is no
    /// memory for one more byte.
    pub(super) fn set_text(&mut self, buffer: &mut Vec<u8>) {
        match terminated(buffer) {
            Some(text) => self.fill(text, 0, PV_STR),
            None => self.set_null(),
        }
    }

    /// Makes it an integer. `buffer` holds its decimal text and must not change while the host uses
    /// the value. On hosts with 32-bit integers the number must fit into 32 bits.
    pub(super) fn set_integer(&mut self, number: i64, buffer: &mut Vec<u8>) {
        match terminated(buffer) {
            Some(text) => self.fill(text, number, PV_STR | PV_INT | PV_TYPE_INT),
            None => self.set_null(),
        }
    }

    fn fill(&mut self, rs: Str, ri: i64, flags: c_int) {
        // SAFETY: by the contract of `new`, with the layout of this host's family.
        unsafe {
            if self.family.has_long_integers() {
                self.value
                    .cast::<PvValue64>()
                    .write(PvValue64 { rs, ri, flags });
            } else {
                self.value.cast::<PvValue32>().write(PvValue32 {
                    rs,
                    ri: ri as i32,
                    flags,
                });
            }
        }
    }
}

impl OwnValue {
    /// `$null`, for a host of `family`.
    pub(super) fn null(family: Family) -> Self {
        let rs = Str {
            s: ptr::null_mut(),
            len: 0,
        };
        let room = PvValue64 {
            rs,
            ri: 0,
            flags: 0,
        };
        let mut value = Self { room, family };
        value.as_host().set_null();
        value
    }

    /// The value, to be filled by us.
    pub(super) fn as_host(&mut self) -> HostValue {
        // SAFETY: the room is ours, and it is large enough for either layout.
        unsafe { HostValue::new(self.family, self.as_ptr()) }
    }

    /// The value, to be filled or read by the host.
    pub(super) fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.room).cast()
    }

    /// True if it is `$null`.
    pub(super) fn is_null(&mut self) -> bool {
        matches!(self.read(), Assigned::Null)
    }

    /// What the host has filled in. Strings of the host are valid until it reads further variables,
    /// as for its own functions.
    pub(super) fn read(&mut self) -> Assigned<'_> {
        // SAFETY: it has been filled for a host of that family, and stays as it is while it is
        // borrowed.
        unsafe { Assigned::read(self.family, self.as_ptr()) }
    }
}

/// The host may have made the string for its reader alone.
impl Drop for OwnValue {
    fn drop(&mut self) {
        // SAFETY: it has been filled for a host of that family.
        let (_, _, flags) = unsafe { members(self.family, self.as_ptr()) };
        if flags & (PV_PKG | PV_SHM) != 0 {
            // SAFETY: the string is freed once, here, and nothing uses it any more.
            unsafe { (host().symbols.pv_value_destroy)(self.as_ptr()) };
        }
    }
}

/// String, integer and flags of a value.
///
/// # Safety
/// `value` points to a `pv_value_t` of a host of `family`.
unsafe fn members(family: Family, value: *mut c_void) -> (Str, i64, c_int) {
    // SAFETY: by this function's contract, with the layout of this host's family.
    unsafe {
        if family.has_long_integers() {
            let value = &*value.cast::<PvValue64>();
            (value.rs, value.ri, value.flags)
        } else {
            let value = &*value.cast::<PvValue32>();
            (value.rs, i64::from(value.ri), value.flags)
        }
    }
}

/// Makes the bytes a string of the host: the host expects a NUL behind them, and may overwrite it. `None` if there is no
/// memory for that.
fn terminated(buffer: &mut Vec<u8>) -> Option<Str> {
    let len = length(buffer);
    // A push would double a full buffer, which may be large, and end the process if it cannot.
    if buffer.try_reserve_exact(1).is_err() {
        log::error!("no memory for the end of a value of {len} bytes");
        return None;
    }
    buffer.push(0);
    Some(Str {
        s: buffer.as_mut_ptr().cast(),
        len,
    })
}

impl Assigned<'_> {
    /// Reads the value that a setter gets. A value that has an integer is an integer, even if it
    /// also has a string. The stock module does the same.
    ///
    /// # Safety
    /// `value` is NULL or points to a `pv_value_t` of a host of `family` that stays as it is
    /// for `'a`.
    pub(super) unsafe fn read<'a>(family: Family, value: *mut c_void) -> Assigned<'a> {
        if value.is_null() {
            return Assigned::Null;
        }
        // SAFETY: by this function's contract.
        let (rs, ri, flags) = unsafe { members(family, value) };
        if flags & PV_NULL != 0 {
            Assigned::Null
        } else if flags & (PV_INT | PV_TYPE_INT) != 0 {
            Assigned::Value(Value::Integer(ri))
        } else {
            // SAFETY: a value that is neither null nor an integer has a string.
            Assigned::Value(Value::Text(unsafe { rs.bytes() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a core of that family reads after `fill`: the text, the integer, the flags.
    fn filled(family: Family, fill: impl FnOnce(&mut HostValue)) -> (Vec<u8>, i64, c_int) {
        let mut room = [0x5a5a_5a5a_5a5a_5a5au64; 5];
        // SAFETY: the array is large and aligned enough for either layout.
        fill(&mut unsafe { HostValue::new(family, room.as_mut_ptr().cast()) });
        let used = if family.has_long_integers() { 4 } else { 3 };
        assert_eq!(room[used], 0x5a5a_5a5a_5a5a_5a5a, "written past the value");
        // SAFETY: `fill` has written the value. The texts of these tests live longer than it.
        let (rs, ri, flags) = unsafe { members(family, room.as_mut_ptr().cast()) };
        // SAFETY: a NUL follows each text, in memory that may be written.
        let text = unsafe {
            assert_eq!(*rs.s.offset(rs.len as isize), 0);
            rs.s.offset(rs.len as isize).write(0);
            rs.bytes().to_vec()
        };
        (text, ri, flags)
    }

    #[test]
    fn the_end_of_a_large_value_does_not_double_its_memory() {
        let mut buffer = vec![b'v'; 1 << 20];
        buffer.shrink_to_fit();
        let (text, ..) = filled(Family::F57, |value| value.set_text(&mut buffer));
        assert_eq!(text.len(), 1 << 20);
        assert!(
            buffer.capacity() < (1 << 20) + 4096,
            "{}",
            buffer.capacity()
        );
    }

    #[test]
    fn values_are_written_in_both_layouts() {
        for family in [Family::F53, Family::F54, Family::F57, Family::F61] {
            assert_eq!(filled(family, HostValue::set_null), (vec![], 0, 1));
            let mut buffer = b"a\0b".to_vec();
            assert_eq!(
                filled(family, |value| value.set_text(&mut buffer)),
                (b"a\0b".into(), 0, 4)
            );
            let mut buffer = b"-7".to_vec();
            let number = filled(family, |value| value.set_integer(-7, &mut buffer));
            assert_eq!(number, (b"-7".to_vec(), -7, 4 | 8 | 16));
        }
        let mut buffer = i64::MIN.to_string().into_bytes();
        let number = filled(Family::F57, |value| {
            value.set_integer(i64::MIN, &mut buffer)
        });
        assert_eq!(number.1, i64::MIN);
    }

    fn read(family: Family, text: &[u8], number: i64, flags: c_int) -> String {
        let rs = Str::borrowed(text);
        let mut long = PvValue64 {
            rs,
            ri: number,
            flags,
        };
        let mut short = PvValue32 {
            rs,
            ri: number as i32,
            flags,
        };
        let value: *mut c_void = if family.has_long_integers() {
            (&raw mut long).cast()
        } else {
            (&raw mut short).cast()
        };
        // SAFETY: it is a value in the layout of the family, and lives until the end of this
        // function.
        match unsafe { Assigned::read(family, value) } {
            Assigned::Null => "null".into(),
            Assigned::Value(value) => format!("{value:?}"),
        }
    }

    #[test]
    fn values_are_read_in_both_layouts() {
        for family in [Family::F54, Family::F57] {
            assert_eq!(read(family, b"", 0, 1), "null");
            assert_eq!(read(family, b"x", 0, 4), "Text([120])");
            assert_eq!(read(family, b"", -5, 8 | 16), "Integer(-5)");
            assert_eq!(
                read(family, b"17", 17, 4 | 8),
                "Integer(17)",
                "text that carries a number"
            );
        }
        // SAFETY: NULL is what the core passes for `pv_unset`.
        let unset = unsafe { Assigned::read(Family::F57, ptr::null_mut()) };
        assert!(matches!(unset, Assigned::Null));
    }
}
