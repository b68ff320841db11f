//! ScriptText: text of the configuration, plain or a format string of the host.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use super::host::layout::{PvElem, SipMsg, Str};
use super::host::string::length;
use super::host::symbols::host;

/// ScriptText of the configuration.
pub(super) enum ScriptText {
    /// As it is.
    Literal(Vec<u8>),
    /// With variables in it.
    Format(Format),
}

/// A parsed format string with the text that it points into.
pub(super) struct Format {
    /// The host's, or NULL.
    elements: *mut PvElem,
    /// A `CString`'s, kept as a pointer while others point there.
    text: *mut c_char,
}

impl ScriptText {
    /// Parses `text`; `None` when the host cannot (it has then said why).
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.contains('$') {
            return Some(Self::Literal(text.into()));
        }
        Format::parse(text).map(Self::Format)
    }

    /// The text for `msg`, in `room` if a part of it varies; `None` when it cannot be evaluated, or
    /// does not fit.
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
        // SAFETY: the text is NUL-terminated and lives as long as the elements, see `Format`.
        // Without success the host has freed what it had made of them, and left NULL.
        let parsed =
            unsafe { (host().symbols.pv_parse_format)(&raw mut text, &raw mut format.elements) };
        (parsed == 0 && !format.elements.is_null()).then_some(format)
    }

    /// Prints it for `msg`; `None` when that fails or the buffer is too small.
    pub(super) fn print<'a>(&self, msg: *mut SipMsg, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
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
        // SAFETY: a list that the host has made for us and that nobody uses any more, and the text
        // that it pointed into, made by `CString::into_raw`. The host takes NULL for an empty list.
        unsafe {
            (host().symbols.pv_elem_free_all)(self.elements);
            drop(CString::from_raw(self.text));
        }
    }
}
