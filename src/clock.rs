//! Moment and Deadline: what time it is, and by when an operation must be over.
//!
//! A deadline is made once at the top of an operation and passed down; connecting, sending,
//! receiving and trying again all spend from it. Who only needs to know the time is told it.

use std::ops::Add;
use std::time::Duration;

use crate::sys;

/// A moment of the system's monotonic clock, the same in all processes: nanoseconds since the
/// system started. (`std::time::Instant` costs several times as many instructions to read and
/// compare, on every operation.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The present.
    pub(crate) fn now() -> Self {
        Self(sys::monotonic_nanos())
    }

    /// The moment that [`Self::nanos`] gave.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// For shared memory.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` it is; nothing when it is not after it.
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

/// The end of an operation's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    start: Moment,
    limit: Duration,
}

impl Deadline {
    /// An operation that begins `now` and may take as long as `limit`.
    pub(crate) fn new(now: Moment, limit: Duration) -> Self {
        Self { start: now, limit }
    }

    /// When the operation began.
    pub(crate) fn start(&self) -> Moment {
        self.start
    }

    /// The whole time the operation was given.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// What is left of it, or `None` when it has passed.
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
