//! Pipeline: a member's requests ahead, from sending them to giving their replies to those they are for.
//!
//! While replies are owed, the connection takes no request in the ordinary way. The next operation
//! first receives them, in [`Member::catch_up`]. A failure here is that of one connection, so it says nothing
//! about the server. Who still needs an answer asks in the ordinary way, and the verdict is drawn there.

use std::time::Duration;

use super::ahead::{Ahead, Answer, Asked, Batch, Deferred, Owed};
use super::member::{Member, NO_GENERATION};
use super::operation::Operation;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::{self, Down, Error};
use crate::shared::near::Change;
use crate::status::Status;
use crate::sys;
use crate::wire::connection::wait_for_any;
use crate::wire::protocol::{Reply, Request};

mod connecting;

pub(super) use connecting::connect;

/// The longest value that is written without waiting.
const MAX_DEFERRED: usize = 16 * 1024;

/// The most bytes of keys in one request: it fits into one packet, and no server takes it for too long.
const MAX_KEYS: usize = 1400;

impl Member {
    /// True if a request can be sent ahead, once it is connected.
    pub(super) fn may_ask_ahead(&mut self) -> bool {
        let Some(generation) = self.health().admit() else {
            return false;
        };
        if self.ahead.owes() && self.ahead.generation != generation {
            self.close();
        }
        // Here a connection from before an outage is closed, too.
        self.ahead.owes() || generation == self.generation || self.follow(generation).is_ok()
    }

    /// True if it has no connection to send a request on.
    fn needs_connection(&mut self, now: Moment) -> bool {
        self.refresh_idle(now);
        !self.connection.takes_more(now)
    }

    /// If the connection has been idle, the server may have closed it: receives what is there.
    fn refresh_idle(&mut self, now: Moment) {
        if self.ahead.owes() && self.connection.was_idle(now) {
            self.hear(now);
        }
    }

    /// Asks for items at that moment, as far as that needs no waiting.
    pub(super) fn ask_ahead(&mut self, mut asked: &[Asked], since: Moment) {
        if self.ahead.is_full() {
            self.hear(since);
        }
        while !asked.is_empty() && !self.ahead.is_full() && self.connection.takes_more(since) {
            let (batch, rest) = asked.split_at(batch_of(asked));
            let keys: Vec<_> = batch.iter().map(|asked| &asked.key).collect();
            let Ok(bytes) = self.connection.add(&Request::GetMany { keys: &keys }) else {
                break;
            };
            self.server().stats().prefetched.add(batch.len());
            let items = batch.iter().copied().map(Some).collect();
            self.push(Owed::Items(Batch { items, since }), bytes);
            asked = rest;
        }
        if self.ahead.owes()
            && let Err(error) = self.connection.send_added(since)
        {
            self.lose(&error);
        }
    }

    /// Sends a write without waiting for its answer. False if that is not possible now.
    pub(super) fn defer(
        &mut self,
        request: &Request<'_>,
        change: Option<Change>,
        now: Moment,
        settings: &Settings,
    ) -> bool {
        let is_long = matches!(request, Request::Store { value, .. } if value.len() > MAX_DEFERRED);
        let Some(&key) = request.key() else {
            return false;
        };
        if is_long || !self.may_write_ahead(now) {
            return false;
        }
        let Ok(bytes) = self.connection.add(request) else {
            return false;
        };
        let kind = request.kind();
        let write = Deferred {
            kind,
            key,
            since: now,
            change,
            has_copies: settings.replicas > 1,
        };
        self.push(Owed::Write(write), bytes);
        match self.connection.send_added(now) {
            Ok(true) => {}
            // It must not stay half sent until somebody uses the connection again.
            Ok(false) => self.catch_up(&Deadline::new(now, settings.timeout), settings),
            Err(error) => {
                self.ahead.pop_last();
                self.lose(&error);
                return false;
            }
        }
        true
    }

    /// True if a write can be sent without waiting for its answer.
    fn may_write_ahead(&mut self, now: Moment) -> bool {
        if !self.may_ask_ahead() {
            return false;
        }
        self.refresh_idle(now);
        if self.ahead.is_full() {
            self.hear(now);
            if self.ahead.owes() {
                return false;
            }
        }
        self.connection.takes_more(now)
    }

