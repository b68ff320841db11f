//! Reading replies: strict, bounded, and without allocation but for the value itself.
//!
//! [`read_reply`] pulls bytes from a [`Source`] until the reply to one request is complete. It
//! accepts the replies that a memcached may give to that request and nothing else: the key must be
//! the one asked for, lengths are checked before memory is touched, and no byte may follow.
//! Whatever fails here leaves the connection out of step unless [`Error::in_step`] says otherwise.
//! How the bytes are split over several receives makes no difference.

use super::{MAX_VALUE, Reply, Request, Store};
use crate::error::{Down, Error};

/// Where a reply's bytes come from.
pub trait Source {
    /// Receives at least one byte into `into`, or 0 when the other side has closed.
    ///
    /// # Errors
    /// Whatever kept it from receiving.
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, Error>;
}

/// Bytes received at once at most, and so the longest value that needs one receive only.
const BUFFER: usize = 16 * 1024;

/// The longest line of a reply: memcached's are below 400 bytes.
const MAX_LINE: usize = 2048;

/// How much of a long value is asked for at once, so that memory grows with what arrives and not
/// with what was announced.
const CHUNK: usize = 128 * 1024;

/// How much of a server's error text is kept.
const MAX_TEXT: usize = 120;

/// A connection's receive buffer. Empty between replies.
#[derive(Debug)]
pub struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    /// An empty buffer; the only allocation is made here.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// Forgets what an abandoned connection left behind.
    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    fn pending(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl Default for Input {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the reply to `request`; a value's bytes replace what `value` held.
///
/// # Errors
/// Those of `source`; [`Down::Closed`] when it ends before the first byte, [`Error::Garbled`]
/// when it ends later or says anything that is no reply to `request`; the server's own refusals.
pub fn read_reply(
    request: &Request<'_>,
    input: &mut Input,
    source: &mut impl Source,
    value: &mut Vec<u8>,
) -> Result<Reply, Error> {
    debug_assert!(input.pending().is_empty());
    let reply = Reader {
        input,
        source,
        begun: false,
    }
    .reply(request, value);
    let surplus = !input.pending().is_empty();
    input.clear();
    if surplus && reply.as_ref().map_or_else(Error::in_step, |_| true) {
        return Err(Error::Garbled("bytes after the end of the reply"));
    }
    reply
}

struct Reader<'a, S> {
    input: &'a mut Input,
    source: &'a mut S,
    /// Whether any byte of this reply has arrived.
    begun: bool,
}

impl<S: Source> Reader<'_, S> {
    fn reply(&mut self, request: &Request<'_>, value: &mut Vec<u8>) -> Result<Reply, Error> {
        let line = self.line()?;
        if let (Request::Get { key }, Some(header)) = (request, line.strip_prefix(b"VALUE ")) {
            let (flags, len) = value_header(header, key.as_bytes()).map_err(Error::Garbled)?;
            self.value(len, value)?;
            return Ok(Reply::Value { flags });
        }
        Ok(match (request, line) {
            (Request::Get { .. }, b"END") => Reply::Miss,
            (Request::Store { .. }, b"STORED") => Reply::Stored,
            (
                Request::Store {
                    store: Store::Add, ..
                },
                b"NOT_STORED",
            ) => Reply::NotStored,
            (Request::Delete { .. }, b"DELETED") => Reply::Deleted,
            (Request::Touch { .. }, b"TOUCHED") => Reply::Touched,
            (
                Request::Delete { .. } | Request::Touch { .. } | Request::Count { .. },
                b"NOT_FOUND",
            ) => Reply::Miss,
            (Request::Count { .. }, [b'0'..=b'9', ..]) => match leading_number(line) {
                Some((count, [])) => Reply::Counted(count),
                _ => return Err(Error::Garbled("a count that is no number")),
            },
            _ => return Err(refusal(request, line)),
        })
    }

    /// The next line without its end; it has been taken from the buffer.
    fn line(&mut self) -> Result<&[u8], Error> {
        if self.input.pending().is_empty() {
            self.fill()?;
        }
        let mut searched = 0;
        let len = loop {
            let pending = self.input.pending();
            let end = line_end(&pending[searched..]);
            searched += end.unwrap_or(pending.len() - searched);
            // Also when its end is there: how the bytes were split makes no difference.
            if searched >= MAX_LINE {
                return Err(Error::Garbled("a line without end"));
            }
            if end.is_some() {
                break searched;
            }
            self.fill()?;
        };
        let from = self.input.start;
        self.input.start += len + 1;
        self.input.buffer[from..from + len]
            .strip_suffix(b"\r")
            .ok_or(Error::Garbled("a line that does not end in CR LF"))
    }

    fn value(&mut self, len: usize, value: &mut Vec<u8>) -> Result<(), Error> {
        value.clear();
        // With room for the byte that a C string needs behind it, which would else double it.
        value.reserve(len.min(CHUNK) + 1);
        let buffered = self.input.pending();
        let buffered = &buffered[..buffered.len().min(len)];
        value.extend_from_slice(buffered);
        self.input.start += buffered.len();
        while value.len() < len {
            let have = value.len();
            value.resize(have + CHUNK.min(len - have), 0);
            let received = self.source.receive(&mut value[have..]);
            value.truncate(have + received.as_ref().map_or(0, |&got| got));
            if received.map_err(cut_short)? == 0 {
                return Err(CUT_SHORT);
            }
        }
        self.value_end()
    }

    /// The end of a value and of the reply. Looked at as it arrives: what is wrong is not waited for.
    fn value_end(&mut self) -> Result<(), Error> {
        const END: &[u8] = b"\r\nEND\r\n";
        loop {
            let pending = self.input.pending();
            if pending.starts_with(END) {
                self.input.start += END.len();
                return Ok(());
            }
            let seen = &pending[..pending.len().min(END.len())];
            if !END.starts_with(seen) {
                let longer = !seen.starts_with(b"\r\n") && seen != b"\r";
                return Err(Error::Garbled(if longer {
                    "a value longer than announced"
                } else {
                    "more than one value in the reply"
                }));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        let Input { buffer, start, end } = &mut *self.input;
        if start == end {
            (*start, *end) = (0, 0);
        } else if *end == buffer.len() {
            buffer.copy_within(*start..*end, 0);
            (*start, *end) = (0, *end - *start);
        }
        match self.source.receive(&mut buffer[*end..]) {
            Ok(0) if self.begun => Err(CUT_SHORT),
            Ok(0) => Err(Error::Down(Down::Closed)),
            Ok(got) => {
                self.begun = true;
                *end += got;
                Ok(())
            }
            Err(error) if self.begun => Err(cut_short(error)),
            Err(error) => Err(error),
        }
    }
}

const CUT_SHORT: Error = Error::Garbled("connection closed in the middle of a reply");

/// A connection lost in the middle of a reply is not the same as one found dead.
fn cut_short(error: Error) -> Error {
    if error.is_hangup() { CUT_SHORT } else { error }
}

/// `<key> <flags> <length>`, as they follow `VALUE `: the flags and the length, or what is wrong.
#[inline(always)]
fn value_header(header: &[u8], key: &[u8]) -> Result<(u32, usize), &'static str> {
    const MALFORMED: &str = "a malformed VALUE line";
    let rest = header
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or("a value of another key")?;
    let (flags, rest) = leading_number(rest).ok_or(MALFORMED)?;
    let flags = u32::try_from(flags).map_err(|_| MALFORMED)?;
    let rest = rest.strip_prefix(b" ").ok_or(MALFORMED)?;
    let (len, rest) = leading_number(rest).ok_or(MALFORMED)?;
    match usize::try_from(len) {
        _ if !rest.is_empty() => Err(MALFORMED),
        Ok(len) if len <= MAX_VALUE => Ok((flags, len)),
        _ => Err("a value longer than 1 GiB"),
    }
}

/// Where the first LF is. Eight bytes at a time: a byte is 0 where a word differs from LFs in
/// nothing, and taking 1 from each byte then borrows into the high bit of the first such byte.
fn line_end(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        let ends = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if ends != 0 {
            return Some(8 * at + ends.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte == b'\n')?;
    Some(8 * words.len() + at)
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

/// What an unexpected line means: one of the server's own refusals, or no reply at all.
fn refusal(request: &Request<'_>, line: &[u8]) -> Error {
    if let Some(text) = line.strip_prefix(b"SERVER_ERROR") {
        let storing = matches!(request, Request::Store { .. });
        return if storing && text == b" object too large for cache" {
            Error::TooLarge
        } else {
            Error::ServerError(printable(text))
        };
    }
    let counting = matches!(request, Request::Count { .. });
    if counting && line == b"CLIENT_ERROR cannot increment or decrement non-numeric value" {
        return Error::NotANumber;
    }
    Error::Garbled(match line {
        b"ERROR" => "the server does not know the command",
        _ if line.starts_with(b"CLIENT_ERROR ") => "the server did not understand the request",
        _ => "no reply of a memcached to this request",
    })
}

fn printable(text: &[u8]) -> Box<str> {
    let text = text.trim_ascii();
    text[..text.len().min(MAX_TEXT)]
        .escape_ascii()
        .to_string()
        .into()
}

#[cfg(test)]
mod tests;
