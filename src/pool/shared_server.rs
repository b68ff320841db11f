//! SharedServer: what all processes of the node share of one server of a pool. It is the server as
//! the operator wrote it, and its slot in shared memory.
//!
//! The process that changes the state of a server logs it here, once for the whole node.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering;

use super::dialect::Dialect;
use crate::clock::Moment;
use crate::health::addresses::{Addresses, Mark};
use crate::health::diverted::Missed;
use crate::health::latency::Latency;
use crate::health::{Change, Health, State};
use crate::item::key::WireKey;
use crate::placement::Placement;
use crate::server::{Address, ServerSpec};
use crate::shared::Shared;
use crate::shared::slot::Slot;
use crate::stats::Stats;
use crate::sys;
use crate::wire::access::Access;
use crate::wire::net::Target;

/// A slot has the dialect of its server, and the generation in which it was found out, in one number:
/// this many times the generation, and behind it 0 for nothing, 1 for classic, 2 for meta.
const DIALECTS: u32 = 4;

/// A place where a server can be connected.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The place itself.
    pub(crate) target: Target,
    /// Tells all processes that this address is in use, if the name of the server has several.
    mark: Option<Mark>,
    /// What the server requires of a new connection.
    pub(crate) access: Access,
}

impl From<Target> for Site {
    fn from(target: Target) -> Self {
        Self {
            target,
            mark: None,
            access: Access::default(),
        }
    }
}

impl AsRef<Target> for Site {
    fn as_ref(&self) -> &Target {
        &self.target
    }
}

/// A server of a pool, without this process's connection to it.
#[derive(Debug)]
pub(crate) struct SharedServer {
    spec: ServerSpec,
    /// Where it is, unless its name has to be looked up.
    target: Option<Target>,
    access: Access,
    slot: &'static Slot,
    shared: &'static Shared,
}

impl SharedServer {
    /// The server of that slot.
    pub(crate) fn new(
        spec: ServerSpec,
        slot: usize,
        access: Access,
        shared: &'static Shared,
    ) -> Self {
        Self {
            access: access.at(&spec.address),
            target: target(&spec.address),
            slot: shared.slot(slot),
            spec,
            shared,
        }
    }

    /// The same server with another weight or alias, or in another slot.
    pub(crate) fn listed(self, spec: ServerSpec, slot: usize) -> Self {
        Self {
            slot: self.shared.slot(slot),
            spec,
            ..self
        }
    }

    /// What the operator wrote.
    pub(crate) fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// What it requires of a new connection.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// It requires something else from now on.
    pub(crate) fn set_access(&mut self, access: Access) {
        self.access = access.at(&self.spec.address);
    }

