//! Member: one server of a pool, as this process sees it.
//!
//! Its connection is the process's own; its health is everybody's. Here the two meet: a server
//! that is out is not asked, an answer or a failure becomes a verdict, and whoever changes a
//! state logs it, once for the whole host.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::connection::Connection;
use crate::error::{Down, Error};
use crate::health::{Change, Health, Overdue, Rules, State};
use crate::limiter::Limiter;
use crate::patience::Patience;
use crate::protocol::{Reply, Request};
use crate::server::ServerSpec;
use crate::shared::Shared;

/// A server with this process's connection to it.
#[derive(Debug)]
pub struct Member {
    spec: ServerSpec,
    slot: usize,
    shared: &'static Shared,
    connection: Connection,
    failures: Limiter,
    changes: RefCell<Limiter>,
    /// When the prober asked it last.
    probed: Option<Moment>,
}

impl Member {
    pub(super) fn new(spec: ServerSpec, slot: usize, shared: &'static Shared) -> Self {
        Self {
            connection: Connection::new(spec.address.clone()),
            failures: Limiter::default(),
            changes: RefCell::default(),
            probed: None,
            spec,
            slot,
            shared,
        }
    }

    /// The same server with another weight or alias.
    pub(super) fn renamed(self, spec: ServerSpec) -> Self {
        Self { spec, ..self }
    }

    /// What the operator wrote.
    pub fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// What everybody knows of it.
    pub fn health(&self) -> &'static Health {
        self.shared.health(self.slot)
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
        let health = self.health();
        match health.state() {
            State::Active => {}
            State::Trying => return Err(Error::Busy),
            State::Inactive | State::Disabled => return Err(Error::Down(Down::OutOfService)),
        }
        let gave_up = Cell::new(false);
        let (spec, shared, changes) = (&self.spec, self.shared, &self.changes);
        let may_wait_on = || {
            let overdue = health.overdue(Moment::now(), std::process::id());
            if let Overdue::WaitOn(change) = overdue {
                let why = format_args!("no answer for {:?}", settings.stall_limit);
                note(shared, spec, changes, change, &why);
            }
            gave_up.set(overdue == Overdue::GiveUp);
            !gave_up.get()
        };
        let patience = Patience::new(*deadline, settings.stall_limit, &may_wait_on);
        health.begin();
        let reply = self.connection.exchange(request, value, &patience);
        health.end();
        match &reply {
            Err(_) if gave_up.get() => {}
            Err(error) if error.counts_against_server() => {
                self.note_failure(request, error, settings.rules);
            }
            _ => {
                if let Some(change) = health.answered(deadline.start()) {
                    note(shared, spec, changes, change, &"it has answered");
                }
            }
        }
        reply
    }

    #[cold]
    fn note_failure(&mut self, request: &Request<'_>, error: &Error, rules: Rules) {
        let now = Moment::now();
        let (word, verb, key) = (error.status(), request.verb(), request.key());
        match self.health().failed(now, word, rules) {
            Some(change) => {
                let why = format_args!("{word}: {error} ({verb} of key '{key}')");
                self.note(change, &why);
            }
            None if self.health().state() == State::Active => {
                if let Some(left_out) = self.failures.admit(now) {
                    let label = self.spec.label();
                    log::error!(
                        "{verb} of key '{key}' at server {label}: {word}: {error}{left_out}"
                    );
                }
            }
            None => {}
        }
    }

    fn note(&self, change: Change, why: &dyn Display) {
        note(self.shared, &self.spec, &self.changes, change, why);
    }

    /// An operator's decision.
    pub fn set(&self, state: State) {
        if let Some(change) = self.health().set(Moment::now(), state) {
            self.note(change, &"an operator has said so");
        }
    }

    /// True when the prober should ask it `now`; it is then taken as asked. A worker that waited
    /// on for it and has died is forgotten on the way.
    pub fn is_due(
        &mut self,
        now: Moment,
        settings: &Settings,
        lives: impl Fn(u32) -> bool,
    ) -> bool {
        if let Some(change) = self.health().release(now, lives) {
            self.note(change, &"who waited for it has died");
        }
        let interval = match self.health().state() {
            _ if self.health().wants_probe() => settings.retry_interval,
            State::Active => settings.ping_interval,
            _ => None,
        };
        let last = self.probed.unwrap_or_else(|| self.health().since());
        let due = interval.is_some_and(|interval: Duration| now.since(last) >= interval);
        if due {
            self.probed = Some(now);
        }
        due
    }

    /// The prober has asked it.
    pub fn probed(&self, result: &Result<(), Error>, rules: Rules) {
        let bad = result.as_ref().err();
        let change = self
            .health()
            .probed(Moment::now(), bad.map(Error::status), rules);
        let Some(change) = change else {
            return;
        };
        match bad {
            None => self.note(change, &"it has answered a probe"),
            Some(error) => {
                let why = format_args!("{}: {error} (probe)", error.status());
                self.note(change, &why);
            }
        }
    }
}

/// Lets all processes know of a change of state that this one has made, and logs it, a few times a
/// minute.
fn note(
    shared: &Shared,
    spec: &ServerSpec,
    lines: &RefCell<Limiter>,
    change: Change,
    why: &dyn Display,
) {
    shared.note_change();
    let Some(left_out) = lines.borrow_mut().admit(Moment::now()) else {
        return;
    };
    let (label, from, to) = (spec.label(), change.from.word(), change.to.word());
    let seconds = change.after.as_secs_f32();
    log::warn!("server {label} is {to}: {why}; it was {from} for {seconds:.1} s{left_out}");
}
