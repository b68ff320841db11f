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

    /// True if this moment was noted before the clock jumped back, as it does when a machine is restored:
    /// seen from `now`, it lies in the future.
    pub(crate) fn is_void(self, now: Self) -> bool {
        self > now + JUMP
    }

    /// The time that has passed between `earlier` and this moment, which is now. If `earlier` is
    /// [void](Self::is_void), any time has passed.
    pub(crate) fn passed_since(self, earlier: Self) -> Duration {
        match earlier.is_void(self) {
            true => Duration::MAX,
            false => self.since(earlier),
        }
    }
}

/// By how much a clock must be off to have jumped. Processes that read it at the same time are never so far
/// apart.
pub(crate) const JUMP: Duration = Duration::from_secs(1);

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

    /// What is left of it, as the deadline of an operation that begins now; `None` when nothing is.
    pub(crate) fn rest(&self) -> Option<Self> {
        let now = Moment::now();
        let left = self.limit.checked_sub(now.since(self.start))?;
        (!left.is_zero()).then(|| Self::new(now, left))
    }

    /// The first half of what is left.
    pub(crate) fn half(&self) -> Option<Self> {
        let rest = self.rest()?;
        Some(Self::new(rest.start, rest.limit / 2))
    }

    /// The time that is left, or `None` when there is none.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.rest().map(|rest| rest.limit)
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
    fn after_a_jump_back_any_time_has_passed() {
        let (now, second) = (Moment(10_000_000_000), Duration::from_secs(1));
        assert_eq!(now.passed_since(now - second), second);
        for ahead in [Duration::ZERO, second] {
            assert!(!(now + ahead).is_void(now), "another process has read it");
            assert_eq!(now.passed_since(now + ahead), Duration::ZERO);
        }
        let before = now + second + Duration::from_nanos(1);
        assert!(before.is_void(now));
        assert_eq!(now.passed_since(before), Duration::MAX);
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
