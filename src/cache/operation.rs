//! Operation: one method for each operation on an item.
//!
//! Each makes a request, has it performed, and returns the answer, or an [`Error`] that says why there is
//! none.

use super::outcome::{Read, Written};
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, Refusal};
use crate::item::lifetime::Lifetime;
use crate::item::value::{MAX_DECIMAL, Value, operand};
use crate::pool::Counter;
use crate::status::Status;
use crate::wire::protocol::{Reply, Request, Store, Way};

impl Cache {
    /// Reads an item. If it is there, its text is in `text`.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route) and of [`Self::read_item`].
    #[inline(always)]
    pub fn get(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Read, Error> {
        if self.has_asked
            && let Some(read) = self.get_ahead(key, text)
        {
            return read;
        }
        if self.has_near_caches() {
            return self.get_near(key, text);
        }
        self.get_afar(key, text)
    }

    /// Has the server answer.
    #[inline(always)]
    pub(super) fn get_afar(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Read, Error> {
        let deadline = self.pools[key.pool].begin();
        let reply = self.perform_within(&deadline, key, &Request::Get { key: &key.wire }, text);
        self.found(&deadline, key, reply, text)
    }

    /// What a server has answered to a read.
    #[inline(always)]
    pub(super) fn found(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        reply: Result<Reply, Error>,
        text: &mut Vec<u8>,
    ) -> Result<Read, Error> {
        match reply {
            Ok(Reply::Item(item)) => self.read_item(deadline, key, item, text),
            Ok(_) if self.has_source(key) => self.read_elsewhere(deadline, key, text),
            Ok(_) => {
                self.stats(key).misses.count();
                Ok(Read::Miss)
            }
            Err(error) => {
                self.stats(key).failed_gets.count();
                Err(error)
            }
        }
    }

    /// Writes an item, as the `mode` of its pool says.
    ///
    /// # Errors
    /// Those of [`Self::store`].
    #[inline(always)]
    pub fn assign(&mut self, key: &Key, value: Value<'_>) -> Result<Written, Error> {
        let pool = &mut self.pools[key.pool];
        pool.follow();
        let store = pool.settings().mode;
        self.put(store, key, value)
    }

    /// The same; if this process has the lease of the key, it writes what the holder has computed.
    ///
    /// # Errors
    /// Those of [`Self::store`].
    pub(super) fn put(
        &mut self,
        store: Store,
        key: &Key,
        value: Value<'_>,
    ) -> Result<Written, Error> {
        if !self.leases.are_none()
            && let Some(done) = self.fulfil(key, value)
        {
            return done;
        }
        self.store(store, key, value)
    }

    /// Writes an item if `store` allows it, for the lifetime of the key, else of the pool.
    ///
    /// # Errors
    /// [`Refusal::Value`]; those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn store(
        &mut self,
        store: Store,
        key: &Key,
        value: Value<'_>,
    ) -> Result<Written, Error> {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = self.encoded(key, value, &mut room)?;
        if self.pools[key.pool].settings().stores_in_steps {
            return self.store_packed(store, key, flags, value);
        }
        self.store_bytes(store, key, flags, value)
    }

    /// Writes an item with these flags and bytes.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[inline(always)]
    pub(super) fn store_bytes(
        &mut self,
        store: Store,
        key: &Key,
        flags: u32,
        value: &[u8],
    ) -> Result<Written, Error> {
        let request = Request::Store {
            store,
            key: &key.wire,
            flags,
            lifetime: self.lifetime(key).on_wire(),
            value,
        };
        self.stats(key).sets.count();
        if store == Store::Set && self.defers(key, &request) {
            return Ok(Written::Sent);
        }
        let deadline = self.pools[key.pool].begin();
        match self.perform_within(&deadline, key, &request, &mut Vec::new())? {
            Reply::NotStored => self.not_stored(&deadline, store, key, &request),
            _ => Ok(Written::Stored),
        }
    }

    /// An item was not stored. If that is because it is not there, it may come over; if because a part of it is missing
    /// that is there, it is removed.
    #[cold]
    pub(super) fn not_stored(
        &mut self,
        deadline: &Deadline,
        store: Store,
        key: &Key,
        request: &Request<'_>,
    ) -> Result<Written, Error> {
        let is_ready = match store {
            Store::Add => self.splits(key) && self.remove_broken(deadline, key),
            _ => self.transfer(deadline, key, &mut Vec::new()).is_some(),
        };
        if is_ready {
            let reply = self.perform_after(deadline, key, request, &mut Vec::new())?;
            if reply == Reply::Stored {
                return Ok(Written::Stored);
            }
        }
        Ok(Written::NotStored)
    }

    /// The lifetime of the key, else of its pool.
    pub(super) fn lifetime(&self, key: &Key) -> Lifetime {
        let default = || self.pools[key.pool].settings().expire;
        key.expire.unwrap_or_else(default)
    }

    /// Removes an item: `deleted`, `miss` or `sent`.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub fn delete(&mut self, key: &Key) -> Result<Status, Error> {
        self.stats(key).deletes.count();
        if self.is_removed_elsewhere(key) {
            return self.delete_everywhere(key);
        }
        let request = Request::Delete { key: &key.wire };
        if !self.splits(key) && self.defers(key, &request) {
            return Ok(Status::Sent);
        }
        let deadline = self.pools[key.pool].begin();
        self.delete_here(&deadline, key)
    }

