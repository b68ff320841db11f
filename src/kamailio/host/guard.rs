//! Guard: no panic crosses into C.
//!
//! A panic is a bug of ours; it costs the caller one answer, not the worker its life.

use std::panic::{self, AssertUnwindSafe};

/// Runs a callback's body; after a panic it returns `failed`, the host's word for failure there.
pub(crate) fn guard<T>(failed: T, body: impl FnOnce() -> T) -> T {
    // What a panic leaves half done is behind `RefCell`s whose borrows end with it, and a
    // connection in use is closed, so nothing is seen in a broken state.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(failed)
}

/// From now on a panic is one line in the host's log, with its place.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|panic| log::error!("bug, please report: {panic}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_failure_value() {
        assert_eq!(guard(-1, || 7), 7);
        assert_eq!(guard(-1, || panic!("for the test")), -1);
    }
}
