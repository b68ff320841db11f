//! Inspection: an item with all that its server tells of it, for people.

use std::fmt;

use super::{Cache, Key, Read};
use crate::error::Error;
use crate::item::forms::ItemForm;
use crate::item::value::Found;
use crate::status::Status;
use crate::wire::protocol::{Reply, Request, Usage};

/// What was found under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// Its client flags.
    pub(crate) flags: u32,
    /// The form in which it is read.
    pub(crate) form: ItemForm,
    /// How it is stored.
    pub(crate) stored: Stored,
    /// What a script reads, or the word for why it reads nothing.
    pub(crate) found: Result<Found, Status>,
    /// How it is used, where the server tells.
    pub(crate) usage: Option<Usage>,
}

/// How the bytes of a value are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// How many there are.
    pub(crate) size: usize,
    /// Whether they are compressed.
    pub(crate) is_compressed: bool,
    /// In how many items they lie, besides the index if that is more than one.
    pub(crate) parts: usize,
}

/// For people: `plain`, `zlib`, `plain, 3 parts`.
impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_compressed { "zlib" } else { "plain" })?;
        match self.parts {
            1 => Ok(()),
            parts => write!(f, ", {parts} parts"),
        }
    }
}

impl Cache {
    /// Reads an item and how it is used. `None` means that it is not there. Else its text is in `text`, or
    /// its bytes as they are stored, if they cannot be read.
    ///
    /// # Errors
    /// Those of [`Pool::inspect`](crate::pool::Pool::inspect).
    pub(crate) fn inspect(
        &mut self,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Result<Option<Inspected>, Error> {
        let request = Request::Inspect { key: &key.wire };
        let deadline = self.pools[key.pool].begin();
        let reply = self.pools[key.pool].inspect(&deadline, &key.wire, key.hash, request, text);
        self.note(key, || "get", &reply);
        let (item, usage) = match reply {
            Ok(Reply::Inspected(item, usage, _)) => (item, Some(usage)),
            Ok(Reply::Item(item)) => (item, None),
            Ok(_) => {
                self.stats(key).misses.count();
                return Ok(None);
            }
            Err(error) => {
                self.stats(key).failed_gets.count();
                return Err(error);
            }
        };
        let form = self.form(key);
        let whole = match self.whole(&deadline, key, item, text) {
            Ok(None) => {
                self.stats(key).misses.count();
                return Ok(None);
            }
            Ok(Some(whole)) => Ok(whole),
            Err(error) if error.is_refusal() => Err(error),
            Err(error) => return Err(error),
        };
        let stored = Stored {
            size: text.len(),
            is_compressed: form.is_compressed(item.flags),
            parts: whole.as_ref().map_or(1, |whole| whole.parts),
        };
        let found = whole.and_then(|whole| {
            self.read_item(&deadline, key, whole.item, text)
                .map(Read::found)
        });
        let found = match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => return Ok(None),
            Err(error) => Err(Status::of_error(&error)),
        };
        Ok(Some(Inspected {
            flags: item.flags,
            form,
            stored,
            found,
            usage,
        }))
    }
}
