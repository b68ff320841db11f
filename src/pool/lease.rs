//! Lease: of all who miss an item, one is told to compute it anew, and what that one stores never takes the
//! place of anything newer.
//!
//! **Who has the lease** is decided by the server. One that speaks meta commands does that in one step: where
//! nothing is stored, it stores an empty item, the *placeholder*, and tells the one who asked so. Others are
//! asked in steps: who has [added](Store::Add) the placeholder has the lease, and reads its version. If
//! somebody deletes it between these two steps, and somebody else adds another one, both have the lease of
//! that other one. Then both compute, and what the second one stores is refused.
//!
//! **What the holder stores** is a write on the condition that the item still has the version with which the
//! lease was given. Whoever writes, deletes or invalidates the item changes or removes that version: not only
//! this module, but every client of the server. The version has no meaning on another server, or on one that
//! was restarted: so the write is sent on the connection on which the lease was given, or not at all.
//!
//! **A placeholder** lasts as long as the lease. Then the next one who asks has it. Who reads it by a plain
//! read, finds an item without bytes and flags.

use super::Pool;
use super::member::Member;
use super::route::Task;
use crate::clock::Deadline;
use crate::config::Settings;
use crate::error::{Down, Error};
use crate::item::key::WireKey;
use crate::sys;
use crate::wire::connection::Number;
use crate::wire::protocol::{Item, Kind, Lease, NO_VERSION, Reply, Request, Store};

/// To read an item, and perhaps get its lease.
#[derive(Debug)]
pub(crate) struct LeaseRequest<'a> {
    /// The key.
    pub(crate) key: &'a WireKey,
    /// How long a lease lasts, in seconds.
    pub(crate) time: u32,
    /// So many seconds before an item ends, its lease is given; 0 = not before.
    pub(crate) early: u32,
    /// Gets the bytes of the value.
    pub(crate) value: &'a mut Vec<u8>,
    /// The connection that has answered.
    pub(crate) connection: Option<Number>,
}

/// What the holder of a lease stores.
#[derive(Debug)]
pub(crate) struct Fulfilment<'a> {
    /// The key.
    pub(crate) key: &'a WireKey,
    /// The client flags.
    pub(crate) flags: u32,
    /// The lifetime, as it is sent.
    pub(crate) lifetime: u32,
    /// The bytes.
    pub(crate) value: &'a [u8],
    /// The version with which the lease was given.
    pub(crate) version: u64,
    /// The connection on which it was given.
    pub(crate) connection: Number,
    /// Whether the server that has given it was asked.
    pub(crate) is_tried: bool,
}

/// To tell that an item is out of date.
#[derive(Debug)]
pub(crate) struct Invalidation<'a> {
    /// The key.
    pub(crate) key: &'a WireKey,
    /// How long it may still be read, as it is sent; 0 = not at all.
    pub(crate) lifetime: u32,
}

/// True for an item that is only a lease.
pub(crate) fn is_placeholder(item: Item, value: &[u8]) -> bool {
    item.flags == 0 && value.is_empty()
}

impl Pool {
    /// Reads an item, and gets its lease if nobody has it and the item is missing, out of date or about to
    /// end. The reply is [`Reply::Leased`], or [`Reply::Miss`] if that is for others to compute.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn lease(
        &mut self,
        deadline: &Deadline,
        request: &mut LeaseRequest<'_>,
        hash: Option<u32>,
    ) -> Result<Reply, Error> {
        self.route_task(deadline, request.key, hash, request)
    }

    /// Stores an item if its lease is still good. The reply is [`Reply::Stored`], [`Reply::Exists`] or
    /// [`Reply::Miss`].
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn fulfil(
        &mut self,
        deadline: &Deadline,
        fulfilment: &mut Fulfilment<'_>,
        hash: Option<u32>,
    ) -> Result<Reply, Error> {
        self.route_task(deadline, fulfilment.key, hash, fulfilment)
    }

    /// Marks an item as out of date. The reply is [`Reply::Touched`], [`Reply::Miss`], or
    /// [`Reply::Deleted`] where the server cannot keep it as such.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    pub(crate) fn invalidate(
        &mut self,
        deadline: &Deadline,
        mut invalidation: &Invalidation<'_>,
        hash: Option<u32>,
    ) -> Result<Reply, Error> {
        self.route_task(deadline, invalidation.key, hash, &mut invalidation)
    }
}