    /// Sends a write to a copy, while its operation, which began then, writes to others. False if that is not
    /// possible now.
    pub(super) fn send_copy(&mut self, request: &Request<'_>, began: Moment) -> bool {
        if !self.may_write_ahead(began) {
            return false;
        }
        let Ok(bytes) = self.connection.add(request) else {
            return false;
        };
        self.push(Owed::Copy(began), bytes);
        if let Err(error) = self.connection.send_added(began) {
            self.ahead.pop_last();
            self.lose(&error);
            return false;
        }
        true
    }

    fn push(&mut self, owed: Owed, bytes: usize) {
        if !self.ahead.owes() {
            self.ahead.generation = self.generation;
            self.generation = NO_GENERATION;
        }
        self.ahead.push(owed, bytes);
    }

    /// Receives all replies that are owed, or closes the connection.
    #[cold]
    pub(super) fn catch_up(&mut self, deadline: &Deadline, settings: &Settings) {
        let waiting = Waiting::new(self, *deadline, settings);
        collect(&mut [waiting], Ahead::owes);
    }

    /// Receives what is there, and gives it to those it is for.
    pub(super) fn hear(&mut self, now: Moment) {
        if let Err(error) = self.try_to_hear(now) {
            self.lose(&error);
        } else if !self.ahead.owes() {
            self.generation = self.ahead.generation;
        }
    }

    fn try_to_hear(&mut self, now: Moment) -> Result<(), Error> {
        self.connection.go_on(&mut self.ahead.value, now)?;
        while self.ahead.owes() {
            match self.connection.next_reply(&mut self.ahead.value) {
                Ok(None) => break,
                Ok(Some(reply)) => self.deliver(Ok(reply)),
                Err(error) if self.connection.is_broken() || !error.is_refusal() => {
                    return Err(error);
                }
                Err(error) => self.deliver(Err(error)),
            }
            if self.connection.is_broken() {
                return Err(Error::Garbled(
                    "the reply has come before the request was sent",
                ));
            }
        }
        Ok(())
    }

    /// Gives a complete answer to the request that it belongs to.
    fn deliver(&mut self, answer: Result<Reply, Error>) {
        if let Ok(Reply::OneOf(item, place)) = answer {
            let value = std::mem::take(&mut self.ahead.value);
            if let Some(asked) = self.ahead.take(place) {
                let reply = Reply::Item(item);
                self.ahead.keep(Answer {
                    asked,
                    reply,
                    value,
                });
            }
            return;
        }
        let Some(owed) = self.ahead.pop() else {
            return;
        };
        let since = owed.since();
        // The answer may have waited here for any time: it says only that the server lived then.
        self.health().note_answer(since);
        let deadline = Deadline::new(since, Duration::ZERO);
        drop(Operation::begin(
            &self.server,
            self.ahead.generation,
            &deadline,
        ));
        match (owed, answer) {
            (Owed::Items(batch), Ok(reply)) => {
                for asked in batch.items.into_iter().flatten() {
                    self.ahead.keep(Answer {
                        asked,
                        reply,
                        value: Vec::new(),
                    });
                }
            }
            (Owed::Write(write), Err(error)) => {
                self.server().stats().note_failure(&error);
                self.note_undone(&write, &error);
            }
            (Owed::Copy(_), answer) => self.ahead.keep_copied(answer),
            _ => {}
        }
    }

    /// The connection is of no use any more: nothing that it owes will come. Nobody knows whether the
    /// writes were done.
    #[cold]
    fn lose(&mut self, error: &Error) {
        match error {
            Error::Timeout(_) => self.connection.close_silent(),
            _ => self.connection.close(),
        }
        if !self.ahead.owes() {
            return;
        }
        self.generation = self.ahead.generation;
        self.ahead.value = Vec::new();
        self.health().count_failure(Status::of_error(error));
        while let Some(owed) = self.ahead.pop() {
            if let Owed::Write(write) = owed {
                let stats = self.server().stats();
                if !sys::planted("lost writes are not counted") {
                    stats.failures.count(Status::Down);
                    stats.lost.count();
                }
                self.note_undone(&write, error);
                // It may be done later.
                if let Some(change) = write.change {
                    change.lose();
                }
            }
        }
    }

