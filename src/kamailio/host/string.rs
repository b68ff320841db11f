//! `Str` is the host's counted string; here it becomes bytes, and bytes become a `Str`.

use std::ffi::{CStr, c_int};
use std::ptr;

use super::layout::Str;

impl Str {
    /// A string that points to `bytes`. The host must not write to it, and must not use it longer
    /// than `bytes` live.
    pub(crate) fn borrowed(bytes: &[u8]) -> Self {
        Self {
            s: bytes.as_ptr().cast_mut().cast(),
            len: length(bytes),
        }
    }

    /// The same for a text that ends with NUL, which the host may read, too.
    pub(crate) fn terminated(text: &CStr) -> Self {
        Self {
            s: text.as_ptr().cast_mut(),
            len: length(text.to_bytes()),
        }
    }

    /// The bytes. They are empty for a NULL pointer and for a negative length.
    ///
    /// # Safety
    /// A pointer other than NULL points to `len` readable bytes, and these do not change during
    /// `'a`.
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

/// A length in the host's type. Texts that are too long for it do not occur.
pub(crate) fn length(bytes: &[u8]) -> c_int {
    c_int::try_from(bytes.len()).expect("no text is longer than 2 GiB")
}
