//! Spin: whether a worker asks the kernel again for an answer before it goes to sleep for it. To be woken
//! up may take longer than the answer does.
//!
//! Between two questions the worker gives the processor away, so a server on the same processor can
//! work. Spinning must not cost time where it does not help: it is done only on a connection whose
//! answers usually come within the limit, or would if nobody slept for them, and not while other processes
//! need the processor. A process that has given it away then waits longer for it than one that sleeps.
//!
//! It reads no clock and makes no system call.

use std::time::Duration;

use crate::clock::Moment;

/// Whether spinning is worth it on one connection.
#[derive(Debug)]
pub(super) struct Spin {
    /// How long after the beginning of an operation its answer is asked for.
    limit: Duration,
    /// Grows with each answer that came, or might have come, within the limit.
    trust: u8,
    /// Grows with each turn that took others long, and falls with each that did not.
    crowd: u8,
    /// When other processes were found to need the processor.
    paused: Option<Moment>,
    /// For how long it is not done since then.
    pause: Duration,
}

/// The limit on a unix socket, where nobody has chosen another one: a server on the same processor has answered as
/// soon as it had that.
pub(super) const LOCAL: Duration = Duration::from_micros(50);

/// The highest trust.
const FULL: u8 = ENOUGH + 4;

/// From this trust on it is worth it. A connection that was asked in vain begins at zero, so on at most
/// one of so many operations the processor's time is wasted.
const ENOUGH: u8 = 64;

/// The trust in a new connection.
const UNKNOWN: u8 = ENOUGH - 4;

/// What each disappointment takes from the trust: so two answers of three must come within the limit.
const LOSS: u8 = 2;

/// How long a worker that has slept may have taken to wake up: its answer was there so much earlier.
const WAKE_UP: Duration = Duration::from_micros(50);

/// So much of the processor others may have whenever it is given away. Who needs it for its own work keeps it for
/// milliseconds.
const SHORT_TURN: Duration = Duration::from_micros(200);

/// What a long turn adds to the crowd: it grows if more than one of so many turns are long.
const LONG_TURN: u8 = 8;

/// At this crowd other processes need the processor.
const CROWDED: u8 = 4 * LONG_TURN;

/// For how long it is not done when other processes need the processor. Each pause is twice as long as the one before if
/// they need it still, since it takes a long turn to find that out.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(640);

impl Spin {
    /// On a new connection, whose answers are not known yet. `None` if the limit is zero.
    pub(super) fn within(limit: Duration) -> Option<Self> {
        (!limit.is_zero()).then_some(Self {
            limit,
            trust: UNKNOWN,
            crowd: 0,
            paused: None,
            pause: Duration::ZERO,
        })
    }

    /// Whether to ask (again) at this moment for the answer of an operation that began at `start`.
    pub(super) fn goes_on(&self, start: Moment, now: Moment) -> bool {
        let pauses = |since| now.passed_since(since) < self.pause;
        let is_early = now.passed_since(start) <= self.limit;
        self.trust >= ENOUGH && is_early && !self.paused.is_some_and(pauses)
    }

