//! Pool: a named group of servers, and this process's connections to them.
//!
//! It finds the server of a key, or the stand-in for that server, and asks it under one deadline. All
//! processes share the list of servers and their health. To notice a change costs two loads an
//! operation. A pool does not know what an operation means.

use crate::clock::{Deadline, Moment};
use crate::config::{DeclaredPool, Failover, Rejoin, Settings, Tunable};
use crate::error::{Down, Error};
use crate::item::key::WireKey;
use crate::placement::Placement;
use crate::placement::ring::{Hit, Ring};
use crate::server::ServerSpec;
use crate::shared::Shared;
use crate::shared::server_list::NotPublished;
use crate::stats::{Servers, Statistic, Stats};
use crate::wire::protocol::{Kind, Reply, Request};

mod member;
mod operation;
mod shared_server;

pub(crate) use member::Member;
pub(crate) use shared_server::{SharedServer, Site};

/// A group of servers with common settings.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    shared: &'static Shared,
    /// The version of the shared list that `members` were made from.
    version: u32,
    /// The number of shared changes that this process has followed.
    changes: u32,
    members: Vec<Member>,
    /// `None` while no server belongs to it.
    ring: Option<Ring>,
    /// Which of `members` belong to the ring.
    in_ring: Vec<bool>,
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
}

/// The owner of a key, which has not answered.
struct Owner {
    index: usize,
    hash: u32,
    error: Error,
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
            members: Vec::new(),
            ring: None,
            in_ring: Vec::new(),
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

    /// Its part of a statistic.
    pub fn statistic(&self, statistic: &Statistic) -> u64 {
        let now = self.members.iter().map(Member::health);
        let servers = now.fold(Servers::default(), |servers, health| {
            servers.with(health.state(), health.counts().0)
        });
        (statistic.read)(self.stats(), &servers)
    }

    /// Where a wire key lives; `None` when no server is live.
    pub fn locate(&self, wire: &[u8]) -> Option<Location<'_>> {
        let ring = self.ring.as_ref()?;
        let hash = self.placement().hash(wire);
        let Hit { point, .. } = ring.locate(hash);
        let order = self.placement().failover_order(ring, wire);
        let order = order
            .into_iter()
            .map(|index| self.members[index].spec())
            .collect();
        Some(Location { hash, point, order })
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

    /// Gets the answer to `request` from the server that owns `key`, or from a stand-in. `hash` is the
    /// hash of the key if it is known already. A value's bytes replace the content of `value`.
    ///
    /// # Errors
    /// Those of [`Member::attempt`]. If several servers were asked, the error of the last one.
    #[inline(always)]
    pub(crate) fn route(
        &mut self,
        key: &WireKey,
        hash: Option<u32>,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        self.follow();
        let deadline = Deadline::new(Moment::now(), self.settings.timeout);
        let Some(ring) = &self.ring else {
            self.shared.stats().skipped.count();
            return Err(Error::Down(Down::OutOfService));
        };
        let placement = &self.settings.placement;
        let hash = || hash.unwrap_or_else(|| placement.hash(key.as_bytes()));
        let owner = ring.sole().unwrap_or_else(|| ring.owner(hash()));
        let reply = self.members[owner].attempt(key, request, value, &deadline, &self.settings);
        match reply {
            Err(error) if self.settings.failover != Failover::Off => {
                let owner = Owner {
                    index: owner,
                    hash: hash(),
                    error,
                };
                self.route_to_stand_in(key, owner, request, value, &deadline)
            }
            reply => reply,
        }
    }

    /// Asks one stand-in after the other, each once, as long as no server can have done the request,
    /// or it may be done twice.
    #[cold]
    fn route_to_stand_in(
        &mut self,
        key: &WireKey,
        owner: Owner,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        let (mut asked, mut error) = (vec![owner.index], owner.error);
        while error.allows_stand_in(request.kind().is_repeatable()) {
            let Some(left) = deadline.remaining() else {
                break;
            };
            let is_next = |index: usize| {
                !asked.contains(&index) && self.members[index].health().may_be_asked()
            };
            let placement = &self.settings.placement;
            let next = self
                .ring
                .as_ref()
                .and_then(|ring| placement.first_live(ring, key.as_bytes(), owner.hash, is_next));
            let Some(next) = next else {
                break;
            };
            if asked.len() == 1 && self.is_write_to_be_kept(request) {
                self.members[owner.index].server().divert(key);
            }
            asked.push(next);
            // The stall limit counts from here: this server has not kept anybody waiting yet.
            let own = Deadline::new(Moment::now(), left);
            match self.members[next].attempt(key, request, value, &own, &self.settings) {
                Ok(reply) => {
                    self.shared.stats().failovers.count();
                    return Ok(reply);
                }
                Err(another) => error = another,
            }
        }
        Err(error)
    }

