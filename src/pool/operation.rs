//! Operation: one operation that is under way at a server, from its beginning to its verdict.
//!
//! It is counted among the operations in flight. It may hold the mark of the one worker that may wait
//! beyond the stall limit. An answer or a failure ends both; the destructor does after any other error
//! and after a panic.

use std::cell::Cell;
use std::time::Duration;

use super::shared_server::SharedServer;
use crate::clock::{Deadline, Moment};
use crate::health::{Health, Judgement, Origin, Overdue, Rules};
use crate::status::Status;

/// A server at its limit of connections may leave requests to connect without an answer. So that says
/// something only if the server has answered nobody for this long before, or since it is active.
const PATIENCE: Duration = Duration::from_secs(10);

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
            Overdue::GiveUp => false,
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

    /// It has failed, and that may count against the server. `is_kept_out` as in [`Self::may_wait_on`].
    #[cold]
    pub(super) fn failed(
        self,
        now: Moment,
        why: Status,
        rules: Rules,
        is_kept_out: bool,
    ) -> Judgement {
        self.has_mark.set(false);
        let origin = self.origin(is_kept_out);
        self.health.failed(now, origin, why, rules)
    }

    #[cold]
    fn origin(&self, is_kept_out: bool) -> Origin {
        let began = self.deadline.start();
        let veto_since = match is_kept_out {
            true => (began - PATIENCE).max(self.health.since()),
            false => began,
        };
        Origin {
            process: std::process::id(),
            generation: self.generation,
            began,
            veto_since,
            ends: self.deadline.end(),
        }
    }
}

impl Drop for Operation<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.health.end();
        if self.has_mark.get() {
            self.give_back_mark();
        }
    }
}

impl Operation<'_> {
    #[cold]
    fn give_back_mark(&self) {
        let change = self
            .health
            .give_back_mark(Moment::now(), std::process::id());
        if let Some(change) = change {
            let why = "the operation waiting for it has ended without an answer";
            self.server.note(change, &why);
        }
    }
}
