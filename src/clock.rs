//! Deadline: the one moment by which an operation must be over.
//!
//! Made once at the top of an operation and passed down; connecting, sending, receiving and
//! trying again all spend from it. Who only needs to know the time is told it.

use std::time::{Duration, Instant};

/// The end of an operation's time.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// An operation that begins `now` and may take as long as `limit`.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self { start: now, limit }
    }

    /// When the operation began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// The whole time the operation was given.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What is left of it, or `None` when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.limit
            .checked_sub(self.start.elapsed())
            .filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_down_to_none() {
        let now = Instant::now();
        let left = Deadline::new(now, Duration::from_secs(60))
            .remaining()
            .unwrap();
        assert!(left <= Duration::from_secs(60));
        assert!(Deadline::new(now, Duration::ZERO).remaining().is_none());
        let past = now.checked_sub(Duration::from_secs(2)).unwrap();
        assert!(
            Deadline::new(past, Duration::from_secs(1))
                .remaining()
                .is_none()
        );
    }
}