    /// True for a write that the owner must not undo by what it still holds.
    fn is_write_to_be_kept(&self, request: &Request<'_>) -> bool {
        self.settings.rejoin == Rejoin::Flush && request.kind() != Kind::Get
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
        let (mut stale, changes) = (false, self.shared.changes());
        self.shared.tunables().apply(&mut self.settings);
        if self.shared.version() != self.version {
            // While it is being replaced, the next operation will see it.
            let Some((version, list)) = self.shared.list() else {
                return;
            };
            let mut old = std::mem::take(&mut self.members);
            let member = |(slot, spec): (usize, ServerSpec)| match old
                .iter()
                .position(|member| member.spec().address == spec.address)
            {
                Some(at) => old.swap_remove(at).listed(spec, slot),
                None => Member::new(spec, slot, self.shared),
            };
            self.members = list.into_iter().map(member).collect();
            (self.version, stale) = (version, true);
        }
        self.members.iter_mut().for_each(Member::follow_name);
        let keeps_all = self.settings.failover != Failover::NewRing;
        let belongs = |member: &Member| keeps_all || !member.health().is_away();
        let in_ring: Vec<bool> = self.members.iter().map(belongs).collect();
        if stale || in_ring != self.in_ring {
            let specs = self.members.iter().map(|member| member.spec().clone());
            let specs: Vec<_> = specs.collect();
            let placement = &self.settings.placement;
            self.ring = placement.ring(&specs, |index| in_ring[index]);
            self.in_ring = in_ring;
        }
        self.changes = changes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};
    use crate::health::State;
    use crate::server;

    fn pool(servers: &str, failover: i32) -> Pool {
        let mut parameters = Parameters::default();
        parameters.set("servers", Given::Text(servers)).unwrap();
        parameters.set("failover", Given::Number(failover)).unwrap();
        parameters.set("rejoin", Given::Text("flush")).unwrap();
        let declared = parameters.settle().remove(0);
        Pool::new(declared, &Shared::private(1)[0])
    }

    fn labels(pool: &Pool) -> Vec<String> {
        pool.members()
            .iter()
            .map(|member| member.spec().label())
            .collect()
    }

    fn publish(pool: &Pool, servers: &str) {
        let servers = server::parse_list(servers).unwrap();
        pool.publish(pool.list_version(), &servers).unwrap();
    }

    #[test]
    fn a_published_list_is_followed() {
        let mut pool = pool("a:1, b:2 bee", 0);
        assert_eq!(labels(&pool), ["a:1", "bee"]);
        publish(&pool, "b:2:5, c:3");
        assert_eq!(
            labels(&pool),
            ["a:1", "bee"],
            "not before the next operation"
        );
        pool.refresh();
        assert_eq!(labels(&pool), ["b:2", "c:3"]);
    }

    #[test]
    fn a_server_that_left_and_came_back_unseen_is_found_in_its_new_slot() {
        let mut pool = pool("a:1, b:2", 0);
        for list in ["b:2", "b:2, c:3, a:1"] {
            publish(&pool, list);
        }
        pool.refresh();
        assert_eq!(labels(&pool), ["b:2", "c:3", "a:1"]);
        pool.members()[1].server().set(State::Disabled);
        let states = pool.members().iter().map(|member| member.health().state());
        let expected = [State::Active, State::Disabled, State::Active];
        assert_eq!(states.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_key_is_located_with_all_its_stand_ins() {
        let pool = pool("a:1, b:2, c:3", 0);
        let location = pool.locate(b"k").unwrap();
        assert_eq!(location.hash, pool.placement().hash(b"k"));
        assert_eq!(location.order.len(), 3);
        let owner = pool.ring.as_ref().unwrap().owner(location.hash);
        assert_eq!(location.order[0], pool.members[owner].spec());
    }

    #[test]
    fn dead_servers_are_left_out_where_that_is_asked_for() {
        for (failover, left) in [(0, 3), (1, 3), (2, 1)] {
            let mut pool = pool("a:1, b:2, c:3", failover);
            for member in &pool.members()[..2] {
                member.server().set(State::Disabled);
            }
            pool.refresh();
            assert_eq!(
                pool.locate(b"k").unwrap().order.len(),
                left,
                "failover={failover}"
            );
            pool.members()[2].server().set(State::Disabled);
            pool.refresh();
            assert_eq!(pool.locate(b"k").is_none(), failover == 2);
        }
    }
}
