//! `Failures` are the operations that failed, by what they came to.

use super::Counter;
use crate::status::Status;

const REASONS: [Status; Status::FAILURES.len()] = Status::FAILURES;

/// The failed operations of a pool.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Failures([Counter; REASONS.len()]);

impl Failures {
    /// Counts one that came to this.
    #[cold]
    pub(crate) fn count(&self, reason: Status) {
        if let Some(at) = REASONS.iter().position(|known| *known == reason) {
            self.0[at].count();
        }
    }

    /// How many came to this.
    pub(crate) fn of(&self, reason: Status) -> u64 {
        let counted = self.by_reason().find(|(known, _)| *known == reason);
        counted.map_or(0, |(_, count)| count)
    }

    /// Each reason, and how many came to it.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Status, u64)> {
        let counts = self.0.iter().map(Counter::value);
        REASONS.into_iter().zip(counts)
    }

    /// How many have come to what has no statistic of its own.
    pub(super) fn others(&self) -> u64 {
        let own = [Status::Timeout, Status::Refused, Status::Foreign];
        let others = self.by_reason().filter(|(reason, _)| !own.contains(reason));
        others.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_counted_by_its_reason() {
        let failures = Failures::default();
        for (at, reason) in REASONS.into_iter().enumerate() {
            (0..=at).for_each(|_| failures.count(reason));
        }
        failures.count(Status::Hit);
        let counts: Vec<u64> = failures.by_reason().map(|(_, count)| count).collect();
        assert_eq!(counts, (1..=11).collect::<Vec<u64>>());
        assert_eq!(failures.of(Status::Timeout), 1);
        assert_eq!(failures.of(Status::Hit), 0);
        let own = 1 + 5 + 11;
        assert_eq!(failures.others(), (1..=11).sum::<u64>() - own);
    }
}
