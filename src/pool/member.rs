//! Member: one server of a pool, with this process's connection to it.
//!
//! Here a request meets the health of the server. A server that is out of service is not asked. An
//! answer or a failure becomes a verdict on the server that holds for all processes.

use std::net::IpAddr;
use std::time::Duration;

use super::ahead::Ahead;
use super::operation::Operation;
use super::shared_server::SharedServer;
use super::slow::Slow;
use crate::clock::{Deadline, Moment};
use crate::config::{Rejoin, Settings};
use crate::error::{Down, Error, Waiting};
use crate::health::log_limit::LogLimit;
use crate::health::{Health, Judgement, State};
use crate::item::key::WireKey;
use crate::server::ServerSpec;
use crate::shared::Shared;
use crate::status::Status;
use crate::sys;
use crate::wire::access::Access;
use crate::wire::connection::{Connection, Number};
use crate::wire::dial::Dial;
use crate::wire::net::Stream;
use crate::wire::polled::Polled;
use crate::wire::protocol::{Reply, Request};
use crate::wire::second_look::Failure;
use crate::wire::wait_budget::WaitBudget;

/// A server with this process's connection to it.
#[derive(Debug)]
pub struct Member {
    pub(super) server: SharedServer,
    pub(super) connection: Connection,
    /// What it was asked without anybody waiting for the answer.
    pub(super) ahead: Ahead,
    /// Limits the log lines about failures that do not change the server's state.
    pub(super) log_limit: LogLimit,
    /// Limits the log lines about slow operations.
    slow_log_limit: LogLimit,
    /// The generation of the server in which the connection may take a request as it is. If it is
    /// [`NO_GENERATION`], the connection must be [prepared](Self::prepare) first.
    pub(super) generation: u16,
    /// Since when, and for how long, this process leaves the server alone.
    left_alone: Option<(Moment, Duration)>,
    /// The address in use, if the server is given by name, as this process knows it.
    in_use: Option<IpAddr>,
}

/// No server is ever in this generation.
pub(super) const NO_GENERATION: u16 = u16::MAX;

