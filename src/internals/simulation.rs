//! What `tests/simulation` uses: the system below the library, and what operators and the host use
//! above it.

use std::fmt;
use std::time::Duration;

use crate::admin;
use crate::cache::{Cache, Items, Key, Near, Operand, Verb};
use crate::clock::Moment;
use crate::config::Tunable;
use crate::health::Health;
use crate::item::value::Value;
use crate::pool::{Member, Pool};
use crate::prober::announcer::{Announcer, Event, EventKind, Field};
use crate::prober::{self, Prober};
use crate::server;
use crate::stats::TABLE;
use crate::status::Status;

pub use crate::sys::{Place, System, install};

/// How often [`ProberProcess::tick`] is called.
pub const TICK: Duration = prober::TICK;

/// What the prober's process does.
#[derive(Default)]
pub struct ProberProcess {
    prober: Prober,
    announcer: Announcer,
}

/// A change that is announced to the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The server.
    pub server: String,
    /// Whether it is up again.
    pub is_up: bool,
}

impl ProberProcess {
    /// As the host calls it every [`TICK`].
    pub fn tick(&mut self, cache: &mut Cache, lives: impl Fn(u32) -> bool) -> Vec<Announcement> {
        let events = self.announcer.look(cache, Moment::now());
        self.prober.tick(cache, lives);
        let announcement = |event: Event| Announcement {
            is_up: event.kind == EventKind::Up,
            server: match event.field(Field::Server) {
                Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Value::Integer(number) => number.to_string(),
            },
        };
        events.into_iter().map(announcement).collect()
    }
}

/// A server of the default pool, as all processes see it.
#[derive(Clone)]
pub struct Watched {
    /// Its address as operators write it.
    pub server: String,
    health: &'static Health,
}

impl Watched {
    /// All that its processes think of it, as one number.
    pub fn verdict(&self) -> u64 {
        self.health.word()
    }

    /// The word for its state, and whether it has to make up for missed writes before it is asked.
    pub fn state(&self) -> (&'static str, bool) {
        (self.health.state().word(), self.health.diverted() != 0)
    }

    /// The process of the worker that may wait for it beyond the stall limit, or 0.
    pub fn holder(&self) -> u32 {
        self.health.holder()
    }

    /// How many operations are under way there.
    pub fn in_flight(&self) -> u32 {
        self.health.counts().0
    }

    /// How often it has come back into service.
    pub fn generation(&self) -> u16 {
        self.health.generation()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.server, self.state())
    }
}

/// The servers of the default pool.
pub fn servers(cache: &mut Cache) -> Vec<Watched> {
    cache.refresh();
    let watched = |member: &Member| Watched {
        server: member.spec().address.to_string(),
        health: member.health(),
    };
    cache.pools()[0].members().iter().map(watched).collect()
}

/// What an operation by its name has come to.
pub struct Called {
    /// The word for it.
    pub status: Status,
    /// What was read, or the number after counting.
    pub text: String,
    /// The version that was read.
    pub version: u64,
}

/// Reads an item and its version.
pub fn gets(cache: &mut Cache, key: &Key) -> Called {
    call(cache, Verb::Gets, key, &[])
}

/// Writes an item if it still has that version.
pub fn cas(cache: &mut Cache, key: &Key, value: &[u8], version: u64) -> Called {
    let version = version.to_string();
    let operands = [Value::Text(value), Value::Text(version.as_bytes())];
    call(cache, Verb::Cas, key, &operands.map(Some))
}

/// Reads an item, and perhaps gets its lease.
pub fn lease(cache: &mut Cache, key: &Key) -> Called {
    call(cache, Verb::Lease, key, &[])
}

/// Marks an item as out of date, for so many seconds.
pub fn invalidate(cache: &mut Cache, key: &Key, seconds: i64) -> Called {
    call(
        cache,
        Verb::Invalidate,
        key,
        &[Some(Value::Integer(seconds))],
    )
}

/// Whether this process holds the lease of an item, so that what it writes next is bound to that.
pub fn holds_lease(cache: &Cache, key: &Key) -> bool {
    cache.holds_lease(key)
}

