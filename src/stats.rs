//! Stats: what a pool's operations have come to, counted in memory that all processes share.
//!
//! Each counter is one relaxed atomic, and each event has one, added to where it happens: what an
//! operation was and came to in `cache`, stand-ins in `pool`, servers left alone in `member`, bytes
//! and connections in `connection`. An operation answered without trouble adds to three of them.
//! [`TABLE`] says what operators see: some of these names are sums. All bits zero = nothing yet.

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
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// That many more.
    pub fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A pool's counters.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Stats {
    /// Reads that found an item.
    pub hits: Counter,
    /// Reads that found none.
    pub misses: Counter,
    /// Reads that came to nothing.
    pub failed_gets: Counter,
    /// Items to be stored.
    pub sets: Counter,
    /// Items to be deleted.
    pub deletes: Counter,
    /// Items to be counted up or down.
    pub counts: Counter,
    /// Lifetimes to be changed.
    pub touches: Counter,
    /// Operations that failed otherwise than by the two below.
    pub errors: Counter,
    /// Operations whose time was up.
    pub timeouts: Counter,
    /// Operations of which nothing was sent, because they must not be.
    pub refused: Counter,
    /// Requests sent again, on a new connection.
    pub retries: Counter,
    /// Connections opened in place of one that was lost.
    pub reconnects: Counter,
    /// Operations that a stand-in has answered.
    pub failovers: Counter,
    /// Times that a server was not asked, because it is out or not answering.
    pub skipped: Counter,
    /// Bytes of replies.
    pub bytes_in: Counter,
    /// Bytes of requests.
    pub bytes_out: Counter,
}

impl Stats {
    /// An operation has no answer.
    #[cold]
    pub fn note_failure(&self, error: &Error) {
        let counter = match error.status() {
            Status::Timeout => &self.timeouts,
            Status::Refused => &self.refused,
            _ => &self.errors,
        };
        counter.count();
    }
}

/// How a pool's servers are at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Servers {
    /// Those in the state `active`.
    pub active: u64,
    /// Those in the state `inactive`.
    pub inactive: u64,
    /// Operations that wait for any of them.
    pub waiting: u64,
}

impl Servers {
    /// One more server, in this state, with so many operations waiting for it.
    pub fn with(self, state: State, waiting: u32) -> Self {
        Self {
            active: self.active + u64::from(state == State::Active),
            inactive: self.inactive + u64::from(state == State::Inactive),
            waiting: self.waiting + u64::from(waiting),
        }
    }
}

/// A number that operators can ask for.
pub struct Statistic {
    /// Its name.
    pub name: &'static CStr,
    /// What it tells.
    pub about: &'static CStr,
    /// One pool's part of it.
    pub read: fn(&Stats, &Servers) -> u64,
}

macro_rules! table {
    ($($name:ident: $about:literal, |$stats:ident, $servers:ident| $read:expr;)*) => {
        /// All that there are.
        pub(crate) static TABLE: &[Statistic] = &[$(
            Statistic {
                name: match CStr::from_bytes_with_nul(
                    concat!(stringify!($name), "\0").as_bytes(),
                ) {
                    Ok(name) => name,
                    Err(_) => unreachable!(),
                },
                about: $about,
                read: |$stats, $servers| $read,
            },
        )*];
    };
}

table! {
    gets: c"items read: hits, misses and failures", |stats, _servers|
        stats.hits.value() + stats.misses.value() + stats.failed_gets.value();
    hits: c"items read that were there", |stats, _servers| stats.hits.value();
    misses: c"items read that were not there", |stats, _servers| stats.misses.value();
    sets: c"items stored, or tried to", |stats, _servers| stats.sets.value();
    deletes: c"items deleted, or tried to", |stats, _servers| stats.deletes.value();
    counts: c"items counted up or down, or tried to", |stats, _servers| stats.counts.value();
    touches: c"lifetimes changed, or tried to", |stats, _servers| stats.touches.value();
    errors: c"operations that failed, but for timeouts and refused", |stats, _servers|
        stats.errors.value();
    timeouts: c"operations without an answer in time", |stats, _servers| stats.timeouts.value();
    refused: c"operations of which nothing was sent", |stats, _servers| stats.refused.value();
    retries: c"requests sent again on a new connection", |stats, _servers| stats.retries.value();
    reconnects: c"connections opened in place of a lost one", |stats, _servers|
        stats.reconnects.value();
    failovers: c"operations answered by a stand-in", |stats, _servers| stats.failovers.value();
    skipped: c"servers not asked because they are out or not answering", |stats, _servers|
        stats.skipped.value();
    bytes_in: c"bytes received from servers", |stats, _servers| stats.bytes_in.value();
    bytes_out: c"bytes sent to servers", |stats, _servers| stats.bytes_out.value();
    servers_active: c"servers in the state active", |_stats, servers| servers.active;
    servers_inactive: c"servers in the state inactive", |_stats, servers| servers.inactive;
    waiting: c"operations under way at the moment", |_stats, servers| servers.waiting;
}

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
