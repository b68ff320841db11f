//! `Stats` are a pool's statistics, in memory that all processes share.
//!
//! Each is a relaxed atomic that belongs to one kind of event, and the code that causes the event
//! adds to it. An operation without trouble adds to three of them. [`TABLE`] names what operators
//! see; some of these statistics are sums. All bits zero means that nothing has happened yet.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::health::State;
use crate::status::Status;
use crate::sys;

mod failures;

use failures::Failures;

/// A number that only grows.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds `number`.
    pub fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// The number so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The statistics of a pool.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Stats {
    /// Read operations that found an item.
    pub hits: Counter,
    /// Read operations that found no item.
    pub misses: Counter,
    /// Read operations that failed.
    pub failed_gets: Counter,
    /// Store operations.
    pub sets: Counter,
    /// Delete operations.
    pub deletes: Counter,
    /// Count operations, up or down.
    pub counts: Counter,
    /// Operations that change a lifetime.
    pub touches: Counter,
    /// Operations that failed, by what they came to.
    pub failures: Failures,
    /// Requests sent again on a new connection.
    pub retries: Counter,
    /// Connections opened to replace a lost one.
    pub reconnects: Counter,
    /// Operations answered by a stand-in.
    pub failovers: Counter,
    /// Times that a server was not asked because it was out of service or not answering.
    pub skipped: Counter,
    /// Bytes received in replies.
    pub bytes_in: Counter,
    /// Bytes sent in requests.
    pub bytes_out: Counter,
    /// Operations that took longer than the latency limit.
    pub slow: Counter,
    /// Leases that were given to callers of this node.
    pub leases: Counter,
    /// Read operations that gave a value that is out of date.
    pub stale: Counter,
    /// Read operations answered by the near cache.
    pub near_hits: Counter,
    /// Read operations of pools with a near cache that it has not answered.
    pub near_misses: Counter,
    /// Items that were asked for ahead of their reading.
    pub prefetched: Counter,
    /// Writes that were sent without waiting for the answer.
    pub deferred: Counter,
    /// Such writes of which nobody knows whether they were done.
    pub lost: Counter,
    /// Items that were brought over from the pool that this one warms from.
    pub warmed: Counter,
    /// Items that were brought back from a stand-in.
    pub repaired: Counter,
}

impl Stats {
    /// Counts an operation that failed.
    #[cold]
    pub fn note_failure(&self, error: &Error) {
        if !sys::planted("failures are not counted") {
            self.failures.count(Status::of_error(error));
        }
    }
}

/// How many of a pool's servers are in which state now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Servers {
    /// Servers in the state `active`.
    pub active: u64,
    /// Servers in the state `inactive`.
    pub inactive: u64,
    /// Operations that wait for an answer of any of the servers.
    pub waiting: u64,
}

impl Servers {
    /// The same with one more server, which is in this state and has so many operations waiting.
    pub fn with(self, state: State, waiting: u32) -> Self {
        Self {
            active: self.active + u64::from(state == State::Active),
            inactive: self.inactive + u64::from(state == State::Inactive),
            waiting: self.waiting + u64::from(waiting),
        }
    }
}

/// How the page for Prometheus shows a statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As a number that only grows.
    Counter,
    /// As a number that goes up and down.
    Gauge,
    /// Among the failures, by reason.
    Failures,
}

/// A statistic as operators see it.
pub struct Statistic {
    /// The name.
    pub name: &'static CStr,
    /// The description.
    pub about: &'static CStr,
    /// How the page for Prometheus shows it.
    pub shown: Shown,
    /// Reads the value of one pool. The value of the module is the sum over all pools.
    pub read: fn(&Stats, &Servers) -> u64,
}

