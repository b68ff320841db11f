//! Operation: one operation that is under way at a server, from its beginning to its verdict.
//!
//! It is counted among the operations in flight. It may hold the mark of the one worker that may wait
//! beyond the stall limit. An answer or a failure ends both; the destructor does after any other error
//! and after a panic.

use std::cell::Cell;
use std::time::Duration;

use super::shared_server::SharedServer;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::Error;
use crate::health::{Health, Judgement, Origin, Overdue};
use crate::status::Status;
use crate::sys;
use crate::wire::second_look::Failure;

/// An operation that is under way.
pub(super) struct Operation<'a> {
    server: &'a SharedServer,
    health: &'static Health,
    generation: u16,
    deadline: &'a Deadline,
    number: u64,
    /// Whether it holds the mark: it alone may wait beyond the stall limit.
    has_mark: Cell<bool>,
}

impl<'a> Operation<'a> {
    /// It begins, in this generation of the server.
    #[inline(always)]
    pub(super) fn begin(server: &'a SharedServer, generation: u16, deadline: &'a Deadline) -> Self {
        let health = server.health();
        Self {
            server,
            health,
            generation,
            deadline,
            number: health.begin(),
            has_mark: Cell::new(false),
        }
    }

    /// Its number among all operations at this server, in all processes.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// There is no answer within the stall limit of `limit`. Returns whether this operation may go on
    /// waiting. If so, the server is *trying* until the operation ends. `is_kept_out` = the process has
    /// no connection, and its request for one gets no answer.
    #[cold]
    pub(super) fn may_wait_on(&self, limit: Duration, is_kept_out: bool) -> bool {
        match self.health.overdue(Moment::now(), self.origin(is_kept_out)) {
            Overdue::WaitOn(change) => {
                self.has_mark.set(true);
                let why = format_args!("no answer for {limit:?}");
                self.server.note(change, &why);
                true
            }
            Overdue::GiveUp => sys::planted("every worker waits on"),
        }
    }

    /// The server has answered.
    #[inline(always)]
    pub(super) fn answered(self) {
        self.has_mark.set(false);
        let began = self.deadline.start();
        if self.health.answered(self.generation, began) {
            return;
        }
        if let Some(change) = self.health.clear(Moment::now(), self.origin(false)) {
            self.server.note(change, &"it has answered");
        }
    }

    /// It has failed. `gave_up` = it was not allowed to wait on: another worker waits for the server, or
    /// has just been answered.
    #[cold]
    pub(super) fn failed(self, failure: &Failure, gave_up: bool, settings: &Settings) -> Judgement {
        let Failure {
            error, is_evidence, ..
        } = failure;
        if error.is_refusal() {
            // What this module has refused, the server has not seen.
            if !matches!(error, Error::Refused(_)) {
                self.answered();
            }
            return Judgement::NoFailure;
        }
        if gave_up {
            return Judgement::NoFailure;
        }
        // Who has had hardly any time left has seen no silence.
        let is_short = self.deadline.limit() < settings.stall_limit.min(settings.timeout) / 2;
        let has_seen = *is_evidence && !(is_short && matches!(error, Error::Timeout(_)));
        if !has_seen || !error.counts_against_server() {
            self.health.count_failure(Status::of_error(error));
            return Judgement::NoEvidence;
        }
        self.has_mark.set(false);
        let (origin, why) = (self.origin(failure.is_kept_out), Status::of_error(error));
        self.health
            .failed(Moment::now(), origin, why, settings.rules)
    }

    #[cold]
    fn origin(&self, is_kept_out: bool) -> Origin {
        Origin {
            process: sys::process_id(),
            generation: self.generation,
            began: self.deadline.start(),
            is_kept_out,
            ends: self.deadline.end(),
        }
    }
}

impl Drop for Operation<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if !sys::planted("operations stay in flight") {
            self.health.end();
        }
        if self.has_mark.get() && !sys::planted("marks are not given back") {
            self.give_back_mark();
        }
    }
}

impl Operation<'_> {
    #[cold]
    fn give_back_mark(&self) {
        let change = self.health.give_back_mark(Moment::now(), sys::process_id());
        if let Some(change) = change {
            let why = "the operation waiting for it has ended without an answer";
            self.server.note(change, &why);
        }
    }
}
