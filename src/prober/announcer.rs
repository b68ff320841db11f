//! Events: which server has gone down or come up since the last look, once for the whole node.
//!
//! Any process may change a server's state, but one alone announces it: it looks at the states
//! again and again and compares them with what it has announced. So there is no queue to overflow
//! and no lock, and whoever made a change may have died since. *Down* is out of service, by failures
//! (inactive) or by an operator (disabled); *up* is active again. Between an announced down and its
//! up nothing else is announced; an outage that begins and ends between two looks is none. As it
//! looks before each round of probes, that takes an operator, or a probe already on its way.

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Moment;
use crate::health::State;
use crate::item::value::Value;
use crate::pool::{Member, Pool};
use crate::server::Address;
use crate::status::Status;

/// What has happened to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is out of service.
    Down,
    /// It is back.
    Up,
}

/// One change of one server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What has happened.
    pub kind: Kind,
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
    /// The server's alias, empty for none.
    Alias,
    /// The pool's name.
    Pool,
    /// The word for the state that it is in now.
    State,
    /// The word for the failure that took it out, empty if an operator did.
    Reason,
    /// For how many whole seconds it was out; 0 for one that has just gone.
    Downtime,
}

impl Event {
    fn of(kind: Kind, pool: &Pool, member: &Member, state: State, outage: &Announced) -> Self {
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

    /// A piece of its data.
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

/// A server that was announced as down.
#[derive(Debug)]
struct Announced {
    pool: usize,
    address: Address,
    since: Moment,
    reason: Option<Status>,
}

/// What was announced so far.
#[derive(Debug)]
pub(crate) struct Announcer {
    outages: Vec<Announced>,
    looked: Moment,
}

impl Default for Announcer {
    /// Has announced nothing: whatever is out already will be.
    fn default() -> Self {
        Self {
            outages: Vec::new(),
            looked: Moment::from_nanos(0),
        }
    }
}

impl Announcer {
    /// What is to be announced `now`. A server that has left its pool's list is forgotten.
    ///
    /// It compares all states, at one load each, rather than trust in the number of changes: that is
    /// counted after the change, by a process that may have died in between.
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
                // The moment may lag behind the state, but it lies between this look and the last.
                let since = || health.since().max(self.looked).min(now);
                match (outage, state) {
                    (None, State::Inactive | State::Disabled) => {
                        let outage = Announced {
                            pool: at,
                            address: address.clone(),
                            since: since(),
                            reason: health.reason(),
                        };
                        events.push(Event::of(Kind::Down, pool, member, state, &outage));
                        self.outages.push(outage);
                    }
                    (Some(outage), State::Active) => events.push(Event {
                        downtime: since().since(outage.since),
                        ..Event::of(Kind::Up, pool, member, state, &outage)
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
