//! Change: an item is changed, so that what was kept of it counts no more.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pending::{Pending, Row};
use crate::clock::Moment;
use crate::sys;

/// What goes on after its operation.
#[derive(Debug, Clone, Copy)]
struct Later {
    pending: &'static Pending,
    row: Row,
    /// When it is over at the latest.
    until: Moment,
}

/// A change of an item that is under way. It ends when this is dropped; what was kept of the item then counts
/// no more, and neither does what anybody is about to keep that has asked before.
#[derive(Debug)]
#[must_use = "the change is over when this is dropped"]
pub(crate) struct Change {
    part: &'static AtomicU64,
    pending: Option<Later>,
    /// The same change in other tables.
    also: Option<Box<Change>>,
}

impl Change {
    /// It begins, in the part of the age that it will raise.
    #[inline(always)]
    pub(super) fn begin(part: &'static AtomicU64) -> Self {
        if sys::planted("a change counts from its beginning") {
            part.fetch_add(1, Ordering::AcqRel);
        }
        Self {
            part,
            pending: None,
            also: None,
        }
    }

    /// The same for a change that begins at one moment, and goes on until the other one at most.
    pub(super) fn begin_pending(
        part: &'static AtomicU64,
        pending: &'static Pending,
        (now, until): (Moment, Moment),
    ) -> Self {
        let mut change = Self::begin(part);
        let row = pending.begin(now, until);
        change.pending = Some(Later {
            pending,
            row,
            until,
        });
        change
    }

    /// The same change in one more table.
    pub(crate) fn and(self, mut other: Self) -> Self {
        debug_assert!(other.also.is_none());
        other.also = Some(Box::new(self));
        other
    }

    /// Another part of the same change, which ends by itself.
    pub(crate) fn twin(&self) -> Self {
        if let Some(Later { pending, row, .. }) = self.pending {
            pending.begin_another(row);
        }
        Self {
            part: self.part,
            pending: self.pending,
            also: self.also.as_ref().map(|also| Box::new(also.twin())),
        }
    }

    /// Nobody will know when it is done: nothing that is asked until its time is over is kept.
    pub(crate) fn lose(mut self) {
        self.pending = None;
        if let Some(also) = self.also.take() {
            also.lose();
        }
    }
}

impl Drop for Change {
    #[inline(always)]
    fn drop(&mut self) {
        sys::preempt();
        if sys::planted("changes are not noted")
            || sys::planted("a change counts from its beginning")
        {
            return;
        }
        self.part.fetch_add(1, Ordering::AcqRel);
        // Once it is over, its row may be another one's.
        if let Some(later) = self.pending
            && Moment::now() < later.until
        {
            later.pending.end(later.row);
        }
    }
}
