//! Cache: the pools of this process, and the one way to use them. One method is one operation.
//!
//! Each method makes a request, has the pool of the key route it to a server, and returns the answer,
//! or an [`Error`] that says why there is none.

use std::fmt::Display;

use crate::clock::Moment;
use crate::config::{DeclaredPool, Tunable};
use crate::error::{Error, Refusal};
use crate::health::log_limit::LogLimit;
use crate::item::key::WireKey;
use crate::item::lifetime::Lifetime;
use crate::item::value::{Found, MAX_DECIMAL, Numbers, Value, decode, operand};
use crate::pool::Pool;
use crate::shared::Shared;
use crate::stats::{Statistic, Stats};
use crate::status::{Outcome, Status};
use crate::sys;
use crate::wire::protocol::{MAX_VALUE, Reply, Request, Store, Way};

/// The pools of this process.
#[derive(Debug)]
pub struct Cache {
    pools: Vec<Pool>,
    numbers: Numbers,
    /// Limits the log lines about requests that this module or a server refuses.
    log_limit: LogLimit,
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

/// The answer to writing an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// It is not stored, because of the condition in [`Store`].
    NotStored,
}

/// The item was there and is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted;

/// The item is there and has the new lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched;

impl Outcome for Written {
    fn status(&self) -> Status {
        match self {
            Self::Stored => Status::Stored,
            Self::NotStored => Status::NotStored,
        }
    }
}

impl Outcome for Option<Found> {
    fn status(&self) -> Status {
        self.map_or(Status::Miss, |_| Status::Hit)
    }
}

impl Outcome for Option<Deleted> {
    fn status(&self) -> Status {
        self.map_or(Status::Miss, |_| Status::Deleted)
    }
}

impl Outcome for Option<Touched> {
    fn status(&self) -> Status {
        self.map_or(Status::Miss, |_| Status::Touched)
    }
}

/// The number after counting.
impl Outcome for Option<u64> {
    fn status(&self) -> Status {
        self.map_or(Status::Miss, |_| Status::Counted)
    }
}

