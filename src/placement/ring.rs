//! The ring: which of a pool's servers owns a key hash. An immutable value,
//! rebuilt when the list of servers or of live ones changes.
//!
//! All systems agree on one rule: the first point at or above the hash, after
//! the last one the first again. What differs is where the points lie, see
//! `points`. Modula obeys the rule too once its slots are taken for points, so
//! there is one lookup for everything. Points and owners lie in arrays of
//! their own: a search touches only points. This knows no keys, no sockets,
//! no time.

mod distribution;
mod points;

use std::num::NonZeroU32;

pub use distribution::Distribution;

use crate::placement::hash::KeyHash;
use crate::server::ServerSpec;

/// Hash to server index, for at least one server.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Ascending, never empty.
    points: Box<[u32]>,
    /// The server of each point, as its index in the configured list.
    owners: Box<[u16]>,
    /// Modula: how many slots hashes are reduced to.
    slots: Option<NonZeroU32>,
    /// The only server, which owns everything.
    sole: Option<u16>,
}

/// Where a hash landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The point on the ring; for modula the slot.
    pub point: u32,
    /// Index of its server in the configured list.
    pub server: usize,
}

impl Ring {
    /// Builds the ring of those `servers` for whose index `live` says yes; for
    /// `failover=2` that leaves dead ones out as libmemcached and twemproxy
    /// eject them, which may move a few keys between healthy servers too.
    ///
    /// None without a live server. `hash` places points only where the imitated
    /// system uses the key hash for them. Indices past 65 535 are never live.
    pub fn build(
        distribution: Distribution,
        hash: KeyHash,
        servers: &[ServerSpec],
        live: impl Fn(usize) -> bool,
    ) -> Option<Ring> {
        let live: Vec<(u16, &ServerSpec)> = (0..=u16::MAX)
            .zip(servers)
            .filter(|&(index, _)| live(usize::from(index)))
            .collect();
        let mut points = points::of(distribution, hash, &live);
        points.sort_by_key(|&(position, _)| position);

        let &(last, _) = points.last()?;
        let slots = match distribution.is_modula() {
            true => NonZeroU32::new(last.saturating_add(1)),
            false => None,
        };
        let sole = match live[..] {
            [(only, _)] => Some(only),
            _ => None,
        };
        let (points, owners): (Vec<u32>, Vec<u16>) = points.into_iter().unzip();
        Some(Ring {
            points: points.into(),
            owners: owners.into(),
            slots,
            sole,
        })
    }

    /// The server of a ring of one, for which no key needs to be hashed.
    pub fn sole(&self) -> Option<usize> {
        self.sole.map(usize::from)
    }

    /// Index of the server that owns `hash`. Never allocates.
    pub fn owner(&self, hash: u32) -> usize {
        usize::from(self.owners[self.entry(hash)])
    }

    /// The same, with the point that was hit, to show where a key lives.
    pub fn locate(&self, hash: u32) -> Hit {
        let entry = self.entry(hash);
        Hit {
            point: self.slots.map_or(self.points[entry], |slots| hash % slots),
            server: usize::from(self.owners[entry]),
        }
    }

    /// The servers met walking forward from `hash` for one full turn, owner
    /// first, each as often as it has points.
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

#[cfg(test)]
mod tests;
