//! Near: reads that are answered from this node's own memory.
//!
//! A pool with a near cache keeps what its servers have answered in a [`Table`] that all processes share, and
//! answers reads from there until `near_expire` has passed since the server was asked. Afterwards an entry
//! stays for a server that cannot be asked: within `near_stale` it is the answer then. An item that lasts
//! for less is used for less, where its server tells how long it lasts. Whatever changes an item begins a
//! [`Change`] first. The table argues why nothing is read that was changed before.

use std::mem;
use std::time::Duration;

use super::{Cache, Key, Read};
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::Error;
use crate::item::forms::kamailio::decode;
use crate::shared::near::{Change, Kept, Table};
use crate::stats::Stats;
use crate::status::Status;
use crate::sys;
use crate::wire::protocol::{Item, Reply, Request, Usage};

/// The near cache of a pool.
#[derive(Debug)]
pub(crate) struct Near {
    table: Table,
    /// The answers that are not in the statistics yet.
    hits: usize,
    /// When the statistics were brought up to date last.
    counted: Moment,
}

/// How long answers may be missing in the statistics while a process answers more of them. So a hit seldom
/// writes to memory that all processes count in.
const COUNT_AFTER: Duration = Duration::from_millis(8);

/// How long an entry is waited for that another process is just writing, while its server cannot be asked.
const WRITTEN_WITHIN: Duration = Duration::from_millis(1);

impl Near {
    /// A near cache in this table.
    pub(crate) fn new(table: Table) -> Self {
        Self {
            table,
            hits: 0,
            counted: Moment::now(),
        }
    }

    /// Its table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// True if it has answered a read since the statistics were brought up to date.
    #[cfg(feature = "simulation")]
    pub(crate) fn has_answered(&self) -> bool {
        self.hits > 0
    }

    /// What it has answered before a fork, the parent counts.
    pub(super) fn leave_to_parent(&mut self) {
        self.hits = 0;
    }

    /// Brings the statistics up to date.
    fn count(&mut self, stats: &Stats) {
        let hits = mem::take(&mut self.hits);
        if hits > 0 {
            stats.hits.add(hits);
            stats.near_hits.add(hits);
        }
    }
}

impl Cache {
    /// Has pools keep items near, each in its own table.
    pub fn keep_near(&mut self, tables: Vec<Option<Table>>) {
        if tables.iter().any(Option::is_some) {
            let near = tables.into_iter().map(|table| table.map(Near::new));
            self.near = near.collect();
        }
    }

    /// True if any pool has a near cache.
    #[inline(always)]
    pub(super) fn has_near_caches(&self) -> bool {
        !self.near.is_empty()
    }

    /// The near cache of the pool of that index, if it has one.
    pub(crate) fn near(&self, pool: usize) -> Option<&Near> {
        self.near.get(pool)?.as_ref()
    }

