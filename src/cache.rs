//! Cache: the core's only front door.
//!
//! One method an operation; each makes a request, has the key's pool ask it, and says what it came
//! to. Outages, misses and refusals are answers here, never panics: the last [`Status`] tells which.

use std::fmt::Display;

use crate::clock::Moment;
use crate::config::{Settings, Tunable};
use crate::error::{Error, Refusal};
use crate::health::log_limit::Limiter;
use crate::item::key::WireKey;
use crate::item::lifetime::Lifetime;
use crate::item::value::{Found, MAX_DECIMAL, Numbers, Value, decode, operand};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::stats::{Statistic, Stats};
use crate::status::Status;
use crate::wire::protocol::{MAX_VALUE, Reply, Request, Way};

/// The pools of this process.
#[derive(Debug)]
pub struct Cache {
    pools: Vec<Pool>,
    numbers: Numbers,
    last: Option<Status>,
    refusals: Limiter,
}

/// A key that may be sent, with its pool and the lifetime it was written with.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pool: usize,
    wire: WireKey,
    hash: Option<u32>,
    expire: Option<Lifetime>,
}

impl Key {
    /// The index of its pool.
    pub fn pool(&self) -> usize {
        self.pool
    }
}

impl Cache {
    /// A cache of these pools, whose integers are read as `numbers` says. Each pool publishes
    /// its list of servers in the shared memory of the same index, and follows it from then on.
    pub fn new(settings: Vec<Settings>, numbers: Numbers, shared: &'static [Shared]) -> Self {
        let pools = settings.into_iter().zip(shared);
        Self {
            pools: pools
                .map(|(settings, shared)| Pool::new(settings, shared))
                .collect(),
            numbers,
            last: None,
            refusals: Limiter::default(),
        }
    }

    /// The pools, the default one first.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Follows what other processes have changed; operations do so by themselves.
    pub fn refresh(&mut self) {
        self.pools.iter_mut().for_each(Pool::refresh);
    }

    /// Gives a parameter the value that each pool has in `settings`, for all processes.
    pub fn tune(&self, tunable: Tunable, settings: &[Settings]) {
        for (pool, settings) in self.pools.iter().zip(settings) {
            pool.tune(tunable, settings);
        }
    }

    /// A statistic of all pools together.
    pub fn statistic(&self, statistic: &Statistic) -> u64 {
        let parts = self.pools.iter().map(|pool| pool.statistic(statistic));
        parts.sum()
    }

    /// What the last operation came to; `None` before the first.
    pub fn last(&self) -> Option<Status> {
        self.last
    }

    /// Makes the key to send to the pool of that index out of a key's text; `expire` is the
    /// lifetime's text, empty = the pool's default.
    ///
    /// # Errors
    /// [`Refusal::EmptyKey`], [`Refusal::Lifetime`].
    pub fn key(&self, pool: usize, text: &[u8], expire: &[u8]) -> Result<Key, Refusal> {
        let wire = self.pools[pool].placement().wire_key(text)?;
        let expire = Lifetime::parse(expire)?;
        Ok(Key {
            pool,
            wire,
            hash: None,
            expire,
        })
    }

    /// The same key, hashed once and for all.
    pub fn hashed(&self, key: Key) -> Key {
        let hash = self.pools[key.pool].placement().hash(key.wire.as_bytes());
        Key {
            hash: Some(hash),
            ..key
        }
    }

    /// Reads an item: `None` when it is not there or could not be read, else what it is; its text
    /// is then in `text`.
    #[inline(always)]
    pub fn get(&mut self, key: &Key, text: &mut Vec<u8>) -> Option<Found> {
        let reply = self.ask(key, &Request::Get { key: &key.wire }, text);
        let stats = self.stats(key);
        match reply {
            Some(Reply::Value { flags }) => {
                stats.hits.count();
                Some(decode(flags, text, || self.numbers_of(key)))
            }
            Some(_) => {
                stats.misses.count();
                None
            }
            None => {
                stats.failed_gets.count();
                None
            }
        }
    }

