//! Transfer: an item that a server does not have comes over from its [source](super::source).
//!
//! **Nothing newer is replaced.** What comes over is [added](Store::Add), or stored by the holder of a lease,
//! never set.
//!
//! **Nothing that was removed comes back.** Whoever [removes](super::removal) an item removes it from its source
//! first, and then here. Who brings it over looks at the source once more after it has stored it. If the item
//! is gone there, somebody may have removed it here, too, before it was stored: then it is removed again. So
//! it may be read for as long as that question takes, and not longer. The same is done if there is no answer: the
//! server may have stored it. What it stores later, when nobody waits for it any more, stays.
//!
//! A placeholder in its place, as a lease has one, would leave no time at all. But others would read it, each of
//! them a miss, and a lock that is added meanwhile would be refused.
//!
//! All of this happens within the time of the operation that has found nothing.

use super::large::Index;
use super::outcome::{Read, Written};
use super::source::{Now, Source};
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, Waiting};
use crate::item::value::Found;
use crate::pool::{Aim, Fulfilment};
use crate::sys;
use crate::wire::connection::Number;
use crate::wire::protocol::{Item, Reply, Request, Store};

/// The lease of a missing item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placeholder {
    /// The version with which it was given.
    pub(super) version: u64,
    /// The connection on which it was given.
    pub(super) connection: Number,
}

impl Cache {
    /// Gets the answer to a request for which the item must be there. If it is not, it comes over, and the
    /// server is asked again.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[inline(always)]
    pub(super) fn perform_with_item(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        match self.perform_within(deadline, key, request, value)? {
            nothing @ (Reply::Miss | Reply::NotStored) => {
                match self.may_be_there_now(deadline, key) {
                    true => self.perform_after(deadline, key, request, value),
                    false => Ok(nothing),
                }
            }
            reply => Ok(reply),
        }
    }

    /// Has the item come over that was not found. Returns whether it may be there now.
    #[cold]
    pub(super) fn may_be_there_now(&mut self, deadline: &Deadline, key: &Key) -> bool {
        let is_there = self.transfer(deadline, key, &mut Vec::new()).is_some();
        // Another process may have brought it over, and removed it at the stand-in.
        let has_time = deadline.rest().is_some();
        is_there || has_time && self.may_be_at_stand_in(key, Aim::Find)
    }

