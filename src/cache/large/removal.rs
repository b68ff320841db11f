//! Removal: an item is removed, and its parts with it.
//!
//! The index first: when that is gone, the item is, and nobody reads its parts any more. But their keys are those of
//! any other write of the item, and somebody may be about to store its index just then: it is stored when the
//! one is gone that belongs to older parts. So a part is looked at, and removed only if it belongs to the removed
//! index, and still has the version that was seen.
//!
//! **What is not promised:** parts that cannot be told apart, because the same value is written at this very moment,
//! or because libmc writes it, are removed. Then the item that is written is a miss. An index that was stored after
//! the one that was read is removed without its parts, which stay until their lifetime ends.
//!
//! Looking costs a question more for each part; a server that speaks no meta commands sends the part, too.

use super::part_keys;
use crate::cache::{Cache, Key};
use crate::clock::Deadline;
use crate::error::{Error, Waiting};
use crate::status::Status;
use crate::wire::protocol::{Item, Reply, Request};

impl Cache {
    /// Removes an item and its parts, if it has any.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route) for the index.
    #[cold]
    pub(in crate::cache) fn delete_large(
        &mut self,
        deadline: &Deadline,
        key: &Key,
    ) -> Result<Status, Error> {
        let index = self.index(deadline, key)?;
        let request = Request::Delete { key: &key.wire };
        let reply = self.step(deadline, key, &request, &mut Vec::new())?;
        if let Some(index) = index {
            for part_key in part_keys(index, key) {
                self.remove_part(deadline, &part_key, index.part_flags);
            }
        }
        Ok(match reply {
            Reply::Deleted => Status::Deleted,
            _ => Status::Miss,
        })
    }

    /// Removes the index of an item if a part is missing: else nobody could add the item, or get its lease, until the
    /// index ends. True if it was removed. The item's bytes are in `text`.
    #[cold]
    pub(in crate::cache) fn remove_if_broken(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
        text: &mut Vec<u8>,
    ) -> bool {
        matches!(self.whole(deadline, key, item, text), Ok(None))
            && self.remove_index(deadline, key, item)
    }

    /// The same for an item that was not read yet.
    #[cold]
    pub(in crate::cache) fn remove_broken(&mut self, deadline: &Deadline, key: &Key) -> bool {
        let (mut text, request) = (Vec::new(), Request::Get { key: &key.wire });
        match self.step(deadline, key, &request, &mut text) {
            Ok(Reply::Item(item)) => self.remove_if_broken(deadline, key, item, &mut text),
            _ => false,
        }
    }

    /// Removes the index of an item of which a part is missing, unless somebody has written the item anew. True if it
    /// was removed.
    pub(in crate::cache) fn remove_index(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        item: Item,
    ) -> bool {
        self.form(key).is_split(item.flags)
            && matches!(
                self.remove_item(deadline, key, item.flags),
                Ok(Reply::Deleted)
            )
    }

    /// Removes a part if it has these flags. The item is gone already, so nothing has failed if that fails.
    fn remove_part(&mut self, deadline: &Deadline, key: &Key, flags: u32) {
        let _ = self.remove_item(deadline, key, flags);
    }

    /// Removes an item if it has these flags.
    fn remove_item(&mut self, deadline: &Deadline, key: &Key, flags: u32) -> Result<Reply, Error> {
        let rest = deadline.rest().ok_or(Error::Timeout(Waiting::Send))?;
        let _change = self.change(key);
        let wanted = (&key.wire, key.hash);
        let reply = self.pools[key.pool].remove_with_flags(&rest, wanted, flags);
        self.log_if_refused(key, "delete", reply)
    }
}
