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
    /// Operations that failed, without those in `timeouts` and `refused`.
    pub errors: Counter,
    /// Operations that got no answer before their deadline.
    pub timeouts: Counter,
    /// Operations that were refused before anything was sent.
    pub refused: Counter,
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
}

impl Stats {
    /// Counts an operation that failed.
    #[cold]
    pub fn note_failure(&self, error: &Error) {
        let counter = match Status::of_error(error) {
            Status::Timeout => &self.timeouts,
            Status::Refused => &self.refused,
            _ => &self.errors,
        };
        counter.count();
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

/// A statistic as operators see it.
pub struct Statistic {
    /// The name.
    pub name: &'static CStr,
    /// The description.
    pub about: &'static CStr,
    /// Reads the value of one pool. The value of the module is the sum over all pools.
    pub read: fn(&Stats, &Servers) -> u64,
}

/// All statistics.
pub(crate) static TABLE: &[Statistic] = &[
    Statistic {
        name: c"gets",
        about: c"read operations attempted: hits, misses and failures",
        read: |stats, _| stats.hits.value() + stats.misses.value() + stats.failed_gets.value(),
    },
    Statistic {
        name: c"hits",
        about: c"read operations that found the item",
        read: |stats, _| stats.hits.value(),
    },
    Statistic {
        name: c"misses",
        about: c"read operations that found no item",
        read: |stats, _| stats.misses.value(),
    },
    Statistic {
        name: c"sets",
        about: c"store operations attempted",
        read: |stats, _| stats.sets.value(),
    },
    Statistic {
        name: c"deletes",
        about: c"delete operations attempted",
        read: |stats, _| stats.deletes.value(),
    },
    Statistic {
        name: c"counts",
        about: c"count operations attempted, up or down",
        read: |stats, _| stats.counts.value(),
    },
    Statistic {
        name: c"touches",
        about: c"lifetime changes attempted",
        read: |stats, _| stats.touches.value(),
    },
    Statistic {
        name: c"errors",
        about: c"operations that failed, except timeouts and refused",
        read: |stats, _| stats.errors.value(),
    },
    Statistic {
        name: c"timeouts",
        about: c"operations without an answer in time",
        read: |stats, _| stats.timeouts.value(),
    },
    Statistic {
        name: c"refused",
        about: c"operations refused before anything was sent",
        read: |stats, _| stats.refused.value(),
    },
    Statistic {
        name: c"retries",
        about: c"requests sent again on a new connection",
        read: |stats, _| stats.retries.value(),
    },
    Statistic {
        name: c"reconnects",
        about: c"connections opened to replace a lost one",
        read: |stats, _| stats.reconnects.value(),
    },
    Statistic {
        name: c"failovers",
        about: c"operations answered by a stand-in",
        read: |stats, _| stats.failovers.value(),
    },
    Statistic {
        name: c"skipped",
        about: c"times a server was not asked because it was not active",
        read: |stats, _| stats.skipped.value(),
    },
    Statistic {
        name: c"bytes_in",
        about: c"bytes received from servers",
        read: |stats, _| stats.bytes_in.value(),
    },
    Statistic {
        name: c"bytes_out",
        about: c"bytes sent to servers",
        read: |stats, _| stats.bytes_out.value(),
    },
    Statistic {
        name: c"servers_active",
        about: c"servers that are active now",
        read: |_, servers| servers.active,
    },
    Statistic {
        name: c"servers_inactive",
        about: c"servers that are inactive now",
        read: |_, servers| servers.inactive,
    },
    Statistic {
        name: c"waiting",
        about: c"operations under way now",
        read: |_, servers| servers.waiting,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Refusal, Waiting};

    fn read(name: &str, stats: &Stats) -> u64 {
        let mut rows = TABLE.iter();
        let row = rows.find(|row| row.name.to_str() == Ok(name));
        (row.unwrap().read)(stats, &Servers::default())
    }

    #[test]
    fn gets_are_hits_misses_and_failures() {
        let stats = Stats::default();
        stats.hits.add(5);
        stats.misses.add(2);
        stats.failed_gets.count();
        assert_eq!(read("gets", &stats), 8);
        assert_eq!((read("hits", &stats), read("misses", &stats)), (5, 2));
    }

    #[test]
    fn a_failure_counts_once() {
        let stats = Stats::default();
        for error in [
            Error::Timeout(Waiting::Receive),
            Error::Refused(Refusal::Value),
            Error::Busy,
            Error::NotANumber,
            Error::Garbled("for the test"),
        ] {
            stats.note_failure(&error);
        }
        let counts = ["timeouts", "refused", "errors"].map(|name| read(name, &stats));
        assert_eq!(counts, [1, 1, 3]);
    }

    #[test]
    fn servers_count_by_the_word_for_their_state() {
        let servers = Servers::default()
            .with(State::Active, 2)
            .with(State::Trying, 1)
            .with(State::Inactive, 0)
            .with(State::Disabled, 0);
        let expected = Servers {
            active: 1,
            inactive: 1,
            waiting: 3,
        };
        assert_eq!(servers, expected);
    }

    #[test]
    fn names_are_plain_and_no_two_are_the_same() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name.to_bytes()).collect();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        assert!(names.iter().all(|name| name.iter().all(plain)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
