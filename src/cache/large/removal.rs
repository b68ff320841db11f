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
use crate::error::Error;
use crate::status::Status;
use crate::wire::protocol::{Reply, Request};

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

    /// Removes a part if it has these flags. The item is gone already, so nothing has failed if that fails.
    fn remove_part(&mut self, deadline: &Deadline, key: &Key, flags: u32) {
        let Some(rest) = deadline.rest() else {
            return;
        };
        let _change = self.change(key);
        let wanted = (&key.wire, key.hash);
        let reply = self.pools[key.pool].remove_with_flags(&rest, wanted, flags);
        let _ = self.log_if_refused(key, "delete", reply);
    }
}
