//! Route: from a key to the server that answers, the owner of the key or a stand-in, under one deadline.

use std::cell::RefCell;
use std::hint::cold_path;

use super::inspection::Inspection;
use super::passed_over::PassedOver;
use super::{Counter, Member, Pool};
use crate::clock::{Deadline, Moment};
use crate::config::{Failover, Settings};
use crate::error::{Error, Waiting};
use crate::item::key::WireKey;
use crate::sys;
use crate::wire::protocol::{Kind, Reply, Request};

/// A key that is asked for, and its hash if that is known already.
pub(crate) type Wanted<'a> = (&'a WireKey, Option<u32>);

/// What one server of the pool is to do.
pub(super) trait Task {
    /// The kind of request that it is.
    fn kind(&self) -> Kind;

    /// The request, where it is one and no more.
    fn request(&self) -> Option<Request<'_>> {
        None
    }

    /// Has the server do it, under a deadline of its own.
    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error>;
}

/// To answer one request. It has a copy of it: so the compiler sees that the request itself stays what it
/// is, and picks the code for its kind.
pub(super) struct Exchange<'a> {
    pub(super) request: Request<'a>,
    /// Gets the bytes of the value.
    pub(super) value: &'a mut Vec<u8>,
}

impl Task for Exchange<'_> {
    fn kind(&self) -> Kind {
        self.request.kind()
    }

    fn request(&self) -> Option<Request<'_>> {
        Some(self.request)
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        member.attempt(&self.request, self.value, deadline, settings)
    }
}

impl Task for &Counter<'_> {
    fn kind(&self) -> Kind {
        Kind::CountOrCreate(self.way)
    }

    fn request(&self) -> Option<Request<'_>> {
        Some(self.in_one())
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        member.count_or_create(self, deadline, settings)
    }
}

impl Task for Inspection<'_> {
    fn kind(&self) -> Kind {
        self.request.kind()
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        member.inspect(self, deadline, settings)
    }
}

/// The servers of a key that were asked, the owner first, and why the last one has not answered.
pub(super) struct Failed {
    pub(super) asked: Vec<usize>,
    pub(super) error: Error,
}

impl Failed {
    fn owner(owner: usize, error: Error) -> Self {
        let asked = vec![owner];
        Self { asked, error }
    }
}

impl Pool {
    /// An operation begins: this process follows what others have changed. Returns the deadline of the
    /// operation.
    #[inline(always)]
    pub(crate) fn begin(&mut self) -> Deadline {
        self.follow();
        Deadline::new(Moment::now(), self.settings.timeout)
    }

    /// Gets the answer to `request`, which is about `key`, from the server that owns the key, or from a
    /// stand-in. `hash` is the hash of the key if it is known already. A value's bytes replace the
    /// content of `value`.
    ///
    /// # Errors
    /// Those of [`Member::attempt`]. If several servers were asked, the error of the last one.
    #[inline(always)]
    pub(crate) fn route(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let Some(owner) = self.owner(key, hash) else {
            let request = *request;
            return self.route_to_copies(deadline, key, hash, &mut Exchange { request, value });
        };
        match self.members[owner].attempt(request, value, deadline, &self.settings) {
            Err(error) if self.settings.failover != Failover::Off => {
                let request = *request;
                let mut exchange = Exchange { request, value };
                let failed = Failed::owner(owner, error);
                self.route_to_stand_in(key, hash, failed, deadline, &mut exchange)
            }
            reply => reply,
        }
    }

