//! Pool: a named group of servers, and this process's connections to them.
//!
//! Finds the server of a key, asks it under one deadline, and keeps its health and the log
//! lines about it. The list of servers is the roster's, which any process may change: noticing
//! costs one load an operation, following it a new ring. It does not know what an operation means.

use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::connection::Connection;
use crate::error::Error;
use crate::health::{Failure, Health};
use crate::placement::Placement;
use crate::protocol::{Reply, Request};
use crate::ring::{Hit, Ring};
use crate::roster::Roster;
use crate::server::{self, ServerSpec};

/// A group of servers with common settings.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    roster: &'static Roster,
    /// The roster's version that `servers` and `ring` are made of.
    version: u32,
    servers: Vec<Server>,
    ring: Ring,
}

#[derive(Debug)]
struct Server {
    spec: ServerSpec,
    connection: Connection,
    health: Health,
}

/// Where a key lives, for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The key's hash.
    pub hash: u32,
    /// The ring point, or the slot, that it falls on.
    pub point: u32,
    /// The servers in the order in which they would be asked: the owner, then its stand-ins.
    pub order: Vec<&'a ServerSpec>,
}

impl Pool {
    /// A pool that has asked nobody anything yet; its servers are published in `roster`.
    pub fn new(settings: Settings, roster: &'static Roster) -> Self {
        if let Err(why) = roster.write(&settings.servers) {
            log::error!(
                "servers of pool '{}' cannot be changed later: {why}",
                settings.name
            );
        }
        let servers = &settings.servers;
        let ring = settings.placement.ring(servers, |_| true);
        Self {
            version: roster.version(),
            roster,
            servers: servers.iter().cloned().map(Server::new).collect(),
            ring: ring.expect("a list of servers is never empty"),
            settings,
        }
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its rules for keys.
    pub fn placement(&self) -> &Placement {
        &self.settings.placement
    }

    /// Its servers as this process knows them, in the order of the list.
    pub fn servers(&self) -> impl Iterator<Item = &ServerSpec> {
        self.servers.iter().map(|server| &server.spec)
    }

    /// Where a wire key lives.
    pub fn locate(&self, wire: &[u8]) -> Location<'_> {
        let hash = self.placement().hash(wire);
        let Hit { point, .. } = self.ring.locate(hash);
        let order = self.placement().failover_order(&self.ring, wire);
        let order = order
            .into_iter()
            .map(|index| &self.servers[index].spec)
            .collect();
        Location { hash, point, order }
    }

    /// Replaces the list of servers, for all processes.
    ///
    /// # Errors
    /// One line that says why the old list stays.
    pub fn publish(&self, servers: &[ServerSpec]) -> Result<(), String> {
        self.roster.write(servers).map_err(|why| why.to_string())
    }

    /// Asks the server of the request's key, whose hash may be known already; a value's bytes
    /// replace what `value` held.
    ///
    /// # Errors
    /// Those of [`Connection::exchange`].
    pub fn ask(
        &mut self,
        hash: Option<u32>,
        request: &Request<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        if self.roster.version() != self.version {
            self.refresh();
        }
        let deadline = Deadline::new(Moment::now(), self.settings.timeout);
        let owner = self.ring.sole().unwrap_or_else(|| {
            let key = request.key().as_bytes();
            self.ring
                .owner(hash.unwrap_or_else(|| self.settings.placement.hash(key)))
        });
        self.servers[owner].ask(request, value, &deadline)
    }

    /// Follows the roster: servers that stay keep their connections, those that left lose them.
    #[cold]
    pub fn refresh(&mut self) {
        let Some((version, text)) = self.roster.read() else {
            // Being replaced at this moment; the next operation will see it.
            return;
        };
        if version == self.version {
            return;
        }
        let name = &self.settings.name;
        let list = match server::parse_file(&text) {
            Ok(list) => list,
            Err(bad) => return log::error!("new servers of pool '{name}': {bad}"),
        };
        let Some(ring) = self.settings.placement.ring(&list, |_| true) else {
            return;
        };
        let mut old = std::mem::take(&mut self.servers);
        self.servers = list
            .into_iter()
            .map(|spec| {
                match old
                    .iter()
                    .position(|server| server.spec.address == spec.address)
                {
                    Some(at) => Server {
                        spec,
                        ..old.swap_remove(at)
                    },
                    None => Server::new(spec),
                }
            })
            .collect();
        (self.ring, self.version) = (ring, version);
        log::debug!("pool '{name}' has {} servers now", self.servers.len());
    }
}

impl Server {
    fn new(spec: ServerSpec) -> Self {
        Self {
            connection: Connection::new(spec.address.clone()),
            health: Health::default(),
            spec,
        }
    }

    fn ask(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        let reply = self.connection.exchange(request, value, deadline);
        match &reply {
            Err(error) if error.counts_against_server() => self.note_failure(request, error),
            _ => {
                if let Some((outage, left_out)) = self.health.answered(deadline.start()) {
                    let (label, seconds) = (self.spec.label(), outage.as_secs_f32());
                    log::warn!("server {label} answers again after {seconds:.1} s{left_out}");
                }
            }
        }
        reply
    }

    #[cold]
    fn note_failure(&mut self, request: &Request<'_>, error: &Error) {
        let (label, verb, key) = (self.spec.label(), request.verb(), request.key());
        let word = error.status();
        match self.health.failed(Moment::now()) {
            Failure::Fell(left_out) => {
                log::warn!(
                    "server {label} fails: {word}: {error} ({verb} of key '{key}'){left_out}"
                );
            }
            Failure::Again(left_out) => {
                log::error!("{verb} of key '{key}' at server {label}: {word}: {error}{left_out}");
            }
            Failure::Silent => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};

    fn pool(servers: &str) -> Pool {
        let mut parameters = Parameters::default();
        parameters.set("servers", Given::Text(servers)).unwrap();
        let settings = parameters.settle().remove(0);
        Pool::new(settings, &Roster::private(1)[0])
    }

    fn labels(pool: &Pool) -> Vec<String> {
        pool.servers().map(ServerSpec::label).collect()
    }

    #[test]
    fn a_published_list_is_followed() {
        let mut pool = pool("a:1, b:2 bee");
        assert_eq!(labels(&pool), ["a:1", "bee"]);
        pool.publish(&server::parse_list("b:2:5, c:3").unwrap())
            .unwrap();
        assert_eq!(
            labels(&pool),
            ["a:1", "bee"],
            "not before the next operation"
        );
        pool.refresh();
        assert_eq!(labels(&pool), ["b:2", "c:3"]);
    }

    #[test]
    fn a_key_is_located_with_all_its_stand_ins() {
        let pool = pool("a:1, b:2, c:3");
        let location = pool.locate(b"k");
        assert_eq!(location.hash, pool.placement().hash(b"k"));
        assert_eq!(location.order.len(), 3);
        let owner = pool.ring.owner(location.hash);
        assert_eq!(location.order[0], &pool.servers[owner].spec);
    }
}