impl Cache {
    /// A cache of these pools. `numbers` says how integers are read. Each pool publishes its list of
    /// servers in the shared memory of the same index, and follows that memory from then on.
    pub fn new(declared: Vec<DeclaredPool>, numbers: Numbers, shared: &'static [Shared]) -> Self {
        sys::watch_forks();
        let pools = declared.into_iter().zip(shared);
        Self {
            pools: pools
                .map(|(declared, shared)| Pool::new(declared, shared))
                .collect(),
            numbers,
            log_limit: LogLimit::default(),
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

    /// Gives a parameter a new value, one for each pool, for all processes.
    pub fn tune(&self, tunable: Tunable, numbers: &[i32]) {
        for (pool, number) in self.pools.iter().zip(numbers) {
            pool.tune(tunable, *number);
        }
    }

    /// A statistic of all pools together.
    pub fn statistic(&self, statistic: &Statistic) -> u64 {
        let parts = self.pools.iter().map(|pool| pool.statistic(statistic));
        parts.sum()
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

    /// Reads an item. `None` means that it is not there. Else its text is in `text`.
    ///
    /// # Errors
    /// Those of [`Pool::route`].
    #[inline(always)]
    pub fn get(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Option<Found>, Error> {
        let reply = self.perform(key, &Request::Get { key: &key.wire }, text);
        let stats = self.stats(key);
        match reply {
            Ok(Reply::Item(item)) => {
                stats.hits.count();
                Ok(Some(decode(item.flags, text, || self.numbers_of(key))))
            }
            Ok(_) => {
                stats.misses.count();
                Ok(None)
            }
            Err(error) => {
                stats.failed_gets.count();
                Err(error)
            }
        }
    }

    /// Writes an item, as the `mode` of its pool says.
    ///
    /// # Errors
    /// Those of [`Self::store`].
    pub fn assign(&mut self, key: &Key, value: Value<'_>) -> Result<Written, Error> {
        let pool = &mut self.pools[key.pool];
        pool.follow();
        let store = pool.settings().mode;
        self.store(store, key, value)
    }

    /// Writes an item if `store` allows it, for the lifetime of the key, else of the pool.
    ///
    /// # Errors
    /// [`Refusal::Value`]; those of [`Pool::route`].
    fn store(&mut self, store: Store, key: &Key, value: Value<'_>) -> Result<Written, Error> {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = value.encode(&mut room);
        if value.len() > MAX_VALUE {
            let what = format_args!("set of key '{}'", key.wire);
            return Err(self.refuse(key.pool, what, Refusal::Value));
        }
        let pool = &self.pools[key.pool];
        pool.stats().sets.count();
        let lifetime = key.expire.unwrap_or(pool.settings().expire);
        let request = Request::Store {
            store,
            key: &key.wire,
            flags,
            lifetime: lifetime.on_wire(),
            value,
        };
        let reply = self.perform(key, &request, &mut Vec::new())?;
        Ok(match reply {
            Reply::NotStored => Written::NotStored,
            _ => Written::Stored,
        })
    }

    /// Removes an item. `None` means that it was not there.
    ///
    /// # Errors
    /// Those of [`Pool::route`].
    pub fn delete(&mut self, key: &Key) -> Result<Option<Deleted>, Error> {
        self.stats(key).deletes.count();
        let reply = self.perform(key, &Request::Delete { key: &key.wire }, &mut Vec::new())?;
        Ok((reply == Reply::Deleted).then_some(Deleted))
    }

    /// Changes an item's lifetime to `lifetime` seconds; the value is not sent. `None` means that the
    /// item is not there.
    ///
    /// # Errors
    /// [`Refusal::Operand`], [`Refusal::Lifetime`]; those of [`Pool::route`].
    pub fn touch(&mut self, key: &Key, lifetime: Value<'_>) -> Result<Option<Touched>, Error> {
        let lifetime = operand(lifetime)
            .ok_or(Refusal::Operand)
            .and_then(Lifetime::new);
        let lifetime = match lifetime {
            Ok(lifetime) => lifetime.on_wire(),
            Err(refusal) => {
                let what = format_args!("touch of key '{}'", key.wire);
                return Err(self.refuse(key.pool, what, refusal));
            }
        };
        let request = Request::Touch {
            key: &key.wire,
            lifetime,
        };
        self.stats(key).touches.count();
        let reply = self.perform(key, &request, &mut Vec::new())?;
        Ok((reply == Reply::Touched).then_some(Touched))
    }

    /// Counts an item up or down by `by`; a negative number reverses the direction. Returns the new
    /// number, or `None` if the item is not there.
    ///
    /// # Errors
    /// [`Refusal::Operand`]; those of [`Pool::route`].
    pub fn count(&mut self, way: Way, key: &Key, by: Value<'_>) -> Result<Option<u64>, Error> {
        let Some(by) = operand(by) else {
            let what = format_args!("count of key '{}'", key.wire);
            return Err(self.refuse(key.pool, what, Refusal::Operand));
        };
        let way = if by < 0 { way.reversed() } else { way };
        let request = Request::Count {
            way,
            key: &key.wire,
            by: by.unsigned_abs(),
        };
        self.stats(key).counts.count();
        match self.perform(key, &request, &mut Vec::new())? {
            Reply::Counted(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Counts and logs that `what` was refused for the pool of that index, and why. Returns the error
    /// that the operation ends with.
    #[cold]
    pub fn refuse(&mut self, pool: usize, what: impl Display, refusal: Refusal) -> Error {
        let error = Error::Refused(refusal);
        self.pools[pool].stats().note_failure(&error);
        self.log(what, &error);
        error
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

    /// Gets the answer to a request. Counts and logs a failure.
    #[inline(always)]
    fn perform(
        &mut self,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let reply = self.pools[key.pool].route(&key.wire, key.hash, request, value);
        match &reply {
            Ok(Reply::Miss) => {
                let verb = request.kind().verb();
                log::debug!("{verb}: no item with key '{}'", key.wire);
            }
            // The pool has logged what is the server's fault, once for all operations.
            Err(error) => {
                self.stats(key).note_failure(error);
                if error.is_refusal() {
                    let what = format_args!("{} of key '{}'", request.kind().verb(), key.wire);
                    self.log(what, error);
                }
            }
            Ok(_) => {}
        }
        reply
    }

    #[cold]
    fn log(&mut self, what: impl Display, error: &Error) {
        if let Some(left_out) = self.log_limit.admit(Moment::now()) {
            log::error!("{what}: {}: {error}{left_out}", Status::of_error(error));
        }
    }
}
