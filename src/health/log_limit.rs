//! LogLimit: lets a few log lines a minute pass, and counts those that were left out.
//!
//! An outage may fail thousands of operations a second; only the first few of each minute are
//! logged. [`LogLimit`] belongs to one process, [`SharedLogLimit`] stands in memory that all
//! processes share. Both are told the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{JUMP, Moment};

/// How many lines are logged per [`WINDOW`].
const LINES: u32 = 5;

/// The time in which lines are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The limit of one process.
#[derive(Debug)]
pub(crate) struct LogLimit {
    window: Option<Moment>,
    lines: u32,
    left_out: u64,
    /// What each line tells of.
    what: &'static str,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::of("failure")
    }
}

impl LogLimit {
    /// The limit of lines that each tell of such an event: a word that takes an s for several.
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            window: None,
            lines: 0,
            left_out: 0,
            what,
        }
    }

    /// Asks whether a line may be logged `now`: `Some` with the number of lines left out since the
    /// last one, or `None` when this one is left out, too.
    pub(crate) fn admit(&mut self, now: Moment) -> Option<LeftOut> {
        if self
            .window
            .is_none_or(|start| now.passed_since(start) >= WINDOW)
        {
            self.window = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(self.take_left_out())
    }

    /// The number of lines left out since the last one that was logged; counting begins anew.
    pub(crate) fn take_left_out(&mut self) -> LeftOut {
        LeftOut::of(std::mem::take(&mut self.left_out), self.what)
    }
}

/// The limit of lines about one server's changes, for all processes together. It is one word, so it
/// changes as a whole: the second in which the window began, the lines logged in it, and the lines
/// left out. 0 = no line yet.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct SharedLogLimit(AtomicU64);

/// The word of a [`SharedLogLimit`], taken apart.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// When the window began, in seconds of the monotonic clock plus 1; 0 = no window yet.
    window: u32,
    lines: u8,
    left_out: u32,
}

impl SharedLogLimit {
    /// As [`LogLimit::admit`].
    pub(crate) fn admit(&self, now: Moment) -> Option<LeftOut> {
        self.step(|count| {
            let mut count = count.at(now);
            let admitted = u32::from(count.lines) < LINES;
            let left_out = LeftOut::of(count.left_out.into(), "change");
            count.left_out = match admitted {
                true => 0,
                false => count.left_out.saturating_add(1).min(MOST),
            };
            count.lines += u8::from(admitted);
            (count, admitted.then_some(left_out))
        })
    }

    /// Asks whether the number of lines left out may be logged by itself, because their window is
    /// over: `Some` if it may and there are any.
    pub(crate) fn make_up(&self, now: Moment) -> Option<LeftOut> {
        let none = Count::of(self.0.load(Ordering::Relaxed)).left_out == 0;
        if none {
            return None;
        }
        self.step(|count| {
            let mut fresh = count.at(now);
            if fresh.lines > 0 || fresh.left_out == 0 {
                return (count, None);
            }
            let left_out = LeftOut::of(fresh.left_out.into(), "change");
            (fresh.lines, fresh.left_out) = (1, 0);
            (fresh, Some(left_out))
        })
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Replaces the word by the one that `step` makes of it, and returns the other half of what
    /// `step` returns.
    fn step<R>(&self, step: impl Fn(Count) -> (Count, R)) -> R {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (count, result) = step(Count::of(word));
            let changed = self.0.compare_exchange_weak(
                word,
                count.word(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match changed {
                Ok(_) => return result,
                Err(seen) => word = seen,
            }
        }
    }
}

/// The largest number of lines left out that a [`Count`] can hold.
const MOST: u32 = (1 << 24) - 1;

impl Count {
    fn of(word: u64) -> Self {
        Self {
            window: word as u32,
            lines: (word >> 32) as u8,
            left_out: (word >> 40) as u32,
        }
    }

    fn word(self) -> u64 {
        u64::from(self.window) | u64::from(self.lines) << 32 | u64::from(self.left_out) << 40
    }

    /// The same if its window lasts until after `now`, else a new window without lines.
    fn at(self, now: Moment) -> Self {
        let second = (now.nanos() / 1_000_000_000) as u32 + 1;
        // The window may seem to begin after now: another process has read the clock a moment
        // later. If it is more than a moment, the clock has jumped back.
        let over = u64::from(second.saturating_sub(self.window)) >= WINDOW.as_secs()
            || self.window > second + JUMP.as_secs() as u32;
        match self.window == 0 || over {
            true => Self {
                window: second,
                lines: 0,
                ..self
            },
            false => self,
        }
    }
}

/// How many lines were left out. As text it is the end of a log line, empty for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut {
    count: u64,
    what: &'static str,
}

impl LeftOut {
    fn of(count: u64, what: &'static str) -> Self {
        Self { count, what }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, what } = self;
        match count {
            0 => Ok(()),
            1 => write!(f, " (1 more {what} was not logged)"),
            more => write!(f, " ({more} more {what}s were not logged)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_minute_pass_and_the_rest_is_counted() {
        let (mut limit, start) = (LogLimit::default(), Moment::now());
        let admitted = (0..100).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(admitted, 5);
        assert_eq!(limit.admit(start + Duration::from_secs(59)), None);
        assert_eq!(
            limit.admit(start + Duration::from_secs(60)),
            Some(LeftOut::of(96, "failure"))
        );
        assert_eq!(
            limit.admit(start + Duration::from_secs(61)),
            Some(LeftOut::of(0, "failure"))
        );
        assert_eq!(LeftOut::of(0, "failure").to_string(), "");
        assert_eq!(
            LeftOut::of(96, "failure").to_string(),
            " (96 more failures were not logged)"
        );
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn all_processes_share_the_lines_of_a_minute() {
        let limit = SharedLogLimit::default();
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| limit.admit(at(7)).is_some()).count();
            let processes = [0; 4].map(|_| scope.spawn(count));
            processes
                .map(|process| process.join().unwrap())
                .iter()
                .sum()
        });
        assert_eq!(admitted, 5);
        assert_eq!(limit.admit(at(66)), None);
        let text = limit.admit(at(67)).unwrap().to_string();
        assert_eq!(text, " (3996 more changes were not logged)");
        assert_eq!(limit.admit(at(68)).unwrap().to_string(), "");
        limit.reset();
        let admitted = (0..9).filter(|_| limit.admit(at(69)).is_some());
        assert_eq!(admitted.count(), 5);
    }

    #[test]
    fn what_was_left_out_is_made_up_for_when_the_minute_is_over() {
        let limit = SharedLogLimit::default();
        assert_eq!(limit.make_up(at(7)), None);
        let admitted = (0..6).filter(|_| limit.admit(at(7)).is_some());
        assert_eq!(admitted.count(), 5);
        assert_eq!(limit.make_up(at(66)), None);
        let text = limit.make_up(at(67)).unwrap().to_string();
        assert_eq!(text, " (1 more change was not logged)");
        assert_eq!(limit.make_up(at(68)), None);
        let admitted = (0..9).filter(|_| limit.admit(at(68)).is_some());
        assert_eq!(admitted.count(), 4, "it was a line like any");
        let many = SharedLogLimit::default();
        many.0.store(!0 << 32 | 1, Ordering::Relaxed);
        assert_eq!(many.admit(at(7)), None);
        let text = many.make_up(at(1000)).unwrap().to_string();
        assert_eq!(text, " (16777215 more changes were not logged)");
    }
}
