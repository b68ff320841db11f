//! Counts: how many operations were made at one server, and how many are under way and have failed.
//!
//! They count for all processes, and no verdict depends on them.

use std::sync::atomic::Ordering;

use super::Health;

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
        let failures = self.failures.load(Ordering::Relaxed);
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

    /// An operation has failed by the fault of the server or of a connection.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Another server takes this place. What is under way goes on.
    pub(super) fn reset_counts(&self) {
        self.operations
            .fetch_and(!(UNDER_WAY - 1), Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }
}
