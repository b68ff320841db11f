//! Session: the conversation with one memcached, from a connection's first byte to its last.
//!
//! A session knows no socket and no clock. Its driver sends the bytes that the session has to send, and
//! gives it the bytes that arrive. The session knows which replies the server owes, in their order, so
//! many requests may be under way at once. There are two drivers:
//! [`Connection`](super::connection::Connection) waits, for workers, and
//! [`Polled`](super::polled::Polled) does not, for the prober.
//!
//! A reply that could not be read to its end stays owed. The drivers close a session that fails, and
//! begin a request for one caller only while no reply is owed to another. So no caller ever gets the
//! reply to another.

use std::collections::VecDeque;
use std::ops::Range;

use super::protocol::framing::Input;
use super::protocol::text::{self, Part};
use super::protocol::{Kind, Reply, Request};
use crate::error::{Down, Error};

/// A request buffer that grew beyond this for a large value is given back.
const KEEP: usize = 64 * 1024;

/// A conversation with one server.
#[derive(Debug)]
pub struct Session {
    /// The requests that the server has not answered yet.
    output: Vec<u8>,
    /// How much of `output` was sent.
    sent: usize,
    owed: OwedReplies,
    input: Input,
    part: Part,
    /// Whether a reply could not be read to its end.
    is_broken: bool,
}

/// The replies that the server owes, in their order. Most often that is one, which needs no queue.
#[derive(Debug, Default)]
struct OwedReplies {
    first: Option<Owed>,
    others: VecDeque<Owed>,
}

impl OwedReplies {
    #[inline(always)]
    fn push(&mut self, owed: Owed) {
        match self.first {
            None => self.first = Some(owed),
            Some(_) => self.others.push_back(owed),
        }
    }

    #[inline(always)]
    fn end_first(&mut self) {
        self.first = match self.others.is_empty() {
            true => None,
            false => self.others.pop_front(),
        };
    }
}

/// A reply that the server owes.
#[derive(Debug)]
struct Owed {
    kind: Kind,
    /// Where the request's key stands in the output.
    key: Range<usize>,
}

impl Session {
    /// A session on a new connection.
    pub fn new() -> Self {
        Self {
            output: Vec::new(),
            sent: 0,
            owed: OwedReplies::default(),
            input: Input::new(),
            part: Part::default(),
            is_broken: false,
        }
    }

    /// True when a reply could not be read to its end: the connection is fit for nothing more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// True when no reply is owed.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.owed.first.is_none()
    }

    /// Adds a request to the bytes to be sent. Its reply is owed from now on.
    #[inline(always)]
    pub fn request(&mut self, request: &Request<'_>) {
        if self.is_idle() {
            self.output.clear();
            self.output.shrink_to(KEEP);
            self.sent = 0;
        }
        let key = text::encode(request, &mut self.output);
        let kind = request.kind();
        self.owed.push(Owed { kind, key });
    }

    /// The bytes to be sent.
    #[inline(always)]
    pub fn unsent(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The first `count` bytes of [`Self::unsent`] were sent.
    #[inline(always)]
    pub fn note_sent(&mut self, count: usize) {
        self.sent += count;
    }

    /// Where to receive the next bytes. `value` is the buffer that [`Self::reply`] gets.
    #[inline(always)]
    pub fn room<'a>(&'a mut self, value: &'a mut Vec<u8>) -> &'a mut [u8] {
        self.input.room(value)
    }

    /// `count` bytes have arrived in [`Self::room`]; 0 if receiving has failed.
    #[inline(always)]
    pub fn received(&mut self, count: usize, value: &mut Vec<u8>) {
        self.input.received(count, value);
    }

    /// True when bytes have arrived that belong to no reply yet.
    #[inline(always)]
    pub fn has_input(&self) -> bool {
        self.input.has_begun()
    }

    /// The reply that is owed first, or `None` until all of it has arrived. A value's bytes, or those
    /// of [`Reply::Text`], replace the content of `value`.
    ///
    /// # Errors
    /// [`Error::Garbled`] when the bytes are no reply to the request, or more bytes follow than are
    /// owed; the server's own refusals. The reply stays owed unless [`Error::is_refusal`].
    #[inline(always)]
    pub fn reply(&mut self, value: &mut Vec<u8>) -> Result<Option<Reply>, Error> {
        let Some(Owed { kind, key }) = &self.owed.first else {
            return Err(SURPLUS);
        };
        let key = &self.output[key.clone()];
        let reply = text::decode(*kind, key, &mut self.part, &mut self.input, value);
        match &reply {
            Ok(None) => return Ok(None),
            // The server may take the value of a refused store for commands, and it hangs up after an
            // `ERROR` that has a reason.
            Err(Error::Rejected(words))
                if matches!(kind, Kind::Store(_)) || words.starts_with("ERROR ") =>
            {
                self.is_broken = true;
                return reply;
            }
            Err(error) if !error.is_refusal() => {
                self.is_broken = true;
                return reply;
            }
            _ => {}
        }
        if self.input.end_reply() && self.owed.others.is_empty() {
            self.is_broken = true;
            return Err(SURPLUS);
        }
        self.owed.end_first();
        reply
    }

    /// The error of the reply that is owed first when the server has closed the connection.
    pub fn closed(&self) -> Error {
        self.lost(Error::Down(Down::Closed))
    }

    /// The error of the reply that is owed first after `error`. A connection that ends in the middle of
    /// a reply is not the same as one that was found closed.
    pub fn lost(&self, error: Error) -> Error {
        match error.is_hangup() && self.has_input() {
            true => Error::Garbled("the connection was closed in the middle of a reply"),
            false => error,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

const SURPLUS: Error = Error::Garbled("there are bytes after the end of the reply");

#[cfg(test)]
mod many;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod split;
#[cfg(test)]
mod tests;
