//! Clocks: notices that a clock of this machine has jumped, so that nobody relies on how long an outage
//! has lasted.

use std::time::Duration;

use crate::clock::{JUMP, Moment};
use crate::sys;

/// The monotonic clock and the time of day, which go on together unless one of them jumps.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// What both have shown last.
    last: Option<(Moment, Duration)>,
    /// When one of them has jumped last.
    jumped: Option<Moment>,
}

impl Clocks {
    /// Looks at both clocks, of which the monotonic one shows `now`.
    pub(super) fn look(&mut self, now: Moment) {
        self.note(now, sys::unix_time());
    }

    fn note(&mut self, now: Moment, of_day: Duration) {
        if let Some((moment, day)) = self.last.replace((now, of_day)) {
            let step = i128::from(now.nanos()) - i128::from(moment.nanos());
            let step_of_day = of_day.as_nanos() as i128 - day.as_nanos() as i128;
            if (step - step_of_day).unsigned_abs() > JUMP.as_nanos() {
                self.jumped = Some(now);
            }
        }
    }

    /// True if a clock has jumped since `moment`.
    pub(super) fn have_jumped_since(&self, moment: Moment) -> bool {
        self.jumped.is_some_and(|jumped| moment <= jumped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_either_clock_is_noticed_and_a_pause_is_none() {
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        let day = |seconds: u64| Duration::from_secs(1_000_000 + seconds);
        let jumped = |moment, of_day| {
            let mut clocks = Clocks::default();
            clocks.note(at(1000), day(1000));
            clocks.note(at(1001), day(1001));
            clocks.note(at(moment), day(of_day));
            clocks.have_jumped_since(at(1001))
        };
        assert!(
            !jumped(1002, 1002) && !jumped(5000, 5000),
            "the process has slept"
        );
        assert!(!jumped(1002, 1003), "it is set by a little");
        assert!(jumped(1002, 4000) && jumped(1002, 500), "the time of day");
        assert!(jumped(4000, 1002), "the monotonic clock");
        let mut clocks = Clocks::default();
        clocks.note(at(1000), day(1000));
        clocks.note(at(2000), day(1001));
        assert!(!clocks.have_jumped_since(at(2001)), "what began later");
    }

    #[test]
    fn the_clocks_of_this_machine_go_together() {
        let mut clocks = Clocks::default();
        let began = Moment::now();
        (0..3).for_each(|_| clocks.look(Moment::now()));
        assert!(!clocks.have_jumped_since(began));
    }
}
