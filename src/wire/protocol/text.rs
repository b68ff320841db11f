//! The classic text dialect: how a request is written and its reply is read, side by side.
//!
//! [`decode`] accepts the replies that a memcached may give to a request and nothing else: the key
//! must be the one asked for, and lengths are checked before memory is touched. Whatever fails here
//! leaves the connection out of step unless [`Error::is_refusal`] says otherwise.
//! Source: memcached's `doc/protocol.txt`.

use std::ops::Range;

use super::framing::Input;
use super::{Item, Kind, MAX_VALUE, Reply, Request, Store, Way};
use crate::error::Error;
use crate::item::value::{MAX_DECIMAL, put_digits};

/// How much of a server's error text is kept.
const MAX_TEXT: usize = 120;

/// The longest text of statistics that is read.
const MAX_STATS: usize = 64 * 1024;

/// Appends the bytes of `request` to `out`; where in `out` its key stands.
#[inline(always)]
pub fn encode(request: &Request<'_>, out: &mut Vec<u8>) -> Range<usize> {
    match *request {
        Request::Get { key } => line(out, b"get ", key.as_bytes(), &[]),
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
            let verb = match store {
                Store::Set => b"set ",
                Store::Add => b"add ",
            };
            let numbers = [u64::from(flags), u64::from(lifetime), value.len() as u64];
            let key = line(out, verb, key.as_bytes(), &numbers);
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
            key
        }
        Request::Version => line(out, b"version", b"", &[]),
        Request::Stats => line(out, b"stats", b"", &[]),
        Request::FlushAll => line(out, b"flush_all", b"", &[]),
    }
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
    let mut tail = [0; MAX_NUMBERS * (1 + MAX_DECIMAL) + 2];
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

/// The most numbers in a line.
const MAX_NUMBERS: usize = 3;

/// How far the present reply has been read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Part {
    /// Its first line is next.
    #[default]
    Beginning,
    /// The value of an item is next, then the end.
    Value(Item),
    /// Further lines of statistics are next, then the end.
    Stats,
}

/// Reads the reply to a request of this kind, as far as it has arrived in `input`: `None` until that
/// is all of it. A value's bytes, or those of [`Reply::Text`], replace what `value` held. `key` is that
/// of the request; `part` is kept between calls.
///
/// # Errors
/// [`Error::Garbled`] for anything that is no reply to the request; the server's own refusals.
#[inline(always)]
pub(crate) fn decode(
    kind: Kind,
    key: &[u8],
    part: &mut Part,
    input: &mut Input,
    value: &mut Vec<u8>,
) -> Result<Option<Reply>, Error> {
    let item = match *part {
        Part::Value(item) => item,
        Part::Beginning | Part::Stats => {
            if kind == Kind::Stats {
                return stats(part, input, value);
            }
            let Some(line) = input.line()? else {
                return Ok(None);
            };
            let header = match kind {
                Kind::Get => line.strip_prefix(b"VALUE "),
                _ => None,
            };
            let Some(header) = header else {
                return one_line(kind, line, value).map(Some);
            };
            let (item, len) = value_header(header, key).map_err(Error::Garbled)?;
            input.begin_value(len, value);
            *part = Part::Value(item);
            item
        }
    };
    if !input.has_value() || !value_end(input)? {
        return Ok(None);
    }
    *part = Part::Beginning;
    Ok(Some(Reply::Item(item)))
}

