//! Copies: each item is kept on several servers, and each is written and read so.
//!
//! The copies of an item are on its owner and on those that would stand in for it, in their order. So the
//! next copy is the stand-in.
//!
//! **A write** goes to all copies that may be asked, at the same time. The answer of the first one that has the
//! item is the answer. A write whose outcome depends on what is stored (`add`, `cas`, what the holder of a lease stores) is
//! [decided](Pool::decide) by the first copy alone, and what was decided is set at the others. A copy that is
//! out of service, or fails where another one succeeds, has missed the write: its server deletes the key before
//! it is asked again.
//!
//! **A read** asks the owner. If that is out of service, or silent for the stall limit, it asks the next copy.
//! What a copy does not have, nobody else is asked for.
//!
//! Nobody waits for a copy beyond the stall limit, as long as another one can be asked.

use super::Pool;
use super::route::{Failed, Task};
use crate::clock::Deadline;
use crate::config::Failover;
use crate::error::{Down, Error, Waiting};
use crate::item::key::WireKey;
use crate::wire::protocol::Reply;

mod others;
mod owner;
mod write;

/// What a copy has answered.
type Answer = Result<Reply, Error>;

impl Pool {
    /// The servers that keep the item of a key, the owner first; none where an item has no other copy.
    pub(super) fn copies(&self, key: &WireKey, hash: u32) -> Vec<usize> {
        let Some(ring) = &self.copies_ring else {
            return Vec::new();
        };
        let order = self.placement().in_order(ring, key.as_bytes(), hash);
        order.take(self.settings.replicas).collect()
    }

    /// Has the servers do it that keep the item of `key`, each item being kept on several.
    ///
    /// # Errors
    /// Those of [`Pool::route`]: that of the first copy, if no copy has answered; [`Down::OutOfService`]
    /// when no server is live.
    #[inline(never)]
    pub(super) fn route_to_copies(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        task: &mut dyn Task,
    ) -> Answer {
        let answer = self.ask_copies(deadline, key, hash, task);
        if self.settings.deferred_writes {
            self.note_undone_deferred();
        }
        answer
    }

    fn ask_copies(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        task: &mut dyn Task,
    ) -> Answer {
        let Some(ring) = &self.copies_ring else {
            self.stats().skipped.count();
            return Err(Error::Down(Down::OutOfService));
        };
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let kind = task.kind();
        if kind.writes() {
            let copies = self.copies(key, hash);
            return match kind.is_decided() {
                true => self.decide(deadline, key, hash, copies, task),
                false => self.write_to_all(deadline, key, hash, copies, task),
            };
        }
        let owner = ring.owner(hash);
        // If it is silent, there is time to see whether anybody else can be asked.
        let has_deputy =
            self.members[owner].connection.is_open() || self.has_other_copy(owner, key, hash);
        let member = &mut self.members[owner];
        member.connection.set_deputy(has_deputy);
        match task.attempt(member, deadline, &self.settings) {
            Ok(reply) => Ok(reply),
            Err(error) => {
                let asked = vec![owner];
                self.read_next(deadline, key, hash, Failed { asked, error }, task)
            }
        }
    }

    /// Reads an item under a deadline that began earlier. A copy that has been silent since then is asked, but
    /// not waited for as long again.
    ///
    /// # Errors
    /// Those of [`Self::route_to_copies`].
    #[cold]
    pub(super) fn read_late(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        task: &mut dyn Task,
    ) -> Answer {
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let copies = self.copies(key, hash);
        let may_ask = self.live(&copies).next().is_some();
        let (asked, error) = match (may_ask, copies.first()) {
            (true, _) => (Vec::new(), Error::Timeout(Waiting::Receive)),
            (false, Some(&owner)) => (vec![owner], self.members[owner].not_asked()),
            (false, None) => return self.route_to_copies(deadline, key, Some(hash), task),
        };
        self.read_next(deadline, key, hash, Failed { asked, error }, task)
    }

    /// Whether a copy of the item can be asked that is not on this server.
    #[cold]
    fn has_other_copy(&self, server: usize, key: &WireKey, hash: u32) -> bool {
        let copies = self.copies(key, hash);
        self.live(&copies).any(|at| at != server)
    }

    /// These have not answered a read: asks the next copies, one after the other.
    #[cold]
    fn read_next(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: u32,
        failed: Failed,
        task: &mut dyn Task,
    ) -> Answer {
        let copies = self.copies(key, hash);
        let Failed {
            mut asked,
            mut error,
        } = failed;
        while error.allows_stand_in(task.kind().is_repeatable()) {
            let mut rest = self.live(&copies).filter(|at| !asked.contains(at));
            let (next, has_deputy) = (rest.next(), rest.next().is_some());
            drop(rest);
            let next = match (next, &asked[..]) {
                (Some(next), _) => next,
                // It was silent, but nobody else can be asked: it gets the time that it has alone.
                (None, &[owner]) if self.was_silent(owner, deadline) => owner,
                _ => break,
            };
            let Some(own) = self.members[next].rest(deadline) else {
                break;
            };
            asked.push(next);
            let member = &mut self.members[next];
            member.connection.set_deputy(has_deputy);
            match task.attempt(member, &own, &self.settings) {
                Ok(reply) if next == copies[0] => return Ok(reply),
                Ok(reply) => {
                    self.stats().failovers.count();
                    return Ok(reply);
                }
                Err(another) => error = another,
            }
        }
        if asked.is_empty() {
            asked.push(copies[0]);
        }
        self.beyond_copies(deadline, key, hash, Failed { asked, error }, task)
    }

    /// Whether this server may be asked, and was silent in this operation. One that has gone and come back
    /// meanwhile was not.
    pub(super) fn was_silent(&self, server: usize, deadline: &Deadline) -> bool {
        let member = &self.members[server];
        member.health().admit() == Some(member.generation)
            && member.connection.was_silent_since(deadline.start())
    }

    /// No copy has answered: a stand-in does where the pool has any.
    #[cold]
    fn beyond_copies(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: u32,
        failed: Failed,
        task: &mut dyn Task,
    ) -> Answer {
        match self.settings.failover {
            Failover::Off => Err(failed.error),
            _ => self.route_to_stand_in(key, Some(hash), failed, deadline, task),
        }
    }

    /// Those of these copies that may be asked.
    pub(super) fn live(&self, copies: &[usize]) -> impl Iterator<Item = usize> {
        let may_be_asked = |at: &usize| self.members[*at].health().may_be_asked();
        copies.iter().copied().filter(may_be_asked)
    }
}
