//! Pool: a named group of servers, and this process's connections to them.
//!
//! It finds the server of a key, or the stand-in for that server, and asks it under one deadline. All
//! processes share the list of servers and their health. To notice a change costs two loads an
//! operation. A pool does not know what an operation means.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::{DeclaredPool, Failover, Settings, Tunable};
use crate::item::key::WireKey;
use crate::memory;
use crate::placement::Placement;
use crate::placement::ring::{Hit, Points, Ring};
use crate::server::{Address, ServerSpec};
use crate::shared::Shared;
use crate::shared::leases::Leases;
use crate::shared::server_list::NotPublished;
use crate::stats::{Servers, Statistic, Stats};

mod ahead;
mod copies;
mod counter;
mod dialect;
mod inspection;
mod lease;
mod many;
mod member;
mod operation;
mod passed_over;
mod pipeline;
mod removal;
mod route;
mod shared_server;
mod slow;
mod stand_in;

pub(crate) use ahead::Message;
pub(crate) use counter::Counter;
pub(crate) use dialect::Dialect;
pub(crate) use lease::{Fulfilment, Invalidation, LeaseRequest, is_placeholder};
pub(crate) use many::collect;
pub(crate) use member::Member;
pub(crate) use route::Wanted;
pub(crate) use shared_server::{Debt, SharedServer, Site};
pub(crate) use stand_in::Aim;

/// So many bytes are enough to read the longest list.
const ROOM_OF_TEXT: usize = 1 << 20;

/// So many bytes are enough for a server of a pool, with its points on the ring.
const ROOM_OF_SERVER: usize = 12 << 10;

/// For so long a process that has too little memory does not try to follow a new list.
const POSTPONED: Duration = Duration::from_secs(1);

/// A group of servers with common settings.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    shared: &'static Shared,
    /// The version of the shared list that `members` were made from.
    version: u32,
    /// The number of shared changes that this process has followed.
    changes: u32,
    /// How often its files of secrets were to be read again, as far as this process has done that.
    renewals: u32,
    members: Vec<Member>,
    /// `None` while no server belongs to it, and where each item is kept on several servers.
    ring: Option<Ring>,
    /// The ring where each item is kept on several servers. It has its own place, so that the others need
    /// not ask which of them it is.
    copies_ring: Option<Ring>,
    /// The points of all servers, if the ring changes with their states.
    points: Option<Points>,
    /// Which of `members` belong to the ring.
    in_ring: Vec<bool>,
    /// The ring without one server of it, which was asked for last.
    ring_without: Option<(usize, Option<Ring>)>,
    /// How many operations of this process stand-ins have answered.
    stood_in: usize,
    /// When it may follow the shared list again, after there was no memory for that.
    postponed: Option<Moment>,
}

/// Where a key lives, for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The key's hash.
    pub hash: u32,
    /// The ring point, or the slot, that it falls on.
    pub point: u32,
    /// The servers in the order in which they would be asked: the owner, then its stand-ins.
    pub order: Vec<&'a ServerSpec>,
    /// On how many of them, from the first one on, the item is kept.
    pub copies: usize,
}

impl Pool {
    /// A pool without connections. Its list of servers is published to all processes.
    pub fn new(declared: DeclaredPool, shared: &'static Shared) -> Self {
        let DeclaredPool {
            settings,
            servers,
            numbers,
        } = declared;
        if let Err(why) = shared.publish(shared.version(), &servers, Moment::now()) {
            log::error!(
                "cannot share the servers of pool '{}': {why}",
                settings.name
            );
        }
        for (tunable, number) in Tunable::ALL.into_iter().zip(numbers) {
            shared.tunables().publish(tunable, number);
        }
        let mut pool = Self {
            settings,
            shared,
            version: 0,
            changes: 0,
            renewals: shared.renewals(),
            members: Vec::new(),
            ring: None,
            copies_ring: None,
            points: None,
            in_ring: Vec::new(),
            ring_without: None,
            stood_in: 0,
            postponed: None,
        };
        pool.refresh();
        pool
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its rules for keys.
    pub fn placement(&self) -> &Placement {
        &self.settings.placement
    }

    /// Its servers as this process knows them, in the order of the list.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Its counters, which count for all processes.
    pub fn stats(&self) -> &'static Stats {
        self.shared.stats()
    }

    /// How many operations of this process stand-ins have answered.
    pub(crate) fn stood_in(&self) -> usize {
        self.stood_in
    }