    /// Writes an item as the pool's `mode` says.
    pub fn store(&mut self, key: &Key, value: Value<'_>) {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = value.encode(&mut room);
        if value.len() > MAX_VALUE {
            let what = format_args!("set of key '{}'", key.wire);
            return self.refuse(key.pool, what, Refusal::Value);
        }
        let pool = &mut self.pools[key.pool];
        pool.follow();
        pool.stats().sets.count();
        let settings = pool.settings();
        let request = Request::Store {
            store: settings.mode,
            key: &key.wire,
            flags,
            lifetime: key.expire.unwrap_or(settings.expire).on_wire(),
            value,
        };
        self.ask(key, &request, &mut Vec::new());
    }

    /// Removes an item, or finds that it is not there.
    pub fn delete(&mut self, key: &Key) {
        self.stats(key).deletes.count();
        self.ask(key, &Request::Delete { key: &key.wire }, &mut Vec::new());
    }

    /// Changes an item's lifetime to `lifetime` seconds; the value never moves.
    pub fn touch(&mut self, key: &Key, lifetime: Value<'_>) {
        let lifetime = operand(lifetime)
            .ok_or(Refusal::Operand)
            .and_then(Lifetime::new);
        let lifetime = match lifetime {
            Ok(lifetime) => lifetime.on_wire(),
            Err(refusal) => {
                let what = format_args!("touch of key '{}'", key.wire);
                return self.refuse(key.pool, what, refusal);
            }
        };
        let request = Request::Touch {
            key: &key.wire,
            lifetime,
        };
        self.stats(key).touches.count();
        self.ask(key, &request, &mut Vec::new());
    }

    /// Counts an item by `by`; a negative number reverses the way.
    pub fn count(&mut self, way: Way, key: &Key, by: Value<'_>) {
        let Some(by) = operand(by) else {
            let what = format_args!("count of key '{}'", key.wire);
            return self.refuse(key.pool, what, Refusal::Operand);
        };
        let way = if by < 0 { way.reversed() } else { way };
        let request = Request::Count {
            way,
            key: &key.wire,
            by: by.unsigned_abs(),
        };
        self.stats(key).counts.count();
        self.ask(key, &request, &mut Vec::new());
    }

    /// Notes that `what` was not done for the pool of that index, and why.
    #[cold]
    pub fn refuse(&mut self, pool: usize, what: impl Display, refusal: Refusal) {
        let error = Error::Refused(refusal);
        self.last = Some(error.status());
        self.pools[pool].stats().note_failure(&error);
        self.note(what, &error);
    }

    fn stats(&self, key: &Key) -> &'static Stats {
        self.pools[key.pool].stats()
    }

    fn numbers_of(&self, key: &Key) -> Numbers {
        let stringify = self.pools[key.pool].settings().stringify;
        if stringify {
            Numbers::AsText
        } else {
            self.numbers
        }
    }

    #[inline(always)]
    fn ask(&mut self, key: &Key, request: &Request<'_>, value: &mut Vec<u8>) -> Option<Reply> {
        let reply = self.pools[key.pool].ask(key.hash, request, value);
        self.last = Some(reply.as_ref().map_or_else(Error::status, Reply::status));
        match &reply {
            Ok(Reply::Miss) => {
                log::debug!("{}: no item with key '{}'", request.verb(), key.wire);
            }
            // What is the server's fault the pool has noted, once for all operations.
            Err(error) => {
                self.stats(key).note_failure(error);
                if error.in_step() {
                    let what = format_args!("{} of key '{}'", request.verb(), key.wire);
                    self.note(what, error);
                }
            }
            _ => {}
        }
        reply.ok()
    }

    fn note(&mut self, what: impl Display, error: &Error) {
        if let Some(left_out) = self.refusals.admit(Moment::now()) {
            log::error!("{what}: {}: {error}{left_out}", error.status());
        }
    }
}
