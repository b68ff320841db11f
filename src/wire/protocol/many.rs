//! Many: one request for several items. The reply has those that were found, in any order, then an end.
//! Source: memcached's `doc/protocol.txt`, "Retrieval command"; twemproxy gives the items in an order of
//! its own.

use std::ops::Range;

use super::framing::Input;
use super::refusal::refusal;
use super::text::{MALFORMED, Part, value_header, versioned};
use super::{Kind, Reply};
use crate::error::Error;
use crate::item::key::WireKey;

/// Appends a request for these items to `out`; where in `out` their keys stand.
#[inline(never)]
pub(super) fn encode(keys: &[&WireKey], out: &mut Vec<u8>) -> Range<usize> {
    out.extend_from_slice(b"get");
    let from = out.len() + 1;
    for key in keys {
        out.push(b' ');
        out.extend_from_slice(key.as_bytes());
    }
    let keys = from..out.len();
    out.extend_from_slice(b"\r\n");
    keys
}

/// Reads the next item of the reply, or its end, as [`text::decode`](super::text::decode) does. `keys` are
/// those of the request.
///
/// # Errors
/// [`Error::Garbled`] for anything that is no reply to the request; the server's own refusals.
#[inline(never)]
pub(super) fn decode(
    keys: &[u8],
    part: &mut Part,
    input: &mut Input,
    value: &mut Vec<u8>,
) -> Result<Option<Reply>, Error> {
    let reply = match *part {
        Part::Value(reply) => reply,
        _ => {
            let Some(line) = input.line()? else {
                return Ok(None);
            };
            let Some(header) = line.strip_prefix(b"VALUE ") else {
                return match line {
                    b"END" => Ok(Some(Reply::Miss)),
                    _ => Err(refusal(Kind::GetMany, line)),
                };
            };
            let words = |text| <[u8]>::split(text, |&byte| byte == b' ');
            let key = words(header).next().unwrap_or_default();
            let Some(place) = words(keys).position(|wanted| wanted == key) else {
                return Err(Error::Garbled("the value belongs to another key"));
            };
            let Some((item, len, rest)) = value_header(header, key) else {
                return Err(Error::Garbled(MALFORMED));
            };
            if !rest.is_empty() {
                versioned(Kind::GetMany, item, rest)?;
            }
            input.begin_value(len, value)?;
            *part = Part::Value(Reply::OneOf(item, place));
            Reply::OneOf(item, place)
        }
    };
    if !input.has_value(value)? {
        return Ok(None);
    }
    match input.line()? {
        None => Ok(None),
        Some([]) => {
            *part = Part::Beginning;
            Ok(Some(reply))
        }
        Some(_) => Err(Error::Garbled("the value is longer than announced")),
    }
}

#[cfg(test)]
mod tests;
