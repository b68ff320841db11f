//! The form of pylibmc and of pymemcache's pickle serializer, which differ in the flag of an integer.
//!
//! pylibmc has bools with the flag that integers have in pymemcache; both are digits.

use super::super::value::{Found, MAX_DECIMAL, Numbers, Value, integer_or_text};
use super::{UNKNOWN, foreign};
use crate::error::Error;

const PICKLE: u32 = 1;
const TEXT: u32 = 16;

/// The value is compressed.
pub(super) const ZLIB: u32 = 8;

/// The flag of an integer in pylibmc; in pymemcache that of a long integer of Python 2.
pub(super) const PYLIBMC_INTEGER: u32 = 4;

/// The flag of an integer in pymemcache; in pylibmc that of a bool.
pub(super) const PYMEMCACHE_INTEGER: u32 = 2;

/// The client flags and the bytes to store. `integer` is the flag of an integer. Bytes that are no text
/// get no flag, because the client could not decode them.
pub(super) fn encode<'a>(
    value: Value<'a>,
    room: &'a mut [u8; MAX_DECIMAL],
    integer: u32,
) -> (u32, &'a [u8]) {
    let flags = match value {
        Value::Integer(_) => integer,
        Value::Text(bytes) if std::str::from_utf8(bytes).is_ok() => TEXT,
        Value::Text(_) => 0,
    };
    (flags, value.text(room))
}

/// Reads an item.
pub(super) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: Numbers) -> Result<Found, Error> {
    match flags & !ZLIB {
        0 | TEXT => Ok(Found::Text),
        PYLIBMC_INTEGER | PYMEMCACHE_INTEGER => Ok(integer_or_text(bytes, || numbers)),
        PICKLE => Err(foreign(flags, "a pickle of Python")),
        _ => Err(foreign(flags, UNKNOWN)),
    }
}
