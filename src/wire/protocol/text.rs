//! The classic text dialect: how a request is written and its reply is read, side by side.
//!
//! [`decode`] accepts the replies that a memcached may give to a request and nothing else: the key
//! must be the one asked for, and lengths are checked before memory is touched. Whatever fails here
//! leaves the connection out of step unless [`Error::is_refusal`] says otherwise.
//! Source: memcached's `doc/protocol.txt`.

use std::ops::Range;

use super::credentials;
use super::framing::Input;
use super::refusal::refusal;
use super::{Item, Kind, Reply, Request, Store, Way};
use super::{many, meta};
use crate::error::{Error, Refusal};
use crate::item::value::{MAX_DECIMAL, put_digits};

/// The longest text of statistics that is read.
const MAX_STATS: usize = 64 * 1024;

/// Appends the bytes of `request` to `out`; where in `out` its key stands. What only the other dialect
/// can say is said in that.
///
/// # Errors
/// [`Refusal::Memory`]: `out` is as it was.
#[inline(always)]
pub fn encode(request: &Request<'_>, out: &mut Vec<u8>) -> Result<Range<usize>, Refusal> {
    Ok(match *request {
        Request::Get { key } => line(out, b"get ", key.as_bytes(), &[]),
        Request::Gets { key } => line(out, b"gets ", key.as_bytes(), &[]),
        Request::Delete { key } => line(out, b"delete ", key.as_bytes(), &[]),
        Request::Touch { key, lifetime } => {
            line(out, b"touch ", key.as_bytes(), &[u64::from(lifetime)])
        }
        Request::Count { way, key, by } => {
            let verb = match way {
                Way::Up => b"incr ",
                Way::Down => b"decr ",
            };
            line(out, verb, key.as_bytes(), &[by])
        }
        Request::Store {
            store,
            key,
            flags,
            lifetime,
            value,
        } => {
            let numbers = [u64::from(flags), u64::from(lifetime), value.len() as u64];
            match store {
                Store::Set => with_value(out, b"set ", key.as_bytes(), &numbers, value)?,
                Store::Add => with_value(out, b"add ", key.as_bytes(), &numbers, value)?,
                Store::Replace => with_value(out, b"replace ", key.as_bytes(), &numbers, value)?,
                Store::Append => with_value(out, b"append ", key.as_bytes(), &numbers, value)?,
                Store::Prepend => with_value(out, b"prepend ", key.as_bytes(), &numbers, value)?,
            }
        }
        Request::Cas {
            key,
            flags,
            lifetime,
            version,
            value,
        }
        | Request::Fulfil {
            key,
            flags,
            lifetime,
            version,
            value,
        } => {
            let (flags, lifetime) = (u64::from(flags), u64::from(lifetime));
            let numbers = [flags, lifetime, value.len() as u64, version];
            with_value(out, b"cas ", key.as_bytes(), &numbers, value)?
        }
        Request::Version => line(out, b"version", b"", &[]),
        Request::Stats => line(out, b"stats", b"", &[]),
        Request::Settings => line(out, b"stats settings", b"", &[]),
        Request::FlushAll => line(out, b"flush_all", b"", &[]),
        Request::GetMany { .. }
        | Request::CountOrCreate { .. }
        | Request::GetLasting { .. }
        | Request::Inspect { .. }
        | Request::Look { .. }
        | Request::Lease { .. }
        | Request::Invalidate { .. }
        | Request::GiveBack { .. }
        | Request::DeleteVersion { .. }
        | Request::NoOp => encode_other(request, out),
    })
}

/// Writes what is no classic request about an item.
#[cold]
fn encode_other(request: &Request<'_>, out: &mut Vec<u8>) -> Range<usize> {
    match request {
        Request::GetMany { keys } => many::encode(keys, out),
        _ => meta::encode(request, out),
    }
}

/// The longest request, but for the value in it.
pub(in crate::wire) const MAX_REQUEST: usize = 400;

/// From this length on there may be no memory for a value.
const LARGE: usize = 16 * 1024;

/// Makes room for the request to store a large value.
#[cold]
fn reserve(out: &mut Vec<u8>, len: usize) -> Result<(), Refusal> {
    out.try_reserve(len + MAX_REQUEST)
        .map_err(|_| Refusal::Memory)
}

/// A line, and a value behind it. (It is a function of its own in the machine code, too: within a larger
/// one, the compiler takes this for a rare way.)
#[inline(never)]
fn with_value<const N: usize>(
    out: &mut Vec<u8>,
    verb: &[u8; N],
    key: &[u8],
    numbers: &[u64],
    value: &[u8],
) -> Result<Range<usize>, Refusal> {
    if value.len() >= LARGE {
        reserve(out, value.len())?;
    }
    let key = line(out, verb, key, numbers);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(key)
}

