//! Write: all copies of an item get the same write, at the same time.
//!
//! It is sent to all but the first one without waiting, then the first one is asked in the ordinary way, then
//! the answers of the others are received. What cannot be sent so is asked in the ordinary way, one after the
//! other.

use super::super::Pool;
use super::super::ahead::Ahead;
use super::super::dialect::Dialect;
use super::super::member::Member;
use super::super::pipeline::{self, Waiting};
use super::super::route::{Exchange, Failed, Task};
use super::Answer;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::{Down, Error, Waiting as WaitingFor};
use crate::item::key::WireKey;
use crate::shared::near::Change;
use crate::sys;
use crate::wire::protocol::{Reply, Request};
use crate::wire::wait_budget;

impl Pool {
    pub(super) fn write_to_all(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: u32,
        copies: Vec<usize>,
        task: &mut dyn Task,
    ) -> Answer {
        let mut live: Vec<_> = self.live(&copies).collect();
        if sys::planted("one copy is written") {
            live.truncate(1);
        }
        if live.is_empty() {
            let error = self.members[copies[0]].not_asked();
            let asked = copies;
            return self.beyond_copies(deadline, key, hash, Failed { asked, error }, task);
        }
        // Before anybody can read from another copy what these do not have.
        let out = copies.iter().filter(|at| !live.contains(at));
        let passed_over: Vec<_> = out.map(|&at| self.pass_over(at, key)).collect();
        let mut answers = self.write_at(deadline, &live, live.len() > 1, task);
        let is_answer = |answer: &Answer| answer.as_ref().err().is_none_or(Error::is_refusal);
        if !answers.iter().any(is_answer) && task.kind().is_repeatable() {
            // A firewall may have forgotten all connections of a quiet hour.
            for (at, answer) in live.iter().zip(&mut answers) {
                if self.was_silent(*at, deadline) {
                    *answer = self.attempt_anew(*at, deadline, task);
                }
            }
        }
        // It must not be repeated, and has failed so that it may be done nevertheless.
        let is_repeatable = task.kind().is_repeatable();
        let may_be_done = |answer: &Answer| {
            let error = answer.as_ref().err();
            error.is_some_and(|error| !error.allows_stand_in(is_repeatable))
        };
        let has_item = |answer: &Answer| !matches!(answer, Ok(Reply::Miss | Reply::NotStored));
        let mut answered = answers.iter().enumerate();
        let first = answered.find(|(_, it)| is_answer(it) && has_item(it));
        let first = first.map(|(at, _)| at);
        let Some(first) = first.or_else(|| answers.iter().position(is_answer)) else {
            let is_open = answers.iter().any(may_be_done);
            let error = answers.into_iter().find_map(Result::err);
            let error = error.unwrap_or(Error::Down(Down::OutOfService));
            if is_open {
                return Err(error);
            }
            let asked = copies;
            return self.beyond_copies(deadline, key, hash, Failed { asked, error }, task);
        };
        let is_missing = !has_item(&answers[first]);
        let is_done = !is_missing || task.kind().removes();
        // What a copy may have done that has not answered is no miss. And what is missing would come over, and the write
        // be repeated.
        if is_missing
            && (!is_done || self.settings.has_sources)
            && let Some(open) = answers.iter().position(may_be_done)
        {
            return answers.swap_remove(open);
        }
        if answers[first].is_ok() && is_done {
            self.note_undone(key, &live, &answers);
            self.note_passed_over(key, &passed_over);
        }
        if live[first] != copies[0] {
            self.stats().failovers.count();
        }
        answers.into_iter().nth(first).unwrap_or(Err(Error::Busy))
    }

    /// Some of these servers have done a write. Those that have failed make up for it.
    pub(super) fn note_undone(&self, key: &WireKey, servers: &[usize], answers: &[Answer]) {
        for (at, answer) in servers.iter().zip(answers) {
            if answer.is_err() && !sys::planted("a copy that fails is forgotten") {
                self.members[*at].note_missed(key, &self.settings);
            }
        }
    }

