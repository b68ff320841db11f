//! Mark: of all workers, the one that may wait for a server beyond the stall limit.
//!
//! The health word names its process. It ends with the operation of that worker, or when the prober takes
//! it from a worker that can end it no more.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::verdict::{State, Verdict};
use super::{Change, Health, Origin};
use crate::clock::Moment;
use crate::status::Status;
use crate::sys;

/// How much longer than its operation may last a worker keeps the mark.
pub(super) const MARK_SLACK: Duration = Duration::from_millis(100);

/// What a worker does whose operation is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It is the one that waits on, and has made this change.
    WaitOn(Change),
    /// Somebody else waits already.
    GiveUp,
}

impl Health {
    /// The operation of `by` has got no answer within the stall limit, on a fresh connection neither.
    /// If the server has answered anybody since then, it is not stalled.
    pub(crate) fn overdue(&self, now: Moment, by: Origin) -> Overdue {
        // Another one may hold the mark, for longer.
        let left = by.ends.since(now).as_millis();
        self.mark_lasts
            .fetch_max(u32::try_from(left).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.mark_until
            .fetch_max(by.ends.nanos(), Ordering::Release);
        sys::preempt();
        let change = self.change(now, |verdict| {
            let concerned = verdict.state == State::Active
                && verdict.holder == 0
                && verdict.generation == by.generation
                && !self.outweighs(verdict, by);
            concerned.then_some(Verdict {
                state: State::Trying,
                holder: by.process,
                ..verdict
            })
        });
        match change {
            Some(change) => {
                self.reason.store(Status::Timeout.code(), Ordering::Relaxed);
                Overdue::WaitOn(change)
            }
            None => Overdue::GiveUp,
        }
    }

    /// The process of the worker that holds the mark, or 0.
    #[cfg(feature = "simulation")]
    pub(crate) fn holder(&self) -> u32 {
        self.verdict().holder
    }

    /// The worker of `process` waits no more, and has no verdict.
    pub(crate) fn give_back_mark(&self, now: Moment, process: u32) -> Option<Change> {
        self.end_mark(now, |holder| holder == process)
    }

    /// Takes the mark from a worker that has died, as `lives` tells, or that has held it for longer than
    /// its operation may last: it was stopped.
    pub(crate) fn release(&self, now: Moment, lives: impl Fn(u32) -> bool) -> Option<Change> {
        // Read after the word that names the holder: it is the moment of that one, not of one before.
        let is_over =
            || now > Moment::from_nanos(self.mark_until.load(Ordering::Relaxed)) + MARK_SLACK;
        self.end_mark(now, |holder| {
            let is_dead = !lives(holder) && !sys::planted("the dead keep their marks");
            is_dead || is_over() && !sys::planted("the dead keep their marks")
        })
    }

    fn end_mark(&self, now: Moment, is_over: impl Fn(u32) -> bool) -> Option<Change> {
        self.change(now, |verdict| {
            if verdict.holder == 0 || !is_over(verdict.holder) {
                return None;
            }
            Some(verdict.without(verdict.holder).after_no_evidence())
        })
    }
}
