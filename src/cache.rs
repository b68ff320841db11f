//! Cache: the pools of this process, and the one way to use them.
//!
//! [`operation`] has a method for each operation; [`call`] does one by its name. All of them have the pool
//! of the key route their request to a server.

use std::fmt::Display;

use crate::clock::{Deadline, Moment};
use crate::config::{DeclaredPool, Tunable};
use crate::error::{Error, Refusal};
use crate::health::log_limit::LogLimit;
use crate::item::key::WireKey;
use crate::item::lifetime::Lifetime;
use crate::item::value::Numbers;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::stats::{Statistic, Stats};
use crate::status::Status;
use crate::sys;
use crate::wire::protocol::{Reply, Request};

mod call;
mod extension;
mod form;
mod inspection;
mod large;
mod lease;
mod many;
mod near;
mod operation;
mod outcome;
mod removal;
mod source;
mod transfer;
mod version;

pub(crate) use crate::pool::Message;
pub(crate) use call::{Answer, Operand, Verb};
pub(crate) use inspection::Inspected;
use lease::Leases;
pub(crate) use many::Items;
pub(crate) use near::Near;
pub(crate) use outcome::Read;

/// The pools of this process.
#[derive(Debug)]
pub struct Cache {
    pools: Vec<Pool>,
    numbers: Numbers,
    /// The near cache of each pool that has one; empty if no pool has.
    near: Vec<Option<Near>>,
    /// The SIP message for which the script runs.
    message: Message,
    /// Whether it has asked for items ahead.
    has_asked: bool,
    /// Whether every write waits for its answer, whatever its pool says.
    waits: bool,
    /// Limits the log lines about requests that this module or a server refuses.
    log_limit: LogLimit,
    /// The leases that this process holds.
    leases: Leases,
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

    /// As it is sent.
    pub fn wire(&self) -> &WireKey {
        &self.wire
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
            near: Vec::new(),
            message: Message::default(),
            has_asked: false,
            waits: false,
            log_limit: LogLimit::default(),
            leases: Leases::default(),
        }
    }

    /// This process has just been forked: what its parent holds, owes and has not counted yet is the parent's.
    pub fn leave_to_parent(&mut self) {
        self.pools.iter_mut().for_each(Pool::leave_to_parent);
        self.near
            .iter_mut()
            .flatten()
            .for_each(Near::leave_to_parent);
        self.leases = Leases::default();
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

    /// Counts and logs that `what` was refused for the pool of that index, and why. Returns the error
    /// that the operation ends with.
    #[cold]
    pub fn refuse(&mut self, pool: usize, what: impl Display, refusal: Refusal) -> Error {
        let error = Error::Refused(refusal);
        self.note_failure(pool, what, &error);
        error
    }

    /// Counts and logs that `what` has failed in the pool of that index.
    #[cold]
    pub fn note_failure(&mut self, pool: usize, what: impl Display, error: &Error) {
        self.pools[pool].stats().note_failure(error);
        self.log(what, error);
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

    /// Gets the answer to a request under the deadline of an operation that has begun. Counts and logs a
    /// failure.
    #[inline(always)]
    fn perform_within(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let _change = match request.kind().writes() {
            true => self.change(key),
            false => None,
        };
        let pool = &mut self.pools[key.pool];
        let reply = pool.route(deadline, &key.wire, key.hash, request, value);
        self.note(key, || request.kind().verb(), &reply);
        reply
    }

    /// Counts and logs a failure.
    #[inline(always)]
    fn note(
        &mut self,
        key: &Key,
        verb: impl FnOnce() -> &'static str,
        reply: &Result<Reply, Error>,
    ) {
        match reply {
            Ok(Reply::Miss) => log::debug!("{}: no item with key '{}'", verb(), key.wire),
            Err(error) => self.note_failure_of_key(key, verb(), error),
            Ok(_) => {}
        }
    }

    /// Counts and logs a failure. The pool has logged what is the server's fault, once for all operations.
    #[cold]
    fn note_failure_of_key(&mut self, key: &Key, verb: &'static str, error: &Error) {
        self.stats(key).note_failure(error);
        self.log_refusal(key, verb, error);
    }

    /// Logs a refusal of what an operation has asked for the key.
    fn log_refusal(&mut self, key: &Key, verb: &'static str, error: &Error) {
        if error.is_refusal() {
            self.log(format_args!("{verb} of key '{}'", key.wire), error);
        }
    }

    #[cold]
    fn log(&mut self, what: impl Display, error: &Error) {
        if let Some(left_out) = self.log_limit.admit(Moment::now()) {
            log::error!("{what}: {}: {error}{left_out}", Status::of_error(error));
        }
    }
}
