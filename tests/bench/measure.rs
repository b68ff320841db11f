//! Measures balance and stability of a distribution: how evenly servers share a million keys, and
//! how many keys change server when the list of servers changes. The test of the limits and the
//! picture both include this file.

use kamailio_memcached::internals::{Distribution, Placement, Ring, ServerSpec, parse_list};

/// The hashes of keys as a SIP server writes them, under one distribution.
pub struct Measurement {
    placement: Placement,
    hashes: Vec<u32>,
}

impl Measurement {
    /// Makes `keys` keys, in turn addresses of subscribers and Call-IDs.
    pub fn new(distribution: Distribution, keys: usize) -> Measurement {
        let placement = Placement::new(distribution);
        let hashes = (0..keys as u64).map(|i| placement.hash(key(i).as_bytes()));
        let hashes = hashes.collect();
        Measurement { placement, hashes }
    }

    /// Each server's share as a multiple of the fair share. The smallest share comes first.
    pub fn shares(&self, servers: usize) -> Vec<f64> {
        let ring = self.ring(&first(servers));
        let mut keys = vec![0_u32; servers];
        for &hash in &self.hashes {
            keys[ring.owner(hash)] += 1;
        }
        let fair = self.hashes.len() as f64 / servers as f64;
        let mut shares: Vec<f64> = keys.iter().map(|&keys| f64::from(keys) / fair).collect();
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// The part of the keys that change server when one server is added to `servers`. At best that
    /// is the share of the new server: 1 / (`servers` + 1).
    pub fn moved_by_joining(&self, servers: usize) -> f64 {
        self.moved(&first(servers), &first(servers + 1))
    }

    /// The part of the keys that change server when the middle one of `servers` is removed. At best
    /// that is its own share. A sole server is not removed.
    pub fn moved_by_leaving(&self, servers: usize) -> f64 {
        if servers == 1 {
            return 0.0;
        }
        let before = first(servers);
        let mut after = before.clone();
        after.remove(servers / 2);
        self.moved(&before, &after)
    }

    fn moved(&self, before: &[ServerSpec], after: &[ServerSpec]) -> f64 {
        let index_before = |server| before.iter().position(|other| other == server);
        let indices: Vec<Option<usize>> = after.iter().map(index_before).collect();
        let (old, new) = (self.ring(before), self.ring(after));
        let has_moved = |hash: u32| indices[new.owner(hash)] != Some(old.owner(hash));
        let moved = self.hashes.iter().filter(|&&hash| has_moved(hash));
        moved.count() as f64 / self.hashes.len() as f64
    }

    fn ring(&self, servers: &[ServerSpec]) -> Ring {
        self.placement
            .ring(servers, |_| true)
            .expect("a live server")
    }
}

/// Servers of one rack, all with the same weight.
fn first(servers: usize) -> Vec<ServerSpec> {
    let items: Vec<String> = (1..=servers)
        .map(|i| format!("10.20.30.{i}:11211"))
        .collect();
    parse_list(&items.join(",")).expect("a good list")
}

fn key(i: u64) -> String {
    if i.is_multiple_of(2) {
        return format!("loc:sip:+4930{:07}@example.com", i / 2);
    }
    // Weyl steps with mixed bits: the result is different for every i and has no pattern.
    let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    format!("dlg:{:016x}@10.20.30.40", mixed ^ mixed >> 29)
}