impl Task for LeaseRequest<'_> {
    fn kind(&self) -> Kind {
        Kind::Lease
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let Self {
            key, time, early, ..
        } = *self;
        let request = Request::Lease { key, time, early };
        let reply = match member.attempt_meta(deadline, &request, self.value, settings)? {
            Some(reply) => {
                self.connection = Some(member.connection_number());
                self.keep_short(reply, member, deadline, settings)?
            }
            None => {
                member.tell_of_leases_without_meta(settings);
                self.in_steps(member, deadline, settings)?
            }
        };
        match reply {
            Reply::Leased(_, NO_VERSION, lease) if lease.is_ours => Err(Error::without_versions()),
            reply => Ok(reply),
        }
    }
}

/// How often the steps are begun anew because others remove the placeholder.
const ROUNDS: usize = 8;

impl LeaseRequest<'_> {
    /// A placeholder that was invalidated lasts as long as an item that was. If the one who has its lease
    /// dies, nobody would compute until then.
    fn keep_short(
        &self,
        reply: Reply,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        if let Reply::Leased(item, _, lease) = reply
            && lease.is_ours
            && lease.is_stale
            && is_placeholder(item, self.value)
        {
            let request = Request::Touch {
                key: self.key,
                lifetime: self.time,
            };
            // If that fails, the lease is good nevertheless. What somebody stores meanwhile ends earlier.
            let _ = member.attempt_within(deadline, &request, &mut Vec::new(), settings);
        }
        Ok(reply)
    }

    fn in_steps(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let key = self.key;
        let add = Request::Store {
            store: Store::Add,
            key,
            flags: 0,
            lifetime: self.time,
            value: b"",
        };
        let mut is_ours = false;
        for _ in 0..ROUNDS {
            let read = Request::Gets { key };
            let read = member.attempt_within(deadline, &read, self.value, settings)?;
            if let Reply::Versioned(item, version) = read {
                self.connection = Some(member.connection_number());
                let is_leased = is_placeholder(item, self.value);
                let lease = Lease {
                    is_ours: is_leased && is_ours,
                    is_others: is_leased && !is_ours,
                    is_stale: false,
                };
                return Ok(Reply::Leased(item, version, lease));
            }
            let added = member.attempt_within(deadline, &add, &mut Vec::new(), settings)?;
            is_ours = added == Reply::Stored || sys::planted("every caller has the lease");
        }
        Ok(Reply::Miss)
    }
}

impl Task for Fulfilment<'_> {
    fn kind(&self) -> Kind {
        Kind::Fulfil
    }

    fn request(&self) -> Option<Request<'_>> {
        Some(Request::Fulfil {
            key: self.key,
            flags: self.flags,
            lifetime: self.lifetime,
            version: self.version,
            value: self.value,
        })
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        if member.connection_number() != self.connection {
            // While the server that has given the lease stands in for this one, it decides.
            return match (member.health().may_be_asked(), self.is_tried) {
                (true, false) => Ok(Reply::Miss),
                (true, true) => Err(Error::Busy),
                (false, _) => Err(Error::Down(Down::OutOfService)),
            };
        }
        self.is_tried = true;
        let request = Request::Fulfil {
            key: self.key,
            flags: self.flags,
            lifetime: self.lifetime,
            version: self.version,
            value: self.value,
        };
        match member.attempt_within(deadline, &request, &mut Vec::new(), settings) {
            Err(Error::Down(Down::Replaced)) => Ok(Reply::Miss),
            reply => reply,
        }
    }
}

impl Task for &Invalidation<'_> {
    fn kind(&self) -> Kind {
        Kind::Invalidate
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let Invalidation { key, lifetime } = **self;
        let value = &mut Vec::new();
        if lifetime > 0 {
            let request = Request::Invalidate { key, lifetime };
            match member.attempt_meta(deadline, &request, value, settings)? {
                Some(reply) => return Ok(reply),
                None => member.tell_of_leases_without_meta(settings),
            }
        }
        member.attempt_within(deadline, &Request::Delete { key }, value, settings)
    }
}

impl Member {
    /// The first time that a server turns out to speak no meta commands, the log says what that means for leases.
    fn tell_of_leases_without_meta(&self, settings: &Settings) {
        if self.server().is_first_without_meta() {
            log::warn!(
                "pool '{}': server {} does not speak meta commands: it gives leases, but no stale \
                 values; lease_early has no effect, and mct_invalidate deletes",
                settings.name,
                self.spec().label()
            );
        }
    }
}
