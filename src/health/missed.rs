//! Missed: the writes that a server has not got because others have taken them, as far as its verdict counts
//! them. Their keys are in [`super::diverted`].

use std::cell::Cell;

use super::Health;
use super::verdict::Verdict;
use crate::clock::Moment;
use crate::sys;

impl Health {
    /// Not 0 while stand-ins have taken writes that this server has missed.
    pub(crate) fn diverted(&self) -> u8 {
        self.verdict().diverted
    }

    /// A write goes to a stand-in, and the server must not be asked before it has made up for that. One that is
    /// out of service need not: it is emptied before it returns.
    pub(crate) fn divert(&self, now: Moment) {
        self.change(now, |verdict| {
            (!verdict.is_away()).then(|| verdict.with_diverted_write())
        });
    }

    /// The same of a write that other servers have taken who keep copies: also while it is out of service, since
    /// it keeps its other items.
    pub(crate) fn miss(&self, now: Moment) {
        self.change(now, |verdict| Some(verdict.with_diverted_write()));
    }

    /// The server has made up for all writes that stand-ins had taken when [`Self::diverted`] gave `seen`
    /// in that generation. True if no further one has come in between.
    pub(crate) fn settle(&self, now: Moment, generation: u16, seen: u8) -> bool {
        let settled = Cell::new(false);
        self.change(now, |verdict| {
            let is_all = verdict.diverted == seen
                || sys::planted("writes that come meanwhile are forgotten");
            settled.set(is_all && verdict.generation == generation);
            settled.get().then_some(Verdict {
                diverted: 0,
                ..verdict
            })
        });
        settled.get()
    }
}
