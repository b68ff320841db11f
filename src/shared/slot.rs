//! Slot: what all processes share of one server: its health, the addresses of its name, its
//! latency, and how much of it goes into the log.
//!
//! A server takes a slot when it comes into a pool's list, and leaves it with the list. All bits
//! zero = a server that begins active and of which nothing is known.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::clock::Moment;
use crate::health::Health;
use crate::health::addresses::Addresses;
use crate::health::diverted::Diverted;
use crate::health::latency::Latency;
use crate::health::log_limit::SharedLogLimit;
use crate::health::words::Words;

/// One server's part of the shared memory.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Whether it may be asked.
    pub(crate) health: Health,
    /// What its name was resolved to.
    pub(crate) addresses: Addresses,
    /// How quick it has been lately.
    pub(crate) latency: Latency,
    /// Why its state changed last.
    pub(crate) why: Words,
    /// When that was noted. Earlier than its outage began = nobody has told of the outage yet.
    pub(crate) told: AtomicU64,
    /// What the last probe of it has found.
    pub(crate) last_probe: Words,
    /// Its version.
    pub(crate) version: Words,
    /// Writes that it has missed.
    pub(crate) diverted: Diverted,
    /// The number in the key that it is asked for, only to see whether it answers.
    pub(crate) question: AtomicU32,
    /// What it speaks; see [`SharedServer::dialect`](crate::pool::SharedServer::dialect).
    pub(crate) dialect: AtomicU32,
    /// When the first of the certificates ends that it has shown last, in seconds of Unix time; 0 = it has
    /// shown none.
    pub(crate) certificates_end: AtomicI64,
    /// How many log lines about changes of its state there may be.
    pub(crate) log_limit: SharedLogLimit,
}

impl Slot {
    /// Another server takes the slot `now`; it begins active.
    pub(crate) fn reset(&self, now: Moment) {
        self.health.reset(now);
        self.addresses.change_owner();
        self.latency.reset();
        self.log_limit.reset();
        self.why.write("");
        self.told.store(now.nanos(), Ordering::Relaxed);
        self.last_probe.write("");
        self.version.write("");
        self.diverted.take();
        self.dialect.store(0, Ordering::Relaxed);
        self.certificates_end.store(0, Ordering::Relaxed);
    }
}
