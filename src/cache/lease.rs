//! Lease: of all who miss an item, one computes it anew; and the leases that this process holds.
//!
//! [`pool::lease`](crate::pool::LeaseRequest) says what is promised. The next plain write of a key whose
//! lease this process holds is the holder's: it is refused if anything newer was stored meanwhile. So a
//! lease is remembered longer than it lasts: what comes too late must not be taken for something new.

use std::ops::ControlFlow;
use std::time::Duration;

use super::call::Answer;
use super::outcome::Written;
use super::transfer::Placeholder;
use super::{Cache, Key};
use crate::clock::{Deadline, Moment};
use crate::error::Error;
use crate::item::key::WireKey;
use crate::item::lifetime::Lifetime;
use crate::item::value::{MAX_DECIMAL, Value};
use crate::pool::{Fulfilment, Invalidation, LeaseRequest, is_placeholder};
use crate::status::Status;
use crate::sys;
use crate::wire::connection::Number;
use crate::wire::protocol::{Item, Reply};

/// How many leases a process remembers; of more, it forgets the oldest one.
const MOST: usize = 256;

/// For how many times [`lease_time`](crate::config::Settings::lease_time) it remembers them.
const REMEMBERED: u32 = 4;

/// The leases that this process holds, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Leases(Vec<Held>);

/// A lease that this process holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pool: usize,
    key: WireKey,
    /// The version with which it was given.
    version: u64,
    /// The connection on which it was given.
    connection: Number,
    /// Until when it is remembered.
    until: Moment,
}

impl Held {
    fn is_of(&self, key: &Key) -> bool {
        self.pool == key.pool && self.key.as_bytes() == key.wire.as_bytes()
    }
}

impl Leases {
    /// True if this process holds none.
    #[inline(always)]
    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers a lease in place of an earlier one of its key.
    fn hold(&mut self, key: &Key, lease: Held, now: Moment) {
        self.end(key);
        self.0.retain(|held| held.until > now);
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(lease);
    }

    fn find(&self, key: &Key, now: Moment) -> Option<Held> {
        let mut held = self.0.iter();
        held.find(|held| held.is_of(key) && held.until > now)
            .copied()
    }

    fn end(&mut self, key: &Key) {
        self.0.retain(|held| !held.is_of(key));
    }
}

impl Cache {
    /// Items of the pool of that index may be placeholders from now on.
    pub fn expect_leases(&self, pool: usize) {
        self.pools[pool].leases().expect();
    }

