//! The meta dialect: what the classic one cannot say in one request.
//!
//! Requests and replies are lines of a code and flags, each a letter with its value. A server or a proxy
//! that does not know them answers `ERROR`, or closes the connection.
//! Source: memcached's `doc/protocol.txt`, "Meta Commands".

use std::ops::Range;

use super::framing::Input;
use super::refusal::refusal;
use super::text::{Part, counted, leading_number};
use super::{Item, Kind, Lease, Reply, Request, Usage, Way};
use crate::error::Error;
use crate::item::key::WireKey;
use crate::item::value::put_decimal;

/// Appends the bytes of `request` to `out`; where in `out` its key stands.
#[inline(never)]
pub(super) fn encode(request: &Request<'_>, out: &mut Vec<u8>) -> Range<usize> {
    match *request {
        Request::CountOrCreate {
            way,
            key,
            by,
            initial,
            lifetime,
        } => {
            let mode: &[u8] = match way {
                Way::Up => b" MI D",
                Way::Down => b" MD D",
            };
            let numbers = [(mode, by), (b" J", initial), (b" N", lifetime.into())];
            // The value is the number after counting.
            line(out, b"ma ", key, &numbers, b" v")
        }
        // Value, client flags, time left, the key.
        Request::GetLasting { key } => line(out, b"mg ", key, &[], b" v f t k"),
        // The time since the last use, too; and this is no use.
        Request::Inspect { key } => line(out, b"mg ", key, &[], b" v f t l k u"),
        Request::Look { key } => line(out, b"mg ", key, &[], b" f c k"),
        Request::Lease { key, time, early } => {
            let numbers: [(&[u8], u64); 2] = [(b" N", time.into()), (b" R", early.into())];
            let given = if early > 0 { 2 } else { 1 };
            // Value, client flags, version, the key.
            line(out, b"mg ", key, &numbers[..given], b" v f c k")
        }
        Request::Invalidate { key, lifetime } => {
            line(out, b"md ", key, &[(b" I T", lifetime.into())], b"")
        }
        Request::GiveBack {
            key,
            lifetime,
            version,
        } => {
            let numbers: [(&[u8], u64); 2] = [(b" I T", lifetime.into()), (b" C", version)];
            line(out, b"md ", key, &numbers, b"")
        }
        Request::DeleteVersion { key, version } => line(out, b"md ", key, &[(b" C", version)], b""),
        _ => {
            out.extend_from_slice(b"mn\r\n");
            out.len()..out.len()
        }
    }
}

/// A line of a verb, a key, flags with numbers, and other flags.
fn line(
    out: &mut Vec<u8>,
    verb: &[u8],
    key: &WireKey,
    numbers: &[(&[u8], u64)],
    flags: &[u8],
) -> Range<usize> {
    out.extend_from_slice(verb);
    let from = out.len();
    out.extend_from_slice(key.as_bytes());
    let key = from..out.len();
    for (flag, number) in numbers {
        out.extend_from_slice(flag);
        put_decimal(*number, out);
    }
    out.extend_from_slice(flags);
    out.extend_from_slice(b"\r\n");
    key
}

/// Reads the reply to a request of this kind, as [`text::decode`](super::text::decode) does.
///
/// # Errors
/// [`Error::Garbled`] for anything that is no reply to the request; the server's own refusals.
#[inline(never)]
pub(super) fn decode(
    kind: Kind,
    key: &[u8],
    part: &mut Part,
    input: &mut Input,
    value: &mut Vec<u8>,
) -> Result<Option<Reply>, Error> {
    if let Part::Beginning = *part {
        let Some(line) = input.line()? else {
            return Ok(None);
        };
        match (kind, code(line)) {
            (Kind::NoOp, b"MN") => return Ok(Some(Reply::NoOp)),
            (Kind::CountOrCreate(_), b"VA") => *part = Part::Number,
            // Another one has created it between the two steps of the server.
            (Kind::CountOrCreate(_), b"NS") => return Ok(Some(Reply::NotStored)),
            // A lease is only a miss if the server has no memory for another item.
            (Kind::GetLasting | Kind::Inspect | Kind::Look | Kind::Lease, b"EN") => {
                check_name(line, key)?;
                return Ok(Some(Reply::Miss));
            }
            (Kind::GetLasting | Kind::Inspect | Kind::Lease, b"VA") => {
                let told = Told::read(line, key)?;
                let reply = match kind {
                    Kind::GetLasting => told.lasting(),
                    Kind::Inspect => told.inspected(),
                    _ => told.leased(),
                };
                let reply = reply.ok_or(MALFORMED)?;
                input.begin_value(told.len, value)?;
                *part = Part::Value(reply);
            }
            (Kind::Look, b"HD") => {
                let told = Told::of(line, key, 1)?;
                return told.leased().map(Some).ok_or(MALFORMED);
            }
            (Kind::Invalidate | Kind::GiveBack, b"HD") => return Ok(Some(Reply::Touched)),
            (Kind::DeleteVersion, b"HD") => return Ok(Some(Reply::Deleted)),
            (Kind::Invalidate | Kind::GiveBack | Kind::DeleteVersion, b"NF") => {
                return Ok(Some(Reply::Miss));
            }
            (Kind::GiveBack | Kind::DeleteVersion, b"EX") => return Ok(Some(Reply::Exists)),
            _ => return Err(refusal(kind, line)),
        }
    }
    if let Part::Value(reply) = *part {
        if !input.has_value(value)? {
            return Ok(None);
        }
        let Some(end) = input.line()? else {
            return Ok(None);
        };
        if !end.is_empty() {
            return Err(Error::Garbled("the value is longer than announced"));
        }
        *part = Part::Beginning;
        return Ok(Some(reply));
    }
    let Some(line) = input.line()? else {
        return Ok(None);
    };
    *part = Part::Beginning;
    Ok(Some(Reply::Counted(counted(line)?)))
}

