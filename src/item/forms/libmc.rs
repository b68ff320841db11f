//! libmc's form: `include/c_client.h` and `libmc/_client.pyx` have its flags.
//!
//! Bytes have no flag. A text of Python is marshalled. The bits from 16 on have no meaning to libmc.

use super::super::value::{Found, MAX_DECIMAL, Numbers, Value, integer_or_text};
use super::{UNKNOWN, foreign, marshal};
use crate::error::Error;

const PICKLE: u32 = 1;
/// Integers of Python 2.
const INTEGER: u32 = 2;
/// Integers of Python 3.
const LONG: u32 = 4;
const BOOL: u32 = 8;
const MARSHAL: u32 = 32;

/// The value is compressed.
pub(super) const ZLIB: u32 = 16;

/// The item is the index of a value that is stored in parts.
pub(crate) const SPLIT: u32 = 4096;
/// The bits of the type, and those without a meaning.
const TYPE: u32 = 0xffff & !ZLIB;

/// The client flags and the bytes to store.
pub(super) fn encode<'a>(value: Value<'a>, room: &'a mut [u8; MAX_DECIMAL]) -> (u32, &'a [u8]) {
    let flags = match value {
        Value::Integer(_) => LONG,
        Value::Text(_) => 0,
    };
    (flags, value.text(room))
}

/// Reads an item.
pub(super) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: Numbers) -> Result<Found, Error> {
    match flags & TYPE {
        0 => Ok(Found::Text),
        INTEGER | LONG | BOOL => Ok(integer_or_text(bytes, || numbers)),
        MARSHAL => marshal::decode(flags, bytes, numbers),
        PICKLE => Err(foreign(flags, "a pickle of Python")),
        _ => Err(foreign(flags, UNKNOWN)),
    }
}
