//! Connection: this process's connection to one server. It waits for replies within a wait budget.
//!
//! The process that uses a connection opens it, on first use. A connection inherited over a fork is
//! replaced, and so is one that still owes a reply. A connection that has been idle for a moment is
//! looked at before it is used: after a restart of the server no operation is lost, and no count is
//! done twice.

use std::time::Duration;

use super::dial::Dial;
use super::net::Stream;
use super::polled::Polled;
use super::protocol::{Reply, Request};
use super::second_look::{Failure, SecondLook};
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

/// What has become of the first connection of an operation.
struct Broken {
    error: Error,
    /// Whether it was opened for this operation.
    is_fresh: bool,
    /// Whether the request may be asked on another connection.
    may_repeat: bool,
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

    /// Sends `request` and receives its reply, as [`Self::send`] and [`Self::receive`] do. If the
    /// connection is silent for the stall limit, or fails, there is a [second look](SecondLook) on a
    /// fresh one.
    ///
    /// # Errors
    /// A [`Failure`] with whatever kept the reply from being read.
    #[inline(always)]
    pub(crate) fn exchange(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        dial: &impl Dial,
    ) -> Result<Reply, Box<Failure>> {
        let is_fresh = match self.get_ready(budget, dial) {
            Ok(is_fresh) => is_fresh,
            Err(error) => return Err(Box::new(Failure::of_server(error))),
        };
        let (error, was_sent) = match self.send(request, budget) {
            Err(error) => (error, false),
            Ok(()) => match self.receive(value, budget) {
                Ok(reply) => return Ok(reply),
                Err(error) => (error, true),
            },
        };
        let broken = Broken {
            error,
            is_fresh,
            may_repeat: !was_sent || request.kind().is_repeatable(),
        };
        self.look_again(request, value, budget, dial, broken)
    }

    /// The connection is broken or silent, or the server has refused the request.
    #[cold]
    fn look_again(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        dial: &impl Dial,
        broken: Broken,
    ) -> Result<Reply, Box<Failure>> {
        let Broken {
            error,
            is_fresh,
            may_repeat,
        } = broken;
        if error.is_refusal() {
            self.close_if_broken();
            return Err(Box::new(Failure::of_connection(error)));
        }
        let first = match (&error, self.open.take()) {
            (Error::Timeout(_), Some(open)) if budget.is_stalled() => {
                let value = std::mem::take(value);
                Some(Polled::take_over(open.stream, open.session, value))
            }
            // No time is left for a look.
            (Error::Timeout(_), _) if !budget.is_stalled() => {
                return Err(Box::new(Failure {
                    error,
                    is_evidence: is_fresh,
                    is_turned_away: false,
                }));
            }
            _ => None,
        };
        if may_repeat {
            self.stats.retries.count();
        }
        let had_connection = !is_fresh && matches!(error, Error::Timeout(_));
        let look = SecondLook::new(first, error, dial, budget);
        let (reply, polled) = look.run(request, may_repeat);
        if let Some(parts) = polled.and_then(|polled| polled.into_parts(budget).ok()) {
            let (stream, session, received) = parts;
            *value = received;
            dial.prepare(&stream);
            self.note_opened();
            self.open = Some(Open {
                stream,
                session,
                process: sys::process(),
                last_used: budget.start(),
            });
            self.close_if_broken();
        }
        reply.map_err(|failure| {
            Box::new(Failure {
                is_turned_away: failure.is_turned_away && !had_connection,
                ..failure
            })
        })
    }

    /// Opens the connection if it cannot take a request as it is. True if it was opened.
    #[inline(always)]
    fn get_ready(&mut self, budget: &WaitBudget<'_>, dial: &impl Dial) -> Result<bool, Error> {
        match &mut self.open {
            Some(open) if open.is_usable(budget.start()) => {
                open.stream.begin();
                Ok(false)
            }
            closed => {
                *closed = None;
                let stream = dial.connect(budget)?;
                dial.prepare(&stream);
                *closed = Some(Open {
                    stream,
                    session: Session::new(),
                    process: sys::process(),
                    last_used: budget.start(),
                });
                self.note_opened();
                Ok(true)
            }
        }
    }

    /// Closes the connection. The next request opens another one.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    fn close_if_broken(&mut self) {
        let is_broken = |open: &Open| open.session.is_broken();
        if self.open.as_ref().is_some_and(is_broken) {
            self.close();
        }
    }

    #[cold]
    fn note_opened(&mut self) {
        let process = sys::process();
        if self.opened_by.replace(process) == Some(process) {
            self.stats.reconnects.count();
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
    /// Whatever kept it from being read. The reply then stays owed, unless [`Error::is_refusal`].
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
        if session.has_input()
            && let Some(reply) = session.reply(value)?
        {
            return Ok(reply);
        }
        loop {
            let received = self.stream.receive(session.room(value), budget);
            let count = received.as_ref().map_or(0, |&count| count);
            session.received(count, value);
            stats.bytes_in.add(count);
            match received {
                Ok(0) => return Err(session.closed()),
                Ok(_) => {}
                Err(error) => return Err(session.lost(error)),
            }
            if let Some(reply) = session.reply(value)? {
                return Ok(reply);
            }
            budget.note_progress();
        }
    }
}

#[cfg(test)]
mod tests;
