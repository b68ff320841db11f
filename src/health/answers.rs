//! Answers: when a server has answered anybody lately. That outweighs what others say against it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::verdict::Verdict;
use super::{Health, Origin};
use crate::clock::Moment;
use crate::sys;

/// How precise the moment of the last answer is. It is written at most once in this time, so that
/// processes seldom write to memory that all of them read.
const ANSWER_STEP: Duration = Duration::from_millis(4);

/// A server at its limit of connections may leave requests to connect without an answer. So that says
/// something only if the server has answered nobody for this long before, or since it is active, or if
/// it has failed another operation meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

impl Health {
    /// The server has answered what began at `began`: later verdicts take that into account.
    #[inline(always)]
    pub(crate) fn note_answer(&self, began: Moment) {
        const STEP: u64 = ANSWER_STEP.as_nanos() as u64;
        let last = self.answered.load(Ordering::Relaxed);
        if began.nanos() > last.saturating_add(STEP) {
            // Another process may have noted a later one since.
            self.answered.fetch_max(began.nanos(), Ordering::Relaxed);
        }
    }

    /// True if the server has answered any process something that began at `began` or later.
    pub(super) fn has_answered_since(&self, began: Moment) -> bool {
        began.nanos() <= self.answered.load(Ordering::Relaxed) && !sys::planted("no answer vetoes")
    }

    /// True if what `by` says against the server is outweighed by an answer to another operation.
    pub(super) fn outweighs(&self, verdict: Verdict, by: Origin) -> bool {
        if by.is_kept_out && sys::planted("newcomers forget answers") {
            return false;
        }
        self.has_answered_since(match by.is_kept_out && verdict.failures == 0 {
            // What it has answered since then counts in any case.
            true => (by.began - PATIENCE).max(self.since()).min(by.began),
            false => by.began,
        })
    }
}
