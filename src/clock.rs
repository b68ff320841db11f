//! Moment and Deadline: a point in time, and the time that an operation may take.
//!
//! A deadline is made once, when an operation begins, and passed down: connecting, sending,
//! receiving and trying again all take from the same time. Code that only compares moments is told
//! the time and does not read the clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use crate::sys;

/// A moment of the node's monotonic clock, in nanoseconds since the node started; all processes
/// have the same. (`std::time::Instant` takes several times as many instructions to read and to
/// compare, and every operation does both.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The present moment.
    pub(crate) fn now() -> Self {
        Self(sys::monotonic_nanos())
    }

    /// The moment that [`Self::nanos`] gave.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment as a number, to be kept in shared memory.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero if it is not later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// The time that an operation may take, and when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    start: Moment,
    limit: Duration,
}

impl Deadline {
    /// For an operation that begins `now` and may take `limit`.
    pub(crate) fn new(now: Moment, limit: Duration) -> Self {
        Self { start: now, limit }
    }

    /// When the operation began.
    pub(crate) fn start(&self) -> Moment {
        self.start
    }

    /// The whole time that the operation may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// When the operation must be over.
    pub(crate) fn end(&self) -> Moment {
        self.start + self.limit
    }

    /// The time that is left, or `None` when there is none.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let elapsed = Moment::now().since(self.start);
        self.limit
            .checked_sub(elapsed)
            .filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ordered_and_apart() {
        let (now, second) = (Moment::now(), Duration::from_secs(1));
        assert_eq!((now + second).since(now), second);
        assert_eq!(now.since(now + second), Duration::ZERO);
        assert!(now < now + second && Moment::now() >= now);
    }

    #[test]
    fn a_deadline_counts_down_to_none() {
        let minute = Duration::from_secs(60);
        let left = Deadline::new(Moment::now(), minute).remaining().unwrap();
        assert!(left <= minute);
        assert!(
            Deadline::new(Moment::now(), Duration::ZERO)
                .remaining()
                .is_none()
        );
        assert!(
            Deadline::new(Moment(0), Duration::from_nanos(1))
                .remaining()
                .is_none()
        );
    }
}
