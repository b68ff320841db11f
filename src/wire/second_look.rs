//! SecondLook: a question on a fresh connection, because the first connection has failed or is silent.
//!
//! One connection is not the server. A firewall may have forgotten it, a proxy may have closed it at a
//! word that it does not know, or it waits behind one slow key. So the worker connects once more and
//! asks for some other key there, then repeats its own request if that is allowed. It listens on both
//! connections. The first answer to its request is the result. If only the question is answered, the
//! server lives, and the operation alone has failed.

use std::time::Duration;

use super::dial::Dial;
use super::polled::{Polled, wait_any};
use super::protocol::{Kind, Reply, Request};
use super::wait_budget::WaitBudget;
use crate::clock::{Deadline, Moment};
use crate::error::{Down, Error, Waiting};
use crate::sys;

/// A failed operation.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Why it has failed.
    pub(crate) error: Error,
    /// True if the server has failed on a fresh connection, or none could be opened: only then it
    /// counts against the server.
    pub(crate) is_evidence: bool,
    /// True if the server may have turned this process away: it has no connection that has ever worked,
    /// and a question on a fresh one was not answered.
    pub(crate) is_turned_away: bool,
    /// True if this process has no connection, and its request for one was not answered.
    pub(crate) is_kept_out: bool,
}

impl Failure {
    /// No connection could be opened.
    #[cold]
    pub(super) fn of_connecting(error: Error) -> Box<Self> {
        Box::new(Self {
            is_evidence: true,
            is_turned_away: true,
            is_kept_out: matches!(error, Error::Timeout(Waiting::Connect)),
            error,
        })
    }

    /// The server has refused the request, or may have answered if it was asked once more.
    pub(super) fn of_connection(error: Error) -> Self {
        Self {
            error,
            is_evidence: false,
            is_turned_away: false,
            is_kept_out: false,
        }
    }
}

impl Failure {
    /// The failure of a request of this kind. A server that answers, but hangs up at a command that it
    /// does not know, has refused it.
    pub(super) fn of_request(self, kind: Kind) -> Self {
        if kind == Kind::NoOp && !self.is_evidence && self.error.is_hangup() {
            let words = "it closes the connection at this command";
            return Self::of_connection(Error::Rejected(words.into()));
        }
        self
    }
}

/// A question on a fresh connection, and the first connection beside it.
pub(super) struct SecondLook<'a, D> {
    /// The first connection, if its reply may still come.
    first: Option<Polled>,
    fresh: Option<Polled>,
    /// Why there is no reply so far.
    error: Error,
    /// Whether the server has answered on the fresh connection.
    has_answered: bool,
    /// Whether this process lacks something, so nobody knows whether the server would answer.
    is_blind: bool,
    /// How long it may take without asking for the mark.
    look: Deadline,
    /// Whether the request may be asked again.
    may_repeat: bool,
    /// Whether this process had a connection that has worked, and that is not closed.
    had_connection: bool,
    dial: &'a D,
    budget: &'a WaitBudget<'a>,
}

impl<'a, D: Dial> SecondLook<'a, D> {
    /// A look because of `error`. `first` is the first connection if that is only silent.
    /// `had_connection` = that one has worked before, and is not closed.
    pub(super) fn new(
        first: Option<Polled>,
        error: Error,
        had_connection: bool,
        dial: &'a D,
        budget: &'a WaitBudget<'a>,
    ) -> Self {
        let limit = match error {
            Error::Timeout(_) => budget.look_limit(),
            _ => budget.first_wait(),
        };
        Self {
            first,
            fresh: None,
            error,
            has_answered: false,
            is_blind: false,
            look: Deadline::new(Moment::now(), limit),
            may_repeat: false,
            had_connection,
            dial,
            budget,
        }
    }

    /// Asks, and `request`, too, if that `may_repeat`. Returns the answer, and a connection that is fit
    /// for the next request, if there is one.
    pub(super) fn run(
        mut self,
        request: &Request<'_>,
        may_repeat: bool,
    ) -> (Result<Reply, Failure>, Option<Polled>) {
        self.may_repeat = may_repeat;
        let (reply, polled) = self.listen(request);
        self.first
            .iter()
            .chain(&self.fresh)
            .for_each(Polled::abandon);
        (reply, polled)
    }

    /// The same; what is of no use any more is still open.
    fn listen(&mut self, request: &Request<'_>) -> (Result<Reply, Failure>, Option<Polled>) {
        let begun = self.dial.begin();
        match begun.and_then(|fresh| self.with_questions(fresh, request)) {
            Ok(fresh) => self.fresh = Some(fresh),
            Err(error) => {
                self.is_blind = error.is_shortage() || error.is_refusal();
                self.fail(error);
            }
        }
        while self.first.is_some() || self.fresh_may_help() {
            let Some(time) = self.time() else {
                break;
            };
            if let Some((answer, polled)) = self.go_on(time) {
                return (answer.map_err(Failure::of_connection), Some(polled));
            }
        }
        let failure = Failure {
            is_evidence: self.may_blame(),
            is_turned_away: self.may_blame() && !self.had_connection,
            is_kept_out: false,
            error: std::mem::replace(&mut self.error, Error::Busy),
        };
        let fresh = self.fresh.take_if(|fresh| fresh.is_idle());
        (Err(failure), fresh)
    }

    /// True while something is to be heard on the fresh connection.
    fn fresh_may_help(&self) -> bool {
        self.fresh.is_some() && (self.may_repeat || !self.has_answered)
    }