    /// Its health.
    pub(crate) fn health(&self) -> &'static Health {
        &self.slot.health
    }

    /// How fast it has answered lately.
    pub(crate) fn latency(&self) -> &'static Latency {
        &self.slot.latency
    }

    /// The counters of its pool.
    pub(crate) fn stats(&self) -> &'static Stats {
        self.shared.stats()
    }

    /// The addresses of its name.
    pub(crate) fn addresses(&self) -> &'static Addresses {
        &self.slot.addresses
    }

    /// Its host name, if it has one that must be looked up.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.spec.address {
            Address::Tcp { host, .. } if self.target.is_none() => Some(host),
            _ => None,
        }
    }

    /// The places where it can be connected, as far as they are known.
    pub(crate) fn sites(&self) -> Vec<Site> {
        match (&self.target, &self.spec.address) {
            (None, Address::Tcp { port, .. }) => {
                let site = |(ip, mark)| Site {
                    target: Target::Tcp(SocketAddr::new(ip, *port)),
                    mark: Some(mark),
                    access: self.access.clone(),
                };
                self.addresses().marked().map(site).collect()
            }
            (target, _) => {
                let site = |target| Site {
                    access: self.access.clone(),
                    ..Site::from(target)
                };
                target.iter().cloned().map(site).collect()
            }
        }
    }

    /// A write to `key` goes to a stand-in, while this server is not out of service. It must make up for
    /// that before it is asked again.
    #[cold]
    pub(crate) fn divert(&self, key: &WireKey) {
        if self.health().is_away() || sys::planted("missed writes are not noted") {
            return;
        }
        self.slot.diverted.note(key.as_bytes());
        self.health().divert(Moment::now());
    }

    /// It has missed a write to `key`, which is done where the other copies are. It must make up for that before
    /// it is asked again, also if it is out of service.
    #[cold]
    pub(crate) fn miss(&self, key: &WireKey) {
        if sys::planted("missed writes are not noted") {
            return;
        }
        self.slot.diverted.note(key.as_bytes());
        self.health().miss(Moment::now());
    }

    /// What it speaks, if that was found out since it came back into service last.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        let noted = self.slot.dialect.load(Ordering::Relaxed);
        let (generation, dialect) = (noted / DIALECTS, noted % DIALECTS);
        match dialect {
            _ if generation != u32::from(self.health().generation()) => None,
            1 => Some(Dialect::Classic),
            2 => Some(Dialect::Meta),
            _ => None,
        }
    }

    /// It has spoken this in that generation, as all processes shall know.
    pub(crate) fn note_dialect(&self, dialect: Dialect, generation: u16) {
        let dialect = match dialect {
            Dialect::Classic => 1,
            Dialect::Meta => 2,
        };
        let noted = u32::from(generation) * DIALECTS + dialect;
        self.slot.dialect.store(noted, Ordering::Relaxed);
    }

    /// True once for each pool: its first server without meta commands was asked for a lease.
    pub(super) fn is_first_without_meta(&self) -> bool {
        self.shared.leases().is_first_without_meta()
    }

    /// The writes that the server has missed. Whoever takes them makes up for them, or
    /// [puts them back](Debt::put_back).
    pub(crate) fn take_missed(&self) -> Missed {
        self.slot.diverted.take()
    }

    /// Where they are put back.
    pub(crate) fn debt(&self) -> Debt {
        Debt {
            slot: self.slot,
            owner: self.addresses().owner(),
        }
    }

    /// True if it has missed a write since [`Self::take_missed`].
    pub(crate) fn has_missed_more(&self) -> bool {
        self.slot.diverted.is_pending()
    }

    /// Why its state changed last.
    pub(crate) fn why(&self) -> String {
        self.slot.why.read()
    }

    /// What the last probe has found: `ok`, or a word and what is wrong.
    pub(crate) fn last_probe(&self) -> String {
        self.slot.last_probe.read()
    }

    /// Its version, in its own words; empty if no probe has heard it.
    pub(crate) fn version(&self) -> String {
        self.slot.version.read()
    }

    /// It has told its version, or, if this is empty, none.
    pub(crate) fn note_version(&self, version: &str) {
        self.slot.version.write(version);
    }

    /// When the first of the certificates ends that it has shown last, in seconds of Unix time; `None` if it
    /// has shown none.
    pub(crate) fn certificates_end(&self) -> Option<i64> {
        let end = self.slot.certificates_end.load(Ordering::Relaxed);
        (end != 0).then_some(end)
    }

    /// It has shown certificates, the first of which ends then.
    pub(crate) fn note_certificates(&self, end: i64) {
        self.slot.certificates_end.store(end, Ordering::Relaxed);
    }

    /// A probe has found this. True if the log has not told that yet: it is not what the probe before
    /// has found or, if that was good, why the state has changed. While the process that has changed the
    /// state is about to tell why, it is no news either.
    pub(crate) fn note_probe(&self, words: &str) -> bool {
        let is_told = self.slot.told.load(Ordering::Acquire) >= self.health().away_since().nanos();
        let told = match self.slot.last_probe.read() {
            good if good.is_empty() || good == "ok" => self.why(),
            bad => bad,
        };
        self.slot.last_probe.write(words);
        is_told && !told.starts_with(&self.slot.last_probe.read())
    }

    /// Logs what a probe has found that has not changed the server's state.
    pub(crate) fn log_probe(&self, now: Moment, words: &str) {
        if let Some(left_out) = self.slot.log_limit.admit(now) {
            let (label, state) = (self.spec.label(), self.health().state().word());
            log::warn!("server {label} stays {state}: {words} (probe){left_out}");
        }
    }

    /// The server was connected there. All processes follow if that was another address before.
    pub(crate) fn note_use(&self, site: &Site) {
        if site.mark.is_some_and(Mark::make) {
            self.shared.note_change();
        }
    }

    /// A key to ask for, only to see whether the server answers. It is the same one until
    /// [`Self::note_silence`].
    pub(crate) fn question(&self, placement: &Placement) -> WireKey {
        let number = self.slot.question.load(Ordering::Relaxed);
        let text = format!("kamailio-memcached:{number}");
        let key = placement.wire_key(text.as_bytes());
        key.expect("the text is not empty")
    }

    /// There was no answer to the question. If the server is a proxy, the key may belong to a stuck server
    /// behind it, so the next question is another one.
    pub(crate) fn note_silence(&self) {
        self.slot.question.fetch_add(1, Ordering::Relaxed);
    }

    /// A function that stores the addresses of its name for all processes.
    pub(crate) fn address_writer(&self) -> impl FnOnce(&[IpAddr]) + Send + 'static {
        let (shared, addresses) = (self.shared, self.addresses());
        let owner = addresses.owner();
        move |found| {
            if addresses.write(owner, found) {
                shared.note_change();
            }
        }
    }

    /// Logs the state once if the last changes of state were too many for the log.
    pub(crate) fn log_what_was_left_out(&self, now: Moment) {
        if let Some(left_out) = self.slot.log_limit.make_up(now) {
            let (label, state) = (self.spec.label(), self.health().state().word());
            log::warn!("server {label} is {state}{left_out}");
        }
    }

    /// An operator's decision.
    pub(crate) fn set(&self, state: State) {
        if let Some(change) = self.health().set(Moment::now(), state) {
            self.note(change, &"set by operator");
        }
    }

    /// Takes the mark from a worker that was waiting for the server and has died, as `lives` tells, or that
    /// has held it for longer than its operation may last.
    pub(crate) fn release(&self, now: Moment, lives: impl Fn(u32) -> bool) {
        self.health().void_moments(now);
        if let Some(change) = self.health().release(now, lives) {
            self.note(change, &"the worker waiting for it has died");
        }
    }

    /// Tells all processes of a change of state that this process has made. Logs it, but not more than
    /// a few times a minute on the whole node.
    pub(crate) fn note(&self, change: Change, why: &dyn Display) {
        let now = Moment::now();
        self.slot.why.write(&why.to_string());
        self.slot.told.store(now.nanos(), Ordering::Release);
        self.shared.note_change();
        let Some(left_out) = self.slot.log_limit.admit(now) else {
            return;
        };
        let (label, from, to) = (self.spec.label(), change.from.word(), change.to.word());
        let seconds = change.after.as_secs_f32();
        log::warn!("server {label} is {to}: {why}; it was {from} for {seconds:.1} s{left_out}");
    }
}

/// What a server owes: the writes that it has missed. It may leave the list meanwhile, and come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Debt {
    slot: &'static Slot,
    /// The number of the server that has this slot.
    owner: u32,
}

impl Debt {
    /// The server could not make up for these writes.
    pub(crate) fn put_back(self, missed: &Missed) {
        if self.slot.addresses.owner() != self.owner {
            return;
        }
        match missed {
            Missed::Keys(keys) => keys.iter().for_each(|key| self.slot.diverted.note(key)),
            Missed::Many => self.slot.diverted.note_many(),
        }
    }
}

/// The place of a server that is given by address, not by name. An IPv6 address with a zone is an
/// address, too.
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
