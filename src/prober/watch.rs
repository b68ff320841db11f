//! Watch: what the prober remembers of one server: when it asked the server last and how often since
//! the outage began, and when it had the server's name looked up last. From that follows what is due.
//!
//! Many nodes notice an outage in the same moment. So that they do not ask in step, each time between
//! two probes is a little longer or shorter than the interval. By how much follows from the moment of
//! the last probe, and clocks of different nodes never agree to the nanosecond.
//!
//! Other processes know nothing of it: what they need stands in the server's health and addresses.
//! A watch is told the time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::clock::Moment;
use crate::config::Settings;
use crate::health::{Health, State};
use crate::pool::SharedServer;
use crate::prober::TICK;
use crate::prober::expiry::Told;
use crate::server::Address;
use crate::sys;

/// How much longer the next wait is each time a server stays out of service.
const GROWTH: f64 = 1.5;

/// The shortest and the longest wait, in thousandths of the interval.
const JITTER: (u64, u64) = (800, 1200);

/// How often a name is looked up again.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);

/// How often a name is looked up while none of its addresses is known.
const LOOKUP_RETRY: Duration = Duration::from_secs(1);

/// One server, as the prober watches it.
#[derive(Debug)]
pub(super) struct Watch {
    address: Address,
    /// When the prober asked it last.
    probed: Option<Moment>,
    /// How often it was asked in this outage.
    tries: i32,
    /// The generation of the server in which that was counted.
    generation: u16,
    /// How many probes in a row have broken off while it made up for writes.
    broken: u8,
    /// When its name was looked up last.
    looked_up: Option<Moment>,
    /// What was told of its certificates.
    told: Told,
}

impl Watch {
    fn new(address: Address) -> Self {
        Self {
            address,
            probed: None,
            tries: 0,
            generation: 0,
            broken: 0,
            looked_up: None,
            told: Told::default(),
        }
    }

    /// Warns of certificates of the server that end soon, if that is due.
    pub(super) fn look_at_certificates(&mut self, now: Moment, server: &SharedServer) {
        if let Some(end) = server.certificates_end() {
            self.told.look(now, end, server.spec());
        }
    }

    /// True when the server's name should be looked up `now`: every minute, once more after each
    /// failure, and soon while the server has no address. The name then counts as looked up.
    pub(super) fn is_lookup_due(&mut self, now: Moment, health: &Health, resolved: bool) -> bool {
        let due = self.looked_up.is_none_or(|last| {
            let failed = health.state() == State::Inactive && health.since() > last;
            let interval = if resolved {
                LOOKUP_INTERVAL
            } else {
                LOOKUP_RETRY
            };
            failed || now.passed_since(last) >= interval
        });
        if due {
            self.looked_up = Some(now);
        }
        due
    }

    /// True when the prober should ask the server `now`: a server that is out every `retry_interval`,
    /// or later and later if it stays out, one that is active every `ping_interval`.
    pub(super) fn is_probe_due(
        &mut self,
        now: Moment,
        health: &Health,
        settings: &Settings,
    ) -> bool {
        let generation = health.generation();
        if self.generation != generation {
            (self.generation, self.tries) = (generation, 0);
        }
        let is_away = health.is_away();
        let interval = match health.state() {
            State::Disabled => None,
            State::Active => settings.ping_interval,
            State::Inactive if is_away => self.back_off(settings),
            // It is returning.
            State::Trying if is_away => settings.retry_interval,
            State::Inactive | State::Trying => None,
        };
        let last = self.probed.unwrap_or_else(|| health.since());
        let is_again = self.probed.is_some() && sys::planted("a server is probed once");
        let wait = |interval| self.wait(interval, last);
        !is_again && interval.is_some_and(|interval| now.passed_since(last) >= wait(interval))
    }

    /// True when a server in service may be told `now` to make up for writes: at once, or `retry_interval` after it has
    /// broken that off.
    pub(super) fn may_settle(&self, now: Moment, settings: &Settings) -> bool {
        let pause = settings.retry_interval.unwrap_or(TICK).max(TICK);
        let waits = |last| now.passed_since(last) < pause;
        self.broken == 0 || !self.probed.is_some_and(waits)
    }

    /// How many probes in a row have broken off while it made up for writes.
    pub(super) fn broken(&self) -> u8 {
        self.broken
    }

    /// A probe has ended, perhaps so.
    pub(super) fn note_end(&mut self, is_broken: bool) {
        self.broken = match is_broken {
            true => self.broken.saturating_add(1),
            false => 0,
        };
    }

    /// The prober asks the server `now`.
    pub(super) fn note_probe(&mut self, now: Moment, health: &Health) {
        self.probed = Some(now);
        self.tries += i32::from(health.is_away());
    }

    /// The interval after so many tries.
    fn back_off(&self, settings: &Settings) -> Option<Duration> {
        let interval = settings.retry_interval?;
        let most = settings.retry_max.max(interval);
        let grown = interval.max(TICK).as_secs_f64() * GROWTH.powi(self.tries);
        Some(Duration::from_secs_f64(grown.min(most.as_secs_f64())))
    }

    /// How long to wait since `last` if the interval is this one.
    fn wait(&self, interval: Duration, last: Moment) -> Duration {
        if sys::planted("probes in step") {
            return interval;
        }
        let mut hasher = DefaultHasher::new();
        (&self.address, last.nanos()).hash(&mut hasher);
        let (least, most) = JITTER;
        let share = least + hasher.finish() % (most - least + 1);
        interval.mul_f64(share as f64 / 1000.0)
    }
}

/// A watch for each server of one pool, in the order of its list.
#[derive(Debug, Default)]
pub(super) struct Watches(Vec<Watch>);

impl Watches {
    /// How many servers are watched.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The watch of the server at that address.
    pub(super) fn of(&mut self, address: &Address) -> Option<&mut Watch> {
        self.0.iter_mut().find(|watch| watch.address == *address)
    }

    /// Follows the pool's list: forgets the servers that left it, and begins to watch those that
    /// came.
    pub(super) fn follow<'a>(
        &mut self,
        list: impl ExactSizeIterator<Item = &'a Address> + Clone,
    ) -> &mut [Watch] {
        let watched = self.0.iter().map(|watch| &watch.address);
        if !watched.eq(list.clone()) {
            let mut old = std::mem::take(&mut self.0);
            let watch = |address: &Address| {
                let at = old.iter().position(|watch| watch.address == *address);
                at.map_or_else(|| Watch::new(address.clone()), |at| old.swap_remove(at))
            };
            self.0 = list.map(watch).collect();
        }
        &mut self.0
    }
}

#[cfg(test)]
mod tests;