    /// Reads an item, near or afar. If it is there, its text is in `text`.
    ///
    /// # Errors
    /// Those of [`Pool::inspect`](crate::pool::Pool::inspect).
    #[inline(never)]
    pub(super) fn get_near(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Read, Error> {
        let (now, pool) = (Moment::now(), &mut self.pools[key.pool]);
        pool.follow();
        let deadline = Deadline::new(now, pool.settings().timeout);
        let Some(Some(near)) = self.near.get_mut(key.pool) else {
            return self.get_afar(key, text);
        };
        let (place, limit) = (near.table.place(&key.wire), pool.settings().near_expire);
        let is_wanted = |kept: &Kept| kept.lasts(now, limit);
        let Some(kept) = near.table.find(place, &key.wire, now, is_wanted, text) else {
            return self.get_and_keep(&deadline, key, now, text);
        };
        let (stats, is_plain) = (pool.stats(), pool.settings().values.is_plain(kept.flags));
        if now.passed_since(near.counted) >= COUNT_AFTER {
            near.count(stats);
            near.counted = now;
        }
        if !is_plain {
            stats.near_hits.count();
            let item = Item { flags: kept.flags };
            return self.read_value(&deadline, key, item, text).map(Read::of);
        }
        near.hits += 1;
        Ok(Read::Hit(decode(kept.flags, text, || self.numbers_of(key))))
    }

    /// For each of these items whether a read would find it near now.
    pub(super) fn are_near(&self, keys: &[Key]) -> Vec<bool> {
        let (now, mut value) = (Moment::now(), Vec::new());
        let is_near = |key: &Key| {
            let limit = self.pools[key.pool].settings().near_expire;
            let is_wanted = |kept: &Kept| kept.lasts(now, limit);
            self.near(key.pool).is_some_and(|Near { table, .. }| {
                let place = table.place(&key.wire);
                table
                    .find(place, &key.wire, now, is_wanted, &mut value)
                    .is_some()
            })
        };
        keys.iter().map(is_near).collect()
    }

    /// Has the server answer, and keeps the answer.
    #[inline(never)]
    fn get_and_keep(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        now: Moment,
        text: &mut Vec<u8>,
    ) -> Result<Read, Error> {
        let stats = self.stats(key);
        self.count_near(key.pool);
        stats.near_misses.count();
        let asked = self.note_asked(key, now);
        let request = Request::GetLasting { key: &key.wire };
        let reply = self.pools[key.pool].inspect(deadline, &key.wire, key.hash, request, text);
        if let Err(error) = &reply
            && Status::of_error(error).could_not_ask()
            && let Some(stale) = self.find_stale(deadline, key, text)
        {
            return stale;
        }
        self.note(key, || request.kind().verb(), &reply);
        let (item, left) = match reply {
            // Somebody computes it anew: the next read is to ask again.
            Ok(Reply::Lasting(item, _, lease)) if lease.is_stale => (item, 0),
            Ok(Reply::Lasting(item, left, _)) => (item, left),
            Ok(Reply::Item(item)) => (item, Usage::FOR_EVER),
            Ok(_) => return self.read_elsewhere(deadline, key, text),
            Err(error) => {
                stats.failed_gets.count();
                return Err(error);
            }
        };
        // The parts of an item would have to be asked for.
        let is_whole =
            !self.form(key).is_split(item.flags) && !self.is_only_leased(key, item, text);
        if let Some(asked) = asked.filter(|_| is_whole) {
            self.keep(key, asked, item, left, text);
        }
        self.read_item(deadline, key, item, text)
    }

    /// What must be known of a read that begins now, before its server is asked, to [keep](Self::keep) the
    /// answer; `None` if nothing is kept of that pool.
    fn note_asked(&self, key: &Key, now: Moment) -> Option<Asked> {
        let table = self.near(key.pool)?.table();
        Some(Asked {
            at: now,
            age: table.age(table.place(&key.wire)),
        })
    }

    /// Keeps the answer to a read: an item that lasts for `left` seconds, and its value.
    fn keep(&self, key: &Key, asked: Asked, item: Item, left: u32, value: &[u8]) {
        let Some(near) = self.near(key.pool) else {
            return;
        };
        let place = near.table.place(&key.wire);
        let kept = Kept {
            age: match sys::planted("the age is noted after asking") {
                true => near.table.age(place),
                false => asked.age,
            },
            asked: asked.at,
            ends: match left {
                Usage::FOR_EVER => Moment::from_nanos(u64::MAX),
                left => asked.at + Duration::from_secs(left.into()),
            },
            flags: item.flags,
        };
        if left > 0 {
            near.table.put(place, &key.wire, kept, value, asked.at);
        }
    }

    /// The item, if it may be used while its server cannot be asked.
    #[cold]
    pub(super) fn find_stale(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Option<Result<Read, Error>> {
        let item = self.stale(key, text)?;
        log::debug!("get: item with key '{}' is stale", key.wire);
        self.stats(key).stale.count();
        let found = self.read_value(deadline, key, item, text);
        Some(found.map(|found| found.map_or(Read::Miss, Read::Stale)))
    }

    /// The same before it is read. Its bytes are in `bytes`.
    pub(super) fn stale(&self, key: &Key, bytes: &mut Vec<u8>) -> Option<Item> {
        let (now, table) = (Moment::now(), self.near(key.pool)?.table());
        let limit = self.pools[key.pool].settings().stale_limit()?;
        let place = table.place(&key.wire);
        let is_wanted = |kept: &Kept| kept.lasts(now, limit);
        let patience = Deadline::new(now, WRITTEN_WITHIN);
        loop {
            let is_being_written = table.is_being_written(place);
            let kept = table.find(place, &key.wire, now, is_wanted, bytes);
            let may_come = is_being_written || table.is_being_written(place);
            match kept {
                None if may_come && patience.remaining().is_some() => sys::give_way(),
                kept => return kept.map(|Kept { flags, .. }| Item { flags }),
            }
        }
    }

    /// A change of the item begins, which lasts until what is returned is dropped.
    #[inline(always)]
    pub(super) fn change(&mut self, key: &Key) -> Option<Change> {
        self.forget(key);
        match self.has_near_caches() {
            true => self.begin_change(key),
            false => None,
        }
    }

    #[inline(never)]
    fn begin_change(&mut self, key: &Key) -> Option<Change> {
        self.count_near(key.pool);
        self.change_tables(|table| table.change(table.place(&key.wire)))
    }

    /// The same for a change that goes on when its operation returns, for the `timeout` of its pool at most.
    pub(super) fn change_later(&mut self, key: &Key) -> Option<Change> {
        let (now, timeout) = (Moment::now(), self.pools[key.pool].settings().timeout);
        self.change_tables(|table| table.change_later(table.place(&key.wire), now, now + timeout))
    }

    /// The same for all items of any servers.
    pub(crate) fn change_all(&self) -> Option<Change> {
        self.change_tables(Table::change_all)
    }

    /// A change in the tables of all pools: nobody can tell whether two addresses lead to the same server, and so to
    /// the same items.
    fn change_tables(&self, begin: impl Fn(&Table) -> Change) -> Option<Change> {
        let changes = self.near.iter().flatten().map(|near| begin(near.table()));
        changes.reduce(Change::and)
    }

    /// Empties the near cache of the pool of that index, if it has one.
    pub(crate) fn clear_near(&self, pool: usize) {
        if let Some(near) = self.near(pool) {
            drop(near.table.change_all());
        }
    }

    /// The statistics get the answers of this process that are not in them yet.
    pub(crate) fn count_all_near(&mut self) {
        (0..self.near.len()).for_each(|pool| self.count_near(pool));
    }

    fn count_near(&mut self, pool: usize) {
        if let Some(Some(near)) = self.near.get_mut(pool) {
            near.count(self.pools[pool].stats());
        }
    }

    /// What processes have left behind that died while they kept something is removed; `lives` tells who has
    /// not died.
    pub(crate) fn release_near(&self, lives: impl Fn(u32) -> bool) {
        let tables = self.near.iter().flatten().map(Near::table);
        tables.for_each(|table| table.release(&lives));
    }
}

/// A read whose server was not asked yet.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Moment,
    age: u64,
}

impl Kept {
    /// Whether it may be used `now`, at most `limit` after the server was asked.
    fn lasts(&self, now: Moment, limit: Duration) -> bool {
        now < self.ends && now.passed_since(self.asked) < limit
    }
}

impl Settings {
    /// How long after the server was asked an item may be used while it cannot be asked; `None` = not at all.
    fn stale_limit(&self) -> Option<Duration> {
        (!self.near_stale.is_zero()).then(|| self.near_expire + self.near_stale)
    }
}
