//! Lifetime: that of an item is changed, and that of its parts with it. While somebody else writes, it may become that of
//! the other one's parts.

use super::part_keys;
use crate::cache::{Cache, Key};
use crate::clock::Deadline;
use crate::error::Error;
use crate::item::lifetime::Lifetime;
use crate::pool::Aim;
use crate::status::Status;
use crate::wire::protocol::{Reply, Request};

impl Cache {
    /// Changes the lifetime of an item and of its parts, if it has any. One that is not there may come over.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(in crate::cache) fn touch_large(
        &mut self,
        key: &Key,
        to: Lifetime,
    ) -> Result<Status, Error> {
        let deadline = self.pools[key.pool].begin();
        match self.touch_with_parts(&deadline, key, to)? {
            Status::Miss if self.may_be_there_now(&deadline, key) => {
                self.touch_with_parts(&deadline, key, to)
            }
            touched => Ok(touched),
        }
    }

    /// The parts first, so that no index outlives its parts for long.
    fn touch_with_parts(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        to: Lifetime,
    ) -> Result<Status, Error> {
        self.touch_parts(deadline, key, to)?;
        let stood_in = self.pools[key.pool].stood_in();
        if self.touch_within(deadline, key, to)? != Reply::Touched {
            return Ok(Status::Miss);
        }
        self.outdate(deadline, key, stood_in);
        Ok(Status::Touched)
    }

    /// Changes the lifetime of the parts of an item, if it has any.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    #[cold]
    pub(in crate::cache) fn touch_parts(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        to: Lifetime,
    ) -> Result<(), Error> {
        let index = self.index(deadline, key)?;
        for part_key in index.into_iter().flat_map(|index| part_keys(index, key)) {
            self.touch_part(deadline, &part_key, to)?;
        }
        Ok(())
    }

    fn touch_within(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        to: Lifetime,
    ) -> Result<Reply, Error> {
        let request = Request::Touch {
            key: &key.wire,
            lifetime: to.on_wire(),
        };
        self.step(deadline, key, &request, &mut Vec::new())
    }

    /// The same for a part. Parts have stand-ins of their own.
    fn touch_part(&mut self, deadline: &Deadline, key: &Key, to: Lifetime) -> Result<(), Error> {
        let is_missing = self.touch_within(deadline, key, to)? == Reply::Miss;
        if is_missing
            && self.may_be_at_stand_in(key, Aim::Find)
            && self.may_be_there_now(deadline, key)
        {
            self.touch_within(deadline, key, to)?;
        }
        Ok(())
    }
}
