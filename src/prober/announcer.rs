//! The `Announcer` finds out which servers have gone down or come up since it last looked. Each
//! change is announced once on the whole node.
//!
//! Any process may change a server's state, but only the prober's process has an announcer. Before
//! each round of probes it compares all states with what it has announced. So there is no queue
//! that could overflow and no lock, and a process that dies after a change takes nothing with it.
//!
//! *Down* means out of service, because of failures (inactive) or by an operator (disabled). *Up*
//! means active again. Once a server is announced as down, nothing more is announced about it until
//! it is up. An outage that begins and ends between two looks is not announced; this takes an
//! operator, or a probe that was already under way.

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Moment;
use crate::health::State;
use crate::item::value::Value;
use crate::pool::{Member, Pool};
use crate::server::Address;
use crate::status::Status;
use crate::sys;

/// What can happen to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The server went out of service.
    Down,
    /// The server is in service again.
    Up,
}

/// A change of one server in one pool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What has happened to the server.
    pub kind: EventKind,
    server: String,
    alias: String,
    pool: String,
    state: State,
    reason: Option<Status>,
    downtime: Duration,
}

/// A piece of an event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `host:port`, `[IPv6]:port` or the path.
    Server,
    /// The server's alias, or an empty text.
    Alias,
    /// The pool's name.
    Pool,
    /// The word for the server's state after the change.
    State,
    /// The word for the failure that took the server out of service, or an empty text if an
    /// operator did.
    Reason,
    /// For how many whole seconds the server was out of service; 0 when it has just gone down.
    Downtime,
}

impl Event {
    fn of(kind: EventKind, pool: &Pool, member: &Member, state: State, outage: &Announced) -> Self {
        let server = member.spec();
        Self {
            kind,
            server: server.address.to_string(),
            alias: server.alias.clone().unwrap_or_default(),
            pool: pool.settings().name.clone(),
            state,
            reason: outage.reason,
            downtime: Duration::ZERO,
        }
    }

    /// Reads a piece of the event's data.
    pub(crate) fn field(&self, field: Field) -> Value<'_> {
        let text = match field {
            Field::Server => &self.server,
            Field::Alias => &self.alias,
            Field::Pool => &self.pool,
            Field::State => self.state.word(),
            Field::Reason => self.reason.map_or("", Status::word),
            Field::Downtime => {
                let seconds = i64::try_from(self.downtime.as_secs());
                return Value::Integer(seconds.unwrap_or(i64::MAX));
            }
        };
        Value::Text(text.as_bytes())
    }
}

/// A server that has been announced as down.
#[derive(Debug)]
struct Announced {
    pool: usize,
    address: Address,
    since: Moment,
    reason: Option<Status>,
}

/// The servers that have been announced as down, and when it last looked.
#[derive(Debug)]
pub(crate) struct Announcer {
    outages: Vec<Announced>,
    looked: Moment,
}

impl Default for Announcer {
    /// An announcer that has announced nothing yet. Its first look announces all servers that are
    /// out of service already.
    fn default() -> Self {
        Self {
            outages: Vec::new(),
            looked: Moment::from_nanos(0),
        }
    }
}

impl Announcer {
    /// The events since the last look. It forgets servers that have left their pool's list.
    ///
    /// It compares all states, which costs one load each. It does not rely on the number of
    /// changes: a process counts a change after it has made it, and may die in between.
    pub(crate) fn look(&mut self, cache: &mut Cache, now: Moment) -> Vec<Event> {
        cache.refresh();
        let (mut events, mut known) = (Vec::new(), std::mem::take(&mut self.outages));
        for (at, pool) in cache.pools().iter().enumerate() {
            for member in pool.members() {
                let address = &member.spec().address;
                let same = |outage: &Announced| outage.pool == at && outage.address == *address;
                let outage = known.iter().position(same);
                let outage = outage.map(|index| known.swap_remove(index));
                let (health, state) = (member.health(), member.health().state());
                // The noted moment may lag behind the state. The true one lies between the last
                // look and this one.
                let since = || health.since().max(self.looked).min(now);
                match (outage, state) {
                    (None, State::Inactive | State::Disabled) => {
                        let outage = Announced {
                            pool: at,
                            address: address.clone(),
                            since: since(),
                            reason: health.reason(),
                        };
                        events.push(Event::of(EventKind::Down, pool, member, state, &outage));
                        if !sys::planted("events are repeated") {
                            self.outages.push(outage);
                        }
                    }
                    (Some(outage), State::Active) => events.push(Event {
                        downtime: since().since(outage.since),
                        ..Event::of(EventKind::Up, pool, member, state, &outage)
                    }),
                    (Some(outage), _) => self.outages.push(outage),
                    (None, State::Active | State::Trying) => {}
                }
            }
        }
        self.looked = now;
        events
    }
}

#[cfg(test)]
mod tests;
