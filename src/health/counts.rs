//! Counts: how many operations were made at one server, and how many are under way and have failed.
//!
//! They count for all processes, and no verdict depends on them.

use std::sync::atomic::Ordering;

use super::Health;
use crate::status::Status;

/// What operations come to by the fault of a server or of a connection.
pub(super) const FAULTS: [Status; 4] = [
    Status::Timeout,
    Status::Down,
    Status::Denied,
    Status::Garbled,
];

/// An operation that is under way; below this, those made are counted, enough for a million a
/// second over eight years.
const UNDER_WAY: u64 = 1 << 48;

impl Health {
    /// Operations under way, made, and failed, in all processes.
    ///
    /// One whose process dies stays under way for good. Kamailio ends with any of its processes
    /// (`main.c`, `SIGCHLD`), and this memory with it; it lives on with `fork=no` alone, a mode to
    /// debug in, whose only worker is the main process itself.
    pub(crate) fn counts(&self) -> (u32, u64, u64) {
        let operations = self.operations.load(Ordering::Relaxed);
        let failures = self.failures().map(|(_, count)| count).sum();
        let (under_way, made) = (operations / UNDER_WAY, operations % UNDER_WAY);
        (under_way as u32, made, failures)
    }

    /// An operation begins; its number.
    pub(crate) fn begin(&self) -> u64 {
        self.operations.fetch_add(UNDER_WAY + 1, Ordering::Relaxed) % UNDER_WAY
    }

    /// It is over, however it went.
    pub(crate) fn end(&self) {
        self.operations.fetch_sub(UNDER_WAY, Ordering::Relaxed);
    }

    /// An operation has come to this by the fault of the server or of a connection.
    pub(crate) fn count_failure(&self, why: Status) {
        let known = FAULTS.iter().zip(&self.failures);
        if let Some((_, failures)) = known.into_iter().find(|(fault, _)| **fault == why) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many operations have failed, by what they came to.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Status, u64)> {
        let counts = self.failures.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        FAULTS.into_iter().zip(counts)
    }

    /// Another server takes this place. What is under way goes on.
    pub(super) fn reset_counts(&self) {
        self.operations
            .fetch_and(!(UNDER_WAY - 1), Ordering::Relaxed);
        for failures in &self.failures {
            failures.store(0, Ordering::Relaxed);
        }
    }
}