/// A reply that is one line.
fn one_line(kind: Kind, line: &[u8], value: &mut Vec<u8>) -> Result<Reply, Error> {
    Ok(match (kind, line) {
        (Kind::Get, b"END") => Reply::Miss,
        (Kind::Store(_), b"STORED") => Reply::Stored,
        (Kind::Store(Store::Add), b"NOT_STORED") => Reply::NotStored,
        (Kind::Delete, b"DELETED") => Reply::Deleted,
        (Kind::Touch, b"TOUCHED") => Reply::Touched,
        (Kind::Delete | Kind::Touch | Kind::Count(_), b"NOT_FOUND") => Reply::Miss,
        (Kind::Count(_), [b'0'..=b'9', ..]) => match leading_number(line) {
            Some((count, [])) => Reply::Counted(count),
            _ => return Err(Error::Garbled("the count is not a number")),
        },
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

/// `<key> <flags> <length> [<version>]`, as they follow `VALUE `: what is told of the item and its length, or
/// what is wrong.
#[inline(always)]
fn value_header(header: &[u8], key: &[u8]) -> Result<(Item, usize), &'static str> {
    const MALFORMED: &str = "the VALUE line is malformed";
    let rest = header
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or("the value belongs to another key")?;
    let (flags, rest) = leading_number(rest).ok_or(MALFORMED)?;
    let flags = u32::try_from(flags).map_err(|_| MALFORMED)?;
    let rest = rest.strip_prefix(b" ").ok_or(MALFORMED)?;
    let (len, rest) = leading_number(rest).ok_or(MALFORMED)?;
    let is_whole = rest.is_empty() || is_version(rest);
    match usize::try_from(len) {
        _ if !is_whole => Err(MALFORMED),
        Ok(len) if len <= MAX_VALUE => Ok((Item { flags }, len)),
        _ => Err("the value is longer than 1 GiB"),
    }
}

/// ` <version number>`: some servers tell it unasked.
#[cold]
fn is_version(rest: &[u8]) -> bool {
    let number = rest.strip_prefix(b" ").and_then(leading_number);
    matches!(number, Some((_, [])))
}

/// The decimal number, within 64 bits, that `text` begins with, and what follows it.
#[inline(always)]
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
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

/// The error that an unexpected line means: a refusal by the server, or no reply to this request.
#[cold]
fn refusal(kind: Kind, line: &[u8]) -> Error {
    if let Some(text) = line.strip_prefix(b"SERVER_ERROR") {
        let storing = matches!(kind, Kind::Store(_));
        return if storing && text == b" object too large for cache" {
            Error::TooLarge
        } else {
            Error::ServerError(printable(text))
        };
    }
    // What cannot be counted is told in many ways by many servers.
    if matches!(kind, Kind::Count(_)) && line.starts_with(b"CLIENT_ERROR") {
        return Error::NotANumber;
    }
    let words = [&b"ERROR"[..], b"CLIENT_ERROR"];
    let is_word = |word: &&[u8]| matches!(line.strip_prefix(*word), Some([] | [b' ', ..]));
    match words.iter().any(is_word) {
        true => Error::Rejected(printable(line)),
        false => Error::Garbled("not a reply of memcached to this request"),
    }
}

fn printable(text: &[u8]) -> Box<str> {
    let text = text.trim_ascii();
    text[..text.len().min(MAX_TEXT)]
        .escape_ascii()
        .to_string()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::key::WireKey;

    fn bytes(request: Request<'_>) -> String {
        let mut out = Vec::new();
        encode(&request, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_request_is_one_line_and_its_data() {
        let key = &WireKey::new(b"", b"k").unwrap();
        assert_eq!(bytes(Request::Get { key }), "get k\r\n");
        assert_eq!(bytes(Request::Delete { key }), "delete k\r\n");
        assert_eq!(
            bytes(Request::Touch {
                key,
                lifetime: 1000
            }),
            "touch k 1000\r\n"
        );
        assert_eq!(
            bytes(Request::Count {
                way: Way::Up,
                key,
                by: u64::MAX
            }),
            { "incr k 18446744073709551615\r\n" }
        );
        assert_eq!(
            bytes(Request::Count {
                way: Way::Down,
                key,
                by: 0
            }),
            "decr k 0\r\n"
        );
        let store = |store, value| {
            bytes(Request::Store {
                store,
                key,
                flags: 1,
                lifetime: 60,
                value,
            })
        };
        assert_eq!(store(Store::Set, b"a\r\nb"), "set k 1 60 4\r\na\r\nb\r\n");
        assert_eq!(store(Store::Add, b""), "add k 1 60 0\r\n\r\n");
    }
}
