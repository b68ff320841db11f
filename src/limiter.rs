//! Limiter: a few log lines a minute, and a count of what was left out.
//!
//! An outage fails thousands of operations a second; the log gets the first few of each minute.
//! It is told the time.

use std::time::Duration;

use crate::clock::Moment;

/// Lines per [`WINDOW`].
const LINES: u32 = 5;

/// The window in which lines are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts lines per window.
#[derive(Debug, Default)]
pub struct Limiter {
    window: Option<Moment>,
    lines: u32,
    left_out: u64,
}

impl Limiter {
    /// Asks to log a line `now`: `Some` with the number of lines left out since the last one,
    /// or `None` when this one is left out too.
    pub fn admit(&mut self, now: Moment) -> Option<LeftOut> {
        if self.window.is_none_or(|start| now.since(start) >= WINDOW) {
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

    /// The number of lines left out since the last one that was logged; it is then 0 again.
    pub fn take_left_out(&mut self) -> LeftOut {
        LeftOut(std::mem::take(&mut self.left_out))
    }
}

/// How many lines were left out; as text the end of a log line, empty for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut(u64);

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (1 more failure was not logged)"),
            more => write!(f, " ({more} more failures were not logged)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_minute_pass_and_the_rest_is_counted() {
        let (mut limiter, start) = (Limiter::default(), Moment::now());
        let admitted = (0..100).filter(|_| limiter.admit(start).is_some()).count();
        assert_eq!(admitted, 5);
        assert_eq!(limiter.admit(start + Duration::from_secs(59)), None);
        assert_eq!(
            limiter.admit(start + Duration::from_secs(60)),
            Some(LeftOut(96))
        );
        assert_eq!(
            limiter.admit(start + Duration::from_secs(61)),
            Some(LeftOut(0))
        );
        assert_eq!(LeftOut(0).to_string(), "");
        assert_eq!(
            LeftOut(96).to_string(),
            " (96 more failures were not logged)"
        );
    }
}
