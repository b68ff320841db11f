//! Str: the host's counted strings, as bytes and back.

use std::ffi::{CStr, c_int};
use std::ptr;

use super::layout::Str;

impl Str {
    /// A string over `bytes`, which the host must not write to and not use longer than they live.
    pub(crate) fn borrowed(bytes: &[u8]) -> Self {
        Self {
            s: bytes.as_ptr().cast_mut().cast(),
            len: length(bytes),
        }
    }

    /// The same over a text whose NUL the host may read, too.
    pub(crate) fn terminated(text: &CStr) -> Self {
        Self {
            s: text.as_ptr().cast_mut(),
            len: length(text.to_bytes()),
        }
    }

    /// The bytes; empty for a NULL pointer or a length that makes no sense.
    ///
    /// # Safety
    /// A non-NULL pointer must point to `len` readable bytes that stay as they are for `'a`.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        match usize::try_from(self.len) {
            // SAFETY: by this function's contract.
            Ok(len) if !self.s.is_null() => unsafe {
                &*ptr::slice_from_raw_parts(self.s.cast(), len)
            },
            _ => &[],
        }
    }
}

/// A length as the host counts it; what is longer than it can count does not occur.
pub(crate) fn length(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).expect("no text is longer than 2 GiB")
}
