//! `Items` is what a memcached holds: when items end, which version they have, what a flush takes,
//! what is evicted.
//!
//! Times are seconds of the server's own clock. It stands at 62 when the server starts, because 0
//! means never.

mod count;
mod slab;
mod store;

use std::collections::BTreeMap;

pub(super) use self::count::{Counted, Step};
pub(super) use self::store::{Mode, Offer, Stored};
use super::Options;
use crate::random::Random;

/// Where the server's clock starts.
const CLOCK_START: u64 = 62;

/// Longer lifetimes are seconds of Unix time.
const LONGEST_RELATIVE: i64 = 30 * 24 * 60 * 60;

/// Reads do not count as use again until an item has not been used for so many seconds.
const USE_INTERVAL: u32 = 60;

/// One item. Its key is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: Vec<u8>,
    pub(super) flags: u32,
    /// When it ends, 0 = never.
    pub(super) expires: u32,
    /// Its version number.
    pub(super) cas: u64,
    /// When it was stored or used last.
    pub(super) used: u32,
    /// Somebody has read it.
    pub(super) fetched: bool,
    /// It is out of date.
    pub(super) stale: bool,
    /// Somebody was told to bring a new value.
    pub(super) promised: bool,
    /// Its key was sent in base64.
    pub(super) binary_key: bool,
}

impl Item {
    /// The seconds left `now` as memcached writes them: too many if it has ended meanwhile.
    pub(super) fn seconds_left(&self, now: u32) -> String {
        match self.expires {
            0 => "-1".into(),
            expires => expires.wrapping_sub(now).to_string(),
        }
    }

    /// Somebody has read it.
    pub(super) fn read(&mut self, now: u32) {
        self.fetched = true;
        self.note_use(now);
    }

    fn note_use(&mut self, now: u32) {
        if self.used < now - USE_INTERVAL {
            self.used = now;
        }
    }
}

/// All items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Items {
    by_key: BTreeMap<Vec<u8>, Item>,
    /// Unix time when the server's clock stood at 0.
    zero: u64,
    now: u32,
    last_cas: u64,
    flush: Flush,
    item_size: usize,
    memory: usize,
    /// How much of it is used.
    used: usize,
    random: Random,
}

/// The last flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Flush {
    /// When it has taken effect, or will: items stored up to then are gone. 0 = no flush.
    time: u32,
    /// Of items stored in that second, the ones with smaller versions are gone. 0 = none.
    cas: u64,
    /// How many flushes there were.
    count: u64,
}

impl Items {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            by_key: BTreeMap::new(),
            zero: options.started - CLOCK_START,
            now: CLOCK_START as u32,
            last_cas: 0,
            flush: Flush::default(),
            item_size: options.item_size,
            memory: options.memory,
            used: 0,
            random: Random::new(options.seed),
        }
    }

    /// It is `unix` seconds of Unix time.
    pub(super) fn set_time(&mut self, unix: u64) {
        self.now = (unix - self.zero) as u32;
    }

    /// The server's clock.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// When a lifetime that a client has sent is over.
    pub(super) fn end_of(&self, lifetime: i32) -> u32 {
        match i64::from(lifetime) {
            0 => 0,
            relative @ 1..=LONGEST_RELATIVE => (relative as u32).wrapping_add(self.now),
            // Whatever lies before the start of the server, or is negative.
            unix if unix <= self.zero as i64 => 1,
            unix => (unix - self.zero as i64) as u32,
        }
    }

    /// The item at `key`. One that is flushed or has ended is removed.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<&mut Item> {
        let item = self.by_key.get(key)?;
        let ended = item.expires != 0 && item.expires <= self.now;
        if ended || self.is_flushed(item) {
            self.remove(key);
        }
        self.held(key)
    }

    /// The item at `key` as it is, also if it has ended.
    pub(super) fn held(&mut self, key: &[u8]) -> Option<&mut Item> {
        self.by_key.get_mut(key)
    }

    fn is_flushed(&self, item: &Item) -> bool {
        let Flush { time, cas, .. } = self.flush;
        time != 0 && time <= self.now && (item.used <= time || item.cas < cas)
    }

    /// The item at `key` is read: with `get`, and it counts as used.
    pub(super) fn read(&mut self, key: &[u8]) -> Option<&mut Item> {
        let now = self.now;
        let item = self.get(key)?;
        item.read(now);
        Some(item)
    }

    /// The item at `key` is read and gets a new end.
    pub(super) fn touch(&mut self, key: &[u8], expires: u32) -> Option<&mut Item> {
        let item = self.read(key)?;
        item.expires = expires;
        Some(item)
    }

    /// Puts in an item, with a new version, whatever was there. Returns the version.
    pub(super) fn put(&mut self, key: &[u8], mut item: Item) -> u64 {
        self.remove(key);
        item.cas = self.next_cas();
        item.used = self.now;
        let cas = item.cas;
        self.used += slab::total(key, &item);
        self.by_key.insert(key.to_vec(), item);
        while self.used > self.memory && self.len() > 1 {
            self.evict(Some(key));
        }
        cas
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some(item) = self.by_key.remove(key) {
            self.used -= slab::total(key, &item);
        }
    }

    /// Removes an item that the seed chooses, if there is one whose key is not `kept`.
    pub(super) fn evict(&mut self, kept: Option<&[u8]>) {
        let mut others = self.by_key.keys().filter(|&key| Some(&key[..]) != kept);
        let count = others.clone().count();
        if count > 0 {
            let evicted = others.nth(self.random.index(count));
            let evicted = evicted.expect("there are so many").clone();
            self.remove(&evicted);
        }
    }

    pub(super) fn next_cas(&mut self) -> u64 {
        self.last_cas += 1;
        self.last_cas
    }

    /// True if an item of this size may be stored.
    pub(super) fn is_size_ok(&self, key: &[u8], flags: u32, value: usize) -> bool {
        slab::size(key.len(), flags, value) <= self.item_size
    }

    /// Removes all items after `delay`, which is a lifetime as in `end_of`, or at once if it is not
    /// positive. A later flush takes the place of one that is still to come.
    pub(super) fn flush(&mut self, delay: i32) {
        let moment = if delay > 0 {
            self.end_of(delay)
        } else {
            self.now
        };
        self.flush.time = moment - 1;
        self.flush.count += 1;
        if self.flush.time <= self.now {
            self.flush.cas = self.next_cas();
        }
    }

    /// A line for maintainers about the item at `key`: the answer to `me`, without the key.
    pub(super) fn describe(&mut self, key: &[u8]) -> Option<String> {
        let now = self.now;
        let item = self.get(key)?;
        let total = slab::total(key, item);
        let expires = match item.expires {
            0 => -1,
            expires => now.wrapping_sub(expires) as i32,
        };
        Some(format!(
            "exp={expires} la={} cas={} fetch={} cls={} size={total}",
            now - item.used,
            item.cas,
            if item.fetched { "yes" } else { "no" },
            slab::class(total),
        ))
    }

    /// The statistics that clients of this project read.
    pub(super) fn statistics(&self) -> Vec<u8> {
        let mut text = String::new();
        for (name, number) in [
            ("pid", 1),
            ("uptime", u64::from(self.now - USE_INTERVAL)),
            ("time", self.zero + u64::from(self.now)),
            ("cmd_flush", self.flush.count),
            ("curr_items", self.len() as u64),
        ] {
            text += &format!("STAT {name} {number}\r\n");
        }
        (text + "END\r\n").into()
    }
}
