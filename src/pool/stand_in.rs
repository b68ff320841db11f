//! StandIn: the server that comes next to the owner of a key, and serves the key while the owner is out of service.
//!
//! What it has stored while the owner was out stays there. For a while after the return of the owner, an item
//! that the owner does not have is looked for there, and what is removed is removed there, too.
//!
//! **It is always the same server**, also while it is out of service itself: if another one took its place then, that
//! one would not know what has been removed before. Where each item has several copies, it is one of them: all copies
//! know.
//!
//! **Removals last longer than reads**, by the time that an operation has: somebody may have begun to bring an
//! item over just before. They begin earlier, too: while the owner is out, because it may be back before
//! the removal comes to it.

use std::time::Duration;

use super::inspection::Inspection;
use super::route::{Task, Wanted};
use super::{Pool, ROOM_OF_SERVER};
use crate::clock::{Deadline, Moment};
use crate::config::{Failover, Rejoin};
use crate::error::{Down, Error, Waiting};
use crate::health::State;
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
        if self.members.len() < 2 {
            return false;
        }
        let Some(owner) = self.owner_at(wanted) else {
            return false;
        };
        let health = self.members[owner].health();
        let is_out = !health.may_be_asked();
        let window = match aim {
            // The stand-in has answered already; unless the server itself has, and is to make up for a write only since
            // then.
            Aim::Find if is_out && health.state() != State::Active => return false,
            Aim::Find => window,
            Aim::Remove => window.saturating_add(self.settings.timeout),
        };
        let is_lately = |at| Moment::now().passed_since(at) < window;
        is_out || window == Duration::MAX || health.returned().is_some_and(is_lately)
    }

    /// The alias or address of that stand-in, if it can be asked, for people.
    pub(crate) fn stand_in_label(&mut self, wanted: Wanted<'_>) -> Option<String> {
        let at = self.stand_in(wanted)?;
        let member = &self.members[at];
        let may_be_asked = member.health().may_be_asked();
        may_be_asked.then(|| member.spec().label())
    }

    /// Reads an item at the stand-in, as [`Self::inspect`] does at the owner.
    ///
    /// # Errors
    /// [`Down::OutOfService`] if there is none; those of [`Self::route`].
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
            Some(at) => {
                let member = &mut self.members[at];
                member.connection.set_deputy(false);
                inspection.attempt(member, deadline, &self.settings)
            }
            None => Err(Error::Down(Down::OutOfService)),
        }
    }

    /// Removes an item at the stand-in. With `rejoin=flush`, one that cannot do that now, or for which there is no time
    /// left, does so before it is asked again; with `rejoin=keep`, nothing is promised of one that is out of service.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    #[cold]
    pub(crate) fn delete_at_stand_in(
        &mut self,
        deadline: Option<&Deadline>,
        wanted: Wanted<'_>,
    ) -> Result<Reply, Error> {
        let Some(at) = self.stand_in(wanted) else {
            return Ok(Reply::Miss);
        };
        if sys::planted("a stand-in keeps what was deleted") {
            return Ok(Reply::Miss);
        }
        let is_kept = self.settings.rejoin == Rejoin::Flush;
        let (key, member) = (wanted.0, &mut self.members[at]);
        let reply = match (member.health().may_be_asked(), deadline) {
            (true, Some(deadline)) => {
                let request = Request::Delete { key };
                member.connection.set_deputy(false);
                member.attempt(&request, &mut Vec::new(), deadline, &self.settings)
            }
            (true, None) => Err(Error::Timeout(Waiting::Send)),
            (false, _) if is_kept => Err(Error::Down(Down::OutOfService)),
            (false, _) => Ok(Reply::Miss),
        };
        match reply {
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

    /// The next copy that can be asked, or the server that stands in for the owner first. `None` = there is no other
    /// one.
    fn stand_in(&mut self, wanted: Wanted<'_>) -> Option<usize> {
        let owner = self.owner_at(wanted)?;
        let (key, hash) = wanted;
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        if self.settings.replicas > 1 {
            let mut others = self.copies(key, hash);
            others.retain(|copy| *copy != owner);
            let next = self.live(&others).next();
            return next.or_else(|| others.first().copied());
        }
        self.make_ring_without(owner);
        let ring = match self.settings.failover {
            Failover::NewRing => self.ring_without.as_ref()?.1.as_ref()?,
            _ => self.any_ring()?,
        };
        let is_another = |index: usize| index != owner;
        let placement = self.placement();
        placement.first_live(ring, key.as_bytes(), hash, is_another)
    }

    /// With `failover=2`, remembers the ring that there is while this server alone is out of service.
    fn make_ring_without(&mut self, owner: usize) {
        let is_made = |(without, _): &(usize, Option<Ring>)| *without == owner;
        if self.settings.failover != Failover::NewRing
            || self.ring_without.as_ref().is_some_and(is_made)
        {
            return;
        }
        let others = |index: usize| index != owner;
        if !memory::has(self.members.len() * ROOM_OF_SERVER) {
            self.ring_without = None;
            return;
        }
        let ring = self.points.as_mut().and_then(|points| points.ring(others));
        self.ring_without = Some((owner, ring));
    }
}
