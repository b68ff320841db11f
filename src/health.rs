//! Health: how a server has been doing, and what is worth a line in the log.
//!
//! One line when it fails, one when it answers again, a few a minute in between; and of a server
//! that does both all the time, the first few falls of each minute. It is told the time and says
//! what to log; it neither reads a clock nor writes a line.

use std::time::Duration;

use crate::clock::Moment;
use crate::limiter::{LeftOut, Limiter};

/// What this process knows of one server.
#[derive(Debug, Default)]
pub struct Health {
    failing_since: Option<Moment>,
    /// Whether there was a line about this outage; if not, its end needs none.
    told: bool,
    falls: Limiter,
    failures: Limiter,
}

/// What a failed operation deserves in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The first one: the server's fall.
    Fell(LeftOut),
    /// One of the few lines in between.
    Again(LeftOut),
    /// Only to be counted.
    Silent,
}

impl Health {
    /// An operation failed by the server's fault.
    pub fn failed(&mut self, now: Moment) -> Failure {
        let line = if self.failing_since.is_none() {
            self.failing_since = Some(now);
            self.told = false;
            self.falls.admit(now).map(Failure::Fell)
        } else {
            self.failures.admit(now).map(Failure::Again)
        };
        self.told |= line.is_some();
        line.unwrap_or(Failure::Silent)
    }

    /// An operation was answered. `Some` when the server had been failing and that was logged: for
    /// how long, and how many failures were not.
    pub fn answered(&mut self, now: Moment) -> Option<(Duration, LeftOut)> {
        let since = self.failing_since.take()?;
        self.told
            .then(|| (now.since(since), self.failures.take_left_out()))
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
        assert!(matches!(health.failed(start), Failure::Fell(_)));
        let lines = (0..50)
            .filter(|_| health.failed(start) != Failure::Silent)
            .count();
        assert_eq!(lines, 5);
        let (outage, left_out) = health.answered(start + 3 * second).unwrap();
        assert_eq!(outage, 3 * second);
        assert_eq!(left_out.to_string(), " (45 more failures were not logged)");
        assert_eq!(health.answered(start + 4 * second), None);
        let again = health.failed(start + 5 * second);
        assert!(matches!(again, Failure::Fell(_)));
    }

    #[test]
    fn falls_without_end_are_a_few_lines_a_minute_at_either_end() {
        let (mut health, start) = (Health::default(), Moment::now());
        let mut told = (0, 0);
        for _ in 0..50 {
            told.0 += u32::from(health.failed(start) != Failure::Silent);
            told.1 += u32::from(health.answered(start).is_some());
        }
        assert_eq!(told, (5, 5));
        let Failure::Fell(left_out) = health.failed(start + Duration::from_secs(60)) else {
            panic!("the next minute has lines of its own");
        };
        assert_eq!(left_out.to_string(), " (45 more failures were not logged)");
    }
}
