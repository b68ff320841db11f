//! `guard` is the outermost function of every callback: it stops panics before they reach C.
//!
//! A panic is a bug of ours. It costs the caller one answer, and the process lives on.

use std::panic::{self, AssertUnwindSafe};

/// Runs a callback's body. After a panic it returns `failed`, the value that tells the host of a
/// failure.
pub(crate) fn guard<T>(failed: T, body: impl FnOnce() -> T) -> T {
    // Nobody sees what a panic leaves half done: the borrows of all `RefCell`s end with it, and a
    // connection that was in use is closed.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(failed)
}

/// From now on each panic writes one line to the host's log, with the place where it happened.
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