    /// Gets the answer to a request in what is left of the time of an operation.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn perform_after(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let rest = self.rest(deadline, key)?;
        self.pools[key.pool].follow();
        self.perform_within(&rest, key, request, value)
    }

    /// What is left of the time of an operation.
    ///
    /// # Errors
    /// [`Error::Timeout`], with which the operation fails.
    pub(super) fn rest(&mut self, deadline: &Deadline, key: &Key) -> Result<Deadline, Error> {
        let rest = deadline.rest();
        rest.ok_or_else(|| self.fail(key, Error::Timeout(Waiting::Send)))
    }

    /// The operation fails with that, which is not counted yet.
    pub(super) fn fail(&mut self, key: &Key, error: Error) -> Error {
        self.stats(key).note_failure(&error);
        error
    }

    /// Gets the answer to a request that is none of the operation's own, as [`Self::perform_after`] does. How that
    /// ends makes no difference to the statistics.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn ask_besides(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let rest = deadline.rest().ok_or(Error::Timeout(Waiting::Send))?;
        let _change = match request.kind().writes() {
            true => self.change(key),
            false => None,
        };
        let pool = &mut self.pools[key.pool];
        pool.follow();
        let reply = pool.route(&rest, &key.wire, key.hash, request, value);
        self.log_if_refused(key, request.kind().verb(), reply)
    }

    /// Logs the refusal of such a request.
    pub(super) fn log_if_refused(
        &mut self,
        key: &Key,
        verb: &'static str,
        reply: Result<Reply, Error>,
    ) -> Result<Reply, Error> {
        reply.inspect_err(|error| self.log_refusal(key, verb, error))
    }

    /// Reads an item that was not found in its pool.
    ///
    /// # Errors
    /// Those of [`Self::read_item`].
    #[cold]
    pub(super) fn read_elsewhere(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Result<Read, Error> {
        match self.transfer(deadline, key, text) {
            Some(item) => self.read_item(deadline, key, item, text),
            None => {
                self.stats(key).misses.count();
                Ok(Read::Miss)
            }
        }
    }

    /// Reads an item in whose place there is the placeholder of a lease: this process's own, or another one's,
    /// which stays. What cannot be read is computed anew, and is a miss.
    #[cold]
    pub(super) fn read_for_lease(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        placeholder: Option<Placeholder>,
        text: &mut Vec<u8>,
    ) -> Option<Found> {
        let mut source = self.find(deadline, key, text)?;
        // Before it takes the place of the placeholder, and nobody has the lease any more.
        let mut read = Vec::new();
        read.try_reserve_exact(text.len() + 1).ok()?;
        read.extend_from_slice(text);
        let found = self
            .value_of(deadline, key, source.item, &mut read)
            .ok()??;
        source.lifetime = source.lifetime.filter(|_| placeholder.is_some());
        if let (Some(lifetime), Some(placeholder)) = (source.lifetime, placeholder) {
            let mut fulfilment = Fulfilment {
                key: &key.wire,
                flags: source.item.flags,
                lifetime,
                value: text,
                version: placeholder.version,
                connection: placeholder.connection,
                is_tried: false,
            };
            let rest = deadline.rest()?;
            let _change = self.change(key);
            let pool = &mut self.pools[key.pool];
            let stored = match source.owner() {
                Some(owner) if pool.owner_of(&key.wire) != Some(owner) => Err(Error::Busy),
                Some(_) => pool.fulfil_at_owner(&rest, &mut fulfilment, key.hash),
                None => pool.fulfil(&rest, &mut fulfilment, key.hash),
            };
            let stored = self.log_if_refused(key, "set", stored);
            self.after_transfer(deadline, key, &source, text, stored)?;
        }
        *text = read;
        self.stats(key).hits.count();
        Some(found)
    }

    /// Writes an item, in parts if it has that index, if there is none, and none that could come over.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn add_new(
        &mut self,
        key: &Key,
        (flags, value): (u32, &[u8]),
        index: Option<Index>,
    ) -> Result<Written, Error> {
        let deadline = self.pools[key.pool].begin();
        let _change = self.change(key);
        self.stats(key).sets.count();
        if self.transfer(&deadline, key, &mut Vec::new()).is_some() {
            return Ok(Written::NotStored);
        }
        if let Some(index) = index {
            return self.store_large(&deadline, Store::Add, key, index, value);
        }
        let request = Request::Store {
            store: Store::Add,
            key: &key.wire,
            flags,
            lifetime: self.lifetime(key).on_wire(),
            value,
        };
        match self.perform_after(&deadline, key, &request, &mut Vec::new())? {
            Reply::NotStored => self.not_stored(&deadline, Store::Add, key, &request),
            _ => Ok(Written::Stored),
        }
    }

    /// Has the item come over that was not found. Its bytes are in `bytes`, in the form of its pool.
    #[cold]
    pub(super) fn transfer(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        bytes: &mut Vec<u8>,
    ) -> Option<Item> {
        let source = self.find(deadline, key, bytes)?;
        sys::preempt();
        if let Some(lifetime) = source.lifetime {
            let store = match sys::planted("what comes over replaces what is there") {
                true => Store::Set,
                false => Store::Add,
            };
            let request = Request::Store {
                store,
                key: &key.wire,
                flags: source.item.flags,
                lifetime,
                value: bytes,
            };
            let stored = self.give(deadline, key, &source, &request, &mut Vec::new());
            self.after_transfer(deadline, key, &source, bytes, stored)?;
        }
        Some(source.item)
    }

    /// Gets the answer to a request about an item that comes over. What was at the stand-in of the owner of the key, or
    /// at another copy, concerns the owner alone: whoever stood in for it now would have it back that was removed
    /// there.
    ///
    /// # Errors
    /// Those of [`Self::ask_besides`]; [`Error::Busy`] if another server owns the key now.
    pub(super) fn give(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        source: &Source,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let Some(owner) = source.owner() else {
            return self.ask_besides(deadline, key, request, value);
        };
        let rest = deadline.rest().ok_or(Error::Timeout(Waiting::Send))?;
        let _change = match request.kind().writes() {
            true => self.change(key),
            false => None,
        };
        let pool = &mut self.pools[key.pool];
        pool.follow();
        if pool.owner_of(&key.wire) != Some(owner) {
            return Err(Error::Busy);
        }
        let reply = pool.ask_owner(&rest, (&key.wire, key.hash), request, value);
        self.log_if_refused(key, request.kind().verb(), reply)
    }

    /// An item was to be stored, and this is the answer. `None` = it was removed meanwhile.
    fn after_transfer(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        source: &Source,
        bytes: &[u8],
        stored: Result<Reply, Error>,
    ) -> Option<()> {
        let is_stored = match stored {
            Ok(Reply::Stored) => true,
            Err(error) if error.is_open() => false,
            _ => return Some(()),
        };
        if is_stored {
            source.counter(self.stats(key)).count();
        }
        let now = match sys::planted("what comes over is not looked at again") {
            true => Now::Same,
            false => self.look_again(deadline, source, bytes),
        };
        // Where nobody can tell either, the item is not removed: a newer one might go with it.
        if now == Now::Gone || now == Now::Other && is_stored {
            self.undo(deadline, key, source, bytes);
        }
        (now != Now::Gone).then_some(())
    }
}
