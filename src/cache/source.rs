//! Source: where an item may be that its server does not have: at the [stand-in](crate::pool::Aim) of a server
//! that has come back lately, and in the pool from which its pool warms.
//!
//! A source gets half of the time that is left to answer. So one that is silent leaves time for the rest of the
//! operation.

use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, TooLarge, Waiting};
use crate::item::lifetime::Lifetime;
use crate::item::value::{Found, MAX_DECIMAL, Numbers, Value};
use crate::pool::{Aim, is_placeholder};
use crate::server::Address;
use crate::stats::{Counter, Stats};
use crate::wire::protocol::{Item, Reply, Request, Usage};

/// A place where an item may be.
pub(super) struct Place {
    /// Its key in the pool of this place.
    pub(super) key: Key,
    /// The server that owns the key, if not that one is asked, but its stand-in.
    stand_in_of: Option<Address>,
}

/// An item at its source.
pub(super) struct Source {
    /// Where it was found.
    pub(super) place: Place,
    /// The item, in the form of the pool to which it comes over.
    pub(super) item: Item,
    /// The lifetime with which it is to be stored, as it is sent; `None` = it is in parts in another pool, and
    /// stays there.
    pub(super) lifetime: Option<u32>,
}

/// What is now where an item has come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Now {
    /// That item.
    Same,
    /// None.
    Gone,
    /// Another one, or nobody could tell.
    Other,
}

impl Place {
    /// Whether it is not the server that owns the key there.
    pub(super) fn is_at_stand_in(&self) -> bool {
        self.stand_in_of.is_some()
    }
}

impl Source {
    /// The server that owns the key, if the item is at its stand-in, or is another copy. It alone gets the item back.
    pub(super) fn owner(&self) -> Option<&Address> {
        self.place.stand_in_of.as_ref()
    }

    /// What counts the items that come over from there.
    pub(super) fn counter<'a>(&self, stats: &'a Stats) -> &'a Counter {
        match self.owner() {
            Some(_) => &stats.repaired,
            None => &stats.warmed,
        }
    }
}

impl Cache {
    /// Whether an item that its server does not have may be elsewhere.
    #[inline(always)]
    pub(super) fn has_source(&mut self, key: &Key) -> bool {
        self.pools[key.pool].settings().has_sources && self.may_be_elsewhere(key, Aim::Find)
    }

    /// Whether an item that is removed must be removed elsewhere, too.
    #[inline(always)]
    pub(super) fn is_removed_elsewhere(&mut self, key: &Key) -> bool {
        let pool = &mut self.pools[key.pool];
        pool.follow();
        pool.settings().has_sources && self.may_be_elsewhere(key, Aim::Remove)
    }

    #[cold]
    fn may_be_elsewhere(&mut self, key: &Key, aim: Aim) -> bool {
        let pool = &mut self.pools[key.pool];
        let wanted = (&key.wire, key.hash);
        pool.settings().warm_from.is_some()
            || pool.may_be_at_stand_in(wanted, aim)
            || aim == Aim::Remove && pool.may_come_back(wanted)
    }

    /// The server that is asked for the item if its owner does not have it, for people; `None` = nobody is.
    pub(crate) fn asked_after_miss(&mut self, key: &Key) -> Option<String> {
        match self.may_be_at_stand_in(key, Aim::Find) {
            true => self.pools[key.pool].stand_in_label((&key.wire, key.hash)),
            false => None,
        }
    }

    /// Whether it may be at the stand-in of its own pool.
    #[cold]
    pub(super) fn may_be_at_stand_in(&mut self, key: &Key, aim: Aim) -> bool {
        self.pools[key.pool].may_be_at_stand_in((&key.wire, key.hash), aim)
    }

    /// Looks for the item wherever it may be. Its bytes are in `bytes`, in the form of the pool of the key.
    pub(super) fn find(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        bytes: &mut Vec<u8>,
    ) -> Option<Source> {
        for place in self.sources(key, Aim::Find) {
            let Some((item, lifetime)) = self.inspect_source(deadline, key, &place, bytes) else {
                continue;
            };
            // Its parts have stand-ins of their own, and come over when they are missing.
            if place.is_at_stand_in() && self.form(key).is_split(item.flags) {
                let lifetime = Some(lifetime);
                return Some(Source {
                    place,
                    item,
                    lifetime,
                });
            }
            let whole = self.whole(deadline, &place.key, item, bytes).ok()??;
            let item = self.converted(key, &place.key, whole.item, bytes)?;
            return Some(Source {
                place,
                item,
                lifetime: (whole.parts == 1).then_some(lifetime),
            });
        }
        None
    }

    /// Reads the item of a source, and with which lifetime it is to be stored. One that is out of date, or ends
    /// within a second, is none.
    fn inspect_source(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        place: &Place,
        bytes: &mut Vec<u8>,
    ) -> Option<(Item, u32)> {
        let found = match self.inspect_at(deadline, place, bytes).ok()? {
            Reply::Lasting(_, left, lease) if left == 0 || lease.is_stale => None,
            Reply::Lasting(item, Usage::FOR_EVER, _) => Some((item, 0)),
            Reply::Lasting(item, left, _) => Some((item, Lifetime::from(left).on_wire())),
            Reply::Item(item) => Some((item, self.pools[key.pool].settings().expire.on_wire())),
            _ => None,
        };
        let are_leased = [key, &place.key].map(|key| self.pools[key.pool].leases().are_used());
        found.filter(|(item, _)| are_leased == [false; 2] || !is_placeholder(*item, bytes))
    }

