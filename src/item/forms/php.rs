//! The form of PHP's extension `memcached`: `php_memcached.c` has its flags.
//!
//! The low four bits are the type, and the next four tell how the value is compressed: the length that it
//! has without that stands in front of it, in four bytes, the lowest one first. The bits from 16 on belong to the
//! script that has stored the item.

use super::super::compression;
use super::super::value::{Found, MAX_DECIMAL, Numbers, Value, integer_or_text};
use super::{UNKNOWN, foreign};
use crate::error::Error;

const STRING: u32 = 0;
const LONG: u32 = 1;
const DOUBLE: u32 = 2;
const BOOL: u32 = 3;
const SERIALIZED: u32 = 4;
const IGBINARY: u32 = 5;
const JSON: u32 = 6;
const MSGPACK: u32 = 7;

/// The value is compressed, by what another bit tells.
pub(super) const COMPRESSED: u32 = 16;
/// It is compressed by zlib. The others are fastlz and zstd.
pub(super) const ZLIB: u32 = 32;
const FASTLZ: u32 = 64;
const ZSTD: u32 = 128;

/// The bits of the type, and those without a meaning.
const TYPE: u32 = 0xffff & !(COMPRESSED | ZLIB | FASTLZ | ZSTD);

/// The client flags and the bytes to store.
pub(super) fn encode<'a>(value: Value<'a>, room: &'a mut [u8; MAX_DECIMAL]) -> (u32, &'a [u8]) {
    let flags = match value {
        Value::Integer(_) => LONG,
        Value::Text(_) => STRING,
    };
    (flags, value.text(room))
}

/// Reads an item.
pub(super) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: Numbers) -> Result<Found, Error> {
    match flags & TYPE {
        STRING | DOUBLE | JSON => Ok(Found::Text),
        LONG => Ok(integer_or_text(bytes, || numbers)),
        BOOL => {
            // The text of `false` is empty.
            if bytes.is_empty() {
                bytes.push(b'0');
            }
            Ok(integer_or_text(bytes, || numbers))
        }
        SERIALIZED | IGBINARY | MSGPACK => Err(foreign(flags, "serialized by PHP")),
        _ => Err(foreign(flags, UNKNOWN)),
    }
}

/// The value of a compressed item, up to `limit` bytes.
///
/// # Errors
/// [`Error::Foreign`] if it is not compressed by zlib; those of [`compression::inflate`].
pub(super) fn inflate(flags: u32, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    if flags & (ZLIB | FASTLZ | ZSTD) != ZLIB {
        return Err(foreign(flags, "compressed, and not by zlib"));
    }
    let broken = Error::BrokenItem("the compressed value has not the length that it announces");
    let Some((len, stream)) = bytes.split_first_chunk() else {
        return Err(broken);
    };
    let inflated = compression::inflate(stream, limit)?;
    match inflated.len() == u32::from_le_bytes(*len) as usize {
        true => Ok(inflated),
        false => Err(broken),
    }
}
