//! Pending: the changes of a set that go on although their operations have returned.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;

/// How many there are, in the lower bits; above them, their [`Row`]; above that, when the last one is over at
/// the latest, in units of about a millisecond.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Pending(AtomicU64);

/// A number for those that are counted together. Those that nobody has ended by the time when all of them are
/// over are forgotten, and the next one begins another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(u8);

/// The bits for the number. If more of them are under way than it can say, they count until the last one is
/// over.
const BITS: u32 = 16;
const MOST: u64 = (1 << BITS) - 1;

/// The bits below the time.
const TIME: u32 = BITS + u8::BITS;

/// Of a moment, the bits that are no whole unit.
const UNIT: u32 = 20;

impl Row {
    fn of(word: u64) -> Self {
        Self((word >> BITS) as u8)
    }
}

impl Pending {
    /// One more begins `now`, and is over at `until` at the latest. Returns its row.
    pub(super) fn begin(&self, now: Moment, until: Moment) -> Row {
        let (now, until) = (now.nanos() >> UNIT, (until.nanos() >> UNIT) + 1);
        let next = |word: u64| match (word >> TIME, Row::of(word)) {
            (last, row) if now < last => (last.max(until), row, (word & MOST).saturating_add(1)),
            (_, Row(row)) => (until, Row(row.wrapping_add(1)), 1),
        };
        let more = |word: u64| {
            let (last, Row(row), number) = next(word);
            Some(last << TIME | u64::from(row) << BITS | number.min(MOST))
        };
        let before = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, more);
        next(before.unwrap_or_else(|word| word)).1
    }

    /// One more of that row begins, while another one is under way; it is over when that is at the latest.
    pub(super) fn begin_another(&self, row: Row) {
        let more = |word: u64| {
            let is_counted = Row::of(word) == row && (1..MOST).contains(&(word & MOST));
            is_counted.then(|| word + 1)
        };
        let _ = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, more);
    }

    /// One of that row ends.
    pub(super) fn end(&self, row: Row) {
        let fewer = |word: u64| {
            let is_counted = Row::of(word) == row && (1..MOST).contains(&(word & MOST));
            is_counted.then(|| word - 1)
        };
        let _ = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, fewer);
    }

    /// Whether any is under way at that moment.
    pub(super) fn are_any(&self, now: Moment) -> bool {
        let word = self.0.load(Ordering::Acquire);
        word & MOST > 0 && now.nanos() >> UNIT < word >> TIME
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn they_are_under_way_until_the_last_one_ends() {
        let pending = Pending::default();
        assert!(!pending.are_any(at(0)));
        let rows = [5, 3].map(|until| pending.begin(at(0), at(until)));
        pending.end(rows[0]);
        assert!(
            pending.are_any(at(1)),
            "one is left, and nobody knows which"
        );
        pending.end(rows[1]);
        assert!(!pending.are_any(at(1)));
        pending.end(rows[1]);
        pending.begin(at(2), at(9));
        assert!(pending.are_any(at(8)), "an end without a beginning is none");
    }

    #[test]
    fn another_one_is_under_way_until_it_ends() {
        let pending = Pending::default();
        let row = pending.begin(at(0), at(5));
        pending.begin_another(row);
        pending.end(row);
        assert!(pending.are_any(at(1)));
        pending.end(row);
        assert!(!pending.are_any(at(1)));
    }

    #[test]
    fn what_nobody_ends_is_over_at_its_time() {
        let pending = Pending::default();
        let lost = pending.begin(at(0), at(5));
        let row = pending.begin(at(4), at(5));
        pending.end(row);
        assert!(pending.are_any(at(5)));
        assert!(!pending.are_any(at(6)));
        let row = pending.begin(at(6), at(9));
        pending.end(lost);
        assert!(pending.are_any(at(8)), "the end of another row is none");
        pending.end(row);
        assert!(!pending.are_any(at(8)), "what was lost is forgotten");
    }

    #[test]
    fn of_too_many_none_ends_early() {
        let pending = Pending::default();
        let rows: Vec<_> = (0..=MOST).map(|_| pending.begin(at(0), at(5))).collect();
        rows.into_iter().for_each(|row| pending.end(row));
        assert!(pending.are_any(at(5)));
        assert!(!pending.are_any(at(6)));
    }
}
