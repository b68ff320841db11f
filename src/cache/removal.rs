//! Removal: an item that may [come over](super::transfer) is removed from its [source](super::source), too.
//!
//! Where an item has several copies, those that do not own it come first, too.

use super::source::{Place, Source};
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::Error;
use crate::item::lifetime::PAST;
use crate::pool::Aim;
use crate::status::Status;
use crate::sys;
use crate::wire::protocol::{NO_VERSION, Reply, Request};

impl Cache {
    /// Removes an item from its pool and from where it could come over: the farthest first, so that
    /// nobody has it come over from there afterwards: `deleted`, or `miss` if it was in none of them.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route). Where one cannot do it, the others are asked
    /// nevertheless.
    #[cold]
    pub(super) fn delete_everywhere(&mut self, key: &Key) -> Result<Status, Error> {
        let deadline = self.pools[key.pool].begin();
        let _change = self.change(key);
        let at_sources = self.delete_at_sources(&deadline, key);
        let rest = self.rest(&deadline, key)?;
        let (wanted, pool) = ((&key.wire, key.hash), &mut self.pools[key.pool]);
        let at_others = pool.may_come_back(wanted) && pool.delete_at_others(&rest, wanted);
        let rest = self.rest(&deadline, key)?;
        let here = self.delete_here(&rest, key)?;
        match at_sources.map(|was_there| was_there || at_others) {
            Err(error) => Err(self.fail(key, error)),
            Ok(true) if here == Status::Miss => Ok(Status::Deleted),
            Ok(_) => Ok(here),
        }
    }

    /// Removes an item from where it could come over. Returns whether it was there.
    ///
    /// # Errors
    /// Those of [`Self::delete_everywhere`].
    pub(super) fn delete_at_sources(
        &mut self,
        deadline: &Deadline,
        key: &Key,
    ) -> Result<bool, Error> {
        let mut all = Ok(false);
        for place in self.sources(key, Aim::Remove).iter().rev() {
            let was_there = self.delete_at(deadline, place);
            if was_there.is_err() {
                self.delete_later_at(place);
            }
            all = all.and_then(|before| Ok(before | was_there?));
        }
        all
    }

    /// Another pool could not remove the item, and the pool of the key does so nevertheless. It does not come over any
    /// more: the server of the other pool removes it before it is asked again.
    #[cold]
    fn delete_later_at(&self, place: &Place) {
        let pool = &self.pools[place.key.pool];
        if !place.is_at_stand_in()
            && !sys::planted("what a source could not remove stays")
            && let Some(owner) = pool.owner_of(&place.key.wire)
        {
            pool.note_missed_at(owner, &place.key.wire);
        }
    }

    /// The item has been changed, at its owner unless stand-ins have answered more than `stood_in` times. What the
    /// stand-in may still hold is older, and is removed.
    #[inline(always)]
    pub(super) fn outdate(&mut self, deadline: &Deadline, key: &Key, stood_in: usize) {
        if self.pools[key.pool].settings().has_sources {
            self.outdate_at_stand_in(deadline, key, stood_in);
        }
    }

    #[cold]
    fn outdate_at_stand_in(&mut self, deadline: &Deadline, key: &Key, stood_in: usize) {
        // The next copy has got the change, too.
        let has_copies = self.pools[key.pool].settings().replicas > 1;
        let is_there = || self.pools[key.pool].stood_in() == stood_in;
        if !has_copies && is_there() && self.may_be_at_stand_in(key, Aim::Find) {
            // It is logged if that fails.
            let _ = self.delete_at_stand_in(deadline, key);
        }
    }

    /// Removes an item that has come over, unless it has changed. What others have of it stays. If its server cannot do
    /// that now, or there is no time left, it does so before it is asked again.
    pub(super) fn undo(&mut self, deadline: &Deadline, key: &Key, source: &Source, bytes: &[u8]) {
        if self.try_to_undo(deadline, key, source, bytes).is_err() {
            let _change = self.change(key);
            let pool = &self.pools[key.pool];
            if let Some(owner) = source.owner().or_else(|| pool.owner_of(&key.wire)) {
                pool.note_missed_at(owner, &key.wire);
            }
        }
    }

    fn try_to_undo(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        source: &Source,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let mut present = Vec::new();
        let request = Request::Gets { key: &key.wire };
        let found = self.give(deadline, key, source, &request, &mut present)?;
        if let Reply::Versioned(found, version) = found
            && found == source.item
            && present == bytes
        {
            if version == NO_VERSION {
                return Err(Error::without_versions());
            }
            let request = Request::Cas {
                key: &key.wire,
                flags: 0,
                lifetime: PAST,
                version,
                value: b"",
            };
            self.give(deadline, key, source, &request, &mut Vec::new())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