/// Where the answer to a read has come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A server was asked for it.
    Server,
    /// The near cache.
    Near,
    /// It was asked ahead, at that moment of the monotonic clock in nanoseconds.
    Ahead(u64),
}

/// When the item of this key was asked ahead, in nanoseconds of the monotonic clock.
pub fn asked_ahead(cache: &Cache, key: &Key) -> Option<u64> {
    cache.asked_ahead(key).map(Moment::nanos)
}

/// Where the answer to the read that has just ended has come from, before [`count_all`] is called.
pub fn source(cache: &Cache, key: &Key) -> Source {
    match cache.answered_ahead(key) {
        _ if cache.near(key.pool()).is_some_and(Near::has_answered) => Source::Near,
        Some(asked) => Source::Ahead(asked.nanos()),
        None => Source::Server,
    }
}

/// Asks for items ahead.
pub fn prefetch(cache: &mut Cache, keys: &[Key]) {
    cache.prefetch(keys);
}

/// Asks for items and waits for the answers. How many were found is the text.
pub fn get_many(cache: &mut Cache, keys: &[Key]) -> Called {
    let found = cache.get_many(keys);
    Called {
        status: Status::of(&found),
        text: found.map_or_else(|_| String::new(), |Items(found)| found.to_string()),
        version: 0,
    }
}

/// How many deferred writes of this process have no answer yet.
pub fn writes_owed(cache: &Cache) -> usize {
    cache.pools().iter().map(Pool::writes_owed).sum()
}

/// The script is done with its message.
pub fn end_message(cache: &mut Cache) {
    cache.end_message();
}

/// Counts an item up by a number, or creates it with that number.
pub fn create(cache: &mut Cache, key: &Key, by: u64) -> Called {
    let by = Value::Integer(by as i64);
    let operands = [by, by, Value::Integer(3000)];
    call(cache, Verb::Inc, key, &operands.map(Some))
}

fn call(cache: &mut Cache, verb: Verb, key: &Key, operands: &[Operand<'_>]) -> Called {
    let mut text = Vec::new();
    let answer = cache.call(verb, key, operands, &mut text);
    Called {
        status: Status::of(&answer),
        text: String::from_utf8(text).expect("what the simulation writes is text"),
        version: answer
            .ok()
            .and_then(|answer| answer.version)
            .unwrap_or_default(),
    }
}

/// The statistics are brought up to date.
pub fn count_all(cache: &mut Cache) {
    cache.count_all_near();
}

/// The servers that are asked for a key, in that order, while all of them are in service.
pub fn order(cache: &Cache, key: &[u8]) -> Vec<String> {
    let pool = &cache.pools()[0];
    let wire = pool.placement().wire_key(key);
    let location = wire.ok().and_then(|wire| pool.locate(wire.as_bytes()));
    let order = location.map_or_else(Vec::new, |location| location.order);
    let names = order.into_iter().map(|server| server.address.to_string());
    names.collect()
}

/// The version of the list of servers of the default pool; odd while it is being replaced.
pub fn list_version(cache: &Cache) -> u32 {
    cache.pools()[0].list_version()
}

/// The command `memcached.set_state`. False if there is no such server.
pub fn set_state(cache: &mut Cache, state: &str, server: &str) -> bool {
    let state = admin::servers::state(state);
    state.is_ok_and(|state| admin::servers::set_state(cache, state, server).is_ok())
}

/// Replaces the list of the default pool, as the command `memcached.reload` does. False if another
/// process is doing that.
pub fn reload(cache: &mut Cache, list: &str) -> bool {
    let pool = &cache.pools()[0];
    let version = pool.list_version();
    let servers = server::parse_list(list).expect("a list of servers");
    pool.publish(version, &servers).is_ok()
}

/// The command `cfg.set_now_int`.
pub fn tune(cache: &Cache, name: &str, number: i32) {
    let tunable = Tunable::named(name.as_bytes()).expect("a parameter that may be changed");
    cache.tune(tunable, &[number]);
}

/// The statistics of all pools.
pub fn statistics(cache: &Cache) -> Vec<(&'static str, u64)> {
    let row = |row: &crate::stats::Statistic| {
        (row.name.to_str().unwrap_or_default(), cache.statistic(row))
    };
    TABLE.iter().map(row).collect()
}
