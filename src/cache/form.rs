//! Form: an item that was found is read, and a value is made ready to be stored, in the form that the pool
//! has for values.

use std::borrow::Cow;

use super::outcome::{Read, Written};
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, Refusal};
use crate::item::forms::{ItemForm, kamailio};
use crate::item::value::{Found, MAX_DECIMAL, Value};
use crate::wire::protocol::{Item, MAX_VALUE, Store};

/// The flags and the bytes of an item, as they are stored.
pub(super) type Packed<'a> = (u32, Cow<'a, [u8]>);

impl Cache {
    /// Reads an item that was found, and counts what that comes to. Its bytes are in `text`, which becomes
    /// the text of its value. A miss means that it is only the placeholder of a lease, or that a part of it is
    /// missing.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::BrokenItem`], [`Error::TooLarge`]; `text` is then as it was stored. Those
    /// of [`Self::whole`].
    #[inline(always)]
    pub(super) fn read_item(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> Result<Read, Error> {
        if !self.form(key).is_plain(item.flags) {
            return self.read_formed(deadline, key, item, text);
        }
        let found = kamailio::decode(item.flags, text, || self.numbers_of(key));
        if found == Found::Text && item.flags == 0 && self.is_only_leased(key, item, text) {
            self.stats(key).misses.count();
            return Ok(Read::Miss);
        }
        self.stats(key).hits.count();
        Ok(Read::Hit(found))
    }

    /// The same for an item that is more than its bytes.
    #[cold]
    fn read_formed(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> Result<Read, Error> {
        if self.is_only_leased(key, item, text) {
            self.stats(key).misses.count();
            return Ok(Read::Miss);
        }
        self.read_value(deadline, key, item, text).map(Read::of)
    }

    /// Reads an item that is a value, in any form, and counts what that comes to. `None` = a part of it is missing.
    ///
    /// # Errors
    /// Those of [`Self::read_item`].
    pub(super) fn read_value(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> Result<Option<Found>, Error> {
        let found = self.value_of(deadline, key, item, text);
        let stats = self.stats(key);
        match &found {
            Ok(Some(_)) => stats.hits.count(),
            Ok(None) => stats.misses.count(),
            Err(_) => stats.failed_gets.count(),
        }
        found
    }

    /// The same for who counts what it comes to.
    ///
    /// # Errors
    /// Those of [`Self::read_item`].
    pub(super) fn value_of(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> Result<Option<Found>, Error> {
        let Some(whole) = self.whole(deadline, key, item, text)? else {
            return Ok(None);
        };
        let numbers = self.numbers_of(key);
        let limit = self.pools[key.pool].settings().value_limit;
        let flags = whole.item.flags;
        let found = self.form(key).decode(flags, text, limit, numbers);
        if let Err(error) = &found {
            self.note_failure_of_key(key, "get", error);
        }
        found.map(Some)
    }

    /// The flags and the bytes of a value.
    ///
    /// # Errors
    /// [`Refusal::Value`].
    #[inline(always)]
    pub(super) fn encoded<'a>(
        &mut self,
        key: &Key,
        value: Value<'a>,
        room: &'a mut [u8; MAX_DECIMAL],
    ) -> Result<(u32, &'a [u8]), Error> {
        let (flags, value) = match self.form(key) {
            ItemForm::Kamailio => kamailio::encode(value, room),
            form => form.encode(value, room),
        };
        if value.len() > MAX_VALUE {
            let what = format_args!("set of key '{}'", key.wire);
            return Err(self.refuse(key.pool, what, Refusal::Value));
        }
        Ok((flags, value))
    }

    /// The flags and the bytes of a value: compressed, if the pool compresses values of its length, and if
    /// that makes it shorter.
    #[cold]
    pub(super) fn packed<'a>(&self, key: &Key, flags: u32, value: &'a [u8]) -> Packed<'a> {
        let least = self.pools[key.pool].settings().compress_min;
        let compressed = match least {
            // Numbers stay numbers for memcached.
            Some(least) if value.len() >= least.get() as usize && value.len() > MAX_DECIMAL => {
                self.form(key).compress(flags, value)
            }
            _ => None,
        };
        match compressed {
            Some((flags, value)) => (flags, Cow::Owned(value)),
            None => (flags, Cow::Borrowed(value)),
        }
    }

    /// Writes an item: compressed if that makes it shorter, and in parts if it is large. What is put beside
    /// another value is neither: the two could not be inflated together. An item that may come over is not
    /// added, and what may come over is removed where something newer is stored.
    ///
    /// # Errors
    /// Those of [`Self::store_bytes`].
    #[cold]
    pub(super) fn store_packed(
        &mut self,
        store: Store,
        key: &Key,
        flags: u32,
        value: &[u8],
    ) -> Result<Written, Error> {
        let extends = matches!(store, Store::Append | Store::Prepend);
        if extends && self.packs(key) {
            return self.extend(store, key, value);
        }
        let (flags, value) = match extends {
            true => (flags, Cow::Borrowed(value)),
            false => self.packed(key, flags, value),
        };
        let value = &*value;
        let index = match extends {
            true => None,
            false => self.index_of(key, flags, value),
        };
        if store == Store::Add && self.has_source(key) {
            return self.add_new(key, (flags, value), index);
        }
        let deadline = self.pools[key.pool].begin();
        if let Some(index) = index {
            self.stats(key).sets.count();
            return self.store_large(&deadline, store, key, index, value);
        }
        let stood_in = self.pools[key.pool].stood_in();
        let written = self.store_bytes(store, key, flags, value)?;
        if matches!(written, Written::Stored | Written::Sent) {
            self.outdate(&deadline, key, stood_in);
        }
        Ok(written)
    }

    /// The form of the pool's values.
    #[inline(always)]
    pub(super) fn form(&self, key: &Key) -> ItemForm {
        self.pools[key.pool].settings().values
    }
}

#[cfg(all(test, feature = "compression"))]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};
    use crate::item::value::Numbers;
    use crate::shared::Shared;

    #[test]
    fn a_number_is_not_compressed_however_long_it_is() {
        let mut parameters = Parameters::default();
        parameters.set("servers", Given::Text("a:1")).unwrap();
        parameters.set("compress_min", Given::Number(1)).unwrap();
        let cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
        let key = cache.key(0, b"k", b"").unwrap();
        for (value, is_compressed) in [(&i64::MIN.to_string()[..], false), (&"1".repeat(21), true)]
        {
            let (flags, _) = cache.packed(&key, 1, value.as_bytes());
            assert_eq!(flags != 1, is_compressed, "{value}");
        }
    }
}
