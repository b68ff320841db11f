//! Others: a removal begins at the copies that do not own the item.
//!
//! The owner may get an item back that another copy has. So when the owner removes it, no other copy has it any more. A
//! removal at the owner alone in the end would not do: it could remove what has been written meanwhile, and the owner would
//! get back what another copy still has from before.

use super::super::Pool;
use super::super::lease::Invalidation;
use super::super::route::{Exchange, Task, Wanted};
use crate::clock::Deadline;
use crate::wire::protocol::{Reply, Request};

impl Pool {
    /// Deletes an item at all copies but its owner. Returns whether it was there. A copy that cannot do it makes up for
    /// it before it is asked again.
    #[cold]
    pub(crate) fn delete_at_others(&mut self, deadline: &Deadline, wanted: Wanted<'_>) -> bool {
        let (request, value) = (Request::Delete { key: wanted.0 }, &mut Vec::new());
        let removed = self.remove_at_others(deadline, wanted, &mut Exchange { request, value });
        removed.is_some()
    }

    /// Marks an item as out of date at all copies but its owner, as [`Self::delete_at_others`] deletes it. Returns the
    /// answer of the first one that has it.
    #[cold]
    pub(crate) fn invalidate_at_others(
        &mut self,
        deadline: &Deadline,
        mut invalidation: &Invalidation<'_>,
        hash: Option<u32>,
    ) -> Option<Reply> {
        let wanted = (invalidation.key, hash);
        self.remove_at_others(deadline, wanted, &mut invalidation)
    }

    fn remove_at_others(
        &mut self,
        deadline: &Deadline,
        (key, hash): Wanted<'_>,
        task: &mut dyn Task,
    ) -> Option<Reply> {
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let copies = self.copies(key, hash);
        let others = copies.get(1..).unwrap_or_default();
        let live: Vec<_> = self.live(others).collect();
        let out = others.iter().filter(|at| !live.contains(at));
        let passed_over: Vec<_> = out.map(|&at| self.pass_over(at, key)).collect();
        let answers = self.write_at(deadline, &live, true, task);
        self.note_undone(key, &live, &answers);
        self.note_passed_over(key, &passed_over);
        let mut replies = answers.into_iter().flatten();
        replies.find(|reply| matches!(reply, Reply::Deleted | Reply::Touched))
    }
}