    fn inspect_at(
        &mut self,
        deadline: &Deadline,
        place: &Place,
        bytes: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let half = deadline.half().ok_or(Error::Timeout(Waiting::Send))?;
        let (key, pool) = (&place.key, &mut self.pools[place.key.pool]);
        pool.follow();
        let request = Request::GetLasting { key: &key.wire };
        let reply = match place.is_at_stand_in() {
            true => pool.inspect_at_stand_in(&half, (&key.wire, key.hash), request, bytes),
            false => pool.inspect(&half, &key.wire, None, request, bytes),
        };
        self.log_if_refused(key, "get", reply)
    }

    /// The item of a source in the form of the pool of the key.
    fn converted(
        &mut self,
        key: &Key,
        source: &Key,
        item: Item,
        bytes: &mut Vec<u8>,
    ) -> Option<Item> {
        let (from, to) = (self.form(source), self.form(key));
        if from == to {
            return Some(item);
        }
        let limit = self.pools[key.pool].settings().value_limit;
        let value = match from.decode(item.flags, bytes, limit, Numbers::Bits64) {
            Ok(Found::Integer(number)) => Value::Integer(number),
            Ok(Found::Text) => Value::Text(bytes),
            Ok(Found::Null) => return None,
            Err(error) => {
                self.note_failure_of_key(source, "get", &error);
                return None;
            }
        };
        let mut room = [0; MAX_DECIMAL];
        let (flags, encoded) = to.encode(value, &mut room);
        let mut converted = Vec::new();
        if converted.try_reserve_exact(encoded.len()).is_err() {
            let error = Error::TooLarge(TooLarge::ForMemory(encoded.len()));
            self.note_failure_of_key(source, "get", &error);
            return None;
        }
        converted.extend_from_slice(encoded);
        *bytes = converted;
        Some(Item { flags })
    }

    /// What an item that has come over is now where it came from: somebody may have removed it there meanwhile. At
    /// a stand-in an operation that has begun before the return of the owner may have changed it. How another pool
    /// changes its item is that pool's affair.
    pub(super) fn look_again(&mut self, deadline: &Deadline, source: &Source, bytes: &[u8]) -> Now {
        let place = &source.place;
        if place.is_at_stand_in() {
            let mut present = Vec::new();
            let reply = self.inspect_at(deadline, place, &mut present);
            let is_same = |item: Item| item == source.item && present == bytes;
            return match reply {
                Ok(Reply::Miss) => Now::Gone,
                // It may be marked as out of date.
                Ok(Reply::Lasting(item, _, lease)) if is_same(item) && !lease.is_stale => Now::Same,
                Ok(Reply::Item(item)) if is_same(item) => Now::Same,
                _ => Now::Other,
            };
        }
        let request = Request::Get {
            key: &place.key.wire,
        };
        let Some(half) = deadline.half() else {
            return Now::Other;
        };
        match self.ask_besides(&half, &place.key, &request, &mut Vec::new()) {
            Ok(Reply::Miss) => Now::Gone,
            Ok(_) => Now::Same,
            Err(_) => Now::Other,
        }
    }

    /// Removes the item from a place. Returns whether it was there.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn delete_at(&mut self, deadline: &Deadline, place: &Place) -> Result<bool, Error> {
        let key = &place.key;
        let reply = match place.is_at_stand_in() {
            true => self.delete_at_stand_in(deadline, key),
            false => {
                let request = Request::Delete { key: &key.wire };
                let half = deadline.half().ok_or(Error::Timeout(Waiting::Send))?;
                self.ask_besides(&half, key, &request, &mut Vec::new())
            }
        };
        Ok(reply? == Reply::Deleted)
    }

    /// Removes the item of the key at the stand-in.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn delete_at_stand_in(
        &mut self,
        deadline: &Deadline,
        key: &Key,
    ) -> Result<Reply, Error> {
        let half = deadline.half();
        let _change = self.change(key);
        let pool = &mut self.pools[key.pool];
        let reply = pool.delete_at_stand_in(half.as_ref(), (&key.wire, key.hash));
        self.log_if_refused(key, "delete", reply)
    }

    /// Where the item may be, the nearest place first. Where several pools have the same server for it, it is the
    /// same item.
    pub(super) fn sources(&mut self, key: &Key, aim: Aim) -> Vec<Place> {
        let mut places = Vec::new();
        if self.may_be_at_stand_in(key, aim) {
            places.push(Place {
                key: *key,
                stand_in_of: self.pools[key.pool].owner_of(&key.wire).cloned(),
            });
        }
        let server = |cache: &Self, key: &Key| {
            let owner = cache.pools[key.pool].owner_of(&key.wire).cloned();
            (owner, key.wire.as_bytes().to_vec())
        };
        let mut servers = vec![server(self, key)];
        let mut source = self.source(key);
        while let Some(key) = source {
            let at = server(self, &key);
            if !servers.contains(&at) {
                places.push(Place {
                    key,
                    stand_in_of: None,
                });
            }
            servers.push(at);
            source = self.source(&key);
        }
        places
    }

    /// The key of the same item in the pool that the pool of the key warms from.
    fn source(&self, key: &Key) -> Option<Key> {
        let pool = &self.pools[key.pool];
        let name = pool.settings().warm_from.as_ref()?;
        let mut pools = self.pools.iter();
        let source = pools.position(|it| it.settings().name == *name)?;
        let text = pool.placement().key_text(key.wire.as_bytes());
        Some(Key {
            pool: source,
            wire: self.pools[source].placement().wire_key(&text).ok()?,
            hash: None,
            expire: None,
        })
    }
}

#[cfg(test)]
mod tests;
