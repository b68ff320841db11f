//! Many: several items that are asked for at the same time, before they are read.
//!
//! The answers wait in this process for the reads of the same SIP message. A read takes the answer,
//! or waits until it comes. Whatever this process writes meanwhile makes the answer for that key void.

use super::{Cache, Key, Read};
use crate::clock::{Deadline, Moment};
use crate::error::Error;
use crate::pool::{self, Message};
use crate::status::{Outcome, Status};
use crate::sys;
use crate::wire::protocol::{Reply, Request};

/// How many items may wait at a time. What is more is asked when it is read.
const MAX_ITEMS: usize = 256;

/// How many of the items were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Items(pub(crate) usize);

impl Outcome for Items {
    fn status(&self) -> Status {
        match self.0 {
            0 => Status::Miss,
            _ => Status::Hit,
        }
    }
}

impl Cache {
    /// True while answers may wait, so that it matters [for which message](Self::set_message) is read.
    #[inline(always)]
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked
    }

    /// The script runs for this message now.
    pub(crate) fn set_message(&mut self, message: Message) {
        self.message = message;
    }

    /// The script is done with its message. No answer waits any longer, and the statistics are brought up to
    /// date.
    pub(crate) fn end_message(&mut self) {
        self.count_all_near();
        if self.has_asked && !sys::planted("answers outlive their message") {
            self.has_asked = false;
            self.pools.iter_mut().for_each(pool::Pool::forget_all);
        }
    }

    /// Asks for these items, all servers at the same time, and does not wait for the answers.
    /// What is near is not asked for.
    pub(crate) fn prefetch(&mut self, keys: &[Key]) {
        let are_near = self.are_near(keys);
        self.ask_ahead(keys, &are_near);
    }

    fn ask_ahead(&mut self, keys: &[Key], are_near: &[bool]) {
        if self.has_asked {
            // Not every message has an end that the host tells.
            let now = Moment::now();
            self.pools.iter_mut().for_each(|pool| pool.forget_late(now));
        }
        let mut room = MAX_ITEMS - self.items_ahead().min(MAX_ITEMS);
        for pool in 0..self.pools.len() {
            let mut wanted: Vec<pool::Wanted<'_>> = Vec::new();
            let afar = keys.iter().zip(are_near).filter(|(_, is_near)| !**is_near);
            for key in afar.map(|(key, _)| key).filter(|key| key.pool == pool) {
                let is_new = wanted.iter().all(|(wire, _)| **wire != key.wire);
                if room > 0 && is_new && !self.pools[pool].is_ahead(&key.wire, self.message) {
                    wanted.push((&key.wire, key.hash));
                    room -= 1;
                }
            }
            if !wanted.is_empty() {
                self.has_asked = true;
                self.pools[pool].ask_ahead(&wanted, self.message);
            }
        }
    }

    /// The same, and waits for the answers. Returns how many items were found.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route) if nothing was found: that of the first key
    /// without an answer.
    pub(crate) fn get_many(&mut self, keys: &[Key]) -> Result<Items, Error> {
        let since = Moment::now();
        let are_near = self.are_near(keys);
        self.ask_ahead(keys, &are_near);
        pool::collect(&mut self.pools, self.message, since);
        let (mut found, mut failure) = (0, None);
        for (key, is_near) in keys.iter().zip(are_near) {
            if is_near {
                found += 1;
                continue;
            }
            match self.may_be_read(key, since) {
                Ok(true) => found += 1,
                Ok(false) => {}
                Err(error) => {
                    self.stats(key).failed_gets.count();
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) if found == 0 => Err(error),
            _ => Ok(Items(found)),
        }
    }

    /// Whether a read of the item would find it now: at its server, at a source, or as a stale one. The operation has
    /// begun at `since`.
    fn may_be_read(&mut self, key: &Key, since: Moment) -> Result<bool, Error> {
        let has_room = self.items_ahead() < MAX_ITEMS;
        let wanted = (&key.wire, key.hash);
        let pool = &mut self.pools[key.pool];
        let reply = pool.answer_or_read(wanted, self.message, since, has_room);
        self.has_asked = true;
        let bytes = &mut Vec::new();
        if let Err(error) = &reply
            && Status::of_error(error).could_not_ask()
            && self.stale(key, bytes).is_some()
        {
            return Ok(true);
        }
        self.note(key, || "get", &reply);
        if matches!(reply?, Reply::Item(_)) {
            return Ok(true);
        }
        let deadline = Deadline::new(since, self.pools[key.pool].settings().timeout);
        Ok(self.has_source(key) && self.transfer(&deadline, key, bytes).is_some())
    }

    /// Reads an item that was asked ahead; `None` if it was not. If it is there, its text is in `text`.
    #[cold]
    pub(super) fn get_ahead(
        &mut self,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Option<Result<Read, Error>> {
        let pool = &mut self.pools[key.pool];
        let answer = pool.answer_ahead((&key.wire, key.hash), self.message, text);
        self.has_asked = self.items_ahead() > 0;
        let (deadline, reply) = answer?;
        if let Err(error) = &reply
            && Status::of_error(error).could_not_ask()
            && let Some(stale) = self.find_stale(&deadline, key, text)
        {
            return Some(stale);
        }
        self.note(key, || "get", &reply);
        Some(self.found(&deadline, key, reply, text))
    }

    /// When the item of this key was asked ahead, whether its answer has come or not.
    #[cfg(feature = "simulation")]
    pub(crate) fn asked_ahead(&self, key: &Key) -> Option<Moment> {
        self.pools[key.pool].asked_ahead(&key.wire, self.message)
    }

    /// The same, if its answer has come.
    #[cfg(feature = "simulation")]
    pub(crate) fn answered_ahead(&self, key: &Key) -> Option<Moment> {
        self.pools[key.pool].answered_ahead(&key.wire, self.message)
    }

    fn items_ahead(&self) -> usize {
        self.pools.iter().map(pool::Pool::items_ahead).sum()
    }

    /// The item of this key is written now: an answer that has waited for its reading is void. So is one of another
    /// pool, whose server may be the same one.
    #[inline(always)]
    pub(super) fn forget(&mut self, key: &Key) {
        if self.has_asked {
            let pools = self.pools.iter_mut();
            pools.for_each(|pool| pool.forget(&key.wire));
        }
    }

    /// All items of the pool of that index will be removed: everything that this process has written is done
    /// before, or its connection is closed, and no answer that has waited for its reading is used.
    pub(crate) fn settle(&mut self, pool: usize, deadline: &Deadline) {
        self.pools.iter_mut().for_each(pool::Pool::forget_all);
        self.pools[pool].settle(deadline);
    }

    /// True if this write was sent without waiting for its answer, because its pool wants that.
    #[inline(always)]
    pub(super) fn defers(&mut self, key: &Key, request: &Request<'_>) -> bool {
        self.pools[key.pool].settings().deferred_writes && self.defer(key, request)
    }

    #[inline(never)]
    fn defer(&mut self, key: &Key, request: &Request<'_>) -> bool {
        if self.waits {
            return false;
        }
        let later = self.change_later(key);
        let is_sent = self.pools[key.pool].defer(&key.wire, key.hash, request, later);
        if is_sent {
            drop(self.change(key));
        }
        is_sent
    }

    /// Does `body`, in which every write waits for its answer.
    pub(crate) fn waiting<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        self.waits = true;
        let result = body(self);
        self.waits = false;
        result
    }
}

#[cfg(test)]
mod tests;
