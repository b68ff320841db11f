//! Version: an item is read with its version, and written if it still has that one.

use std::ops::ControlFlow;

use super::form::Packed;
use super::outcome::Written;
use super::{Cache, Key};
use crate::clock::Deadline;
use crate::error::Error;
use crate::item::value::{Found, MAX_DECIMAL, Value};
use crate::wire::protocol::{NO_VERSION, Reply, Request};

impl Cache {
    /// Reads an item and its version. `None` means that it is not there. Else its text is in `text`.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route) and of [`Self::read_item`].
    pub(super) fn gets(
        &mut self,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Result<Option<(Found, u64)>, Error> {
        let deadline = self.pools[key.pool].begin();
        match self.perform_with_item(&deadline, key, &Request::Gets { key: &key.wire }, text) {
            Ok(Reply::Versioned(item, version)) => {
                let found = self.read_item(&deadline, key, item, text)?.found();
                Ok(found.map(|found| (found, version)))
            }
            Ok(_) => {
                self.stats(key).misses.count();
                Ok(None)
            }
            Err(error) => {
                self.stats(key).failed_gets.count();
                Err(error)
            }
        }
    }

    /// Writes an item if it still has that version.
    ///
    /// # Errors
    /// [`Refusal::Value`](crate::error::Refusal::Value); [`Error::ServerError`] for the version that servers without
    /// versions tell; those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn store_version(
        &mut self,
        key: &Key,
        value: Value<'_>,
        version: u64,
    ) -> Result<Written, Error> {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = self.encoded(key, value, &mut room)?;
        let packed = self.packed(key, flags, value);
        self.stats(key).sets.count();
        if version == NO_VERSION {
            let error = Error::without_versions();
            self.note_failure_of_key(key, "cas", &error);
            return Err(error);
        }
        let deadline = self.pools[key.pool].begin();
        self.store_unchanged(deadline, key, version, packed)
    }

    /// The same with these flags and bytes.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn store_unchanged(
        &mut self,
        mut deadline: Deadline,
        key: &Key,
        version: u64,
        packed: Packed<'_>,
    ) -> Result<Written, Error> {
        let (flags, value) = match self.split_if_unchanged(&mut deadline, key, version, packed)? {
            ControlFlow::Continue(ready) => ready,
            ControlFlow::Break(changed) => return Ok(changed),
        };
        let request = Request::Cas {
            key: &key.wire,
            flags,
            lifetime: self.lifetime(key).on_wire(),
            version,
            value: &value,
        };
        let stood_in = self.pools[key.pool].stood_in();
        let reply = self.perform_with_item(&deadline, key, &request, &mut Vec::new())?;
        Ok(match reply {
            Reply::Exists => Written::Exists,
            Reply::Miss => Written::Missing,
            _ => {
                self.outdate(&deadline, key, stood_in);
                Written::Stored
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::Verb;
    use super::super::call::tests::{Stage, text};
    use super::*;

    #[test]
    fn a_server_without_versions_stores_nothing_on_the_condition_of_one() {
        let mut stage = Stage::with("classic", &["VALUE k 1 1 0\r\nv\r\nEND\r\n"]);
        let (read, _) = stage.call(Verb::Gets, &[]);
        assert_eq!(read.unwrap().version, Some(NO_VERSION));
        let (stored, _) = stage.call(Verb::Cas, &[text("w"), text("0")]);
        assert!(matches!(stored, Err(Error::ServerError(_))), "{stored:?}");
        assert_eq!(stage.said(), ["gets k|"]);
    }
}
