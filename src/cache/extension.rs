//! Extension: text is put behind a value, or before it.
//!
//! memcached does that without knowing what its bytes mean. Beside compressed bytes, or beside the index of
//! [parts](super::large), text would destroy the value. So where a pool has such items, an item is looked at first.
//! One that is more than its bytes is read, extended, and stored again if it has still the same version. If it
//! has another one, somebody else was quicker, and all of this is done again. What only another program can extend is
//! left as it is.
//!
//! Who asks how long an item lasts that is out of date gives it another version: its lease is
//! [given back](crate::pool::Pool::inspect). So that item is read again, and not asked about again.

use super::outcome::Written;
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, Refusal};
use crate::item::lifetime::Lifetime;
use crate::wire::protocol::{Item, Kind, NO_VERSION, Reply, Request, Store, Usage};

/// How often all of it is done again because others write the item meanwhile. One of them has succeeded each time.
const ROUNDS: usize = 100;

impl Cache {
    /// True if an item of the pool may be more than its bytes.
    pub(super) fn packs(&self, key: &Key) -> bool {
        let settings = self.pools[key.pool].settings();
        settings.compress_min.is_some() || settings.large_values
    }

    /// Extends an item whose value may be compressed, or in parts. Flags and lifetime stay.
    ///
    /// # Errors
    /// [`Refusal::Memory`]; [`Error::Foreign`]; [`Error::ServerError`] from a server without versions; those of
    /// [`Self::whole`], and of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(super) fn extend(
        &mut self,
        store: Store,
        key: &Key,
        text: &[u8],
    ) -> Result<Written, Error> {
        self.stats(key).sets.count();
        let deadline = &self.pools[key.pool].begin();
        // What is known of an item that has got another version.
        let mut known: Option<(Item, Vec<u8>, Lifetime)> = None;
        for _ in 0..ROUNDS {
            let (mut bytes, request) = (Vec::new(), Request::Gets { key: &key.wire });
            let rest = self.rest(deadline, key)?;
            let reply = self.perform_with_item(&rest, key, &request, &mut bytes)?;
            let Reply::Versioned(item, version) = reply else {
                return Ok(Written::NotStored);
            };
            if let Err(error) = self.form(key).check_takes_text(item.flags) {
                return Err(self.not_extended(store, key, error));
            }
            if self.takes_more(key, item, bytes.len() + text.len()) {
                return self.extend_bytes(deadline, store, key, text);
            }
            if version == NO_VERSION {
                return Err(self.not_extended(store, key, Error::without_versions()));
            }
            let lifetime = match known.take() {
                Some((same, before, lifetime)) if same == item && before == bytes => lifetime,
                _ => match self.time_left(deadline, key)? {
                    (lifetime, false) => lifetime,
                    (lifetime, true) => {
                        known = Some((item, bytes, lifetime));
                        continue;
                    }
                },
            };
            let extended = self.extended(deadline, (store, key), item, &mut bytes, text)?;
            let Some(flags) = extended else {
                return Ok(Written::NotStored);
            };
            let expire = Some(lifetime);
            let (key, packed) = (Key { expire, ..*key }, self.packed(key, flags, &bytes));
            let rest = self.rest(deadline, &key)?;
            match self.store_unchanged(rest, &key, version, packed)? {
                Written::Exists => {}
                Written::Missing => return Ok(Written::NotStored),
                done => return Ok(done),
            }
        }
        let words = "others write the item again and again";
        Err(self.not_extended(store, key, Error::ServerError(words.into())))
    }

    /// The item cannot be extended, for this reason.
    fn not_extended(&mut self, store: Store, key: &Key, error: Error) -> Error {
        self.note_failure_of_key(key, Kind::Store(store).verb(), &error);
        error
    }

    /// True if memcached can extend this item to that length itself.
    fn takes_more(&self, key: &Key, item: Item, len: usize) -> bool {
        let form = self.form(key);
        let is_bytes = !form.is_compressed(item.flags) && !form.is_split(item.flags);
        is_bytes && !(self.splits(key) && Self::is_large(len))
    }

    fn extend_bytes(
        &mut self,
        deadline: &Deadline,
        store: Store,
        key: &Key,
        text: &[u8],
    ) -> Result<Written, Error> {
        let stood_in = self.pools[key.pool].stood_in();
        let request = Request::Store {
            store,
            key: &key.wire,
            flags: 0,
            lifetime: 0,
            value: text,
        };
        let reply = self.perform_after(deadline, key, &request, &mut Vec::new())?;
        if reply == Reply::NotStored {
            return Ok(Written::NotStored);
        }
        self.outdate(deadline, key, stood_in);
        Ok(Written::Stored)
    }

    /// Makes the item that was read whole, inflates it, and puts the text beside it. Returns its flags, or `None` if
    /// a part is missing.
    fn extended(
        &mut self,
        deadline: &Deadline,
        (store, key): (Store, &Key),
        item: Item,
        bytes: &mut Vec<u8>,
        text: &[u8],
    ) -> Result<Option<u32>, Error> {
        let Some(whole) = self.whole(deadline, key, item, bytes)? else {
            return Ok(None);
        };
        let limit = self.pools[key.pool].settings().value_limit;
        let inflated = self.form(key).inflate(whole.item.flags, bytes, limit);
        let flags = inflated.map_err(|error| self.not_extended(store, key, error))?;
        if bytes.try_reserve_exact(text.len()).is_err() {
            let what = format_args!("{} of key '{}'", Kind::Store(store).verb(), key.wire);
            return Err(self.refuse(key.pool, what, Refusal::Memory));
        }
        match store {
            Store::Prepend => drop(bytes.splice(..0, text.iter().copied())),
            _ => bytes.extend_from_slice(text),
        }
        Ok(Some(flags))
    }

    /// How long the item still lasts, and whether a lease of it was given back for that. Where the server does not
    /// tell, it gets the lifetime of its pool.
    fn time_left(&mut self, deadline: &Deadline, key: &Key) -> Result<(Lifetime, bool), Error> {
        let rest = self.rest(deadline, key)?;
        let request = Request::GetLasting { key: &key.wire };
        let pool = &mut self.pools[key.pool];
        let reply = pool.inspect(&rest, &key.wire, key.hash, request, &mut Vec::new());
        self.note(key, || request.kind().verb(), &reply);
        Ok(match reply? {
            Reply::Lasting(_, Usage::FOR_EVER, lease) => (Lifetime::default(), lease.is_ours),
            Reply::Lasting(_, left, lease) => (Lifetime::from(left.max(1)), lease.is_ours),
            _ => (self.lifetime(key), false),
        })
    }
}

#[cfg(test)]
mod tests;
