//! Member: one server of a pool, with this process's connection to it.
//!
//! Here a request meets the health of the server. A server that is out of service is not asked. An
//! answer or a failure becomes a verdict on the server that holds for all processes.

use std::net::IpAddr;

use super::operation::Operation;
use super::shared_server::SharedServer;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::{Down, Error};
use crate::health::latency::Latency;
use crate::health::log_limit::LogLimit;
use crate::health::{Health, State};
use crate::item::key::WireKey;
use crate::server::ServerSpec;
use crate::shared::Shared;
use crate::status::Status;
use crate::wire::connection::Connection;
use crate::wire::net::Stream;
use crate::wire::protocol::{Kind, Reply, Request};
use crate::wire::wait_budget::WaitBudget;

/// A server with this process's connection to it.
#[derive(Debug)]
pub struct Member {
    server: SharedServer,
    connection: Connection,
    /// Limits the log lines about failures that do not change the server's state.
    log_limit: LogLimit,
    /// The address in use, if the server is given by name, as this process knows it.
    in_use: Option<IpAddr>,
}

/// One operation in so many is measured. To read the clock again after each operation would cost more
/// than all other counting.
const MEASURED: u64 = 16;

impl Member {
    pub(super) fn new(spec: ServerSpec, slot: usize, shared: &'static Shared) -> Self {
        Self {
            connection: Connection::new(shared.stats()),
            log_limit: LogLimit::default(),
            in_use: None,
            server: SharedServer::new(spec, slot, shared),
        }
    }

    /// The same server with another weight or alias, or in another slot. It may have left the list
    /// and come back since this process looked last.
    pub(super) fn listed(self, spec: ServerSpec, slot: usize) -> Self {
        Self {
            server: self.server.listed(spec, slot),
            ..self
        }
    }

    /// Closes the connection if it leads to an address that is no longer in use. There may be no answer
    /// at that address ever again, or the answers of another server than the other processes ask.
    pub(super) fn follow_name(&mut self) {
        let in_use = self.server.addresses().read().first().copied();
        if std::mem::replace(&mut self.in_use, in_use) != in_use {
            self.connection = Connection::new(self.server.stats());
        }
    }

    /// The server, without the connection.
    pub(crate) fn server(&self) -> &SharedServer {
        &self.server
    }

    /// What the operator wrote.
    pub(crate) fn spec(&self) -> &ServerSpec {
        self.server.spec()
    }

    /// What all processes think of it.
    pub(crate) fn health(&self) -> &'static Health {
        self.server.health()
    }

    /// Sends `request`, which is about `key`, and receives its reply, if the server may be asked.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Down::OutOfService`] without asking, else those of
    /// [`Connection::exchange`].
    #[inline(always)]
    pub(super) fn attempt(
        &mut self,
        key: &WireKey,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let server = &self.server;
        if !server.health().may_be_asked() {
            return Err(self.not_asked());
        }
        let operation = Operation::begin(server, deadline.start());
        let may_wait_on = || operation.may_wait_on(settings.stall_limit);
        let (stall, connect) = (settings.stall_limit, settings.connect_timeout);
        let budget = WaitBudget::new(deadline, stall, connect, &may_wait_on);
        let open = || open(server, &budget);
        let reply = self.connection.exchange(request, value, &budget, open);
        if operation.number().is_multiple_of(MEASURED) || budget.had_to_ask() {
            measure(server.latency(), deadline.start(), &reply);
        }
        match &reply {
            // Another worker waits for the server and will find the verdict.
            Err(_) if budget.gave_up() => {}
            Err(error) if error.counts_against_server() => {
                let now = Moment::now();
                let change = operation.failed(now, Status::of_error(error), settings.rules);
                let failure = FailedRequest {
                    kind: request.kind(),
                    key,
                    error,
                };
                match change {
                    Some(change) => self.server.note(change, &failure),
                    None => self.log(now, &failure),
                }
            }
            _ => operation.answered(),
        }
        reply
    }

    #[cold]
    fn not_asked(&self) -> Error {
        self.server.stats().skipped.count();
        match self.health().state() {
            State::Active | State::Trying => Error::Busy,
            State::Inactive | State::Disabled => Error::Down(Down::OutOfService),
        }
    }

    /// Logs a failure that has not changed the server's state. While the server is out of service, the
    /// log has said so already.
    #[cold]
    fn log(&mut self, now: Moment, failure: &FailedRequest<'_>) {
        if self.health().state() == State::Active
            && let Some(left_out) = self.log_limit.admit(now)
        {
            let FailedRequest { kind, key, error } = failure;
            let (verb, label, word) = (kind.verb(), self.spec().label(), Status::of_error(error));
            log::error!("{verb} of key '{key}' at server {label}: {word}: {error}{left_out}");
        }
    }
}

/// A failed request, and why it failed.
struct FailedRequest<'a> {
    kind: Kind,
    key: &'a WireKey,
    error: &'a Error,
}

impl std::fmt::Display for FailedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, key, error } = self;
        let (word, verb) = (Status::of_error(error), kind.verb());
        write!(f, "{word}: {error} ({verb} of key '{key}')")
    }
}

#[cold]
fn open(server: &SharedServer, budget: &WaitBudget<'_>) -> Result<Stream, Error> {
    let sites = server.sites();
    let (stream, at) = Stream::connect(&sites, budget)?;
    sites[at].note_use();
    Ok(stream)
}

#[cold]
fn measure(latency: &Latency, start: Moment, reply: &Result<Reply, Error>) {
    if reply.is_ok() {
        let now = Moment::now();
        latency.record(now, now.since(start));
    }
}