    /// Servers make up for deferred writes that were not done there, as long as another copy can be asked.
    pub(super) fn note_undone_deferred(&mut self) {
        let undone = self
            .members
            .iter_mut()
            .map(|member| &mut member.ahead.undone);
        let undone: Vec<_> = undone.map(std::mem::take).collect();
        for (at, keys) in undone.iter().enumerate() {
            for key in keys {
                let copies = self.copies(key, self.placement().hash(key.as_bytes()));
                let mut others = self.live(&copies).filter(|other| *other != at);
                if others.any(|other| !undone[other].contains(key)) {
                    self.members[at].note_missed(key, &self.settings);
                }
            }
        }
    }

    /// The first of these copies that can be asked decides. What it has stored is set at the others.
    pub(super) fn decide(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: u32,
        copies: Vec<usize>,
        task: &mut dyn Task,
    ) -> Answer {
        let mut failed: Option<Failed> = None;
        let (at, reply) = loop {
            let asked = failed.as_ref().map_or(&[][..], |failed| &failed.asked);
            let next = self.live(&copies).find(|at| !asked.contains(at));
            let own = match (next, asked) {
                (Some(_), []) => Some(*deadline),
                (Some(next), _) => self.members[next].rest(deadline),
                (None, _) => None,
            };
            let (Some(next), Some(own)) = (next, own) else {
                let none = || Failed {
                    asked: vec![copies[0]],
                    error: self.members[copies[0]].not_asked(),
                };
                let failed = failed.unwrap_or_else(none);
                return self.beyond_copies(deadline, key, hash, failed, task);
            };
            let member = &mut self.members[next];
            member.connection.set_deputy(false);
            match task.attempt(member, &own, &self.settings) {
                Ok(reply) => break (next, reply),
                Err(error) if !error.allows_stand_in(task.kind().is_repeatable()) => {
                    return Err(error);
                }
                Err(error) => {
                    let asked = failed.map_or_else(Vec::new, |failed| failed.asked);
                    let asked = [asked, vec![next]].concat();
                    failed = Some(Failed { asked, error });
                }
            }
        };
        if at != copies[0] {
            self.stats().failovers.count();
        }
        let request = task.request().and_then(|request| request.plain_write());
        if let (Reply::Stored, Some(request)) = (reply, request) {
            let asked = failed.map_or_else(Vec::new, |failed| failed.asked);
            let is_another = |copy: &usize| *copy != at && !asked.contains(copy);
            let live: Vec<_> = self.live(&copies).filter(is_another).collect();
            for missing in copies
                .iter()
                .filter(|copy| **copy != at && !live.contains(copy))
            {
                self.members[*missing].note_missed(key, &self.settings);
            }
            let mut value = Vec::new();
            let value = &mut value;
            let answers = self.write_at(deadline, &live, true, &mut Exchange { request, value });
            self.note_undone(key, &live, &answers);
        }
        Ok(reply)
    }

    /// Has these servers do the same write, all at the same time, and returns what each of them has answered.
    /// `has_deputy` = nobody depends on one of them, so none is waited for beyond the stall limit.
    pub(super) fn write_at(
        &mut self,
        deadline: &Deadline,
        servers: &[usize],
        has_deputy: bool,
        task: &mut dyn Task,
    ) -> Vec<Answer> {
        let Some((&first, others)) = servers.split_first() else {
            return Vec::new();
        };
        let began = Moment::now();
        let request = task.request();
        let send = |at: &usize| {
            let member = &mut self.members[*at];
            let request = request.filter(|it| member.may_get_copy(it, &self.settings));
            request.is_some_and(|request| member.send_copy(&request, began))
        };
        let sent: Vec<bool> = others.iter().map(send).collect();
        let mut answers = vec![self.attempt_at(first, deadline, has_deputy, task)];
        self.collect_copies(&Deadline::new(began, deadline.end().since(began)));
        for (&at, is_sent) in others.iter().zip(sent) {
            let member = &mut self.members[at];
            let copied = member.ahead.take_copied();
            let was_silent = member.connection.was_silent_since(began);
            answers.push(match copied {
                Some(Err(error)) if error.is_unknown_request() => {
                    self.attempt_at(at, deadline, true, task)
                }
                Some(answer) => answer,
                None if is_sent && (was_silent || !task.kind().is_repeatable()) => {
                    Err(Error::Timeout(WaitingFor::Receive))
                }
                None => self.attempt_at(at, deadline, true, task),
            });
        }
        answers
    }

