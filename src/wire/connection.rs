//! Connection: this process's connection to one server. It waits for replies within a wait budget.
//!
//! The process that uses a connection opens it, on first use. A connection inherited over a fork is
//! replaced, and so is one that still owes a reply. A connection that has been idle for a moment is
//! looked at before it is used: after a restart of the server no operation is lost, and no count is
//! done twice.

use std::hint::cold_path;
use std::time::Duration;

use super::dial::Dial;
use super::polled::Polled;
use super::protocol::{Kind, Reply, Request};
use super::second_look::{Failure, SecondLook};
use super::session::Session;
use super::wait_budget::WaitBudget;
use crate::clock::Moment;
use crate::error::{Down, Error, Waiting};
use crate::stats::Stats;
use crate::sys;

mod ahead;
mod number;
mod open;

pub(crate) use ahead::wait_for_any;
pub(crate) use number::Number;
use open::Open;

/// A connection that was not used for this long is looked at before it is used again. No server
/// restarts faster than that.
const IDLE: Duration = Duration::from_millis(5);

/// A lazily opened connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    open: Option<Open>,
    /// The process that opened one before.
    opened_by: Option<u32>,
    /// The length of the longest value that is read.
    value_limit: u32,
    /// When the last one was opened.
    opened: Option<Moment>,
    number: Number,
    /// When the last one was closed, if that was because it was silent for the stall limit.
    silent: Option<Moment>,
    /// Whether the one before this one was closed because of that.
    follows_silence: bool,
    /// Whether another server can answer: then nobody waits for this one beyond the stall limit, and there is
    /// no second look.
    has_deputy: bool,
    stats: &'static Stats,
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
    /// A connection that is not open yet. It reads values of up to `value_limit` bytes. `stats` counts what
    /// it does.
    pub(crate) fn new(value_limit: u32, stats: &'static Stats) -> Self {
        Self {
            open: None,
            opened_by: None,
            value_limit,
            opened: None,
            number: Number::next(),
            silent: None,
            follows_silence: false,
            has_deputy: false,
            stats,
        }
    }

    /// Whether there is one, as far as this process knows.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether another server can answer the next operation in place of this one.
    pub(crate) fn set_deputy(&mut self, has_deputy: bool) {
        self.has_deputy = has_deputy;
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
        let is_fresh = match self.get_ready(request, budget, dial) {
            Ok(is_fresh) => is_fresh,
            Err(error) => return self.without_connection(request, value, budget, dial, error),
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
            may_repeat: request.kind().is_repeatable() || !(was_sent || request.kind().is_bound()),
        };
        self.look_again(request, value, budget, dial, broken)
    }

    /// There is no connection to send the request on.
    #[cold]
    fn without_connection(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        dial: &impl Dial,
        error: Error,
    ) -> Result<Reply, Box<Failure>> {
        // One connection that breaks before TLS is there is not the server. Nothing was asked on it.
        let is_broken = error.is_of_one_connection();
        if !is_broken && !matches!(error, Error::Timeout(Waiting::Receive)) {
            return Err(Failure::of_connecting(error));
        }
        let broken = Broken {
            error,
            is_fresh: is_broken,
            may_repeat: true,
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
            self.close_unless_fit();
            return Err(Box::new(Failure::of_connection(error)));
        }
        if matches!(error, Error::Timeout(_))
            && sys::planted("connections that owe a reply are used")
        {
            return Err(Box::new(Failure::of_connection(error)));
        }
        let is_left = self.has_deputy && budget.is_stalled();
        if is_left {
            self.close_silent();
        }
        let first = match (&error, self.open.take()) {
            (Error::Timeout(_), Some(open)) if budget.is_stalled() && !is_left => {
                let value = std::mem::take(value);
                Some(Polled::take_over(open.stream, open.session, value))
            }
            // No time is left for a look, or it is not worth the time.
            (Error::Timeout(_), open) if !budget.is_stalled() || is_left => {
                open.iter().for_each(Open::abandon);
                return Err(Box::new(Failure {
                    // One connection is not the server.
                    is_evidence: is_fresh && (self.follows_silence || !is_left),
                    ..Failure::of_connection(error)
                }));
            }
            _ => None,
        };
        if may_repeat {
            self.stats.retries.count();
        }
        let had_connection = !is_fresh && matches!(error, Error::Timeout(_));
        let look = SecondLook::new(first, error, had_connection, dial, budget);
        let (reply, polled) = look.run(request, may_repeat);
        if let Some(mut polled) = polled {
            // Even if its connection cannot be kept.
            *value = polled.take_value();
            if let Ok((stream, session)) = polled.into_parts(budget) {
                self.adopt(stream, session, budget.start(), dial);
                self.close_unless_fit();
            }
        }
        reply.map_err(|failure| Box::new(failure.of_request(request.kind())))
    }

    /// Opens the connection if it cannot take a request as it is. True if it was opened.
    #[inline(always)]
    fn get_ready(
        &mut self,
        request: &Request<'_>,
        budget: &WaitBudget<'_>,
        dial: &impl Dial,
    ) -> Result<bool, Error> {
        match &mut self.open {
            Some(open) if open.is_usable(budget.start()) => {
                open.stream.begin();
                Ok(false)
            }
            _ => {
                self.open(request.kind(), budget, dial)?;
                Ok(true)
            }
        }
    }

    /// Opens it anew, for a request of this kind. If this operation has waited for the last one in vain, a
    /// second look is due.
    ///
    /// # Errors
    /// [`Down::Replaced`] for a request that is bound to the last one; [`Waiting::Receive`], the last one was
    /// silent; those of [`Dial::connect`].
    #[cold]
    fn open(&mut self, kind: Kind, budget: &WaitBudget<'_>, dial: &impl Dial) -> Result<(), Error> {
        self.abandon();
        if kind.is_bound() {
            return Err(Error::Down(Down::Replaced));
        }
        let was_silent = self.was_silent_since(budget.start());
        self.follows_silence = self.silent.take().is_some();
        if was_silent && budget.is_stalled() {
            return Err(Error::Timeout(Waiting::Receive));
        }
        let mut session = Session::on(self.value_limit, dial.access())?;
        let impatient = budget.impatient();
        let budget = if self.has_deputy { &impatient } else { budget };
        let mut stream = dial.connect(budget)?;
        if session.is_opening() {
            (stream, session) = Polled::take_over(stream, session, Vec::new()).agree(budget)?;
        }
        self.adopt(stream, session, budget.start(), dial);
        self.opened = Some(Moment::now());
        Ok(())
    }

    /// When this process has opened one last, in the course of an operation. A second look does not count.
    pub(crate) fn opened(&self) -> Option<Moment> {
        self.opened
    }

    /// Tells it from all others of this process. While it is not open, it is still that one.
    pub(crate) fn number(&self) -> Number {
        self.number
    }

    /// Closes the connection. The next request opens another one.
    pub(crate) fn close(&mut self) {
        self.abandon();
        self.silent = None;
    }

    /// Closes it. If it owes a reply, nobody waits for that any more.
    #[cold]
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.abandon();
        }
    }

    fn close_unless_fit(&mut self) {
        let is_unfit = |open: &Open| !open.session.is_fit();
        if self.open.as_ref().is_some_and(is_unfit) {
            self.close();
        }
    }

    #[cold]
    fn note_opened(&mut self) {
        self.number = Number::next();
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
            cold_path();
            return Err(Error::Down(Down::Closed));
        };
        session.request(request)?;
        if session.is_secured() {
            return self.send_sealed(budget);
        }
        let bytes = session.unsent();
        let len = bytes.len();
        if let Err(error) = stream.send(bytes, budget) {
            self.abandon();
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
            cold_path();
            return Err(Error::Down(Down::Closed));
        };
        let reply = open.receive(value, budget, self.stats);
        open.last_used = budget.start();
        reply
    }
}

mod sealed;

#[cfg(test)]
mod tests;