    fn with_questions(&self, mut fresh: Polled, request: &Request<'_>) -> Result<Polled, Error> {
        fresh.request(&Request::Get {
            key: &self.dial.question(),
        })?;
        if self.may_repeat {
            fresh.request(request)?;
        }
        Ok(fresh)
    }

    /// True if silence says something about the server.
    fn may_blame(&self) -> bool {
        !self.has_answered && !self.is_blind
    }

    /// How long to wait for the next event; `None` to give up.
    fn time(&mut self) -> Option<Duration> {
        let Some(left) = self.budget.until_deadline() else {
            self.error = Error::Timeout(Waiting::Receive);
            return None;
        };
        let looks = self.has_answered || !self.budget.had_to_ask();
        if let (Some(time), true) = (self.look.remaining(), looks) {
            return Some(time.min(left));
        }
        if !self.has_answered && !self.budget.had_to_ask() {
            self.dial.note_silence();
        }
        // If the server lives, this operation alone is late, and nobody has to wait for it.
        let is_accepted = self.fresh.as_ref().is_none_or(Polled::is_connected);
        let is_kept_out = !is_accepted && !self.had_connection;
        let goes_on = self.may_blame() && self.budget.may_wait_on(is_kept_out);
        if !goes_on {
            self.error = Error::Timeout(Waiting::Receive);
        }
        goes_on.then_some(left)
    }

    /// Waits for an event on either connection. Returns the answer to the request, if there is one.
    fn go_on(&mut self, time: Duration) -> Option<(Answer, Polled)> {
        let waiting: Vec<&Polled> = self.first.iter().chain(&self.fresh).collect();
        let mut ready = wait_any(&waiting, time).into_iter();
        let first_is_ready = self.first.is_some() && ready.next() == Some(true);
        let fresh_is_ready = self.fresh.is_some() && ready.next() == Some(true);
        if first_is_ready {
            let heard = self.first.as_mut().map(hear);
            if let Some(answer) = self.take(heard, |look| &mut look.first) {
                return Some(answer);
            }
            self.look = self.prolonged(self.first.as_ref());
        }
        if fresh_is_ready {
            let heard = self.hear_fresh();
            if let Some(answer) = self.take(heard, |look| &mut look.fresh) {
                return Some(answer);
            }
            let fresh = self.fresh.as_ref().filter(|_| self.has_answered);
            self.look = self.prolonged(fresh);
        }
        None
    }

    /// How long the look may take after bytes have come on a connection. If they are a part of the answer,
    /// this is no stall.
    fn prolonged(&self, connection: Option<&Polled>) -> Deadline {
        match connection.is_some_and(Polled::is_receiving) {
            true => Deadline::new(Moment::now(), self.budget.first_wait()),
            false => self.look,
        }
    }

    /// What was heard on a connection: the answer to the request with the connection, or the end of
    /// the connection.
    fn take(
        &mut self,
        heard: Option<Result<Option<Answer>, Error>>,
        connection: impl FnOnce(&mut Self) -> &mut Option<Polled>,
    ) -> Option<(Answer, Polled)> {
        match heard? {
            Ok(answer) => Some((answer?, connection(self).take()?)),
            Err(error) => {
                connection(self).take().iter().for_each(Polled::abandon);
                self.is_blind |= error.is_shortage();
                self.fail(error);
                None
            }
        }
    }

    /// What has happened to a connection. That nothing can be sent on the fresh one does not mean that
    /// nothing was sent on the first one: a request that must not be done twice may have been done there.
    fn fail(&mut self, error: Error) {
        let hides_the_first = !self.may_repeat
            && error.allows_stand_in(false)
            && !sys::planted("the second look hides what was sent");
        // A server that turns connections away says why before it hangs up.
        if !self.error.is_refusal() && !hides_the_first {
            self.error = error;
        }
    }

    /// The answer to the question comes first. Any complete reply will do, and a refusal is one.
    fn hear_fresh(&mut self) -> Option<Result<Option<Answer>, Error>> {
        let fresh = self.fresh.as_mut()?;
        let mut heard = hear(fresh);
        if let (false, Ok(Some(answer))) = (self.has_answered, &mut heard) {
            self.has_answered = true;
            self.dial.note_answer();
            if self.budget.had_to_ask() {
                // It waits for its own answer as long as anybody does.
                self.look = Deadline::new(Moment::now(), self.budget.look_limit());
            }
            // What may have been done on the first connection was not refused on the other one.
            if let Err(farewell) = answer
                && farewell.is_farewell()
                && self.may_repeat
            {
                self.error = std::mem::replace(farewell, Error::Busy);
            }
            heard = match self.may_repeat {
                true => next_answer(fresh),
                false => Ok(None),
            };
        }
        let is_mute = !self.has_answered && !fresh.is_secured();
        Some(heard.map_err(|error| match is_mute && error.is_hangup() {
            true => Error::Down(Down::Mute),
            false => error,
        }))
    }
}

/// What a server has answered to a request: a reply, or a refusal.
pub(super) type Answer = Result<Reply, Error>;

/// Sends or receives what is possible; the next answer, if it has arrived.
fn hear(polled: &mut Polled) -> Result<Option<Answer>, Error> {
    match polled.go_on() {
        Ok(()) => next_answer(polled),
        // A server at its limit of connections refuses before there is any TLS.
        Err(error) if error.is_refusal() => Ok(Some(Err(error))),
        Err(error) => Err(error),
    }
}

fn next_answer(polled: &mut Polled) -> Result<Option<Answer>, Error> {
    match polled.reply() {
        Ok(reply) => Ok(reply.map(|(reply, _)| Ok(reply))),
        Err(error) if error.is_refusal() => Ok(Some(Err(error))),
        Err(error) => Err(error),
    }
}
