//! Connection: this process's connection to one server, and one exchange under one deadline.
//!
//! Opened on first use by the process that uses it; one inherited over a fork is never touched,
//! only replaced. A reply that is not read to its proper end closes the connection, so the next
//! caller cannot see it. A connection that has been idle for a moment is looked at before it is
//! used: a server that was restarted then costs nobody an operation, and nothing is counted twice.

use std::time::Duration;

use crate::clock::Moment;
use crate::error::Error;
use crate::stats::Stats;
use crate::sys;
use crate::wire::net::{Stream, Target};
use crate::wire::protocol::ascii::encode;
use crate::wire::protocol::parse::{Input, Source, read_reply};
use crate::wire::protocol::{Reply, Request};
use crate::wire::wait_budget::Patience;

/// A connection unused for this long is looked at before it is used again. No server restarts
/// faster, and operations that follow each other need no look.
const IDLE: Duration = Duration::from_millis(5);

/// A request buffer that grew beyond this for a large value is given back.
const KEEP: usize = 64 * 1024;

/// A lazily opened connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    open: Option<Open>,
    output: Vec<u8>,
    /// The process that opened one before.
    opened_by: Option<u32>,
    stats: &'static Stats,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    input: Input,
    /// The process that opened it, as [`sys::process`] tells them apart.
    process: u32,
    last_used: Moment,
    /// False from a request's first byte to its reply's last.
    in_step: bool,
    stats: &'static Stats,
}

/// How an attempt failed: whether the server can have seen the whole request.
enum Failure {
    NotSent(Error),
    Sent(Error),
}

impl Connection {
    /// A connection that nobody has needed yet; what it does is counted in `stats`.
    pub(crate) fn new(stats: &'static Stats) -> Self {
        sys::watch_forks();
        Self {
            open: None,
            output: Vec::new(),
            opened_by: None,
            stats,
        }
    }

    /// Sends `request` and reads its reply; a value's bytes replace what `value` held. `targets`
    /// tells where to connect, if that is needed.
    ///
    /// A connection that turns out to be closed is replaced once, within the deadline, if the
    /// request may safely be repeated or cannot have reached the server.
    ///
    /// # Errors
    /// Whatever kept the reply from being read; the connection is closed unless
    /// [`Error::in_step`].
    #[inline(always)]
    pub(crate) fn exchange(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        patience: &Patience<'_>,
        targets: impl Fn() -> Vec<Target>,
    ) -> Result<Reply, Error> {
        self.output.clear();
        self.output.shrink_to(KEEP);
        encode(request, &mut self.output);
        let reply = self.ask(request, value, patience, targets);
        if self.open.as_ref().is_some_and(|open| !open.in_step) {
            self.open = None;
        }
        reply
    }

    fn ask(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        patience: &Patience<'_>,
        targets: impl Fn() -> Vec<Target>,
    ) -> Result<Reply, Error> {
        let mut fresh = false;
        loop {
            let open = match &mut self.open {
                Some(open) if open.is_usable(patience.start()) => open.reused(),
                closed => {
                    fresh = true;
                    *closed = None;
                    let open = Open::connect(&targets(), self.stats, patience)?;
                    if self.opened_by.replace(open.process) == Some(open.process) {
                        self.stats.reconnects.count();
                    }
                    closed.insert(open)
                }
            };
            match open.attempt(&self.output, request, value, patience) {
                Err(failure) if !fresh && failure.allows_another_attempt(request) => {
                    self.stats.retries.count();
                    self.open = None;
                }
                reply => return Ok(reply?),
            }
        }
    }
}

impl Open {
    #[cold]
    fn connect(
        targets: &[Target],
        stats: &'static Stats,
        patience: &Patience<'_>,
    ) -> Result<Self, Error> {
        Ok(Self {
            stream: Stream::connect(targets, patience)?,
            input: Input::new(),
            process: sys::process(),
            last_used: patience.start(),
            in_step: true,
            stats,
        })
    }

    /// True when it is this process's own and the server has neither closed it nor sent anything.
    #[inline(always)]
    fn is_usable(&self, now: Moment) -> bool {
        self.process == sys::process() && (now < self.last_used + IDLE || self.stream.is_idle())
    }

    /// The same, for an operation that begins.
    fn reused(&mut self) -> &mut Self {
        self.stream.begin();
        self
    }

    #[inline(always)]
    fn attempt(
        &mut self,
        bytes: &[u8],
        request: &Request<'_>,
        value: &mut Vec<u8>,
        patience: &Patience<'_>,
    ) -> Result<Reply, Failure> {
        self.in_step = false;
        self.stream
            .send(bytes, patience)
            .map_err(Failure::NotSent)?;
        self.stats.bytes_out.add(bytes.len());
        let mut source = Patient {
            stream: &mut self.stream,
            patience,
        };
        let reply = read_reply(request, &mut self.input, &mut source, value);
        self.stats.bytes_in.add(self.stream.take_received());
        self.in_step = reply.as_ref().map_or_else(Error::in_step, |_| true);
        self.last_used = patience.start();
        reply.map_err(Failure::Sent)
    }
}

impl Failure {
    /// True when the server had closed the connection and cannot have done what was asked, or
    /// may do it again.
    fn allows_another_attempt(&self, request: &Request<'_>) -> bool {
        match self {
            Self::NotSent(error) => error.is_hangup(),
            Self::Sent(error) => error.is_hangup() && request.is_repeatable(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(error) | Failure::Sent(error) => error,
        }
    }
}

/// A stream with the patience that its receives have.
struct Patient<'a> {
    stream: &'a mut Stream,
    patience: &'a Patience<'a>,
}

impl Source for Patient<'_> {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        self.stream.receive(into, self.patience)
    }
}

#[cfg(test)]
mod tests;