    /// The processor was given away at one moment and was back at the other.
    pub(super) fn note_turn(&mut self, away: Moment, back: Moment) {
        if back.since(away) <= self.limit.max(SHORT_TURN) {
            self.crowd = self.crowd.saturating_sub(1);
            if self.crowd == 0 {
                self.pause = Duration::ZERO;
            }
            return;
        }
        self.crowd += LONG_TURN;
        if self.crowd >= CROWDED {
            // After the pause, one more long turn is enough.
            self.crowd = CROWDED - LONG_TURN;
            self.paused = Some(back);
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    /// The answer was asked for within the limit, and was there.
    pub(super) fn note_answered(&mut self) {
        self.gain();
    }

    /// The answer was asked for until the limit, and was not there.
    pub(super) fn note_vain(&mut self) {
        self.lose();
        if self.trust < ENOUGH {
            self.trust = 0;
        }
    }

    /// The worker has slept at once for the answer of an operation that began at `start`; it is awake `now`,
    /// with the answer or without.
    pub(super) fn note_slept(&mut self, start: Moment, now: Moment) {
        match now.since(start) <= self.limit + WAKE_UP {
            true => self.gain(),
            false => self.lose(),
        }
    }

    fn gain(&mut self) {
        self.trust = FULL.min(self.trust + 1);
    }

    fn lose(&mut self) {
        self.trust = self.trust.saturating_sub(LOSS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1 << 40);

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// What a worker does for an answer that is there after so many microseconds. To wake up takes 30.
    /// Returns whether it has asked again.
    fn wait(spin: &mut Spin, takes: u64) -> bool {
        if !spins(spin) {
            spin.note_slept(START, START + micros(takes + 30));
            return false;
        }
        match spin.goes_on(START, START + micros(takes)) {
            true => spin.note_answered(),
            false => spin.note_vain(),
        }
        true
    }

    /// A limit of 50 µs, after answers that took so many microseconds.
    fn after(answers: impl IntoIterator<Item = u64>) -> Spin {
        let mut spin = Spin::within(micros(50)).unwrap();
        for takes in answers {
            wait(&mut spin, takes);
        }
        spin
    }

    fn spins(spin: &Spin) -> bool {
        spin.goes_on(START, START)
    }

    #[test]
    fn zero_is_never() {
        assert!(Spin::within(Duration::ZERO).is_none());
    }

    #[test]
    fn a_server_that_answers_within_the_limit_is_asked_until_the_limit() {
        assert!(!spins(&after([20; 3])), "not known yet");
        let spin = after([50; 4]);
        for (passed, goes_on) in [(0, true), (50, true), (51, false)] {
            assert_eq!(spin.goes_on(START, START + micros(passed)), goes_on);
        }
        assert!(spins(&after([50; 1000])), "for ever");
    }

    #[test]
    fn a_server_that_is_far_away_is_never_asked_again() {
        for answers in [&[300][..], &[20, 300], &[300, 20, 20, 300, 20], &[71]] {
            let many = answers.iter().copied().cycle();
            for count in 0..100 {
                let spin = after(many.clone().take(count));
                assert!(!spins(&spin), "{count} of {answers:?}");
            }
        }
    }

    #[test]
    fn a_server_that_is_nearly_quick_enough_is_seldom_asked_in_vain() {
        let mut spin = after([]);
        let asked = (0..1000).filter(|_| wait(&mut spin, 60)).count();
        assert!((1..=16).contains(&asked), "{asked}");
    }

    #[test]
    fn a_late_answer_now_and_then_does_not_matter_and_several_do() {
        let much = || [20; 20].into_iter();
        assert!(spins(&after(much().chain([900, 20, 20].repeat(9)))));
        assert!(spins(&after(much().chain([900; 2]))));
        assert!(!spins(&after(much().chain([900; 3]))));
        let later = |count| after(much().chain([900; 9]).chain([20].repeat(count)));
        assert!(!spins(&later(63)));
        assert!(spins(&later(64)), "back");
    }

    const LONG: Duration = Duration::from_millis(3);

    #[test]
    fn while_others_need_the_processor_it_pauses() {
        let mut spin = after([20; 20]);
        for _ in 0..4 {
            assert!(spins(&spin));
            spin.note_turn(START, START + LONG);
        }
        let later = START + FIRST_PAUSE - micros(1);
        for _ in 0..70 {
            spin.note_slept(later, later + micros(20));
        }
        assert!(!spin.goes_on(later, later), "answers are quick again");
        let over = START + LONG + FIRST_PAUSE;
        assert!(spin.goes_on(over, over), "the pause is over");
        spin.note_turn(over, over + micros(200));
        assert!(spin.goes_on(over, over), "a turn that did not take long");
    }

    #[test]
    fn it_pauses_longer_each_time_if_others_need_the_processor_still() {
        let mut spin = after([20; 20]);
        (0..3).for_each(|_| spin.note_turn(START, START + LONG));
        let mut now = START;
        for seconds in [10, 20, 40, 80, 160, 320, 640, 640] {
            spin.note_turn(now, now + LONG);
            now = now + LONG + Duration::from_secs(seconds);
            let before = now - micros(1);
            assert!(!spin.goes_on(before, before), "{seconds}");
            assert!(spin.goes_on(now, now), "{seconds}");
        }
        (0..24).for_each(|_| spin.note_turn(now, now + micros(20)));
        for _ in 0..4 {
            assert!(spin.goes_on(now, now), "as at the beginning");
            spin.note_turn(now, now + LONG);
        }
        let over = now + LONG + FIRST_PAUSE;
        assert!(!spin.goes_on(over - micros(1), over - micros(1)));
        assert!(spin.goes_on(over, over));
    }

    #[test]
    fn a_long_turn_now_and_then_is_no_crowd() {
        let mut spin = after([20; 20]);
        for _ in 0..100 {
            spin.note_turn(START, START + LONG);
            (0..8).for_each(|_| spin.note_turn(START, START + micros(20)));
            assert!(spins(&spin));
        }
    }

    #[test]
    fn a_pause_ends_when_the_clock_jumps_back() {
        let mut spin = after([20; 5]);
        (0..4).for_each(|_| spin.note_turn(START, START + LONG));
        let before = Moment::from_nanos(1 << 30);
        assert!(!spins(&spin) && spin.goes_on(before, before));
    }
}
