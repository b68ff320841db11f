//! Member: one server of a pool, as this process sees it.
//!
//! Its connection is the process's own; its health is everybody's. Here the two meet: a server
//! that is out is not asked, an answer or a failure becomes a verdict, and whoever changes a
//! state logs it, once for the whole host.

use std::net::IpAddr;

use super::known::Known;
use crate::clock::{Deadline, Moment};
use crate::config::{Rejoin, Settings};
use crate::error::{Down, Error};
use crate::health::latency::Latency;
use crate::health::log_limit::Limiter;
use crate::health::{Health, Rules, State};
use crate::prober::rejoin::Finding;
use crate::server::ServerSpec;
use crate::shared::Shared;
use crate::wire::connection::Connection;
use crate::wire::net::Target;
use crate::wire::protocol::{Reply, Request};
use crate::wire::wait_budget::Patience;

/// A server with this process's connection to it.
#[derive(Debug)]
pub struct Member {
    known: Known,
    connection: Connection,
    failures: Limiter,
    /// Which of its name's addresses was in use when that was looked at last.
    home: Option<IpAddr>,
}

/// One operation in so many is measured: a second look at the clock for each would cost more than
/// all that is counted.
const MEASURED: u64 = 16;

impl Member {
    pub(super) fn new(spec: ServerSpec, slot: usize, shared: &'static Shared) -> Self {
        Self {
            connection: Connection::new(shared.stats()),
            failures: Limiter::default(),
            home: None,
            known: Known::new(spec, slot, shared),
        }
    }

    /// The same server with another weight or alias, or in another slot: it may have left the list
    /// and come back while nobody looked.
    pub(super) fn listed(self, spec: ServerSpec, slot: usize) -> Self {
        Self {
            known: self.known.listed(spec, slot),
            ..self
        }
    }

    /// Leaves a connection to an address that is not the one in use any more: nobody might ever answer
    /// there, not even by a refusal, or another server than the other processes ask.
    pub(super) fn follow_name(&mut self) {
        let home = self.known.addresses().read().first().copied();
        if std::mem::replace(&mut self.home, home) != home {
            self.connection = Connection::new(self.known.stats());
        }
    }

    /// What the operator wrote.
    pub fn spec(&self) -> &ServerSpec {
        self.known.spec()
    }

    /// What everybody thinks of it.
    pub fn health(&self) -> &'static Health {
        self.known.health()
    }

    /// How quick it has been lately.
    pub fn latency(&self) -> &'static Latency {
        self.known.latency()
    }

    /// Where it can be connected: what the operator wrote, or what its name was resolved to. Asks no
    /// resolver.
    pub fn targets(&self) -> Vec<Target> {
        self.known.targets()
    }

    /// The name of its host, if it is one that has to be looked up.
    pub fn name(&self) -> Option<&str> {
        self.known.name()
    }

    /// What to do with the addresses that its name is found to have; all processes learn of them.
    pub fn address_writer(&self) -> impl FnOnce(&[IpAddr]) + Send + 'static {
        self.known.address_writer()
    }

    /// True unless it has failed or was taken out.
    pub fn is_live(&self) -> bool {
        matches!(self.health().state(), State::Active | State::Trying)
    }

    /// Sends `request` and reads its reply, unless the server is out.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Down::OutOfService`] without asking, else those of
    /// [`Connection::exchange`].
    #[inline(always)]
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let known = &self.known;
        let health = known.health();
        match health.state() {
            State::Active => {}
            State::Trying => return Err(self.skipped(Error::Busy)),
            State::Inactive | State::Disabled => {
                return Err(self.skipped(Error::Down(Down::OutOfService)));
            }
        }
        let may_wait_on = || known.may_wait_on(deadline, settings.stall_limit);
        let (stall, connect) = (settings.stall_limit, settings.connect_timeout);
        let patience = Patience::new(deadline, stall, connect, &may_wait_on);
        let number = health.begin();
        let find = || known.targets();
        let reply = self.connection.exchange(request, value, &patience, find);
        health.end();
        if number.is_multiple_of(MEASURED) || patience.had_to_ask() {
            measure(known.latency(), deadline.start(), &reply);
        }
        match &reply {
            Err(_) if patience.gave_up() => {}
            Err(error) if error.counts_against_server() => {
                self.note_failure(request, error, deadline.start(), settings.rules);
            }
            _ => {
                if let Some(change) = health.answered(Moment::now, std::process::id) {
                    known.note(change, &"it has answered");
                }
            }
        }
        reply
    }

    #[cold]
    fn skipped(&self, why: Error) -> Error {
        self.known.stats().skipped.count();
        why
    }

    #[cold]
    fn note_failure(&mut self, request: &Request<'_>, error: &Error, began: Moment, rules: Rules) {
        let (now, process) = (Moment::now(), std::process::id());
        let (word, verb, key) = (error.status(), request.verb(), request.key());
        match self.health().failed(now, began, word, rules, process) {
            Some(change) => {
                let why = format_args!("{word}: {error} ({verb} of key '{key}')");
                self.known.note(change, &why);
            }
            None if self.health().state() == State::Active => {
                if let Some(left_out) = self.failures.admit(now) {
                    let label = self.spec().label();
                    log::error!(
                        "{verb} of key '{key}' at server {label}: {word}: {error}{left_out}"
                    );
                }
            }
            None => {}
        }
    }

    /// An operator's decision.
    pub fn set(&self, state: State) {
        if let Some(change) = self.health().set(Moment::now(), state) {
            self.known.note(change, &"an operator has said so");
        }
    }

    /// Tells how it is if the last changes of its state were too many for the log.
    pub fn make_up_for_lines(&self, now: Moment) {
        self.known.make_up_for_lines(now);
    }

    /// Frees the server of a worker that waited on for it and has died; `lives` tells.
    pub fn release(&self, now: Moment, lives: impl Fn(u32) -> bool) {
        if let Some(change) = self.health().release(now, lives) {
            self.known.note(change, &"who waited for it has died");
        }
    }

    /// Since when it has been away, if it is to be emptied before anybody may use it again.
    pub fn to_be_emptied(&self, settings: &Settings) -> Option<Moment> {
        let health = self.health();
        let wanted = settings.rejoin == Rejoin::Flush && health.is_away();
        wanted.then(|| health.away_since())
    }

    /// The prober has asked it, and had it emptied if it was to be: `emptied` is what
    /// [`Self::to_be_emptied`] said at the beginning. One that has failed meanwhile is not back.
    pub fn probed(
        &self,
        result: Result<Finding, Error>,
        emptied: Option<Moment>,
        settings: &Settings,
    ) {
        let (health, now) = (self.health(), Moment::now());
        if let Ok(finding) = result {
            let same_outage = emptied == Some(health.away_since());
            let empty = finding != Finding::Present && same_outage;
            if settings.rejoin == Rejoin::Flush && !empty {
                health.pinged(now);
                return;
            }
            if finding == Finding::Emptied {
                log::info!(
                    "server {} was emptied before its return",
                    self.spec().label()
                );
            }
        }
        let bad = result.as_ref().err();
        let change = health.probed(now, bad.map(Error::status), settings.rules);
        let Some(change) = change else {
            return;
        };
        match bad {
            None => self.known.note(change, &"it has answered a probe"),
            Some(error) => {
                let why = format_args!("{}: {error} (probe)", error.status());
                self.known.note(change, &why);
            }
        }
    }
}

#[cold]
fn measure(latency: &Latency, start: Moment, reply: &Result<Reply, Error>) {
    if reply.is_ok() {
        let now = Moment::now();
        latency.record(now, now.since(start));
    }
}