/// A line of a verb, a key and numbers.
#[inline(always)]
fn line<const N: usize>(
    out: &mut Vec<u8>,
    verb: &[u8; N],
    key: &[u8],
    numbers: &[u64],
) -> Range<usize> {
    // From its end on, as digits are found: ` 1 60 5\r\n`.
    let mut tail = [0; MAX_TAIL];
    let mut at = tail.len() - 2;
    tail[at..].copy_from_slice(b"\r\n");
    for &number in numbers.iter().rev() {
        at = put_digits(number, &mut tail, at) - 1;
        tail[at] = b' ';
    }
    out.extend_from_slice(verb);
    let from = out.len();
    out.extend_from_slice(key);
    let key = from..out.len();
    out.extend_from_slice(&tail[at..]);
    key
}

/// The longest end of a line: the numbers of a `cas`, which are flags, lifetime, length and version.
const MAX_TAIL: usize = 3 * (1 + MAX_U32) + 1 + MAX_DECIMAL + 2;

/// The most digits of a number of 32 bits. No value is longer than 1 GiB.
const MAX_U32: usize = 10;

/// How far the present reply has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Part {
    /// The reply to our credentials is next, then the reply to the request.
    Credentials,
    /// Its first line is next.
    #[default]
    Beginning,
    /// The value of an item is next, then the end, or that of the line. Then this is the reply.
    Value(Reply),
    /// A line with a number is next.
    Number,
    /// Further lines of statistics are next, then the end.
    Stats,
}

/// Reads the reply to a request of this kind, as far as it has arrived in `input`: `None` until that
/// is all of it, or one item of [`Request::GetMany`]. A value's bytes, or those of [`Reply::Text`],
/// replace what `value` held. `key` is that of the request; `part` is kept between calls.
///
/// # Errors
/// [`Error::Garbled`] for anything that is no reply to the request; the server's own refusals.
#[inline(never)]
pub(crate) fn decode(
    kind: Kind,
    key: &[u8],
    part: &mut Part,
    input: &mut Input,
    value: &mut Vec<u8>,
) -> Result<Option<Reply>, Error> {
    let reply = match *part {
        Part::Value(reply) if kind.is_classic() => reply,
        Part::Beginning if kind.is_classic() => {
            let Some(line) = input.line()? else {
                return Ok(None);
            };
            let header = match kind {
                Kind::Get | Kind::Gets => line.strip_prefix(b"VALUE "),
                _ => None,
            };
            let Some(header) = header else {
                return one_line(kind, line, value).map(Some);
            };
            let Some((item, len, rest)) = value_header(header, key) else {
                return Err(bad_header(header, key));
            };
            let reply = match (kind, rest) {
                (Kind::Get, []) => Reply::Item(item),
                _ => versioned(kind, item, rest)?,
            };
            input.begin_value(len, value)?;
            *part = Part::Value(reply);
            reply
        }
        _ => return decode_other(kind, key, part, input, value),
    };
    if !input.has_value(value)? || !value_end(input)? {
        return Ok(None);
    }
    *part = Part::Beginning;
    Ok(Some(reply))
}

/// Reads what is no reply to a classic request about an item.
#[cold]
fn decode_other(
    kind: Kind,
    key: &[u8],
    part: &mut Part,
    input: &mut Input,
    value: &mut Vec<u8>,
) -> Result<Option<Reply>, Error> {
    match (*part, kind) {
        (Part::Credentials, _) => credentials::decode(part, input).map(|()| None),
        (_, Kind::Stats | Kind::Settings) => stats(part, input, value),
        (_, Kind::GetMany) => many::decode(key, part, input, value),
        _ => meta::decode(kind, key, part, input, value),
    }
}

