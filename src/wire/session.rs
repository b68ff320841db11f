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
use std::hint::cold_path;
use std::io::ErrorKind;
use std::ops::Range;

use super::access::Access;
use super::protocol::credentials::Credentials;
use super::protocol::framing::Input;
use super::protocol::text::{self, MAX_REQUEST, Part};
use super::protocol::{Kind, Reply, Request};
use super::tls::Tls;
use crate::error::{Down, Error, Refusal, TooLarge};
use crate::secret::wipe;
use crate::sys;

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
    /// How many bytes of `output` are our credentials and their request, until that is answered.
    secret: usize,
    /// TLS, if all of this goes through it.
    tls: Option<Box<Tls>>,
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
    /// A session on a new connection that reads values of up to `value_limit` bytes.
    ///
    /// # Errors
    /// [`Down::Shortage`]
    pub fn new(value_limit: u32) -> Result<Self, Error> {
        let shortage = |_| Error::Down(Down::Shortage(ErrorKind::OutOfMemory.into()));
        Ok(Self {
            output: Vec::new(),
            sent: 0,
            owed: OwedReplies::default(),
            input: Input::new(value_limit).map_err(shortage)?,
            part: Part::default(),
            is_broken: false,
            secret: 0,
            tls: None,
        })
    }

    /// The same, with what the server requires first.
    ///
    /// # Errors
    /// [`Down::Shortage`]; [`Refusal::Memory`]; [`Error::Denied`]
    pub(super) fn on(value_limit: u32, access: &Access) -> Result<Self, Error> {
        let mut session = Self::new(value_limit)?;
        session.tls = access.begin_tls()?;
        if let Some(credentials) = &access.credentials {
            session.authenticate(credentials)?;
        }
        Ok(session)
    }

    /// Adds our credentials to the bytes to be sent, which are none so far. They go with the first request.
    fn authenticate(&mut self, credentials: &Credentials) -> Result<(), Refusal> {
        credentials.encode(&mut self.output)?;
        self.secret = self.output.len();
        self.part = Part::Credentials;
        // The part alone says how this reply is read.
        let (kind, key) = (Kind::NoOp, 0..0);
        self.owed.push(Owed { kind, key });
        Ok(())
    }

    /// True when a reply could not be read to its end: the connection is fit for nothing more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// True when a request can be added. While no reply is owed, nothing of an earlier request may be left to be
    /// sent: a server that has refused that before it had all of it takes what comes next for the rest.
    pub(super) fn is_fit(&self) -> bool {
        !self.is_broken && (!self.is_idle() || self.unsent().is_empty())
    }

    /// True when no reply is owed.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.owed.first.is_none()
    }

    /// Adds a request to the bytes to be sent. Its reply is owed from now on.
    ///
    /// # Errors
    /// [`Refusal::Memory`]: nothing was added.
    #[inline(always)]
    pub fn request(&mut self, request: &Request<'_>) -> Result<(), Error> {
        if self.is_idle() {
            self.output.clear();
            self.output.shrink_to(KEEP);
            self.sent = 0;
        } else if self.secret > 0 {
            self.make_room(request)?;
        }
        let key = text::encode(request, &mut self.output)?;
        let kind = request.kind();
        self.owed.push(Owed { kind, key });
        Ok(())
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
    /// of [`Reply::Text`], replace the content of `value`. A reply with [several items](Reply::OneOf) is owed
    /// until its end.
    ///
    /// # Errors
    /// [`Error::Garbled`] when the bytes are no reply to the request, or more bytes have come than are
    /// owed; the server's own refusals. The reply stays owed unless [`Error::is_refusal`].
    #[inline(always)]
    pub fn reply(&mut self, value: &mut Vec<u8>) -> Result<Option<Reply>, Error> {
        let Some(Owed { kind, key }) = &self.owed.first else {
            cold_path();
            return match self.has_input() {
                true => Err(SURPLUS),
                false => Ok(None),
            };
        };
        let (kind, key) = (*kind, &self.output[key.clone()]);
        match text::decode(kind, key, &mut self.part, &mut self.input, value) {
            Ok(Some(reply)) => {
                if !matches!(reply, Reply::OneOf(..)) {
                    self.end_reply()?;
                }
                Ok(Some(reply))
            }
            Ok(None) => self.after_credentials(value),
            Err(error) => Err(self.refused(kind, error)),
        }
    }

    /// The output has our credentials: if it must grow for this request, no copy of them is left behind.
    #[cold]
    fn make_room(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let more = request.value().len() + MAX_REQUEST;
        if self.output.capacity() - self.output.len() < more {
            let mut larger = Vec::new();
            larger
                .try_reserve(2 * self.output.len() + more)
                .map_err(|_| Refusal::Memory)?;
            larger.extend_from_slice(&self.output);
            wipe(&mut self.output);
            self.output = larger;
        }
        Ok(())
    }

    /// No reply to a request has arrived. If the reply to our credentials just has, they are forgotten, and
    /// the next reply is looked for.
    #[cold]
    fn after_credentials(&mut self, value: &mut Vec<u8>) -> Result<Option<Reply>, Error> {
        if self.secret == 0 || matches!(self.part, Part::Credentials) {
            return Ok(None);
        }
        wipe(&mut self.output[..self.secret]);
        self.secret = 0;
        self.end_reply()?;
        self.reply(value)
    }

    /// A reply was read to its end.
    #[inline(always)]
    fn end_reply(&mut self) -> Result<(), Error> {
        let has_more = self.input.end_reply() && !sys::planted("surplus bytes are kept");
        if has_more && self.owed.others.is_empty() {
            self.is_broken = true;
            return Err(SURPLUS);
        }
        self.owed.end_first();
        Ok(())
    }

    /// The reply to a request of this kind is `error`: what the caller is told.
    #[cold]
    fn refused(&mut self, kind: Kind, error: Error) -> Error {
        let is_broken = match &error {
            // The value follows, and is not read.
            Error::TooLarge(TooLarge::ToRead { .. } | TooLarge::ForMemory(_)) => true,
            // The server may take the value of a refused store for commands.
            Error::Rejected(_) => kind.has_value() || error.is_farewell(),
            error => !error.is_refusal(),
        };
        if is_broken || self.secret > 0 {
            self.is_broken = true;
            return error;
        }
        self.end_reply().err().unwrap_or(error)
    }

    /// The error of the reply that is owed first when the server has closed the connection.
    #[cold]
    pub fn closed(&self) -> Error {
        self.lost(Error::Down(Down::Closed))
    }

    /// The error of the reply that is owed first after `error`. A connection that ends in the middle of
    /// a reply is not the same as one that was found closed.
    #[cold]
    pub fn lost(&self, error: Error) -> Error {
        match error.is_hangup() && self.has_input() {
            true => Error::Garbled("the connection was closed in the middle of a reply"),
            false => error,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        wipe(&mut self.output[..self.secret]);
    }
}

const SURPLUS: Error = Error::Garbled("there are bytes after the end of the reply");

mod secured;

#[cfg(test)]
mod authentication;
#[cfg(test)]
mod limit;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod split;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod under_way;