/// All statistics.
pub(crate) static TABLE: &[Statistic] = &[
    Statistic {
        name: c"gets",
        about: c"read operations attempted: hits, misses and failures",
        shown: Shown::Counter,
        read: |stats, _| stats.hits.value() + stats.misses.value() + stats.failed_gets.value(),
    },
    Statistic {
        name: c"hits",
        about: c"read operations that found the item",
        shown: Shown::Counter,
        read: |stats, _| stats.hits.value(),
    },
    Statistic {
        name: c"misses",
        about: c"read operations that found no item",
        shown: Shown::Counter,
        read: |stats, _| stats.misses.value(),
    },
    Statistic {
        name: c"sets",
        about: c"store operations attempted",
        shown: Shown::Counter,
        read: |stats, _| stats.sets.value(),
    },
    Statistic {
        name: c"deletes",
        about: c"delete operations attempted",
        shown: Shown::Counter,
        read: |stats, _| stats.deletes.value(),
    },
    Statistic {
        name: c"counts",
        about: c"count operations attempted, up or down",
        shown: Shown::Counter,
        read: |stats, _| stats.counts.value(),
    },
    Statistic {
        name: c"touches",
        about: c"lifetime changes attempted",
        shown: Shown::Counter,
        read: |stats, _| stats.touches.value(),
    },
    Statistic {
        name: c"errors",
        about: c"operations that failed, except timeouts, refused and foreign",
        shown: Shown::Failures,
        read: |stats, _| stats.failures.others(),
    },
    Statistic {
        name: c"timeouts",
        about: c"operations without an answer in time",
        shown: Shown::Failures,
        read: |stats, _| stats.failures.of(Status::Timeout),
    },
    Statistic {
        name: c"refused",
        about: c"operations refused before anything was sent",
        shown: Shown::Failures,
        read: |stats, _| stats.failures.of(Status::Refused),
    },
    Statistic {
        name: c"retries",
        about: c"requests sent again on a new connection",
        shown: Shown::Counter,
        read: |stats, _| stats.retries.value(),
    },
    Statistic {
        name: c"reconnects",
        about: c"connections opened to replace a lost one",
        shown: Shown::Counter,
        read: |stats, _| stats.reconnects.value(),
    },
    Statistic {
        name: c"failovers",
        about: c"operations answered by a stand-in",
        shown: Shown::Counter,
        read: |stats, _| stats.failovers.value(),
    },
    Statistic {
        name: c"skipped",
        about: c"times a server was not asked because it was not active",
        shown: Shown::Counter,
        read: |stats, _| stats.skipped.value(),
    },
    Statistic {
        name: c"slow",
        about: c"operations that took longer than latency_limit",
        shown: Shown::Counter,
        read: |stats, _| stats.slow.value(),
    },
    Statistic {
        name: c"near_hits",
        about: c"read operations answered by the near cache",
        shown: Shown::Counter,
        read: |stats, _| stats.near_hits.value(),
    },
    Statistic {
        name: c"near_misses",
        about: c"read operations that the near cache could not answer",
        shown: Shown::Counter,
        read: |stats, _| stats.near_misses.value(),
    },
    Statistic {
        name: c"leases",
        about: c"times a caller was told to compute an item",
        shown: Shown::Counter,
        read: |stats, _| stats.leases.value(),
    },
    Statistic {
        name: c"stale",
        about: c"read operations that gave a value out of date",
        shown: Shown::Counter,
        read: |stats, _| stats.stale.value(),
    },
    Statistic {
        name: c"foreign",
        about: c"items read that are in another program's form",
        shown: Shown::Failures,
        read: |stats, _| stats.failures.of(Status::Foreign),
    },
    Statistic {
        name: c"prefetched",
        about: c"items asked for before they are read",
        shown: Shown::Counter,
        read: |stats, _| stats.prefetched.value(),
    },
    Statistic {
        name: c"deferred",
        about: c"writes sent without waiting for the answer",
        shown: Shown::Counter,
        read: |stats, _| stats.deferred.value(),
    },
    Statistic {
        name: c"lost",
        about: c"deferred writes that may or may not be done",
        shown: Shown::Counter,
        read: |stats, _| stats.lost.value(),
    },
    Statistic {
        name: c"warmed",
        about: c"items brought over from the pool of warm_from",
        shown: Shown::Counter,
        read: |stats, _| stats.warmed.value(),
    },
    Statistic {
        name: c"repaired",
        about: c"items brought back from a stand-in",
        shown: Shown::Counter,
        read: |stats, _| stats.repaired.value(),
    },
    Statistic {
        name: c"bytes_in",
        about: c"bytes received from servers",
        shown: Shown::Counter,
        read: |stats, _| stats.bytes_in.value(),
    },
    Statistic {
        name: c"bytes_out",
        about: c"bytes sent to servers",
        shown: Shown::Counter,
        read: |stats, _| stats.bytes_out.value(),
    },
    Statistic {
        name: c"servers_active",
        about: c"servers that are active now",
        shown: Shown::Gauge,
        read: |_, servers| servers.active,
    },
    Statistic {
        name: c"servers_inactive",
        about: c"servers that are inactive now",
        shown: Shown::Gauge,
        read: |_, servers| servers.inactive,
    },
    Statistic {
        name: c"waiting",
        about: c"operations under way now",
        shown: Shown::Gauge,
        read: |_, servers| servers.waiting,
    },
];

#[cfg(test)]
mod tests;