/// A reply that is one line.
fn one_line(kind: Kind, line: &[u8], value: &mut Vec<u8>) -> Result<Reply, Error> {
    Ok(match (kind, line) {
        (Kind::Get | Kind::Gets, b"END") => Reply::Miss,
        (Kind::Store(_) | Kind::Cas | Kind::Fulfil, b"STORED") => Reply::Stored,
        (Kind::Store(Store::Set), b"NOT_STORED") => return Err(refusal(kind, line)),
        (Kind::Store(_), b"NOT_STORED") => Reply::NotStored,
        (Kind::Cas | Kind::Fulfil, b"EXISTS") => Reply::Exists,
        (Kind::Delete, b"DELETED") => Reply::Deleted,
        (Kind::Touch, b"TOUCHED") => Reply::Touched,
        (Kind::Delete | Kind::Touch | Kind::Count(_) | Kind::Cas | Kind::Fulfil, b"NOT_FOUND") => {
            Reply::Miss
        }
        (Kind::Count(_), [b'0'..=b'9', ..]) => Reply::Counted(counted(line)?),
        (Kind::FlushAll, b"OK") => Reply::Flushed,
        (Kind::Version, _) => match line.strip_prefix(b"VERSION ") {
            Some(version) => {
                value.clear();
                value.extend_from_slice(version);
                Reply::Text
            }
            None => return Err(refusal(kind, line)),
        },
        _ => return Err(refusal(kind, line)),
    })
}

/// The number after counting. memcached leaves blanks behind one that has become shorter.
pub(super) fn counted(line: &[u8]) -> Result<u64, Error> {
    match leading_number(line) {
        Some((number, rest)) if rest.trim_ascii().is_empty() => Ok(number),
        _ => Err(Error::Garbled("the count is not a number")),
    }
}

/// A reply of many lines: `STAT name value` each, then `END`.
#[cold]
fn stats(part: &mut Part, input: &mut Input, value: &mut Vec<u8>) -> Result<Option<Reply>, Error> {
    if let Part::Beginning = *part {
        value.clear();
    }
    while let Some(line) = input.line()? {
        if line == b"END" {
            *part = Part::Beginning;
            return Ok(Some(Reply::Text));
        }
        let Some(stat) = line.strip_prefix(b"STAT ") else {
            *part = Part::Beginning;
            return Err(refusal(Kind::Stats, line));
        };
        if value.len() + stat.len() >= MAX_STATS {
            return Err(Error::Garbled("the statistics have no end"));
        }
        *part = Part::Stats;
        value.extend_from_slice(stat);
        value.push(b'\n');
    }
    Ok(None)
}

/// The end of a value and of the reply; false until it has arrived. A wrong byte is an error at once,
/// before the rest arrives.
#[inline(always)]
fn value_end(input: &mut Input) -> Result<bool, Error> {
    const END: &[u8] = b"\r\nEND\r\n";
    let pending = input.pending();
    if pending.starts_with(END) {
        input.take(END.len());
        return Ok(true);
    }
    let seen = &pending[..pending.len().min(END.len())];
    if END.starts_with(seen) {
        return Ok(false);
    }
    let longer = !seen.starts_with(b"\r\n") && seen != b"\r";
    Err(Error::Garbled(if longer {
        "the value is longer than announced"
    } else {
        "the reply has more than one value"
    }))
}

/// `<key> <flags> <length>`, as they follow `VALUE `: what is told of the item, its length, and what
/// follows.
#[inline(always)]
pub(super) fn value_header<'a>(header: &'a [u8], key: &[u8]) -> Option<(Item, u64, &'a [u8])> {
    let rest = header.strip_prefix(key)?.strip_prefix(b" ")?;
    let (flags, rest) = leading_number(rest)?;
    let flags = u32::try_from(flags).ok()?;
    let (len, rest) = leading_number(rest.strip_prefix(b" ")?)?;
    Some((Item { flags }, len, rest))
}

/// ` <version>` follows: what was asked for, or what some servers tell unasked.
#[cold]
pub(super) fn versioned(kind: Kind, item: Item, rest: &[u8]) -> Result<Reply, Error> {
    match (kind, rest.strip_prefix(b" ").and_then(leading_number)) {
        (Kind::Gets, Some((version, []))) => Ok(Reply::Versioned(item, version)),
        (_, Some((_, []))) => Ok(Reply::Item(item)),
        _ => Err(Error::Garbled(MALFORMED)),
    }
}

pub(super) const MALFORMED: &str = "the VALUE line is malformed";

/// What is wrong with this header.
#[cold]
fn bad_header(header: &[u8], key: &[u8]) -> Error {
    let rest = header.strip_prefix(key);
    let is_ours = rest.is_some_and(|rest| rest.starts_with(b" "));
    Error::Garbled(match is_ours {
        true => MALFORMED,
        false => "the value belongs to another key",
    })
}

/// The decimal number, within 64 bits, that `text` begins with, and what follows it.
#[inline(always)]
pub(super) fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut sum, mut rest) = (0u64, text);
    while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    match text.len() - rest.len() {
        0 => None,
        // Cannot have been too large.
        1..=19 => Some((sum, rest)),
        digits => Some((long_number(&text[..digits])?, rest)),
    }
}

#[cold]
fn long_number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
