//! Known: what this host knows of a server: what the operator wrote, and the server's place in the
//! memory that all processes share.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::health::addresses::Addresses;
use crate::health::latency::Latency;
use crate::health::{Change, Health, Overdue};
use crate::server::{Address, ServerSpec};
use crate::shared::Shared;
use crate::shared::slot::Slot;
use crate::stats::Stats;
use crate::wire::net::Target;

/// A server as the whole host knows it.
#[derive(Debug)]
pub(super) struct Known {
    spec: ServerSpec,
    /// Where it is, unless its name has to be looked up.
    target: Option<Target>,
    slot: &'static Slot,
    shared: &'static Shared,
}

impl Known {
    /// The server of that slot.
    pub(super) fn new(spec: ServerSpec, slot: usize, shared: &'static Shared) -> Self {
        Self {
            target: target(&spec.address),
            slot: shared.slot(slot),
            spec,
            shared,
        }
    }

    /// The same server with another weight or alias, or in another slot.
    pub(super) fn listed(self, spec: ServerSpec, slot: usize) -> Self {
        Self {
            slot: self.shared.slot(slot),
            spec,
            ..self
        }
    }

    /// What the operator wrote.
    pub(super) fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// What everybody thinks of it.
    pub(super) fn health(&self) -> &'static Health {
        &self.slot.health
    }

    /// How quick it has been lately.
    pub(super) fn latency(&self) -> &'static Latency {
        &self.slot.latency
    }

    /// The counters of its pool.
    pub(super) fn stats(&self) -> &'static Stats {
        self.shared.stats()
    }

    /// What its name was resolved to.
    pub(super) fn addresses(&self) -> &'static Addresses {
        &self.slot.addresses
    }

    /// The name of its host, if it is one that has to be looked up.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.spec.address {
            Address::Tcp { host, .. } if self.target.is_none() => Some(host),
            _ => None,
        }
    }

    /// Where it can be connected, as far as that is known.
    pub(super) fn targets(&self) -> Vec<Target> {
        match (&self.target, &self.spec.address) {
            (None, Address::Tcp { port, .. }) => {
                let named = |(ip, mark)| Target::Named(SocketAddr::new(ip, *port), mark);
                self.addresses().marked().map(named).collect()
            }
            (target, _) => target.iter().cloned().collect(),
        }
    }

    /// What to do with the addresses that its name is found to have; all processes learn of them.
    pub(super) fn address_writer(&self) -> impl FnOnce(&[IpAddr]) + Send + 'static {
        let (shared, addresses) = (self.shared, self.addresses());
        let owner = addresses.owner();
        move |found| {
            if addresses.write(owner, found) {
                shared.note_change();
            }
        }
    }

    /// Whether an operation of this process that is unanswered for `limit` may wait on.
    #[cold]
    pub(super) fn may_wait_on(&self, deadline: &Deadline, limit: Duration) -> bool {
        let (now, process) = (Moment::now(), std::process::id());
        match self.health().overdue(now, deadline.start(), process) {
            Overdue::WaitOn(change) => {
                self.note(change, &format_args!("no answer for {limit:?}"));
                true
            }
            Overdue::GiveUp => false,
        }
    }

    /// Tells how it is if the last changes of its state were too many for the log.
    pub(super) fn make_up_for_lines(&self, now: Moment) {
        if let Some(left_out) = self.slot.log_limit.make_up(now) {
            let (label, state) = (self.spec.label(), self.health().state().word());
            log::warn!("server {label} is {state}{left_out}");
        }
    }

    /// Lets all processes know of a change of state that this one has made, and logs it, a few times
    /// a minute on the whole host.
    pub(super) fn note(&self, change: Change, why: &dyn Display) {
        self.shared.note_change();
        let Some(left_out) = self.slot.log_limit.admit(Moment::now()) else {
            return;
        };
        let (label, from, to) = (self.spec.label(), change.from.word(), change.to.word());
        let seconds = change.after.as_secs_f32();
        log::warn!("server {label} is {to}: {why}; it was {from} for {seconds:.1} s{left_out}");
    }
}

/// Where a server is whose address is none of a name; a zone makes no name of an IPv6 address.
fn target(address: &Address) -> Option<Target> {
    let (host, port) = match address {
        Address::Unix(path) => return Some(Target::Unix(path.clone())),
        Address::Tcp { host, port } => (host, *port),
    };
    let address = match host.parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, port)),
        // With a colon in it the system's resolver reads numbers only.
        Err(_) if host.contains(':') => (&**host, port).to_socket_addrs().ok()?.next(),
        Err(_) => None,
    };
    address.map(Target::Tcp)
}