const MALFORMED: Error = Error::Garbled("the line about an item is malformed");

/// What a line `VA <length> <flags>` or `HD <flags>` tells of an item.
#[derive(Default)]
struct Told {
    /// The length of the value.
    len: u64,
    flags: Option<u32>,
    version: Option<u64>,
    left: Option<u32>,
    unused: Option<u32>,
    lease: Lease,
}

impl Told {
    /// Reads a line with the length, which must be about the item of that key.
    fn read(line: &[u8], key: &[u8]) -> Result<Self, Error> {
        let len = line.split(|&byte| byte == b' ').nth(1);
        Ok(Self {
            len: number(len.unwrap_or_default())?.into(),
            ..Self::of(line, key, 2)?
        })
    }

    /// Reads a line whose flags begin with the word of that number.
    fn of(line: &[u8], key: &[u8], first: usize) -> Result<Self, Error> {
        let mut told = Self::default();
        let is_named = check_name(line, key)?;
        for word in line.split(|&byte| byte == b' ').skip(first) {
            match word {
                [b'f', digits @ ..] => told.flags = Some(flags(digits)?),
                [b'c', digits @ ..] => told.version = Some(long_number(digits)?),
                b"t-1" => told.left = Some(Usage::FOR_EVER),
                [b't', digits @ ..] => told.left = Some(number(digits)?),
                [b'l', digits @ ..] => told.unused = Some(number(digits)?),
                b"W" => told.lease.is_ours = true,
                b"Z" => told.lease.is_others = true,
                b"X" => told.lease.is_stale = true,
                // What some servers tell unasked.
                _ => {}
            }
        }
        is_named.then_some(told).ok_or(MALFORMED)
    }

    fn lasting(&self) -> Option<Reply> {
        let flags = self.flags?;
        Some(Reply::Lasting(Item { flags }, self.left?, self.lease))
    }

    fn inspected(&self) -> Option<Reply> {
        let (flags, left, unused) = (self.flags?, self.left?, self.unused?);
        let usage = Usage { left, unused };
        Some(Reply::Inspected(Item { flags }, usage, self.lease))
    }

    fn leased(&self) -> Option<Reply> {
        let flags = self.flags?;
        Some(Reply::Leased(Item { flags }, self.version?, self.lease))
    }
}

/// A number of 64 bits.
fn long_number(digits: &[u8]) -> Result<u64, Error> {
    match leading_number(digits) {
        Some((number, [])) => Ok(number),
        _ => Err(MALFORMED),
    }
}

/// Client flags: none of them may be lost.
fn flags(digits: &[u8]) -> Result<u32, Error> {
    u32::try_from(long_number(digits)?).map_err(|_| MALFORMED)
}

/// A length, or a time, of 32 bits; a longer one is taken for the longest.
fn number(digits: &[u8]) -> Result<u32, Error> {
    Ok(u32::try_from(long_number(digits)?).unwrap_or(u32::MAX))
}

/// Whether the line names the key that it is about; an error if that is another key.
fn check_name(line: &[u8], key: &[u8]) -> Result<bool, Error> {
    let mut words = line.split(|&byte| byte == b' ').skip(1);
    match words.find_map(|word| word.strip_prefix(b"k")) {
        None => Ok(false),
        Some(name) if name == key => Ok(true),
        Some(_) => Err(Error::Garbled("the answer belongs to another key")),
    }
}

/// The word that a line begins with.
fn code(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
