//! Connection: this process's connection to one server. It waits for replies within a wait budget.
//!
//! The process that uses a connection opens it, on first use. A connection inherited over a fork is
//! replaced, and so is one that still owes a reply. A connection that has been idle for a moment is
//! looked at before it is used: after a restart of the server no operation is lost, and no count is
//! done twice.

use std::time::Duration;

use super::net::Stream;
use super::protocol::{Kind, Reply, Request};
use super::session::Session;
use super::wait_budget::WaitBudget;
use crate::clock::Moment;
use crate::error::{Down, Error};
use crate::stats::Stats;
use crate::sys;

/// A connection that was not used for this long is looked at before it is used again. No server
/// restarts faster than that.
const IDLE: Duration = Duration::from_millis(5);

/// A lazily opened connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    open: Option<Open>,
    /// The process that opened one before.
    opened_by: Option<u32>,
    stats: &'static Stats,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    session: Session,
    /// The process that opened it, as [`sys::process`] tells them apart.
    process: u32,
    last_used: Moment,
}

/// A failed attempt. The server can have seen the whole request only if it was sent.
enum FailedAttempt {
    NotSent(Error),
    Sent(Error),
}

impl Connection {
    /// A connection that is not open yet. `stats` counts what it does.
    pub(crate) fn new(stats: &'static Stats) -> Self {
        Self {
            open: None,
            opened_by: None,
            stats,
        }
    }

    /// Sends `request` and receives its reply, as [`Self::send`] and [`Self::receive`] do. `open`
    /// connects to the server, if that is needed.
    ///
    /// A connection that turns out to be closed is replaced once, within the budget, if the request
    /// cannot have reached the server, or may safely be repeated.
    ///
    /// # Errors
    /// Whatever kept the reply from being read; the connection is closed unless
    /// [`Error::in_step`].
    #[inline(always)]
    pub(crate) fn exchange(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        open: impl Fn() -> Result<Stream, Error>,
    ) -> Result<Reply, Error> {
        loop {
            let fresh = self.get_ready(budget, &open)?;
            let failure = match self.send(request, budget) {
                Err(error) => FailedAttempt::NotSent(error),
                Ok(()) => match self.receive(value, budget) {
                    Ok(reply) => return Ok(reply),
                    Err(error) => FailedAttempt::Sent(error),
                },
            };
            if fresh || !failure.allows_another_attempt(request.kind()) {
                return Err(failure.into());
            }
            self.stats.retries.count();
        }
    }

    /// Opens the connection if it cannot take a request as it is. True if it was opened.
    #[inline(always)]
    fn get_ready(
        &mut self,
        budget: &WaitBudget<'_>,
        open: impl Fn() -> Result<Stream, Error>,
    ) -> Result<bool, Error> {
        match &mut self.open {
            Some(open) if open.is_usable(budget.start()) => {
                open.stream.begin();
                Ok(false)
            }
            closed => {
                *closed = None;
                let process = sys::process();
                let opened = Open {
                    stream: open()?,
                    session: Session::new(),
                    process,
                    last_used: budget.start(),
                };
                *closed = Some(opened);
                if self.opened_by.replace(process) == Some(process) {
                    self.stats.reconnects.count();
                }
                Ok(true)
            }
        }
    }

    /// Sends `request`, whose reply is owed from then on.
    ///
    /// # Errors
    /// Whatever kept it from being sent; the connection is then closed.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        request: &Request<'_>,
        budget: &WaitBudget<'_>,
    ) -> Result<(), Error> {
        let Some(Open {
            stream, session, ..
        }) = &mut self.open
        else {
            return Err(Error::Down(Down::Closed));
        };
        session.request(request);
        let bytes = session.unsent();
        let len = bytes.len();
        if let Err(error) = stream.send(bytes, budget) {
            self.open = None;
            return Err(error);
        }
        session.note_sent(len);
        self.stats.bytes_out.add(len);
        Ok(())
    }

    /// Receives the reply that is owed first; a value's bytes replace what `value` held.
    ///
    /// # Errors
    /// Whatever kept it from being read; the connection is closed unless [`Error::in_step`].
    #[inline(always)]
    pub(crate) fn receive(
        &mut self,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
    ) -> Result<Reply, Error> {
        let Some(open) = &mut self.open else {
            return Err(Error::Down(Down::Closed));
        };
        let reply = open.receive(value, budget, self.stats);
        open.last_used = budget.start();
        if reply.as_ref().is_err_and(|error| !error.in_step()) {
            self.open = None;
        }
        reply
    }
}

impl Open {
    /// True when this process has opened it, it owes no reply, and the server has neither closed it
    /// nor sent anything.
    #[inline(always)]
    fn is_usable(&self, now: Moment) -> bool {
        self.process == sys::process()
            && self.session.is_idle()
            && (now < self.last_used + IDLE || self.stream.is_idle())
    }

    #[inline(always)]
    fn receive(
        &mut self,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        stats: &Stats,
    ) -> Result<Reply, Error> {
        let session = &mut self.session;
        loop {
            if session.has_input()
                && let Some(reply) = session.reply(value)?
            {
                return Ok(reply);
            }
            let received = self.stream.receive(session.room(value), budget);
            let count = received.as_ref().map_or(0, |&count| count);
            session.received(count, value);
            stats.bytes_in.add(count);
            match received {
                Ok(0) => return Err(session.closed()),
                Ok(_) => {}
                Err(error) => return Err(session.lost(error)),
            }
        }
    }
}

impl FailedAttempt {
    /// True when the server had closed the connection, and cannot have done the request or may do it
    /// again.
    fn allows_another_attempt(&self, kind: Kind) -> bool {
        match self {
            Self::NotSent(error) => error.is_hangup(),
            Self::Sent(error) => error.is_hangup() && kind.is_repeatable(),
        }
    }
}

impl From<FailedAttempt> for Error {
    fn from(failure: FailedAttempt) -> Self {
        match failure {
            FailedAttempt::NotSent(error) | FailedAttempt::Sent(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;