/// How long a process leaves a server alone that turns it away, if probes have no interval.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Member {
    /// A server without a connection.
    pub(super) fn new(
        spec: ServerSpec,
        slot: usize,
        settings: &Settings,
        shared: &'static Shared,
    ) -> Self {
        Self {
            connection: Connection::new(settings.value_limit, shared.stats()),
            ahead: Ahead::default(),
            log_limit: LogLimit::default(),
            slow_log_limit: LogLimit::of("slow operation"),
            generation: NO_GENERATION,
            left_alone: None,
            in_use: None,
            server: SharedServer::new(spec, slot, settings.access(), shared),
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
            self.close();
        }
    }

    /// What the server requires of a new connection has changed.
    pub(super) fn set_access(&mut self, access: Access) {
        self.server.set_access(access);
    }

    /// The server, without the connection.
    pub(crate) fn server(&self) -> &SharedServer {
        &self.server
    }

    /// The number of the connection that has been opened last.
    pub(super) fn connection_number(&self) -> Number {
        self.connection.number()
    }

    /// What the operator wrote.
    pub(crate) fn spec(&self) -> &ServerSpec {
        self.server.spec()
    }

    /// What all processes think of it.
    pub(crate) fn health(&self) -> &'static Health {
        self.server.health()
    }

    /// Sends `request` and receives its reply, if the server may be asked.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Down::OutOfService`] without asking, else those of
    /// [`Connection::exchange`].
    #[inline(always)]
    pub(super) fn attempt(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let server = &self.server;
        let Some(generation) = server.health().admit() else {
            return Err(self.not_asked());
        };
        let prepared;
        let deadline = match generation == self.generation {
            true => deadline,
            false => {
                prepared = self.prepare(generation, deadline, settings)?;
                &prepared
            }
        };
        let server = &self.server;
        let operation = Operation::begin(server, generation, deadline);
        let may_wait_on =
            |is_kept_out: bool| operation.may_wait_on(settings.stall_limit, is_kept_out);
        let (stall, connect) = (settings.stall_limit, settings.connect_timeout);
        let budget = WaitBudget::new(deadline, stall, connect, &may_wait_on);
        let way = Way::new(server, settings);
        let reply = self.connection.exchange(request, value, &budget, &way);
        if settings.latency_limit.measures(operation.number()) || budget.had_to_ask() {
            let (start, limit) = (deadline.start(), &settings.latency_limit);
            let stands_for = limit.stands_for(budget.had_to_ask());
            let answered = reply.is_ok().then_some(stands_for);
            if server.latency().measure(start, answered, limit) {
                let slow = Slow {
                    request: *request,
                    began: start,
                    opened: self.connection.opened(),
                    error: reply.as_ref().err().map(|failure| &failure.error),
                };
                slow.note(server, &mut self.slow_log_limit);
            }
        }
        match reply {
            Ok(reply) => {
                operation.answered();
                Ok(reply)
            }
            Err(failure) => {
                let gave_up = budget.gave_up();
                let judgement = operation.failed(&failure, gave_up, settings);
                self.note_failure(request, &failure, judgement, settings);
                Err(failure.error)
            }
        }
    }

    /// An operation has failed: logs it, and leaves the server alone for a while if that answers others,
    /// but gives this process no connection.
    #[cold]
    fn note_failure(
        &mut self,
        request: &Request<'_>,
        failure: &Failure,
        judgement: Judgement,
        settings: &Settings,
    ) {
        let error = &failure.error;
        let failed = FailedRequest { request, error };
        match judgement {
            Judgement::Changed(change) => self.server.note(change, &failed),
            Judgement::Counted | Judgement::NoEvidence => self.log(Moment::now(), &failed),
            Judgement::NoFailure => {}
        }
        let is_counted = matches!(judgement, Judgement::Changed(_) | Judgement::Counted);
        let is_turned_away = failure.is_turned_away && error.counts_against_server();
        if is_turned_away && !is_counted && self.health().may_be_asked() {
            let interval = settings.retry_interval.unwrap_or(BACK_OFF);
            self.left_alone = Some((Moment::now(), interval));
            self.generation = NO_GENERATION;
        }
    }

    /// What is left of a deadline to ask this server. The stall limit counts from now, unless the operation has
    /// already waited for so long for the connection that is closed now.
    #[cold]
    pub(super) fn rest(&self, deadline: &Deadline) -> Option<Deadline> {
        let rest = deadline.rest()?;
        let was_silent = self.connection.was_silent_since(deadline.start());
        Some(if was_silent { *deadline } else { rest })
    }

    /// Makes the connection ready to take a request: what it owes is received first. Returns the deadline of
    /// the operation, which has waited for that.
    ///
    /// # Errors
    /// [`Error::Timeout`]; those of [`Self::follow`].
    #[cold]
    fn prepare(
        &mut self,
        generation: u16,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Deadline, Error> {
        if self.ahead.owes() {
            self.catch_up(deadline, settings);
        }
        // A server that has returned since the operation began has not kept it waiting: the connection from
        // before is closed.
        if generation != self.generation {
            self.follow(generation)?;
        }
        self.rest(deadline).ok_or(Error::Timeout(Waiting::Receive))
    }

    /// A connection from before an outage is not used again.
    ///
    /// # Errors
    /// [`Down::TurnedAway`] while the server is to be left alone.
    #[cold]
    pub(super) fn follow(&mut self, generation: u16) -> Result<(), Error> {
        if self
            .left_alone
            .is_some_and(|(since, time)| Moment::now().passed_since(since) < time)
        {
            self.server.stats().skipped.count();
            return Err(Error::Down(Down::TurnedAway));
        }
        self.left_alone = None;
        self.generation = generation;
        if !sys::planted("connections survive an outage") {
            self.connection.close();
        }
        Ok(())
    }

    /// It has missed a write to `key` that others have taken, and makes up for it before it is asked again.
    #[cold]
    pub(super) fn note_missed(&self, key: &WireKey, settings: &Settings) {
        match settings.rejoin {
            Rejoin::Flush => self.server.divert(key),
            Rejoin::Keep => self.server.miss(key),
        }
    }

    /// Counts an operation that does not ask the server, because that may not be asked. Returns its error.
    #[cold]
    pub(crate) fn not_asked(&self) -> Error {
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
            let FailedRequest { request, error } = failure;
            let (label, word) = (self.spec().label(), Status::of_error(error));
            log::error!("{request} at server {label}: {word}: {error}{left_out}");
        }
    }
}

/// A failed request, and why it failed.
struct FailedRequest<'a> {
    request: &'a Request<'a>,
    error: &'a Error,
}

impl std::fmt::Display for FailedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { request, error } = self;
        write!(f, "{}: {error} ({request})", Status::of_error(error))
    }
}

/// The way to a server of a pool.
pub(super) struct Way<'a> {
    server: &'a SharedServer,
    settings: &'a Settings,
}

impl<'a> Way<'a> {
    /// The way to this server of a pool with these settings.
    pub(super) fn new(server: &'a SharedServer, settings: &'a Settings) -> Self {
        Self { server, settings }
    }
}

impl Dial for Way<'_> {
    #[cold]
    fn connect(&self, budget: &WaitBudget<'_>) -> Result<Stream, Error> {
        let sites = self.server.sites();
        let (stream, at) = Stream::connect(&sites, budget)?;
        self.server.note_use(&sites[at]);
        Ok(stream)
    }

    #[cold]
    fn begin(&self) -> Result<Polled, Error> {
        let mut failure = Error::Down(Down::Unresolved);
        for site in self.server.sites() {
            match Polled::connect(&site.target, self.settings.value_limit, &site.access) {
                Ok(polled) => return Ok(polled),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn access(&self) -> &Access {
        self.server.access()
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

    #[cold]
    fn note_certificates(&self, end: i64) {
        self.server.note_certificates(end);
    }

    fn prepare(&self, stream: &mut Stream) {
        stream.spin_within(self.settings.spin);
        if let Some(idle) = self.settings.tcp_keepalive {
            stream.keep_alive(idle);
        }
    }
}
