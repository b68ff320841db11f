//! `ScriptText` is a text of the configuration, with or without variables in it.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use super::host::layout::{PvElem, SipMsg, Str};
use super::host::string::length;
use super::host::symbols::host;

/// A text of the configuration.
pub(super) enum ScriptText {
    /// A text without variables.
    Literal(Vec<u8>),
    /// A text with variables, which the host evaluates.
    Format(Format),
}

/// A parsed format string with the text that it points into.
pub(super) struct Format {
    /// The host's list of elements, or NULL.
    elements: *mut PvElem,
    /// The text of a `CString`. It is kept as a pointer because the elements point into it.
    text: *mut c_char,
}

impl ScriptText {
    /// Parses `text`. Returns `None` if the host cannot; it has then logged why.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.contains('$') {
            return Some(Self::Literal(text.into()));
        }
        Format::parse(text).map(Self::Format)
    }

    /// The text for `msg`. A text with variables is written to `room`. Returns `None` if the host
    /// cannot evaluate it, or if it does not fit.
    pub(crate) fn evaluate<'a>(&'a self, msg: *mut SipMsg, room: &'a mut [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Literal(bytes) => Some(bytes),
            Self::Format(format) => format.print(msg, room),
        }
    }
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        let text = CString::new(text).ok()?;
        let len = length(text.as_bytes());
        let mut format = Self {
            elements: ptr::null_mut(),
            text: text.into_raw(),
        };
        let mut text = Str {
            s: format.text,
            len,
        };
        // SAFETY: the text ends with NUL and lives as long as the elements, see `Format`. If the
        // host cannot parse it, it frees the elements that it has made and leaves NULL.
        let parsed =
            unsafe { (host().symbols.pv_parse_format)(&raw mut text, &raw mut format.elements) };
        (parsed == 0 && !format.elements.is_null()).then_some(format)
    }

    /// Writes the text for `msg` to `buffer`. Returns `None` if the host cannot evaluate it, or if
    /// it does not fit.
    pub(super) fn print<'a>(&self, msg: *mut SipMsg, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let mut len = c_int::try_from(buffer.len()).ok()?;
        // SAFETY: they are our own elements, the callback's message, a buffer and its length. The
        // host writes no more than that, and leaves the length of the text in `len`.
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
        // SAFETY: the host made the list for us, and nothing uses it any more. `CString::into_raw`
        // made the text. The host takes NULL for an empty list.
        unsafe {
            (host().symbols.pv_elem_free_all)(self.elements);
            drop(CString::from_raw(self.text));
        }
    }
}
