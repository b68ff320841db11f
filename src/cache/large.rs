//! Large: a value that does not fit into one item is written in parts, and put together when it is read.
//!
//! All [parts] are written before the index, so a write that is interrupted leaves the old value or none:
//! where the old value had parts, too, these are not of the old index any more. A write with a condition looks
//! first whether that holds. If somebody else writes after this look, the condition is the server's to judge, and
//! what the other one has written in parts may be lost.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::form::Packed;
use super::outcome::Written;
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, TooLarge, Waiting};
use crate::item::key::WireKey;
use crate::pool::Aim;
use crate::wire::protocol::{Item, Reply, Request, Store};

mod lifetime;
mod parts;
mod removal;

pub(super) use parts::Index;
use parts::PART;

/// An item of which all parts are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    /// The item, as if it had been stored in one.
    pub(super) item: Item,
    /// The number of its parts, or 1.
    pub(super) parts: usize,
}

impl Cache {
    /// True if large values of the pool are written in parts.
    #[inline(always)]
    pub(super) fn splits(&self, key: &Key) -> bool {
        self.pools[key.pool].settings().large_values
    }

    /// Makes the item that was read whole. If it is split, the index is in `text`, which becomes the bytes of
    /// the whole. `None` = a part is missing, or is of another value: the item has just been overwritten, or
    /// the server has dropped the part.
    ///
    /// # Errors
    /// [`Error::BrokenItem`], [`Error::TooLarge`]; `text` is then as it was. Those of
    /// [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn whole(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> Result<Option<Whole>, Error> {
        if !self.form(key).is_split(item.flags) {
            return Ok(Some(Whole { item, parts: 1 }));
        }
        let index = match Index::read(&key.wire, item.flags, text) {
            Ok(index) => index,
            Err(error) => {
                self.note_failure_of_key(key, "get", &error);
                return Err(error);
            }
        };
        let Some(value) = self.put_together(deadline, key, index)? else {
            return Ok(None);
        };
        *text = value;
        let item = Item {
            flags: index.value_flags(),
        };
        let parts = index.count;
        Ok(Some(Whole { item, parts }))
    }

    /// The bytes of the parts. They are asked for one after the other.
    fn put_together(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        index: Index,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (mut value, mut part) = (Vec::new(), Vec::new());
        for (number, part_key) in part_keys(index, key).enumerate() {
            let request = Request::Get {
                key: &part_key.wire,
            };
            let found = match self.step(deadline, &part_key, &request, &mut part)? {
                Reply::Item(item) => Some(item),
                _ if self.may_be_at_stand_in(&part_key, Aim::Find) => {
                    self.transfer(deadline, &part_key, &mut part)
                }
                _ => None,
            };
            if found.is_none_or(|item| item.flags != index.part_flags) {
                return Ok(None);
            }
            let added = match index.is_length_of(number, part.len()) {
                true => self.add(key, index, &part, &mut value),
                false => Err(Error::BrokenItem(
                    "a part of the large value has a wrong length",
                )),
            };
            if let Err(error) = added {
                self.note_failure_of_key(key, "get", &error);
                return Err(error);
            }
        }
        if !index.is_of(&value) {
            let error = Error::BrokenItem("the parts of the large value do not belong together");
            self.note_failure_of_key(key, "get", &error);
            return Err(error);
        }
        Ok(Some(value))
    }

    /// Adds a part to the bytes of a value. With the first one there is room for all.
    fn add(&self, key: &Key, index: Index, part: &[u8], value: &mut Vec<u8>) -> Result<(), Error> {
        let limit = self.pools[key.pool].settings().value_limit;
        let len = value.len() + part.len();
        if len > limit as usize {
            let len = len as u64;
            return Err(Error::TooLarge(TooLarge::ToRead { len, limit }));
        }
        let most = (index.count * PART).min(limit as usize);
        // And for the NUL that the host wants behind it.
        if value.try_reserve_exact(most - value.len() + 1).is_err() {
            return Err(Error::TooLarge(TooLarge::ForMemory(most)));
        }
        value.extend_from_slice(part);
        Ok(())
    }

    /// The index of this value in the pool of the key; `None` = it is stored in one item.
    pub(super) fn index_of(&self, key: &Key, flags: u32, value: &[u8]) -> Option<Index> {
        let splits = self.splits(key) && self.form(key).splits();
        splits.then(|| Index::of(&key.wire, flags, value)).flatten()
    }

    /// True for the length of a value that one item does not hold.
    pub(super) fn is_large(len: usize) -> bool {
        len > PART
    }

    /// Sees that there is no index at the key of a counter: memcached would take that for a number. Returns what is
    /// left of the time.
    ///
    /// # Errors
    /// [`Error::NotANumber`]; those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn look_before_counting(
        &mut self,
        deadline: &Deadline,
        key: &Key,
    ) -> Result<Deadline, Error> {
        if self.index_with_item(deadline, key)?.is_some() {
            let error = Error::NotANumber;
            self.note_failure_of_key(key, "count", &error);
            return Err(error);
        }
        self.rest(deadline, key)
    }

    /// Writes an item in parts, if `store` allows it. One that is not to be replaced was looked for elsewhere before.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn store_large(
        &mut self,
        deadline: &Deadline,
        store: Store,
        key: &Key,
        index: Index,
        value: &[u8],
    ) -> Result<Written, Error> {
        if !self.allows(deadline, store, key)? {
            return Ok(Written::NotStored);
        }
        let (flags, value) = self.write_parts(deadline, key, index, value)?;
        let lifetime = self.lifetime(key).on_wire();
        let request = write(store, &key.wire, flags, lifetime, &value);
        let stood_in = self.pools[key.pool].stood_in();
        if self.step(deadline, key, &request, &mut Vec::new())? == Reply::NotStored {
            return Ok(Written::NotStored);
        }
        self.outdate(deadline, key, stood_in);
        Ok(Written::Stored)
    }

    /// Writes the parts of a value. Returns the flags and the bytes of the index, which is to be stored then.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    fn write_parts(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        index: Index,
        value: &[u8],
    ) -> Result<(u32, Vec<u8>), Error> {
        let lifetime = self.lifetime(key).on_wire();
        for (part_key, part) in part_keys(index, key).zip(value.chunks(PART)) {
            let request = write(Store::Set, &part_key.wire, index.part_flags, lifetime, part);
            self.step(deadline, &part_key, &request, &mut Vec::new())?;
        }
        Ok((index.flags(), index.count.to_string().into_bytes()))
    }

    /// Whether the condition of a write holds now; what is to be replaced may come over. What is refused must not take
    /// the place of the parts of what is there.
    fn allows(&mut self, deadline: &Deadline, store: Store, key: &Key) -> Result<bool, Error> {
        let (mut text, request) = (Vec::new(), Request::Get { key: &key.wire });
        let found = match store {
            Store::Set => return Ok(true),
            Store::Replace => self.perform_with_item(deadline, key, &request, &mut text),
            _ => self.step(deadline, key, &request, &mut text),
        };
        let is_there = match found {
            Ok(Reply::Item(item)) if store == Store::Add => {
                !self.remove_if_broken(deadline, key, item, &mut text)
            }
            Ok(reply) => matches!(reply, Reply::Item(_)),
            Err(Error::TooLarge(_)) => true,
            Err(error) => return Err(error),
        };
        Ok(is_there != (store == Store::Add))
    }

    /// What is to be stored at a key on the condition that its item has this version: this value, or the index of
    /// its parts, which are written now. Breaks if the item has another version already.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn split_if_unchanged<'v>(
        &mut self,
        deadline: &mut Deadline,
        key: &Key,
        version: u64,
        (flags, value): Packed<'v>,
    ) -> Result<ControlFlow<Written, Packed<'v>>, Error> {
        let Some(index) = self.index_of(key, flags, &value) else {
            return Ok(ControlFlow::Continue((flags, value)));
        };
        if let Some(changed) = self.has_changed(deadline, key, version)? {
            return Ok(ControlFlow::Break(changed));
        }
        let (flags, value) = self.write_parts(deadline, key, index, &value)?;
        *deadline = self.rest(deadline, key)?;
        Ok(ControlFlow::Continue((flags, Cow::Owned(value))))
    }

    /// Why an item cannot be written on the condition that it has this version, if it has another one now.
    #[cold]
    fn has_changed(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        version: u64,
    ) -> Result<Option<Written>, Error> {
        let request = Request::Gets { key: &key.wire };
        Ok(match self.step(deadline, key, &request, &mut Vec::new())? {
            Reply::Versioned(_, now) if now == version => None,
            Reply::Versioned(..) => Some(Written::Exists),
            _ => Some(Written::Missing),
        })
    }

    /// The index of an item; `None` if it has none, and so no parts.
    fn index(&mut self, deadline: &Deadline, key: &Key) -> Result<Option<Index>, Error> {
        let mut text = Vec::new();
        let request = Request::Get { key: &key.wire };
        let found = self.step(deadline, key, &request, &mut text);
        self.index_of_item(key, found, &text)
    }

    /// The same; an item that is not there may come over.
    fn index_with_item(&mut self, deadline: &Deadline, key: &Key) -> Result<Option<Index>, Error> {
        let mut text = Vec::new();
        let request = Request::Get { key: &key.wire };
        let found = self.perform_with_item(deadline, key, &request, &mut text);
        self.index_of_item(key, found, &text)
    }

    fn index_of_item(
        &self,
        key: &Key,
        found: Result<Reply, Error>,
        text: &[u8],
    ) -> Result<Option<Index>, Error> {
        match found {
            Ok(Reply::Item(item)) if self.form(key).is_split(item.flags) => {
                Ok(Index::read(&key.wire, item.flags, text).ok())
            }
            Ok(_) | Err(Error::TooLarge(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does one request of several, in what is left of their time.
    fn step(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        match deadline.rest() {
            Some(rest) => self.perform_within(&rest, key, request, value),
            None => {
                let error = Error::Timeout(Waiting::Receive);
                self.note_failure_of_key(key, request.kind().verb(), &error);
                Err(error)
            }
        }
    }
}

fn write<'a>(
    store: Store,
    key: &'a WireKey,
    flags: u32,
    lifetime: u32,
    value: &'a [u8],
) -> Request<'a> {
    Request::Store {
        store,
        key,
        flags,
        lifetime,
        value,
    }
}

/// The keys of the parts of the item of `key`.
fn part_keys(index: Index, key: &Key) -> impl Iterator<Item = Key> + use<> {
    let key = *key;
    index.keys(&key.wire).map(move |wire| Key {
        wire,
        hash: None,
        ..key
    })
}

#[cfg(test)]
mod races;
#[cfg(test)]
mod tests;