    /// The same in the pool of the key alone: `deleted` or `miss`.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[inline(always)]
    pub(super) fn delete_here(&mut self, deadline: &Deadline, key: &Key) -> Result<Status, Error> {
        if self.splits(key) {
            return self.delete_large(deadline, key);
        }
        let request = Request::Delete { key: &key.wire };
        let reply = self.perform_within(deadline, key, &request, &mut Vec::new())?;
        Ok(match reply {
            Reply::Deleted => Status::Deleted,
            _ => Status::Miss,
        })
    }

    /// Changes an item's lifetime to `lifetime` seconds; the value is not sent: `touched`, `miss` or
    /// `sent`.
    ///
    /// # Errors
    /// [`Refusal::Operand`], [`Refusal::Lifetime`]; those of [`Pool::route`](crate::pool::Pool::route).
    pub fn touch(&mut self, key: &Key, lifetime: Value<'_>) -> Result<Status, Error> {
        let lifetime = operand(lifetime)
            .ok_or(Refusal::Operand)
            .and_then(Lifetime::new);
        match lifetime {
            Ok(lifetime) => self.change_lifetime(key, lifetime),
            Err(refusal) => {
                let what = format_args!("touch of key '{}'", key.wire);
                Err(self.refuse(key.pool, what, refusal))
            }
        }
    }

    /// The same for a lifetime that was checked.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn change_lifetime(&mut self, key: &Key, to: Lifetime) -> Result<Status, Error> {
        self.stats(key).touches.count();
        if self.splits(key) {
            return self.touch_large(key, to);
        }
        let request = Request::Touch {
            key: &key.wire,
            lifetime: to.on_wire(),
        };
        if !self.has_source(key) && self.defers(key, &request) {
            return Ok(Status::Sent);
        }
        let deadline = self.pools[key.pool].begin();
        let stood_in = self.pools[key.pool].stood_in();
        let reply = self.perform_with_item(&deadline, key, &request, &mut Vec::new())?;
        if !matches!(reply, Reply::Touched) {
            return Ok(Status::Miss);
        }
        self.outdate(&deadline, key, stood_in);
        Ok(Status::Touched)
    }

    /// Counts an item up or down by `by`; a negative number reverses the direction. Returns the new
    /// number, or `None` if the item is not there.
    ///
    /// # Errors
    /// [`Refusal::Operand`]; those of [`Pool::route`](crate::pool::Pool::route).
    #[inline(always)]
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
        let mut deadline = self.pools[key.pool].begin();
        if self.splits(key) {
            deadline = self.look_before_counting(&deadline, key)?;
        }
        match self.perform_with_item(&deadline, key, &request, &mut Vec::new())? {
            Reply::Counted(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Counts an item up or down by `by`, or stores `initial` where there is none, for the lifetime of the
    /// key, else of the pool. Exactly one of all callers creates it. Returns the number that is stored now.
    ///
    /// # Errors
    /// Those of [`Pool::count_or_create`](crate::pool::Pool::count_or_create).
    pub(super) fn count_or_create(
        &mut self,
        way: Way,
        key: &Key,
        by: i64,
        initial: u64,
    ) -> Result<Option<u64>, Error> {
        let counter = Counter {
            key: &key.wire,
            way: if by < 0 { way.reversed() } else { way },
            by: by.unsigned_abs(),
            initial,
            lifetime: self.lifetime(key).on_wire(),
        };
        self.stats(key).counts.count();
        let mut deadline = self.pools[key.pool].begin();
        if self.splits(key) {
            deadline = self.look_before_counting(&deadline, key)?;
        }
        if self.has_source(key) {
            // What may come over is not to be created.
            let Counter {
                key: wire, way, by, ..
            } = counter;
            let request = Request::Count { way, key: wire, by };
            let reply = self.perform_with_item(&deadline, key, &request, &mut Vec::new())?;
            if let Reply::Counted(number) = reply {
                return Ok(Some(number));
            }
            deadline = self.rest(&deadline, key)?;
        }
        let _change = self.change(key);
        let reply = self.pools[key.pool].count_or_create(&deadline, &counter, key.hash);
        self.note(key, || "count", &reply);
        match reply? {
            Reply::Counted(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }
}
