//! Counts: what the Kamailios have acknowledged in an epoch, against what the memcacheds hold.
//!
//! A counter is never more than what was acknowledged and what nobody knows of (*unknown*), and never less
//! than what was acknowledged, unless its server has lost its items or one of its copies has missed a count. Each
//! epoch has counters of its own, so only those that an event has hit can lose something.

use std::time::Duration;

use support::{Kamailio, Memcached, wait};

use crate::site::{Site, ask, number};

/// The counters of an epoch: pool, name, and whether the items lie on more than one server.
const COUNTERS: [(&str, &str, bool); 4] = [
    ("counts", "inc", false),
    ("counts", "cas", false),
    ("adds", "var", false),
    ("copies", "copied", true),
];

/// How many of each name.
const NUMBERS: u64 = 8;

/// How many counters were compared, and how many counts were in them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    /// Counters that must have exactly what was acknowledged.
    pub exact: u64,
    /// Counters of which some counts are unknown.
    pub bounded: u64,
    /// Counters whose server has lost its items, or whose copies have begun anew: they must not have more.
    pub lost: u64,
    /// Counts that were acknowledged, each of them once.
    pub acknowledged: u64,
    /// Counts of which nobody knows.
    pub unknown: u64,
}

/// What shows that a memcached has lost items since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pid: u64,
    flushes: u64,
    evictions: u64,
}

/// The lives of the memcacheds at this moment. All of them must answer.
pub fn lives(site: &Site) -> [Life; 3] {
    std::array::from_fn(|at| {
        let memcached = &site.memcacheds[at];
        Life {
            pid: memcached.stat("pid"),
            flushes: memcached.flushes(),
            evictions: memcached.stat("evictions"),
        }
    })
}

impl Compared {
    /// Compares all counters of an epoch that is over, once the last requests of it are. `before` are the
    /// lives at its beginning. `Err` tells what is wrong.
    pub fn add(&mut self, site: &Site, epoch: u64, before: [Life; 3]) -> Result<(), String> {
        for (pool, name, is_copied) in COUNTERS {
            for n in 0..NUMBERS {
                let counter = Counter {
                    pool,
                    key: format!("{name}:{epoch}:{n}"),
                    is_copied,
                };
                self.compare(site, &counter, before)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, site: &Site, counter: &Counter, before: [Life; 3]) -> Result<(), String> {
        let mut seen = String::new();
        // The last requests of the epoch may still be under way.
        let verdict = wait::poll(Duration::from_secs(5), || {
            let acknowledged = counter.noted(site, "acknowledged");
            let held = counter.held(site);
            let unknown = counter.noted(site, "unknown");
            let after = lives(site);
            let owner = counter.owner(site);
            let has_lost = match counter.is_copied {
                // A copy that was silent for a moment has missed a count, and begins anew.
                true => before != after || unknown > 0 || held.len() < 2 || held[0] != held[1],
                false => before[owner] != after[owner],
            };
            let largest = held.iter().max().copied().unwrap_or(0);
            seen = format!(
                "{} in {}: {acknowledged} acknowledged, {unknown} unknown, {held:?} held, lost: {has_lost}",
                counter.key, counter.pool
            );
            let is_right = largest <= acknowledged + unknown
                && acknowledged == counter.noted(site, "acknowledged")
                && (has_lost || largest >= acknowledged);
            is_right.then_some((acknowledged, unknown, has_lost))
        });
        let Some((acknowledged, unknown, has_lost)) = verdict else {
            return Err(seen);
        };
        match (has_lost, unknown) {
            (true, _) => self.lost += 1,
            (false, 0) => self.exact += 1,
            (false, _) => self.bounded += 1,
        }
        self.acknowledged += acknowledged;
        self.unknown += unknown;
        Ok(())
    }
}

struct Counter {
    pool: &'static str,
    key: String,
    is_copied: bool,
}

impl Counter {
    /// What both Kamailios have noted in that table.
    fn noted(&self, site: &Site, table: &str) -> u64 {
        let noted = |node: &Kamailio| {
            let text = node.jsonrpc("htable.get", &format!(r#"["{table}", "{}"]"#, self.key));
            let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let value = &answer["result"]["item"]["value"];
            if value.is_null() { 0 } else { number(value) }
        };
        site.nodes.iter().map(noted).sum()
    }

    /// The numbers that the memcacheds hold.
    fn held(&self, site: &Site) -> Vec<u64> {
        let key = format!("{}:{}", self.pool, self.key);
        let held = |memcached: &Memcached| memcached.text(&key)?.trim().parse().ok();
        site.memcacheds.iter().filter_map(held).collect()
    }

    fn owner(&self, site: &Site) -> usize {
        let params = format!(r#"["{}", "{}"]"#, self.key, self.pool);
        let shown = ask(&site.nodes[0], "memcached.hash", &params);
        let owner = shown["owner"].as_str().expect("a server");
        let at = crate::site::ALIASES
            .iter()
            .position(|alias| *alias == owner);
        at.unwrap_or_else(|| panic!("{owner} is none of ours"))
    }
}
