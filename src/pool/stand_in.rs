//! StandIn: the server that would serve a key if its owner was out of service.
//!
//! What it has stored while the owner was out stays there. For a while after the return of the owner, an item
//! that the owner does not have is looked for there, and what is removed is removed there, too.
//!
//! **Removals last longer than reads**, by the time that an operation has: somebody may have begun to bring an
//! item over just before. They begin earlier, too: while the owner is out, because it may be back before
//! the removal comes to it.

use std::cell::RefCell;
use std::time::Duration;

use super::inspection::Inspection;
use super::many::Wanted;
use super::route::Task;
use super::{Pool, ROOM_OF_SERVER};
use crate::clock::{Deadline, Moment};
use crate::config::{Failover, Rejoin};
use crate::error::{Down, Error};
use crate::memory;
use crate::placement::ring::Ring;
use crate::sys;
use crate::wire::protocol::{Reply, Request};

/// What is to be done with an item that may be at a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// It is looked for, because its owner does not have it.
    Find,
    /// It is removed.
    Remove,
}

/// The stand-in of a key.
struct StandIn {
    /// Its index.
    at: usize,
    /// Those that come before it, but cannot be asked.
    passed: Vec<usize>,
}

impl Pool {
    /// Whether the item of this key may be at the stand-in of its owner.
    #[cold]
    pub(crate) fn may_be_at_stand_in(&mut self, wanted: Wanted<'_>, aim: Aim) -> bool {
        let is_alone = match self.settings.replicas > 1 {
            // What is removed is removed wherever there is a copy.
            true => aim == Aim::Remove,
            false => self.settings.failover == Failover::Off,
        };
        !is_alone && self.may_get_back(wanted, aim)
    }

    /// Whether an item may come back to its owner from another copy that is not removed yet.
    #[cold]
    pub(crate) fn may_come_back(&mut self, wanted: Wanted<'_>) -> bool {
        self.settings.replicas > 1 && self.may_get_back(wanted, Aim::Remove)
    }

    /// Whether the owner of the key may get an item back now, or, if that is to be removed, a moment ago.
    fn may_get_back(&mut self, wanted: Wanted<'_>, aim: Aim) -> bool {
        let window = self.settings.miss_failover;
        if window.is_zero() {
            return false;
        }
        // Who looks for an item has done so already.
        if aim == Aim::Remove {
            self.follow();
        }
        let Some(owner) = self.owner_at(wanted) else {
            return false;
        };
        let health = self.members[owner].health();
        let is_out = !health.may_be_asked();
        let window = match aim {
            // The stand-in has answered already.
            Aim::Find if is_out => return false,
            Aim::Find => window,
            Aim::Remove => window.saturating_add(self.settings.timeout),
        };
        let is_lately = |at| Moment::now().passed_since(at) < window;
        is_out || window == Duration::MAX || health.returned().is_some_and(is_lately)
    }

    /// The alias or address of that stand-in, for people.
    pub(crate) fn stand_in_label(&mut self, wanted: Wanted<'_>) -> Option<String> {
        let StandIn { at, .. } = self.stand_in(wanted)?;
        Some(self.members[at].spec().label())
    }

    /// Reads an item at the stand-in, as [`Self::inspect`] does at the owner.
    ///
    /// # Errors
    /// [`Down::OutOfService`] if none can be asked; those of [`Self::route`].
    #[cold]
    pub(crate) fn inspect_at_stand_in(
        &mut self,
        deadline: &Deadline,
        wanted: Wanted<'_>,
        request: Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let mut inspection = Inspection {
            key: wanted.0,
            request,
            value,
        };
        match self.stand_in(wanted) {
            Some(StandIn { at, .. }) => {
                inspection.attempt(&mut self.members[at], deadline, &self.settings)
            }
            None => Err(Error::Down(Down::OutOfService)),
        }
    }

    /// Removes an item at the stand-in. With `rejoin=flush`, a server that cannot do that now does so before it
    /// is asked again.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    #[cold]
    pub(crate) fn delete_at_stand_in(
        &mut self,
        deadline: &Deadline,
        wanted: Wanted<'_>,
    ) -> Result<Reply, Error> {
        let Some(StandIn { at, passed }) = self.stand_in(wanted) else {
            return Ok(Reply::Miss);
        };
        if sys::planted("a stand-in keeps what was deleted") {
            return Ok(Reply::Miss);
        }
        let is_kept = self.settings.rejoin == Rejoin::Flush;
        let key = wanted.0;
        if is_kept {
            let passed = passed.into_iter().map(|index| &self.members[index]);
            passed.for_each(|member| member.server().divert(key));
        }
        let request = Request::Delete { key };
        let member = &mut self.members[at];
        match member.attempt(&request, &mut Vec::new(), deadline, &self.settings) {
            Err(error) if is_kept && error.allows_stand_in(true) && !error.is_shortage() => {
                member.server().divert(key);
                Ok(Reply::Miss)
            }
            reply => reply,
        }
    }

    /// The index of the server that owns a key; `None` while no server belongs to the ring.
    pub(super) fn owner_at(&self, (key, hash): Wanted<'_>) -> Option<usize> {
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        Some(self.any_ring()?.owner(hash))
    }

    /// The server that would be asked now if the owner was out of service. `None` = there is no other one.
    fn stand_in(&mut self, wanted: Wanted<'_>) -> Option<StandIn> {
        let owner = self.owner_at(wanted)?;
        self.make_ring_without(owner);
        let ring = match self.settings.failover {
            Failover::NewRing => self.ring_without.as_ref()?.1.as_ref()?,
            _ => self.any_ring()?,
        };
        let (key, hash) = wanted;
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let copies = self.copies(key, hash);
        let may_stand_in =
            |index: &usize| self.settings.failover != Failover::Off || copies.contains(index);
        let passed = RefCell::new(Vec::new());
        let is_next = |index: usize| {
            let may_be_asked = self.members[index].health().may_be_asked();
            if index != owner && !may_be_asked {
                passed.borrow_mut().push(index);
            }
            index != owner && may_be_asked && may_stand_in(&index)
        };
        let placement = self.placement();
        let at = placement.first_live(ring, key.as_bytes(), hash, is_next)?;
        Some(StandIn {
            at,
            passed: passed.into_inner(),
        })
    }

    /// With `failover=2`, remembers the ring that there is while this server is out of service.
    fn make_ring_without(&mut self, owner: usize) {
        let is_made = |(without, _): &(usize, Option<Ring>)| *without == owner;
        if self.settings.failover != Failover::NewRing
            || self.ring_without.as_ref().is_some_and(is_made)
        {
            return;
        }
        let in_ring = &self.in_ring;
        let others = |index: usize| index != owner && in_ring[index];
        if !memory::has(in_ring.len() * ROOM_OF_SERVER) {
            self.ring_without = None;
            return;
        }
        let ring = self.points.as_mut().and_then(|points| points.ring(others));
        self.ring_without = Some((owner, ring));
    }
}
