//! The one place that waits. It asks again every few milliseconds, until there is an answer or the
//! time is over. No test sleeps for a fixed time, unless that time is the point: how long a fault
//! lasts, a connection is idle, or a caller rests.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start or to end on a busy machine.
pub const WAIT_LIMIT: Duration = Duration::from_secs(15);

/// Calls `probe` until it returns `Some`. Returns `None` when `limit` has passed.
///
/// The probe is called at least once, and once more at the end.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(500);
    loop {
        let last = Instant::now() >= end;
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if last {
            return None;
        }
        thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Waits until `probe` is true. Panics after `limit`, with the text that says `what` was waited
/// for.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut probe: impl FnMut() -> bool) {
    if poll(limit, || probe().then_some(())).is_none() {
        panic!("waited {limit:?} in vain for {what}");
    }
}

/// Calls again what a signal has interrupted, as happens when the tests are stopped and continued.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_until_the_answer_is_there() {
        let mut asked = 0;
        let answer = poll(WAIT_LIMIT, || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(answer, Some(3));
    }

    #[test]
    fn only_interruptions_are_called_again() {
        let mut results = vec![Ok(3), Err(ErrorKind::TimedOut), Err(ErrorKind::Interrupted)];
        let mut next = || results.pop().expect("a result").map_err(io::Error::from);
        let error = uninterrupted(&mut next).expect_err("timed out");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(uninterrupted(next).expect("a number"), 3);
    }

    #[test]
    fn gives_up_after_the_limit() {
        let begun = Instant::now();
        assert_eq!(poll(Duration::from_millis(20), || None::<()>), None);
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
