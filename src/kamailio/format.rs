//! Text: a part of a variable's name, plain or a format string of the host.

use std::ffi::{CString, c_int};
use std::ptr;

use super::abi::{PvElem, SipMsg, Str};
use super::sys::host;

/// Text of the configuration.
pub enum Text {
    /// As it is.
    Literal(Vec<u8>),
    /// With variables in it.
    Format(Format),
}

/// A parsed format string with the text that it points into.
pub struct Format {
    elements: *mut PvElem,
    /// The host's elements point here; a `CString` does not move its bytes.
    _text: CString,
}

impl Text {
    /// Parses `text`; `None` when the host cannot (it has then said why).
    pub fn parse(text: &str) -> Option<Self> {
        if !text.contains('$') {
            return Some(Self::Literal(text.into()));
        }
        let text = CString::new(text).ok()?;
        let mut counted = Str::borrowed(text.as_bytes());
        let mut elements = ptr::null_mut();
        // SAFETY: the text is NUL-terminated and lives as long as the elements, see `Format`.
        let parsed =
            unsafe { (host().symbols.pv_parse_format)(&raw mut counted, &raw mut elements) };
        if parsed != 0 || elements.is_null() {
            return None;
        }
        let format = Format {
            elements,
            _text: text,
        };
        Some(
            format
                .plain_text()
                .map_or(Self::Format(format), Self::Literal),
        )
    }
}

impl Format {
    /// The text, if after all no variable is in it (`$$` is a dollar sign).
    fn plain_text(&self) -> Option<Vec<u8>> {
        // SAFETY: a list that the host has made of our text and that we own.
        let first = unsafe { self.elements.as_ref()? };
        // SAFETY: its text lies in ours or in static memory of the host.
        (first.spec.is_null() && first.next.is_null())
            .then(|| unsafe { first.text.bytes() }.to_vec())
    }

    /// Prints it for `msg`; `None` when that fails or the buffer is too small.
    pub fn print<'a>(&self, msg: *mut SipMsg, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let mut len = c_int::try_from(buffer.len()).ok()?;
        // SAFETY: our own elements, the callback's message, a buffer and its length; the host
        // writes no more than that and leaves the length of the text in `len`.
        let printed = unsafe {
            (host().symbols.pv_printf)(msg, self.elements, buffer.as_mut_ptr().cast(), &raw mut len)
        };
        if printed != 0 {
            return None;
        }
        buffer.get(..usize::try_from(len).ok()?)
    }
}

impl Drop for Format {
    fn drop(&mut self) {
        // SAFETY: a list that the host has made for us and that nobody uses any more.
        unsafe { (host().symbols.pv_elem_free_all)(self.elements) };
    }
}
