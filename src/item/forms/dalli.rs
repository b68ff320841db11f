//! Dalli's form: `lib/dalli/protocol/value_serializer.rb` has its flags. Every value is a string.

use super::super::value::Found;
use super::{UNKNOWN, foreign};
use crate::error::Error;

const MARSHALLED: u32 = 1;
const UTF_8: u32 = 4;

/// The value is compressed.
pub(super) const ZLIB: u32 = 2;

/// Reads an item: its bytes are its text.
pub(super) fn decode(flags: u32) -> Result<Found, Error> {
    match flags & !ZLIB {
        0 | UTF_8 => Ok(Found::Text),
        MARSHALLED => Err(foreign(flags, "marshalled by Ruby")),
        _ => Err(foreign(flags, UNKNOWN)),
    }
}