    /// A deferred write was not done, or nobody knows.
    fn note_undone(&mut self, write: &Deferred, error: &Error) {
        if write.has_copies {
            self.ahead.undone.push(write.key);
        }
        if let Some(left_out) = self.log_limit.admit(Moment::now()) {
            let (label, word) = (self.spec().label(), Status::of_error(error));
            let Deferred { kind, key, .. } = write;
            log::error!(
                "deferred {} of key '{key}' at server {label}: {word}: {error}{left_out}",
                kind.verb()
            );
        }
    }

    /// Closes the connection. What it owes is received before that, if it is there.
    #[cold]
    pub(super) fn close(&mut self) {
        if self.ahead.owes() {
            if !self.connection.has_unsent() {
                self.hear(Moment::now());
            }
            self.lose(&Error::Down(Down::OutOfService));
        }
        self.connection.close();
    }
}

/// How many of these items one request asks for.
fn batch_of(asked: &[Asked]) -> usize {
    let mut room = MAX_KEYS;
    let fits = |asked: &&Asked| {
        let len = asked.key.as_bytes().len() + 1;
        room.checked_sub(len).map(|left| room = left).is_some()
    };
    asked.iter().take_while(fits).count().max(1)
}

/// A member whose replies are waited for.
pub(super) struct Waiting<'a> {
    member: &'a mut Member,
    deadline: Deadline,
    /// How long nothing may arrive.
    stall_limit: Duration,
    /// When something could be sent or received last.
    progress: Moment,
}

impl<'a> Waiting<'a> {
    /// Of a connection from before an outage, only what has arrived is received.
    pub(super) fn new(member: &'a mut Member, deadline: Deadline, settings: &Settings) -> Self {
        if member.ahead.owes() && member.ahead.generation != member.health().generation() {
            member.close();
        }
        Self {
            member,
            deadline,
            stall_limit: settings.stall_limit,
            progress: Moment::now(),
        }
    }

    /// Of an operation that has waited since the beginning of its deadline, though not for this server. The
    /// connection is its own: if it were closed because the server has gone and come back meanwhile, nobody would
    /// know what has become of the write.
    pub(super) fn since_beginning(
        member: &'a mut Member,
        deadline: Deadline,
        settings: &Settings,
    ) -> Self {
        let progress = match member.connection.has_unsent() {
            true => Moment::now(),
            false => deadline.start(),
        };
        Self {
            member,
            deadline,
            stall_limit: settings.stall_limit,
            progress,
        }
    }

    /// Until when it is waited for.
    fn end(&self) -> Moment {
        let stall = self.progress + self.stall_limit;
        stall.min(self.deadline.end())
    }
}

/// Receives what these members owe, from all of them at the same time, until `wants` is false for each of
/// them. A connection on which nothing arrives for the stall limit, or that is not done at its deadline, is
/// closed. What is unsent is sent meanwhile, so no server waits for us to read.
pub(super) fn collect(members: &mut [Waiting<'_>], wants: impl Fn(&Ahead) -> bool) {
    loop {
        let now = Moment::now();
        for late in members.iter_mut().filter(|it| now >= it.end()) {
            if wants(&late.member.ahead) {
                // The process may have been stopped, and the replies are there.
                late.member.hear(now);
            }
            if wants(&late.member.ahead) {
                late.member.lose(&Error::Timeout(error::Waiting::Receive));
            }
        }
        let mut waiting: Vec<_> = members
            .iter_mut()
            .filter(|it| wants(&it.member.ahead))
            .collect();
        let Some(end) = waiting.iter().map(|it| it.end()).min() else {
            return;
        };
        let connections: Vec<_> = waiting.iter().map(|it| &it.member.connection).collect();
        let ready = wait_for_any(&connections, end.since(now));
        let now = Moment::now();
        for (it, is_ready) in waiting.iter_mut().zip(ready) {
            if is_ready {
                it.member.hear(now);
                it.progress = now;
            }
        }
    }
}
