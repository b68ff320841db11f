//! Input: a receive buffer from which lines and value blocks are taken.
//!
//! It knows no socket and no protocol word. Bytes are received into [`Input::room`],
//! [`Input::received`] says how many came, and a dialect takes out whole lines and values. A long value
//! is received into the caller's own buffer without a copy. Memory grows with the bytes that arrive,
//! not with the length that the server announces, and only to a limit. How the bytes are split over
//! several receives makes no difference.

use std::collections::TryReserveError;
use std::hint::cold_path;

use super::MAX_VALUE;
use crate::error::{Error, TooLarge};

/// The most bytes that are received at once, so the longest value that needs only one receive.
pub(in crate::wire) const BUFFER: usize = 16 * 1024;

/// The longest line of a reply: memcached's are below 400 bytes.
pub(in crate::wire) const MAX_LINE: usize = 2048;

/// How much of a long value is received at once.
pub(in crate::wire) const CHUNK: usize = 128 * 1024;

/// A connection's receive buffer.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// How many bytes from `start` on are known to hold no line end.
    searched: usize,
    /// The value that is being received, once the buffer is empty.
    value: Option<PartialValue>,
    /// The longest value that is received.
    value_limit: u32,
    /// Whether any byte of the present reply has arrived.
    begun: bool,
}

/// A value that is being received.
#[derive(Debug, Clone, Copy)]
struct PartialValue {
    /// Its whole length.
    len: usize,
    /// How much of it has arrived.
    have: usize,
}

impl Input {
    /// An empty buffer; the only allocation is made here. `value_limit` is the length of the longest value
    /// that is received.
    ///
    /// # Errors
    /// This process has no memory for it.
    pub(crate) fn new(value_limit: u32) -> Result<Self, TryReserveError> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(BUFFER)?;
        buffer.resize(BUFFER, 0);
        Ok(Self {
            buffer: buffer.into_boxed_slice(),
            value_limit,
            start: 0,
            end: 0,
            searched: 0,
            value: None,
            begun: false,
        })
    }

    /// Where the next bytes are to be received; `value` is the buffer for values.
    #[inline(always)]
    pub(crate) fn room<'a>(&'a mut self, value: &'a mut Vec<u8>) -> &'a mut [u8] {
        if let Some(partial) = self.value {
            // There is room: the value has not arrived, so `has_value` has made it.
            value.resize(partial.have + partial.next(), 0);
            return &mut value[partial.have..];
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// `count` bytes have arrived in [`Self::room`]; 0 if that has failed.
    #[inline(always)]
    pub(crate) fn received(&mut self, count: usize, value: &mut Vec<u8>) {
        match &mut self.value {
            Some(PartialValue { have, .. }) => {
                *have += count;
                // The room that is left is used by the next receive, if there is one.
                if count == 0 {
                    value.truncate(*have);
                }
            }
            None => self.end += count,
        }
        self.begun |= count > 0;
    }

    /// True once a byte of the present reply has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// A reply ends here. True if more bytes are in the buffer, which belong to the next reply.
    #[inline(always)]
    pub(crate) fn end_reply(&mut self) -> bool {
        self.begun = self.start < self.end;
        self.begun
    }

    /// The bytes that have arrived and were not taken out.
    #[inline(always)]
    pub(super) fn pending(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes out so many bytes of [`Self::pending`].
    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Takes out the next line, without its end; `None` until it has arrived.
    ///
    /// # Errors
    /// [`Error::Garbled`] when it is longer than [`MAX_LINE`], or ends in a bare LF.
    #[inline(always)]
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, Error> {
        let pending = &self.buffer[self.start..self.end];
        let end = line_end(&pending[self.searched..]);
        let len = end.map_or(pending.len(), |end| self.searched + end);
        // Even if its end has arrived: how the bytes were split makes no difference.
        if len >= MAX_LINE {
            cold_path();
            return Err(Error::Garbled("a line of the reply has no end"));
        }
        if end.is_none() {
            cold_path();
            self.searched = len;
            return Ok(None);
        }
        self.searched = 0;
        let from = self.start;
        self.start += len + 1;
        let line = self.buffer[from..from + len].strip_suffix(b"\r");
        match line {
            Some(line) => Ok(Some(line)),
            None => {
                cold_path();
                Err(Error::Garbled("a line of the reply does not end in CR LF"))
            }
        }
    }

    /// A value of `len` bytes follows: begins to take it out into `value`.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Garbled`] for a length that no value can have.
    #[inline(always)]
    pub(super) fn begin_value(&mut self, len: u64, value: &mut Vec<u8>) -> Result<(), Error> {
        if len > u64::from(self.value_limit) {
            return Err(self.too_long(len));
        }
        let len = len as usize;
        value.clear();
        // One byte more, for the NUL that the host needs behind it: else the buffer would be doubled.
        if value.try_reserve(len.min(CHUNK) + 1).is_err() {
            return Err(Error::TooLarge(TooLarge::ForMemory(len)));
        }
        let have = (self.end - self.start).min(len);
        value.extend_from_slice(&self.buffer[self.start..self.start + have]);
        self.start += have;
        if have < len {
            self.value = Some(PartialValue { len, have });
        }
        Ok(())
    }

    #[cold]
    fn too_long(&self, len: u64) -> Error {
        let limit = self.value_limit;
        match usize::try_from(len) {
            Ok(..=MAX_VALUE) => Error::TooLarge(TooLarge::ToRead { len, limit }),
            _ => Error::Garbled("the value is longer than 1 GiB"),
        }
    }

    /// True when the value that was begun has arrived. If not, `value` is prepared for the next part.
    ///
    /// # Errors
    /// [`Error::TooLarge`]
    #[inline(always)]
    pub(super) fn has_value(&mut self, value: &mut Vec<u8>) -> Result<bool, Error> {
        match self.value {
            None => return Ok(true),
            Some(PartialValue { len, have }) if have == len => self.value = None,
            Some(partial) => partial.make_room(value)?,
        }
        Ok(self.value.is_none())
    }
}

impl PartialValue {
    /// How long the next part may be.
    fn next(self) -> usize {
        CHUNK.min(self.len - self.have)
    }

    /// Makes room for the next part. The buffer doubles each time, but never beyond the value's length.
    #[cold]
    fn make_room(self, value: &mut Vec<u8>) -> Result<(), Error> {
        let least = self.have + self.next() + 1;
        if value.capacity() < least {
            let capacity = (2 * value.capacity()).clamp(least, self.len + 1);
            value
                .try_reserve_exact(capacity - value.len())
                .map_err(|_| Error::TooLarge(TooLarge::ForMemory(self.len)))?;
        }
        Ok(())
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
