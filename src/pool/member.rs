//! Member: one server of a pool, with this process's connection to it.
//!
//! Here a request meets the health of the server. A server that is out of service is not asked. An
//! answer or a failure becomes a verdict on the server that holds for all processes.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use super::operation::Operation;
use super::shared_server::SharedServer;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::error::{Down, Error, Waiting};
use crate::health::latency::Latency;
use crate::health::log_limit::LogLimit;
use crate::health::{Health, Judgement, State};
use crate::item::key::WireKey;
use crate::server::ServerSpec;
use crate::shared::Shared;
use crate::status::Status;
use crate::wire::connection::Connection;
use crate::wire::dial::Dial;
use crate::wire::net::Stream;
use crate::wire::polled::Polled;
use crate::wire::protocol::{Kind, Reply, Request};
use crate::wire::second_look::Failure;
use crate::wire::wait_budget::WaitBudget;

/// A server with this process's connection to it.
#[derive(Debug)]
pub struct Member {
    server: SharedServer,
    connection: Connection,
    /// Limits the log lines about failures that do not change the server's state.
    log_limit: LogLimit,
    /// The generation of the server in which the connection was opened, or [`NO_GENERATION`].
    generation: u16,
    /// Until when this process leaves the server alone.
    back_off_until: Option<Moment>,
    /// Whether the server has failed this process, and has not answered on a connection opened since.
    has_failed: bool,
    /// The address in use, if the server is given by name, as this process knows it.
    in_use: Option<IpAddr>,
}

/// One operation in so many is measured. To read the clock again after each operation would cost more
/// than all other counting.
const MEASURED: u64 = 16;

/// No server is ever in this generation.
const NO_GENERATION: u16 = u16::MAX;

/// How long a process leaves a server alone that turns it away, if probes have no interval.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Member {
    pub(super) fn new(spec: ServerSpec, slot: usize, shared: &'static Shared) -> Self {
        Self {
            connection: Connection::new(shared.stats()),
            log_limit: LogLimit::default(),
            generation: NO_GENERATION,
            back_off_until: None,
            has_failed: false,
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
        let Some(generation) = server.health().admit() else {
            return Err(self.not_asked());
        };
        if generation != self.generation {
            self.follow(generation)?;
        }
        let server = &self.server;
        let operation = Operation::begin(server, generation, deadline);
        let way = Way {
            server,
            settings,
            opens: Cell::new(false),
        };
        let has_failed = self.has_failed;
        let is_newcomer = || way.opens.get() && !has_failed;
        let may_wait_on = |is_accepted: bool| {
            operation.may_wait_on(settings.stall_limit, !is_accepted && is_newcomer())
        };
        let (stall, connect) = (settings.stall_limit, settings.connect_timeout);
        let budget = WaitBudget::new(deadline, stall, connect, &may_wait_on);
        let reply = self.connection.exchange(request, value, &budget, &way);
        if operation.number().is_multiple_of(MEASURED) || budget.had_to_ask() {
            measure(server.latency(), deadline.start(), reply.is_ok());
        }
        let failure = match reply {
            Ok(reply) => {
                operation.answered();
                if way.opens.get() {
                    self.has_failed = false;
                }
                return Ok(reply);
            }
            Err(failure) => failure,
        };
        let Failure {
            error,
            is_evidence,
            is_turned_away,
        } = *failure;
        if error.is_refusal() {
            operation.answered();
            return Err(error);
        }
        let gave_up = budget.gave_up();
        let is_evidence = is_evidence && error.counts_against_server();
        let is_turned_away = is_turned_away && is_evidence;
        let is_kept_out = matches!(error, Error::Timeout(Waiting::Connect)) && is_newcomer();
        let judgement = match is_evidence && !gave_up {
            true => {
                let why = Status::of_error(&error);
                operation.failed(Moment::now(), why, settings.rules, is_kept_out)
            }
            false => {
                // Another worker waits for the server and will find the verdict.
                if !gave_up {
                    server.health().count_failure();
                }
                drop(operation);
                Judgement::NoEvidence
            }
        };
        let failed = FailedRequest {
            kind: request.kind(),
            key,
            error: &error,
        };
        match judgement {
            Judgement::Changed(change) => self.server.note(change, &failed),
            _ if gave_up => {}
            Judgement::Counted | Judgement::NoEvidence => self.log(Moment::now(), &failed),
        }
        self.has_failed |= judgement != Judgement::NoEvidence;
        if is_turned_away && judgement == Judgement::NoEvidence && self.health().may_be_asked() {
            self.back_off(settings);
        }
        Err(error)
    }

    /// The server answers others, but gives this process no connection. It is left alone for a while.
    #[cold]
    fn back_off(&mut self, settings: &Settings) {
        let interval = settings.retry_interval.unwrap_or(BACK_OFF);
        self.back_off_until = Some(Moment::now() + interval);
        self.generation = NO_GENERATION;
    }

    /// A connection from before an outage is not used again.
    ///
    /// # Errors
    /// [`Down::TurnedAway`] while the server is to be left alone.
    #[cold]
    fn follow(&mut self, generation: u16) -> Result<(), Error> {
        if self
            .back_off_until
            .is_some_and(|until| Moment::now() < until)
        {
            self.server.stats().skipped.count();
            return Err(Error::Down(Down::TurnedAway));
        }
        self.back_off_until = None;
        self.generation = generation;
        self.connection.close();
        Ok(())
    }

    #[cold]
    fn not_asked(&self) -> Error {
        self.server.stats().skipped.count();
        match self.health().state() {
            State::Trying => Error::Busy,
            // An active server has to make up for missed writes first.
            State::Active | State::Inactive | State::Disabled => Error::Down(Down::OutOfService),
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

/// The way to a server of a pool.
struct Way<'a> {
    server: &'a SharedServer,
    settings: &'a Settings,
    /// Whether the process had no connection when the operation began.
    opens: Cell<bool>,
}

impl Dial for Way<'_> {
    #[cold]
    fn connect(&self, budget: &WaitBudget<'_>) -> Result<Stream, Error> {
        self.opens.set(true);
        let sites = self.server.sites();
        let (stream, at) = Stream::connect(&sites, budget)?;
        self.server.note_use(&sites[at]);
        Ok(stream)
    }

    #[cold]
    fn begin(&self) -> Result<Polled, Error> {
        let mut failure = Error::Down(Down::Unresolved);
        for site in self.server.sites() {
            match Polled::connect(&site.target) {
                Ok(polled) => return Ok(polled),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    #[cold]
    fn question(&self) -> WireKey {
        self.server.question(&self.settings.placement)
    }

    fn note_answer(&self) {
        self.server.health().note_answer(Moment::now());
    }

    fn note_silence(&self) {
        self.server.note_silence();
    }

    fn prepare(&self, stream: &Stream) {
        if let Some(idle) = self.settings.tcp_keepalive {
            stream.keep_alive(idle);
        }
    }
}

#[cold]
fn measure(latency: &Latency, start: Moment, is_answered: bool) {
    if is_answered {
        let now = Moment::now();
        latency.record(now, now.since(start));
    }
}
