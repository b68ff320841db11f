//! Counter: an item that is counted, and created where there is none, by exactly one of all callers.
//!
//! A server that speaks meta commands does that in one step. Others are asked in steps, each of which
//! only one caller can win: count; if nothing is there, add; if somebody else has added, count again.

use super::member::Member;
use crate::clock::Deadline;
use crate::config::Settings;
use crate::error::Error;
use crate::item::key::WireKey;
use crate::item::value::{MAX_DECIMAL, put_digits};
use crate::wire::protocol::{Reply, Request, Store, Way};

/// What to count, and what to create where there is nothing to count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter<'a> {
    /// The key.
    pub(crate) key: &'a WireKey,
    /// The direction.
    pub(crate) way: Way,
    /// By how much.
    pub(crate) by: u64,
    /// The number that a new one begins with.
    pub(crate) initial: u64,
    /// The lifetime of a new one, as it is sent.
    pub(crate) lifetime: u32,
}

/// How often the steps are begun anew because others create and remove the counter meanwhile.
const ROUNDS: usize = 8;

impl Counter<'_> {
    /// The request that does it in one step.
    pub(super) fn in_one(&self) -> Request<'_> {
        let Counter {
            key,
            way,
            by,
            initial,
            lifetime,
        } = *self;
        Request::CountOrCreate {
            way,
            key,
            by,
            initial,
            lifetime,
        }
    }
}

impl Member {
    /// Counts, or creates. The reply is [`Reply::Counted`], with the number that is stored now.
    ///
    /// # Errors
    /// Those of [`Self::attempt`].
    #[inline(never)]
    pub(super) fn count_or_create(
        &mut self,
        counter: &Counter<'_>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        for _ in 0..ROUNDS {
            let in_one = counter.in_one();
            let done = match self.attempt_meta(deadline, &in_one, &mut Vec::new(), settings)? {
                Some(Reply::Counted(number)) => Some(number),
                Some(_) => None,
                None => self.in_steps(counter, deadline, settings)?,
            };
            if let Some(number) = done {
                return Ok(Reply::Counted(number));
            }
        }
        Err(Error::ServerError(
            "others create and remove the counter again and again".into(),
        ))
    }

    /// Returns the number, or `None` if this is to be tried again.
    fn in_steps(
        &mut self,
        counter: &Counter<'_>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Option<u64>, Error> {
        let Counter { key, way, by, .. } = *counter;
        let count = Request::Count { way, key, by };
        if let Reply::Counted(number) =
            self.attempt_within(deadline, &count, &mut Vec::new(), settings)?
        {
            return Ok(Some(number));
        }
        let mut digits = [0; MAX_DECIMAL];
        let from = put_digits(counter.initial, &mut digits, MAX_DECIMAL);
        let add = Request::Store {
            store: Store::Add,
            key,
            flags: 0,
            lifetime: counter.lifetime,
            value: &digits[from..],
        };
        let added = self.attempt_within(deadline, &add, &mut Vec::new(), settings)?;
        Ok((added == Reply::Stored).then_some(counter.initial))
    }
}