    /// Counts a counter, which is created where there is none, on the server that owns its key, or on
    /// a stand-in.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn count_or_create(
        &mut self,
        deadline: &Deadline,
        counter: &Counter<'_>,
        hash: Option<u32>,
    ) -> Result<Reply, Error> {
        let mut counter = counter;
        self.route_task(deadline, counter.key, hash, &mut counter)
    }

    /// Reads an item by `request`, a meta command, on the server that owns its key, or on a stand-in; by
    /// a plain one where the server speaks no meta commands. A value's bytes replace the content of `value`.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn inspect(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        request: Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let mut inspection = Inspection {
            key,
            request,
            value,
        };
        self.route_task(deadline, key, hash, &mut inspection)
    }

    /// Reads an item under a deadline that has begun already. The bytes replace the content of `value`.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    #[cold]
    pub(super) fn read_within(
        &mut self,
        deadline: &Deadline,
        (key, hash): Wanted<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let request = Request::Get { key };
        let mut exchange = Exchange { request, value };
        let Some(owner) = self.owner(key, hash) else {
            return self.read_late(deadline, key, hash, &mut exchange);
        };
        let own = self.members[owner].rest(deadline);
        let own = own.ok_or(Error::Timeout(Waiting::Receive))?;
        match exchange.attempt(&mut self.members[owner], &own, &self.settings) {
            Err(error) if self.settings.failover != Failover::Off => {
                let failed = Failed::owner(owner, error);
                self.route_to_stand_in(key, hash, failed, deadline, &mut exchange)
            }
            reply => reply,
        }
    }

    pub(super) fn route_task(
        &mut self,
        deadline: &Deadline,
        key: &WireKey,
        hash: Option<u32>,
        task: &mut dyn Task,
    ) -> Result<Reply, Error> {
        let Some(owner) = self.owner(key, hash) else {
            return self.route_to_copies(deadline, key, hash, task);
        };
        match task.attempt(&mut self.members[owner], deadline, &self.settings) {
            Err(error) if self.settings.failover != Failover::Off => {
                let failed = Failed::owner(owner, error);
                self.route_to_stand_in(key, hash, failed, deadline, task)
            }
            reply => reply,
        }
    }

    /// The server that owns `key`; `None` when no server is live, and where each item is kept on several
    /// servers.
    #[inline(always)]
    fn owner(&self, key: &WireKey, hash: Option<u32>) -> Option<usize> {
        let Some(ring) = &self.ring else {
            cold_path();
            return None;
        };
        let hash = || hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        Some(ring.sole().unwrap_or_else(|| ring.owner(hash())))
    }

    /// Asks one stand-in after the other, each once, as long as no server can have done the request,
    /// or it may be done twice.
    #[cold]
    pub(super) fn route_to_stand_in(
        &mut self,
        key: &WireKey,
        hash: Option<u32>,
        failed: Failed,
        deadline: &Deadline,
        task: &mut dyn Task,
    ) -> Result<Reply, Error> {
        let (
            Failed {
                mut asked,
                mut error,
            },
            kind,
        ) = (failed, task.kind());
        let owner = asked[0];
        let hash = hash.unwrap_or_else(|| self.placement().hash(key.as_bytes()));
        // No server before the one that takes a write may undo it by what it still holds.
        let is_kept = self.settings.makes_up_for_writes() && kind.writes();
        let mut passed_over: Vec<PassedOver> = Vec::new();
        while error.allows_stand_in(kind.is_repeatable()) {
            let passed = RefCell::new(Vec::new());
            let is_next = |index: usize| {
                let health = self.members[index].health();
                let is_next = !asked.contains(&index) && health.may_be_asked();
                if !is_next {
                    passed.borrow_mut().push(index);
                }
                is_next
            };
            let placement = &self.settings.placement;
            let next = self
                .any_ring()
                .and_then(|ring| placement.first_live(ring, key.as_bytes(), hash, is_next));
            let Some(next) = next else {
                break;
            };
            let own = match sys::planted("a stand-in has the whole time again") {
                true => Some(Deadline::new(Moment::now(), self.settings.timeout)),
                false => self.members[next].rest(deadline),
            };
            let Some(own) = own else {
                break;
            };
            for index in passed.into_inner() {
                let is_first = index == owner || !sys::planted("only the owner misses writes");
                if is_kept && is_first && passed_over.iter().all(|it| it.at != index) {
                    passed_over.push(self.pass_over(index, key));
                }
            }
            asked.push(next);
            let member = &mut self.members[next];
            member.connection.set_deputy(false);
            match task.attempt(member, &own, &self.settings) {
                Ok(reply) => {
                    self.note_passed_over(key, &passed_over);
                    self.shared.stats().failovers.count();
                    self.stood_in += 1;
                    return Ok(reply);
                }
                Err(another) => error = another,
            }
        }
        Err(error)
    }
}
