//! `Ring` says which of a pool's servers owns the hash of a key. It never changes: when the list of
//! servers or of live servers changes, a new ring is made.
//!
//! All systems have the same rule: the owner is the server of the first point at or above the hash,
//! and after the last point comes the first one. They differ in where the points are, see `points`.
//! Modula follows the rule, too, if its slots are taken as points, so one search serves all. Points
//! and owners are in separate arrays, so that a search reads only points.

mod distribution;
mod points;

use std::num::NonZeroU32;

pub use distribution::Distribution;
pub(crate) use points::Points;

use crate::placement::hash::KeyHash;
use crate::server::ServerSpec;

/// The points of at least one server.
#[derive(Clone, Debug)]
pub struct Ring {
    /// In ascending order, never empty.
    points: Box<[u32]>,
    /// The server of each point, as an index into the configured list.
    owners: Box<[u16]>,
    /// With modula, the number of slots: a hash is reduced modulo this number.
    slots: Option<NonZeroU32>,
    /// The only server of the ring, if there is only one. It owns everything.
    sole: Option<u16>,
    /// How many servers have points.
    servers: usize,
}

/// The point that a hash belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The point on the ring. With modula, the slot.
    pub point: u32,
    /// Its server, as an index into the configured list.
    pub server: usize,
}

impl Ring {
    /// Builds the ring of those `servers` for whose index `live` is true. With `failover=2` it
    /// leaves dead servers out in the way libmemcached and twemproxy do. That may move a few keys
    /// between live servers, too.
    ///
    /// Returns `None` if no server is live. `hash` places the points only in systems that use the
    /// key hash for them. A server with an index above 65 535 is never live.
    pub fn build(
        distribution: Distribution,
        hash: KeyHash,
        servers: &[ServerSpec],
        live: impl Fn(usize) -> bool,
    ) -> Option<Ring> {
        Points::new(distribution, hash, servers).ring(live)
    }

    /// The ring of these points, each a position and its server, in ascending order. `None` without points.
    /// `sole` is the only server if there is only one.
    fn of(points: Vec<(u32, u16)>, is_modula: bool, sole: Option<u16>) -> Option<Ring> {
        let &(last, _) = points.last()?;
        let slots = match is_modula {
            true => NonZeroU32::new(last.saturating_add(1)),
            false => None,
        };
        let (points, owners): (Vec<u32>, Vec<u16>) = points.into_iter().unzip();
        let mut met = Vec::new();
        let servers = owners.iter();
        let servers = servers.filter(|&&server| is_new(&mut met, server.into()));
        Some(Ring {
            servers: servers.count(),
            points: points.into(),
            owners: owners.into(),
            slots,
            sole,
        })
    }

    /// The only server of the ring, if there is only one. Then keys need not be hashed.
    pub fn sole(&self) -> Option<usize> {
        self.sole.map(usize::from)
    }

    /// How many servers it has.
    pub(crate) fn servers(&self) -> usize {
        self.servers
    }

    /// The server that owns `hash`, as an index into the configured list. Never allocates.
    pub fn owner(&self, hash: u32) -> usize {
        usize::from(self.owners[self.entry(hash)])
    }

    /// The owner of `hash` together with its point, for operators.
    pub fn locate(&self, hash: u32) -> Hit {
        let entry = self.entry(hash);
        Hit {
            point: self.slots.map_or(self.points[entry], |slots| hash % slots),
            server: usize::from(self.owners[entry]),
        }
    }

    /// The servers in the order of the ring, one full turn, beginning with the owner of `hash`.
    /// Each comes as often as it has points.
    pub fn walk(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (before, from) = self.owners.split_at(self.entry(hash));
        from.iter().chain(before).map(|&server| usize::from(server))
    }

    fn entry(&self, hash: u32) -> usize {
        let position = self.slots.map_or(hash, |slots| hash % slots);
        let entry = self.points.partition_point(|&point| point < position);
        if entry < self.points.len() { entry } else { 0 }
    }
}

/// Notes a server in a set of them, one bit each. True if it was not there.
pub(crate) fn is_new(met: &mut Vec<u64>, server: usize) -> bool {
    let (word, bit) = (server / 64, 1 << (server % 64));
    if met.len() <= word {
        met.resize(word + 1, 0);
    }
    let is_new = met[word] & bit == 0;
    met[word] |= bit;
    is_new
}

#[cfg(test)]
mod tests;
