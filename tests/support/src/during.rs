//! `during` has callers call, one call after the other, for as long as something happens.
//!
//! They end with it, also when it panics: a test that fails must not wait for them for ever.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::wait;

/// The calls that callers have made so far, see [`during()`].
#[derive(Debug, Default)]
pub struct Made {
    calls: AtomicUsize,
}

impl Made {
    /// How many have ended.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until so many more have ended. What is under way now counts, too: one call of each caller at most.
    #[track_caller]
    pub fn wait_for_more(&self, count: usize) {
        let enough = self.calls() + count;
        wait::until(&format!("{count} more calls"), wait::WAIT_LIMIT, || {
            self.calls() >= enough
        });
    }
}

/// So many callers call for as long as `event` takes. `call` gets the number of the call, counted from 0 over all
/// callers. Returns what `event` did, and what each call came to.
///
/// # Panics
/// `event` panics, or a caller. The others go on until the end of `event`.
pub fn during<C: Send, T>(
    callers: usize,
    call: impl Fn(usize) -> C + Sync,
    event: impl FnOnce(&Made) -> T,
) -> (T, Vec<C>) {
    let is_over = AtomicBool::new(false);
    let (made, next) = (Made::default(), AtomicUsize::new(0));
    let caller = || {
        let mut results = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            results.push(call(next.fetch_add(1, Ordering::Relaxed)));
            made.calls.fetch_add(1, Ordering::Relaxed);
        }
        results
    };
    thread::scope(|scope| {
        let ending = Ending(&is_over);
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        let value = event(&made);
        drop(ending);
        let results = callers.into_iter().flat_map(|caller| {
            let ended = caller.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        (value, results.collect())
    })
}

/// Sets a flag when it is dropped, also by a panic. For threads that go on until the flag is set.
#[derive(Debug)]
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::Duration;

    use super::*;

    /// A call that takes a moment.
    fn count(number: usize) -> usize {
        wait::poll::<()>(Duration::from_millis(1), || None);
        number
    }

    #[test]
    fn each_call_has_a_number_of_its_own() {
        let ((), mut numbers) = during(3, count, |made| made.wait_for_more(50));
        numbers.sort_unstable();
        assert!(numbers.len() >= 50, "{numbers:?}");
        assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    }

    #[test]
    fn callers_end_when_the_event_panics() {
        let event = |made: &Made| assert_eq!(made.calls(), usize::MAX);
        assert!(catch_unwind(|| during(2, count, event)).is_err());
    }

    #[test]
    fn the_panic_of_a_caller_comes_through() {
        let call = |number: usize| assert_ne!(count(number), 0);
        let ended = catch_unwind(|| during(2, call, |made| made.wait_for_more(1)));
        assert!(ended.is_err());
    }
}