    /// Receives the answers of the copies to which a write was sent.
    fn collect_copies(&mut self, deadline: &Deadline) {
        let Self {
            members, settings, ..
        } = self;
        let owing = members.iter_mut().filter(|it| it.ahead.owes_copy());
        let waiting = owing.map(|it| Waiting::since_beginning(it, *deadline, settings));
        pipeline::collect(&mut waiting.collect::<Vec<_>>(), Ahead::owes_copy);
    }

    pub(super) fn attempt_at(
        &mut self,
        at: usize,
        deadline: &Deadline,
        has_deputy: bool,
        task: &mut dyn Task,
    ) -> Answer {
        let member = &mut self.members[at];
        let own = member.rest(deadline);
        let own = own.ok_or(Error::Timeout(WaitingFor::Send))?;
        member.connection.set_deputy(has_deputy);
        task.attempt(member, &own, &self.settings)
    }

    /// The same on a fresh connection, in the time of a look on one.
    #[cold]
    fn attempt_anew(&mut self, at: usize, deadline: &Deadline, task: &mut dyn Task) -> Answer {
        let left = deadline.remaining();
        let left = left.ok_or(Error::Timeout(WaitingFor::Send))?;
        let look = wait_budget::look_limit(self.settings.stall_limit);
        let own = Deadline::new(Moment::now(), left.min(look));
        let member = &mut self.members[at];
        member.connection.set_deputy(true);
        task.attempt(member, &own, &self.settings)
    }

    /// Sends a write to all copies that may be asked, without waiting for the answers. A copy to which it
    /// cannot be sent so is asked in the ordinary way. False if none could be asked.
    pub(in crate::pool) fn defer_copies(
        &mut self,
        key: &WireKey,
        hash: Option<u32>,
        request: &Request<'_>,
        change: Option<Change>,
    ) -> bool {
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        let copies = self.copies(key, hash);
        let live: Vec<_> = self.live(&copies).collect();
        let deadline = Deadline::new(Moment::now(), self.settings.timeout);
        // A copy that returns before the others have done the write may get back what they had.
        let gets_back = live.len() < copies.len() && !self.settings.miss_failover.is_zero();
        if live.is_empty() || gets_back {
            return false;
        }
        for out in copies.iter().filter(|at| !live.contains(at)) {
            self.members[*out].note_missed(key, &self.settings);
        }
        let mut left = Vec::new();
        for &at in &live {
            let twin = change.as_ref().map(Change::twin);
            // The one before may have been waited for.
            let now = Moment::now();
            if !self.members[at].defer(request, twin, now, &self.settings) {
                left.push(at);
            }
        }
        self.note_undone_deferred();
        let is_sent = left.len() < live.len();
        if is_sent {
            let (request, mut value) = (*request, Vec::new());
            let value = &mut value;
            let answers = self.write_at(&deadline, &left, true, &mut Exchange { request, value });
            self.note_undone(key, &left, &answers);
        }
        is_sent
    }
}

impl Member {
    /// Whether this write can be sent to it without knowing more of it.
    fn may_get_copy(&self, request: &Request<'_>, settings: &Settings) -> bool {
        let dialect = Dialect::known(settings.protocol, self.server().dialect());
        request.kind().is_classic() || dialect == Some(Dialect::Meta)
    }
}
