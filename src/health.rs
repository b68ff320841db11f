//! Health: how a server has been doing, and what is worth a line in the log.
//!
//! One line when it fails, one when it answers again, a few a minute in between. It is told the
//! time and says what to log; it neither reads a clock nor writes a line.

use std::time::Duration;

use crate::clock::Moment;
use crate::limiter::{LeftOut, Limiter};

/// What this process knows of one server.
#[derive(Debug, Default)]
pub struct Health {
    failing_since: Option<Moment>,
    limiter: Limiter,
}

/// What a failed operation deserves in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The first one: the server's fall.
    Fell,
    /// One of the few lines in between.
    Again(LeftOut),
    /// Only to be counted.
    Silent,
}

impl Health {
    /// An operation failed by the server's fault.
    pub fn failed(&mut self, now: Moment) -> Failure {
        if self.failing_since.is_none() {
            self.failing_since = Some(now);
            return Failure::Fell;
        }
        self.limiter
            .admit(now)
            .map_or(Failure::Silent, Failure::Again)
    }

    /// An operation was answered. `Some` when the server had been failing: for how long, and how
    /// many failures were not logged.
    pub fn answered(&mut self, now: Moment) -> Option<(Duration, LeftOut)> {
        let since = self.failing_since.take()?;
        Some((now.since(since), self.limiter.take_left_out()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_line_at_either_end_and_a_few_between() {
        let (mut health, start) = (Health::default(), Moment::now());
        let second = Duration::from_secs(1);
        assert_eq!(health.answered(start), None);
        assert_eq!(health.failed(start), Failure::Fell);
        let lines = (0..50)
            .filter(|_| health.failed(start) != Failure::Silent)
            .count();
        assert_eq!(lines, 5);
        let (outage, left_out) = health.answered(start + 3 * second).unwrap();
        assert_eq!(outage, 3 * second);
        assert_eq!(left_out.to_string(), " (45 more failures were not logged)");
        assert_eq!(health.answered(start + 4 * second), None);
        assert_eq!(health.failed(start + 5 * second), Failure::Fell);
    }
}
