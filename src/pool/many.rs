//! Many: questions for several items at the same time, and writes that nobody waits for.
//!
//! A question goes to the server that would be asked if the item was read now: the owner of its key or,
//! where the pool allows that, a stand-in.

use super::ahead::{Ahead, Answer, Asked, Message};
use super::lease::is_placeholder;
use super::pipeline::{self, Waiting};
use super::route::Wanted;
use super::{Member, Pool};
use crate::clock::{Deadline, Moment};
use crate::config::Failover;
use crate::error::{Error, TooLarge};
use crate::item::key::WireKey;
use crate::shared::near::Change;
use crate::sys;
use crate::wire::protocol::{Reply, Request};

impl Pool {
    /// How many items were asked ahead, whether their answers have come or not.
    pub(crate) fn items_ahead(&self) -> usize {
        let items = self.members.iter().map(|member| member.ahead.items());
        items.sum()
    }

    /// True if this item was asked ahead for this message.
    pub(crate) fn is_ahead(&self, key: &WireKey, message: Message) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.ahead.asked(key, message).is_some())
    }

    /// How many deferred writes of this process have no answer yet.
    #[cfg(feature = "simulation")]
    pub(crate) fn writes_owed(&self) -> usize {
        let writes = self.members.iter().map(|member| member.ahead.writes());
        writes.sum()
    }

    /// When this item was asked ahead for this message, whether its answer has come or not.
    #[cfg(feature = "simulation")]
    pub(crate) fn asked_ahead(&self, key: &WireKey, message: Message) -> Option<Moment> {
        let mut members = self.members.iter();
        let asked = members.find_map(|member| member.ahead.asked(key, message))?;
        Some(asked.since)
    }

    /// The same, if its answer has come.
    #[cfg(feature = "simulation")]
    pub(crate) fn answered_ahead(&self, key: &WireKey, message: Message) -> Option<Moment> {
        let mut members = self.members.iter();
        let answer = members.find_map(|member| member.ahead.answer(key, message))?;
        Some(answer.asked.since)
    }

    /// Asks for these items, each at its server, and does not wait for the answers. What cannot be asked now
    /// is left out.
    pub(crate) fn ask_ahead(&mut self, wanted: &[Wanted<'_>], message: Message) {
        self.follow();
        let since = Moment::now();
        let mut asked: Vec<Vec<Asked>> = self.members.iter().map(|_| Vec::new()).collect();
        for &(key, hash) in wanted {
            if let Some((at, at_stand_in)) = self.place(key, hash) {
                asked[at].push(Asked {
                    key: *key,
                    message,
                    since,
                    at_stand_in,
                });
            }
        }
        let members = self.members.iter_mut().zip(&asked);
        let members = members.filter(|(_, asked)| !asked.is_empty());
        let mut askable: Vec<_> = members
            .filter_map(|(member, asked)| member.may_ask_ahead().then_some((member, asked)))
            .collect();
        let deadline = Deadline::new(since, self.settings.timeout);
        let members = askable.iter_mut().map(|(member, _)| &mut **member);
        pipeline::connect(members.collect(), &deadline, &self.settings);
        for (member, asked) in askable {
            member.ask_ahead(asked, since);
        }
    }

    /// The server to ask for a key now, and whether it is a stand-in. `None` = nobody can be asked.
    fn place(&self, key: &WireKey, hash: Option<u32>) -> Option<(usize, bool)> {
        let ring = self.any_ring()?;
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let owner = ring.sole().unwrap_or_else(|| ring.owner(hash));
        let may_be_asked = |index: usize| self.members[index].health().may_be_asked();
        if may_be_asked(owner) {
            return Some((owner, false));
        }
        let mut copies = self.copies(key, hash).into_iter();
        if let Some(next) = copies.find(|&copy| may_be_asked(copy)) {
            return Some((next, true));
        }
        if self.settings.failover == Failover::Off {
            return None;
        }
        let placement = self.placement();
        let next = placement.first_live(ring, key.as_bytes(), hash, may_be_asked)?;
        Some((next, true))
    }

    /// The answer to an item that was asked for this message; it is waited for until `timeout` has passed since it was
    /// asked. `None` if it was not asked, or too long ago. If the server does not answer, the item is read in the
    /// ordinary way. Returns the deadline of both, which begins now. The bytes replace the content of `value`.
    #[cold]
    pub(crate) fn answer_ahead(
        &mut self,
        (key, hash): Wanted<'_>,
        message: Message,
        value: &mut Vec<u8>,
    ) -> Option<(Deadline, Result<Reply, Error>)> {
        let deadline = self.begin();
        self.forget_late(deadline.start());
        let Self {
            members, settings, ..
        } = self;
        let mut found = members.iter_mut().filter_map(|member| {
            let asked = *member.ahead.asked(key, message)?;
            Some((member, asked))
        });
        let (member, asked) = found.next()?;
        // After other work it is usually there.
        if member.ahead.owes_item(key, message) {
            member.hear(deadline.start());
        }
        let until_late = Deadline::new(asked.since, settings.timeout);
        let waiting = Waiting::new(member, until_late, settings);
        pipeline::collect(&mut [waiting], |ahead| ahead.owes_item(key, message));
        let Some(answer) = member.ahead.answer(key, message) else {
            let reply = self.read_within(&deadline, (key, hash), value);
            return Some((deadline, reply));
        };
        value.clear();
        let len = answer.value.len();
        // With room for the NUL that the host wants behind it, else the buffer would be doubled.
        if value.try_reserve_exact(len + 1).is_err() {
            let error = Error::TooLarge(TooLarge::ForMemory(len));
            return Some((deadline, Err(error)));
        }
        value.extend_from_slice(&answer.value);
        let reply = answer.reply;
        if asked.at_stand_in {
            self.stats().failovers.count();
        }
        Some((deadline, Ok(reply)))
    }

    /// The answer of an item after all were collected, and whether there was one; if not, it is
    /// read in the ordinary way, under that deadline, and kept for this message if there is room for it.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn answer_or_read(
        &mut self,
        (key, hash): Wanted<'_>,
        message: Message,
        since: Moment,
        has_room: bool,
    ) -> Result<Reply, Error> {
        let mut members = self.members.iter();
        if let Some(answer) = members.find_map(|member| member.ahead.answer(key, message)) {
            return Ok(self.plain(answer.reply, &answer.value));
        }
        let deadline = Deadline::new(since, self.settings.timeout);
        let mut value = Vec::new();
        let reply = self.read_within(&deadline, (key, hash), &mut value)?;
        let plain = self.plain(reply, &value);
        if has_room && let Some(member) = self.members.first_mut() {
            let asked = Asked {
                key: *key,
                message,
                since,
                at_stand_in: false,
            };
            member.ahead.keep(Answer {
                asked,
                reply,
                value,
            });
        }
        Ok(plain)
    }

    /// A reply as a plain read takes it: an item that is only a lease is a miss.
    fn plain(&self, reply: Reply, value: &[u8]) -> Reply {
        match reply {
            Reply::Item(item) if is_placeholder(item, value) && self.leases().are_used() => {
                Reply::Miss
            }
            reply => reply,
        }
    }

    /// This process writes that key, by whatever operation: no answer is used that does not know of it.
    #[cold]
    pub(crate) fn forget(&mut self, key: &WireKey) {
        if sys::planted("own writes leave old answers") {
            return;
        }
        for member in &mut self.members {
            member.ahead.forget(|asked| asked.key == *key);
        }
    }

    /// The message has ended, or all items of the pool will be removed.
    #[cold]
    pub(crate) fn forget_all(&mut self) {
        for member in &mut self.members {
            member.ahead.forget(|_| true);
        }
    }

    /// Receives all replies that are owed, from all servers at the same time.
    #[cold]
    pub(crate) fn settle(&mut self, deadline: &Deadline) {
        let Self {
            members, settings, ..
        } = self;
        let owing = members.iter_mut().filter(|member| member.ahead.owes());
        let waiting = owing.map(|member| Waiting::new(member, *deadline, settings));
        pipeline::collect(&mut waiting.collect::<Vec<_>>(), Ahead::owes);
    }

    /// Nobody wants the items any more that were asked for too long ago.
    pub(crate) fn forget_late(&mut self, now: Moment) {
        for member in &mut self.members {
            let timeout = self.settings.timeout;
            let is_late = |asked: &Asked| now.passed_since(asked.since) >= timeout;
            member.ahead.forget(is_late);
        }
    }

    /// Sends a write without waiting for its answer. `change` ends when that has come, or will not come. False
    /// if it has to be done in the ordinary way.
    #[inline(never)]
    pub(crate) fn defer(
        &mut self,
        key: &WireKey,
        hash: Option<u32>,
        request: &Request<'_>,
        change: Option<Change>,
    ) -> bool {
        self.follow();
        let is_sent = match self.place(key, hash) {
            _ if self.settings.replicas > 1 => self.defer_copies(key, hash, request, change),
            Some((owner, false)) => {
                self.members[owner].defer(request, change, Moment::now(), &self.settings)
            }
            _ => false,
        };
        if is_sent {
            self.stats().deferred.count();
        }
        is_sent
    }
}

/// Receives what was asked for this message since then, from all servers of all pools at the same time.
pub(crate) fn collect(pools: &mut [Pool], message: Message, since: Moment) {
    let mut waiting = Vec::new();
    for pool in pools {
        let Pool {
            members, settings, ..
        } = pool;
        let deadline = Deadline::new(since, settings.timeout);
        let owing = |member: &&mut Member| member.ahead.owes_items(message);
        let owing = members.iter_mut().filter(owing);
        waiting.extend(owing.map(|member| Waiting::new(member, deadline, settings)));
    }
    let wants = |ahead: &Ahead| ahead.owes_items(message);
    pipeline::collect(&mut waiting, wants);
}
