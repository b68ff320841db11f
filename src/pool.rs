//! Pool: a named group of servers, and this process's connections to them.
//!
//! Chooses the server for a key, asks it under one deadline, and keeps its health and the log
//! lines about it. It does not know what an operation means.

use std::time::Instant;

use crate::clock::Deadline;
use crate::config::Settings;
use crate::connection::Connection;
use crate::error::Error;
use crate::health::{Failure, Health};
use crate::protocol::{Reply, Request};
use crate::server::ServerSpec;

/// A group of servers with common settings.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    /// How log lines call it: its alias or its address.
    label: String,
    connection: Connection,
    health: Health,
}

impl Pool {
    /// A pool that has asked nobody anything yet.
    pub fn new(settings: Settings) -> Self {
        let servers = settings.servers.iter().map(Server::new).collect();
        Self { settings, servers }
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks the key's server; a value's bytes replace what `value` held.
    ///
    /// # Errors
    /// Those of [`Connection::exchange`].
    pub fn ask(&mut self, request: &Request<'_>, value: &mut Vec<u8>) -> Result<Reply, Error> {
        let deadline = Deadline::new(Instant::now(), self.settings.timeout);
        self.servers[0].ask(request, value, &deadline)
    }
}

impl Server {
    fn new(spec: &ServerSpec) -> Self {
        Self {
            label: spec
                .alias
                .clone()
                .unwrap_or_else(|| spec.address.to_string()),
            connection: Connection::new(spec.address.clone()),
            health: Health::default(),
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
                    let seconds = outage.as_secs_f32();
                    log::warn!(
                        "server {} answers again after {seconds:.1} s{left_out}",
                        self.label
                    );
                }
            }
        }
        reply
    }

    #[cold]
    fn note_failure(&mut self, request: &Request<'_>, error: &Error) {
        let (label, verb, key) = (&self.label, request.verb(), request.key());
        let word = error.status();
        match self.health.failed(Instant::now()) {
            Failure::Fell => {
                log::warn!("server {label} fails: {word}: {error} ({verb} of key '{key}')");
            }
            Failure::Again(left_out) => {
                log::error!("{verb} of key '{key}' at server {label}: {word}: {error}{left_out}");
            }
            Failure::Silent => {}
        }
    }
}
