//! The stock module's form.
//!
//! Bit 0 of the client flags tells integers and strings apart. If it is set, the item is a string, byte for
//! byte. If it is clear, the item is an integer if its text is one in its shortest form, and otherwise a
//! string, too. So items of clients that set no flags lose nothing: the telephone number `0049301234`
//! keeps its zeros.

use super::super::value::{Found, MAX_DECIMAL, Numbers, Value, integer_or_text};

/// The client flags of strings that we store. Integers get 0.
const TEXT: u32 = 1;

/// The client flags and the bytes to store.
#[inline(always)]
pub(crate) fn encode<'a>(value: Value<'a>, room: &'a mut [u8; MAX_DECIMAL]) -> (u32, &'a [u8]) {
    let flags = match value {
        Value::Integer(_) => 0,
        Value::Text(_) => TEXT,
    };
    (flags, value.text(room))
}

/// Reads an item. Of the flags, only bit 0 counts.
#[inline(always)]
pub(crate) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: impl FnOnce() -> Numbers) -> Found {
    match flags & TEXT {
        0 => integer_or_text(bytes, numbers),
        _ => Found::Text,
    }
}
