//! `ScriptText` is a text of the configuration, with or without variables in it.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use super::host::layout::{PvElem, PvSpec, SipMsg, Str};
use super::host::string::length;
use super::host::symbols::host;
use super::pv_value::{Assigned, OwnValue};

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
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if !text.contains(&b'$') {
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
    fn parse(text: &[u8]) -> Option<Self> {
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

    /// The variable, if the text is one variable and nothing else.
    pub(super) fn variable(&self) -> Option<*mut PvSpec> {
        // SAFETY: it is the first element that the host has made for us.
        let PvElem { text, spec, next } = unsafe { &*self.elements };
        (text.len == 0 && !spec.is_null() && next.is_null()).then_some(*spec)
    }

    /// Reads the variable that the text is; nothing else than [`Self::variable`] may be in it. A variable
    /// that the host cannot read is null.
    pub(super) fn read<'a>(&self, msg: *mut SipMsg, value: &'a mut OwnValue) -> Assigned<'a> {
        let Some(spec) = self.variable() else {
            return Assigned::Null;
        };
        // SAFETY: the host made the variable. It zeroes the value before it fills it.
        let done = unsafe { (host().symbols.pv_get_spec_value)(msg, spec, value.as_ptr()) };
        if done == 0 {
            value.read()
        } else {
            Assigned::Null
        }
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
