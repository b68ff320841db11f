//! Values that Python has marshalled, as libmc does it: version 2 of the format (`Python/marshal.c`).
//!
//! Text, integers and `None` are read. Whatever may hold further objects is foreign.

use super::super::value::{Found, Numbers, integer_or_text};
use super::foreign;
use crate::error::Error;

/// How many bits a digit of a long integer has.
const DIGIT_BITS: u32 = 15;

/// Reads a marshalled value; `bytes` become its text.
pub(super) fn decode(flags: u32, bytes: &mut Vec<u8>, numbers: Numbers) -> Result<Found, Error> {
    let (kind, rest) = bytes.split_first().ok_or(BROKEN)?;
    let number = match (kind, rest) {
        (b'N', []) => {
            bytes.clear();
            return Ok(Found::Null);
        }
        (b'u', [a, b, c, d, text @ ..]) => {
            if u32::from_le_bytes([*a, *b, *c, *d]) as usize != text.len() {
                return Err(BROKEN);
            }
            bytes.drain(..5);
            return Ok(Found::Text);
        }
        (b'i', _) => rest.try_into().map(i32::from_le_bytes).map(i64::from).ok(),
        (b'I', _) => rest.try_into().map(i64::from_le_bytes).ok(),
        (b'l', [a, b, c, d, digits @ ..]) => {
            match long(i32::from_le_bytes([*a, *b, *c, *d]), digits)? {
                Some(number) => Some(number),
                None => return Err(foreign(flags, "an integer of more than 64 bits")),
            }
        }
        (b'N' | b'u' | b'l', _) => None,
        _ => {
            let what = "marshalled by Python, and not text, an integer or None";
            return Err(foreign(flags, what));
        }
    };
    let number = number.ok_or(BROKEN)?;
    *bytes = number.to_string().into_bytes();
    Ok(integer_or_text(bytes, || numbers))
}

const BROKEN: Error = Error::BrokenItem("the marshalled value is broken");

/// A long integer: its digits, the lowest one first, and their number, which has its sign. `None` if it
/// does not fit into 64 bits.
fn long(count: i32, digits: &[u8]) -> Result<Option<i64>, Error> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != count.unsigned_abs() as usize {
        return Err(BROKEN);
    }
    let mut sum = 0i128;
    for digit in pairs.iter().rev() {
        let digit = u16::from_le_bytes(*digit);
        if digit >> DIGIT_BITS != 0 {
            return Err(BROKEN);
        }
        if sum >> 64 != 0 {
            return Ok(None);
        }
        sum = sum << DIGIT_BITS | i128::from(digit);
    }
    let number = if count < 0 { -sum } else { sum };
    Ok(number.try_into().ok())
}