    /// Reads an item, and gets its lease if it is missing, out of date or about to end, and nobody has it.
    /// The value's text is in `text`.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn lease(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Answer, Error> {
        self.expect_leases(key.pool);
        self.forget(key);
        let deadline = self.pools[key.pool].begin();
        if let Some(answer) = self.lease_within(&deadline, key, text)? {
            return Ok(answer);
        }
        let rest = self.rest(&deadline, key)?;
        let again = self.lease_within(&rest, key, text)?;
        Ok(again.unwrap_or(Answer::without_value(Status::Miss)))
    }

    /// The same within this time. `None` = a part of the item was missing, and it was removed: so somebody can have
    /// the lease now.
    fn lease_within(
        &mut self,
        deadline: &Deadline,
        key: &Key,
        text: &mut Vec<u8>,
    ) -> Result<Option<Answer>, Error> {
        let (now, pool) = (Moment::now(), &mut self.pools[key.pool]);
        let time = pool.settings().lease_time;
        let mut request = LeaseRequest {
            key: &key.wire,
            time,
            early: pool.settings().lease_early,
            value: text,
            connection: None,
        };
        let reply = pool.lease(deadline, &mut request, key.hash);
        let connection = request.connection;
        self.note(key, || "lease", &reply);
        let stats = self.stats(key);
        let (item, version, lease) = match reply {
            Ok(Reply::Leased(item, version, lease)) => (item, version, lease),
            Ok(_) => {
                stats.misses.count();
                return Ok(Some(Answer::without_value(Status::Miss)));
            }
            Err(error) => {
                stats.failed_gets.count();
                return Err(error);
            }
        };
        // Who has no lease has read a value, unless there is none.
        let is_empty = is_placeholder(item, text) && (lease.is_ours || lease.is_others);
        if is_empty && !lease.is_stale {
            let connection = connection.filter(|_| lease.is_ours);
            let placeholder = connection.map(|connection| Placeholder {
                version,
                connection,
            });
            if let Some(found) = self.read_for_lease(deadline, key, placeholder, text) {
                return Ok(Some(Answer {
                    value: Some(found),
                    ..Answer::without_value(Status::Hit)
                }));
            }
        }
        let value = match is_empty {
            true => {
                stats.misses.count();
                text.clear();
                None
            }
            // What cannot be read is computed anew by who has the lease.
            false => match self.read_value(deadline, key, item, text) {
                Ok(None) if !lease.is_ours && self.remove_index(deadline, key, item) => {
                    return Ok(None);
                }
                Err(error) if !lease.is_ours => return Err(error),
                found => found.ok().flatten(),
            },
        };
        let stats = self.stats(key);
        let status = match (lease.is_ours, lease.is_stale, value) {
            (true, ..) => Status::Lease,
            (false, _, None) => Status::Miss,
            (false, true, _) if !sys::planted("old values pass for new ones") => Status::Stale,
            (false, ..) => Status::Hit,
        };
        match status {
            Status::Lease => stats.leases.count(),
            Status::Stale => stats.stale.count(),
            _ => {}
        }
        if let (true, Some(connection)) = (lease.is_ours, connection) {
            let held = Held {
                pool: key.pool,
                key: key.wire,
                version,
                connection,
                until: now + Duration::from_secs(time.into()) * REMEMBERED,
            };
            self.leases.hold(key, held, now);
        }
        Ok(Some(Answer {
            value,
            ..Answer::without_value(status)
        }))
    }

    /// Whether this process holds the lease of that key.
    #[cfg(feature = "simulation")]
    pub(crate) fn holds_lease(&self, key: &Key) -> bool {
        self.leases.find(key, Moment::now()).is_some()
    }

    /// Stores what the holder of a lease has computed; `None` if this process does not hold it.
    #[cold]
    pub(super) fn fulfil(&mut self, key: &Key, value: Value<'_>) -> Option<Result<Written, Error>> {
        let held = self.leases.find(key, Moment::now())?;
        (!sys::planted("a lease is no condition")).then(|| self.fulfil_lease(held, key, value))
    }

    fn fulfil_lease(&mut self, held: Held, key: &Key, value: Value<'_>) -> Result<Written, Error> {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = self.encoded(key, value, &mut room)?;
        let packed = self.packed(key, flags, value);
        self.stats(key).sets.count();
        let mut deadline = self.pools[key.pool].begin();
        let (flags, value) =
            match self.split_if_unchanged(&mut deadline, key, held.version, packed)? {
                ControlFlow::Continue(ready) => ready,
                ControlFlow::Break(changed) => {
                    self.leases.end(key);
                    return Ok(changed);
                }
            };
        let mut fulfilment = Fulfilment {
            key: &key.wire,
            flags,
            lifetime: self.lifetime(key).on_wire(),
            value: &value,
            version: held.version,
            connection: held.connection,
            is_tried: false,
        };
        let _change = self.change(key);
        let pool = &mut self.pools[key.pool];
        let stood_in = pool.stood_in();
        let reply = pool.fulfil(&deadline, &mut fulfilment, key.hash);
        self.note(key, || "set", &reply);
        // Without an answer it is still held: what is stored next must not be newer than it is.
        if reply.is_ok() {
            self.leases.end(key);
        }
        Ok(match reply? {
            Reply::Exists => Written::Exists,
            Reply::Miss => Written::Missing,
            _ => {
                self.outdate(&deadline, key, stood_in);
                Written::Stored
            }
        })
    }

    /// Marks an item as out of date: the next one who asks for its lease has it, all others read the old
    /// value for so long. `None` means that it is not there.
    ///
    /// # Errors
    /// Those of [`Pool::route`](crate::pool::Pool::route).
    pub(super) fn invalidate(&mut self, key: &Key, lasting: Lifetime) -> Result<Status, Error> {
        self.expect_leases(key.pool);
        let invalidation = Invalidation {
            key: &key.wire,
            lifetime: lasting.on_wire(),
        };
        self.stats(key).deletes.count();
        let wanted = (&key.wire, key.hash);
        let deletes = invalidation.lifetime == 0 || self.pools[key.pool].speaks_classic(wanted);
        if deletes && self.is_removed_elsewhere(key) {
            // An older one could come over before that was deleted, too.
            return self.delete_everywhere(key);
        }
        let _change = self.change(key);
        let deadline = self.pools[key.pool].begin();
        if self.splits(key) {
            if deletes {
                return self.delete_large(&deadline, key);
            }
            // They are read as long as the item.
            self.touch_parts(&deadline, key, lasting)?;
        }
        let pool = &mut self.pools[key.pool];
        let at_others = match pool.may_come_back((&key.wire, key.hash)) {
            true => pool.invalidate_at_others(&deadline, &invalidation, key.hash),
            false => None,
        };
        let rest = self.rest(&deadline, key)?;
        let mut reply = self.pools[key.pool].invalidate(&rest, &invalidation, key.hash);
        self.note(key, || "invalidate", &reply);
        if matches!(reply, Ok(Reply::Miss))
            && self.transfer(&deadline, key, &mut Vec::new()).is_some()
        {
            if self.splits(key) {
                self.touch_parts(&deadline, key, lasting)?;
            }
            let rest = self.rest(&deadline, key)?;
            reply = self.pools[key.pool].invalidate(&rest, &invalidation, key.hash);
            self.note(key, || "invalidate", &reply);
        }
        // From there it would come over as if it were up to date, once it has ended here.
        let at_sources = self.delete_at_sources(&deadline, key);
        let was_missing = matches!(reply, Ok(Reply::Miss | Reply::Deleted));
        if was_missing && self.is_removed_elsewhere(key) {
            // Another process may have brought it over before it was removed there.
            let rest = self.rest(&deadline, key)?;
            let again = self.pools[key.pool].invalidate(&rest, &invalidation, key.hash);
            self.note(key, || "invalidate", &again);
            reply = match (again, reply) {
                (Ok(Reply::Miss), before) => before,
                (again, _) => again,
            };
        }
        let reply = match reply? {
            Reply::Miss => at_others.unwrap_or(Reply::Miss),
            reply => reply,
        };
        at_sources.map_err(|error| self.fail(key, error))?;
        Ok(match reply {
            Reply::Touched => Status::Touched,
            Reply::Deleted => Status::Deleted,
            _ => Status::Miss,
        })
    }

    /// Whether an item that a plain read has found is only the placeholder of a lease.
    #[cold]
    pub(super) fn is_only_leased(&self, key: &Key, item: Item, text: &[u8]) -> bool {
        is_placeholder(item, text) && self.pools[key.pool].leases().are_used()
    }
}

#[cfg(test)]
mod tests;
