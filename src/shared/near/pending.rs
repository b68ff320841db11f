//! Pending: the changes of a set that go on although their operations have returned.
//!
//! They are counted in rows. A row has a time at which all of its changes are over, and takes no new one that is
//! over later. Most rows are empty long before. What nobody ends keeps its row from that, and no other one: when
//! a new row begins, it is noted until when the rows before it may go on.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;

/// A [`Word`]. All bits zero = none.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Pending(AtomicU64);

/// The number of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(u8);

/// What is known of the changes, in one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    /// When the present row is over, in units of about 8 ms.
    over: u64,
    /// By how much earlier the rows before it are over; [`NONE`] = there are none.
    earlier: u64,
    row: Row,
    /// How many changes of the row are under way. If there are more than it can say, they count until the row is
    /// over.
    count: u64,
}

/// Of a moment, the bits that are no whole unit.
const UNIT: u32 = 23;

const COUNT_BITS: u32 = 10;
const EARLIER_BITS: u32 = 10;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const NONE: u64 = (1 << EARLIER_BITS) - 1;

/// Where the parts above the count begin.
const ROW: u32 = COUNT_BITS;
const EARLIER: u32 = ROW + u8::BITS;
const OVER: u32 = EARLIER + EARLIER_BITS;

impl Word {
    fn of(word: u64) -> Self {
        Self {
            over: word >> OVER,
            earlier: word >> EARLIER & NONE,
            row: Row((word >> ROW) as u8),
            count: word & MOST,
        }
    }

    fn number(self) -> u64 {
        self.over << OVER
            | self.earlier << EARLIER
            | u64::from(self.row.0) << ROW
            | self.count.min(MOST)
    }

    /// Until when changes may go on of which nobody has told that they have ended.
    fn last(self) -> Option<u64> {
        match (self.count, self.earlier) {
            (0, NONE) => None,
            (0, earlier) => Some(self.over.saturating_sub(earlier)),
            _ => Some(self.over),
        }
    }

    /// One more begins at `now`, and is over at `until` at the latest.
    fn with_another(self, now: u64, until: u64) -> Self {
        if until <= self.over {
            let count = self.count + 1;
            return Self { count, ..self };
        }
        // As much time again for those that join it.
        let over = until + until.saturating_sub(now);
        let before = self.last().filter(|last| now < *last);
        Self {
            over,
            earlier: before.map_or(NONE, |last| over.saturating_sub(last).min(NONE - 1)),
            row: Row(self.row.0.wrapping_add(1)),
            count: 1,
        }
    }
}

impl Pending {
    /// One more begins `now`, and is over at `until` at the latest. Returns its row.
    pub(super) fn begin(&self, now: Moment, until: Moment) -> Row {
        let (now, until) = (now.nanos() >> UNIT, (until.nanos() >> UNIT) + 1);
        let next = |word| Word::of(word).with_another(now, until);
        let more = |word| Some(next(word).number());
        let before = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, more);
        next(before.unwrap_or_else(|word| word)).row
    }

    /// One more of that row begins, while another one is under way; it is over when that is at the latest.
    pub(super) fn begin_another(&self, row: Row) {
        self.count(row, |count| count + 1);
    }

    /// One of that row ends.
    pub(super) fn end(&self, row: Row) {
        self.count(row, |count| count - 1);
    }

    fn count(&self, row: Row, next: impl Fn(u64) -> u64) {
        let change = |number| {
            let word = Word::of(number);
            let is_counted = word.row == row && (1..MOST).contains(&word.count);
            is_counted.then(|| {
                let count = next(word.count);
                Word { count, ..word }.number()
            })
        };
        let _ = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, change);
    }

    /// Whether any is under way at that moment.
    pub(super) fn are_any(&self, now: Moment) -> bool {
        let word = Word::of(self.0.load(Ordering::Acquire));
        word.last().is_some_and(|last| now.nanos() >> UNIT < last)
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
    fn what_nobody_ends_is_over_after_twice_its_time() {
        let pending = Pending::default();
        let lost = pending.begin(at(0), at(5));
        assert!(pending.are_any(at(9)));
        assert!(!pending.are_any(at(11)));
        let row = pending.begin(at(11), at(14));
        pending.end(lost);
        assert!(pending.are_any(at(12)), "the end of another row is none");
        pending.end(row);
        assert!(!pending.are_any(at(12)), "what was lost is forgotten");
    }

    #[test]
    fn what_nobody_ends_is_over_then_also_if_others_go_on_beginning() {
        let pending = Pending::default();
        pending.begin(at(0), at(5));
        for second in (1..60).map(at) {
            let row = pending.begin(second, second + Duration::from_secs(5));
            assert!(pending.are_any(second));
            pending.end(row);
            assert_eq!(pending.are_any(second), second <= at(10), "{second:?}");
        }
    }

    #[test]
    fn those_of_an_older_row_go_on_while_a_new_one_begins_and_ends() {
        let pending = Pending::default();
        pending.begin(at(0), at(5));
        pending.begin(at(4), at(9));
        let row = pending.begin(at(7), at(12));
        pending.end(row);
        assert!(pending.are_any(at(8)));
        assert!(!pending.are_any(at(11)));
    }

    #[test]
    fn of_too_many_none_ends_early() {
        let pending = Pending::default();
        let rows: Vec<_> = (0..=MOST).map(|_| pending.begin(at(0), at(5))).collect();
        rows.into_iter().for_each(|row| pending.end(row));
        assert!(pending.are_any(at(9)));
        assert!(!pending.are_any(at(11)));
    }

    #[test]
    fn a_word_is_its_number() {
        for over in [0, 1, (1 << (64 - OVER)) - 1] {
            for earlier in [0, 1, NONE] {
                for (row, count) in [(0, 0), (255, 1), (1, MOST)] {
                    let row = Row(row);
                    let word = Word {
                        over,
                        earlier,
                        row,
                        count,
                    };
                    assert_eq!(Word::of(word.number()), word);
                }
            }
        }
    }
}