    /// Whether its items may be placeholders.
    pub fn leases(&self) -> &'static Leases {
        self.shared.leases()
    }

    /// Its part of a statistic.
    pub fn statistic(&self, statistic: &Statistic) -> u64 {
        let now = self.members.iter().map(Member::health);
        let servers = now.fold(Servers::default(), |servers, health| {
            servers.with(health.state(), health.counts().0)
        });
        (statistic.read)(self.stats(), &servers)
    }

    /// On how many servers each item is kept.
    pub(crate) fn replicas(&self) -> usize {
        self.settings.replicas.clamp(1, self.members.len().max(1))
    }

    /// The address of the server that owns a wire key; `None` when no server is live.
    pub(crate) fn owner_of(&self, key: &WireKey) -> Option<&Address> {
        let owner = self.placement().owner(self.any_ring()?, key.as_bytes());
        Some(&self.members[owner].spec().address)
    }

    /// Where a wire key lives; `None` when no server is live.
    pub fn locate(&self, wire: &[u8]) -> Option<Location<'_>> {
        let ring = self.any_ring()?;
        let hash = self.placement().hash(wire);
        let Hit { point, .. } = ring.locate(hash);
        let order = self.placement().failover_order(ring, wire);
        let order = order
            .into_iter()
            .map(|index| self.members[index].spec())
            .collect::<Vec<_>>();
        let copies = self.replicas();
        Some(Location {
            hash,
            point,
            order,
            copies,
        })
    }

    /// The ring; `None` while no server belongs to it.
    fn any_ring(&self) -> Option<&Ring> {
        self.ring.as_ref().or(self.copies_ring.as_ref())
    }

    /// The version of the shared list of servers.
    pub(crate) fn list_version(&self) -> u32 {
        self.shared.version()
    }

    /// Replaces the list of servers of that version, for all processes.
    ///
    /// # Errors
    /// [`NotPublished`]; the old list stays.
    pub(crate) fn publish(&self, version: u32, servers: &[ServerSpec]) -> Result<(), NotPublished> {
        self.shared.publish(version, servers, Moment::now())
    }

    /// Gives a parameter a new value, for all processes.
    pub fn tune(&self, tunable: Tunable, number: i32) {
        self.shared.tunables().publish(tunable, number);
        self.shared.note_change();
    }

    /// This process has just been forked: what is owed is owed to its parent.
    pub(crate) fn leave_to_parent(&mut self) {
        for member in &mut self.members {
            member.ahead.leave_to_parent();
        }
    }

    /// Follows what other processes have changed, if they have.
    #[inline(always)]
    pub fn follow(&mut self) {
        if self.shared.version() != self.version || self.shared.changes() != self.changes {
            self.refresh();
        }
    }

    /// Follows the shared parameters and the shared list: servers that stay keep their
    /// connections, those that left lose them; and, where dead servers are left out of the ring,
    /// their states.
    #[cold]
    pub fn refresh(&mut self) {
        if self.postponed.is_some_and(|until| Moment::now() < until) {
            return;
        }
        let (mut stale, changes) = (false, self.shared.changes());
        self.shared.tunables().apply(&mut self.settings);
        if self.shared.version() != self.version {
            if !memory::has(ROOM_OF_TEXT) {
                return self.postpone();
            }
            // While it is being replaced, the next operation will see it.
            let Some((version, list)) = self.shared.list() else {
                return;
            };
            if !memory::has(list.len() * ROOM_OF_SERVER) {
                return self.postpone();
            }
            let mut old = std::mem::take(&mut self.members);
            let member = |(slot, spec): (usize, ServerSpec)| match old
                .iter()
                .position(|member| member.spec().address == spec.address)
            {
                Some(at) => old.swap_remove(at).listed(spec, slot),
                None => Member::new(spec, slot, &self.settings, self.shared),
            };
            self.members = list.into_iter().map(member).collect();
            old.iter_mut().for_each(Member::close);
            (self.version, stale) = (version, true);
        }
        self.members.iter_mut().for_each(Member::follow_name);
        if self.shared.renewals() != self.renewals {
            self.renew();
        }
        let keeps_all = self.settings.failover != Failover::NewRing;
        let belongs = |member: &Member| keeps_all || !member.health().is_away();
        let in_ring: Vec<bool> = self.members.iter().map(belongs).collect();
        if stale || in_ring != self.in_ring {
            // For a new list there was room.
            if !stale && !memory::has(in_ring.len() * ROOM_OF_SERVER) {
                return self.postpone();
            }
            let points = self.points.take().filter(|_| !stale);
            let mut points = points.unwrap_or_else(|| self.new_points());
            let ring = points.ring(|index| in_ring[index]);
            (self.ring, self.copies_ring) = match self.settings.replicas > 1 {
                true => (None, ring),
                false => (ring, None),
            };
            self.points = (!keeps_all).then_some(points);
            self.in_ring = in_ring;
            self.ring_without = None;
        }
        self.changes = changes;
        self.postponed = None;
    }

    /// There is no memory for another list or ring: goes on with those it has, and tries again later.
    fn postpone(&mut self) {
        self.postponed = Some(Moment::now() + POSTPONED);
        log::error!(
            "pool '{}' goes on with the servers it had: {} for a new list",
            self.settings.name,
            memory::TOO_LITTLE
        );
    }

    /// Reads its files of secrets again. What cannot be read stays as it was.
    fn renew(&mut self) {
        self.renewals = self.shared.renewals();
        if let Err(why) = self.settings.renew() {
            log::error!(
                "pool '{}' goes on with what it had: {why}",
                self.settings.name
            );
        }
        let access = self.settings.access();
        let members = self.members.iter_mut();
        members.for_each(|member| member.set_access(access.clone()));
    }

    /// Tells all processes to read the files of secrets again.
    pub(crate) fn note_renewal(&self) {
        self.shared.note_renewal();
    }

    fn new_points(&self) -> Points {
        let specs = self.members.iter().map(|member| member.spec().clone());
        self.settings.placement.points(&specs.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests;
