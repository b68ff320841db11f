//! Verdict: what all processes think of a server, all of it in one word, and the steps that it takes.
//!
//! Nothing here is shared, and nothing happens here: a word is taken apart, and a step gives another
//! word.

use super::Rules;

/// What workers do with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They ask it.
    Active,
    /// They do not ask it: one worker waits for it, or the prober has begun to trust it again.
    Trying,
    /// They do not ask it: it has failed.
    Inactive,
    /// They do not ask it: an operator has taken it out of service.
    Disabled,
}

impl State {
    fn of(number: u64) -> Self {
        match number {
            0 => Self::Active,
            1 => Self::Trying,
            2 => Self::Inactive,
            _ => Self::Disabled,
        }
    }

    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Active, Self::Trying, Self::Inactive, Self::Disabled];

    /// The word for it, everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trying => "trying",
            Self::Inactive => "inactive",
            Self::Disabled => "disabled",
        }
    }
}

/// The parts of the word, each as its lowest bit and the number of its bits.
const STATE: (u32, u32) = (0, 2);
const DIVERTED: (u32, u32) = (2, 6);
const FAILURES: (u32, u32) = (8, 10);
const PROBES: (u32, u32) = (18, 10);
const GENERATION: (u32, u32) = (28, 14);
/// A process number is below 2^22 on Linux (`PID_MAX_LIMIT`).
const HOLDER: (u32, u32) = (42, 22);

const fn mask((at, bits): (u32, u32)) -> u64 {
    ((1 << bits) - 1) << at
}

const fn part(word: u64, (at, bits): (u32, u32)) -> u64 {
    word >> at & ((1 << bits) - 1)
}

/// The largest number that fits into a part.
const fn most((_, bits): (u32, u32)) -> u64 {
    (1 << bits) - 1
}

/// The word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) state: State,
    /// Failures in a row.
    pub(super) failures: u16,
    /// Good probes in a row since an outage.
    pub(super) probes: u16,
    /// Not 0 while stand-ins have taken writes that this server has missed. It changes with each such
    /// write, so whoever makes up for them notices one that comes in between.
    pub(super) diverted: u8,
    /// Changes each time the server comes back into service. What began in another generation has
    /// nothing to say in this one.
    pub(super) generation: u16,
    /// The process of the worker that may wait beyond the stall limit, or 0. It stays until that
    /// operation has ended, whatever else happens.
    pub(super) holder: u32,
}

impl Verdict {
    /// Nothing is known against the server.
    pub(super) const fn good(generation: u16) -> Self {
        Self {
            state: State::Active,
            failures: 0,
            probes: 0,
            diverted: 0,
            generation,
            holder: 0,
        }
    }

    /// The generation, if the word says that workers may ask the server.
    #[inline(always)]
    pub(super) fn admits(word: u64) -> Option<u16> {
        let blocked = word & (mask(STATE) | mask(DIVERTED)) != 0;
        (!blocked).then_some(part(word, GENERATION) as u16)
    }

    pub(super) fn of(word: u64) -> Self {
        Self {
            state: State::of(part(word, STATE)),
            failures: part(word, FAILURES) as u16,
            probes: part(word, PROBES) as u16,
            diverted: part(word, DIVERTED) as u8,
            generation: part(word, GENERATION) as u16,
            holder: part(word, HOLDER) as u32,
        }
    }

    #[inline(always)]
    pub(super) fn word(self) -> u64 {
        let put = |number: u64, place: (u32, u32)| number.min(most(place)) << place.0;
        put(self.state as u64, STATE)
            | put(self.failures.into(), FAILURES)
            | put(self.probes.into(), PROBES)
            | put(self.diverted.into(), DIVERTED)
            | put(self.generation.into(), GENERATION)
            | put(self.holder.into(), HOLDER)
    }

    /// In `state`, with nothing counted yet. A worker that waits goes on waiting.
    pub(super) fn become_state(self, state: State) -> Self {
        let returns = self.is_away() && state == State::Active;
        let generation = match returns {
            true => self.next_generation(),
            false => self.generation,
        };
        Self {
            state,
            failures: 0,
            probes: 0,
            generation,
            ..self
        }
    }

    /// The generation after this one. It begins again with 0 after 16 384 of them.
    pub(super) fn next_generation(self) -> u16 {
        (self.generation + 1) & most(GENERATION) as u16
    }

    /// One write more has gone to a stand-in.
    pub(super) fn with_diverted_write(self) -> Self {
        let diverted = match self.diverted {
            last if u64::from(last) == most(DIVERTED) => 1,
            number => number + 1,
        };
        Self { diverted, ..self }
    }

    /// One failure later.
    pub(super) fn after_failure(self, rules: Rules) -> Self {
        let failures = self.failures.saturating_add(1);
        let state = match self.state {
            _ if failures >= rules.inactive_threshold => State::Inactive,
            // Another worker still waits.
            State::Trying if self.holder != 0 => State::Trying,
            _ => State::Active,
        };
        Self {
            failures,
            ..self.become_state(state)
        }
    }

    /// After a failure that is no evidence against the server.
    pub(super) fn after_no_evidence(self) -> Self {
        match self.is_stalled() && self.holder == 0 {
            // That operation alone was waiting for it.
            true => self.become_state(State::Active),
            false => self,
        }
    }

    /// Without the mark of `process`, if that has it.
    pub(super) fn without(self, process: u32) -> Self {
        let holder = if self.holder == process {
            0
        } else {
            self.holder
        };
        Self { holder, ..self }
    }

    /// A worker waits, or has been waiting until now, for an answer beyond the stall limit.
    pub(super) fn is_stalled(self) -> bool {
        self.state == State::Trying && self.probes == 0
    }

    /// The prober has had a good answer after an outage, but not enough of them.
    pub(super) fn is_returning(self) -> bool {
        self.state == State::Trying && self.probes > 0
    }

    /// Workers may not ask it until the prober or an operator brings it back.
    pub(super) fn is_away(self) -> bool {
        matches!(self.state, State::Inactive | State::Disabled) || self.is_returning()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 4] = [
        State::Active,
        State::Trying,
        State::Inactive,
        State::Disabled,
    ];

    #[test]
    fn a_verdict_is_its_word() {
        assert_eq!(Verdict::good(0).word(), 0, "shared memory begins as zeroes");
        let ends = |place| [0, 1, most(place) - 1, most(place)];
        for state in STATES {
            for failures in ends(FAILURES) {
                for probes in ends(PROBES) {
                    for diverted in ends(DIVERTED) {
                        for generation in ends(GENERATION) {
                            for holder in ends(HOLDER) {
                                let verdict = Verdict {
                                    state,
                                    failures: failures as u16,
                                    probes: probes as u16,
                                    diverted: diverted as u8,
                                    generation: generation as u16,
                                    holder: holder as u32,
                                };
                                let word = verdict.word();
                                assert_eq!(Verdict::of(word), verdict);
                                let asked = state == State::Active && diverted == 0;
                                let admitted = asked.then_some(generation as u16);
                                assert_eq!(Verdict::admits(word), admitted, "{verdict:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_parts_fill_the_word_and_do_not_overlap() {
        let parts = [STATE, DIVERTED, FAILURES, PROBES, GENERATION, HOLDER];
        let masks = parts.map(mask);
        assert_eq!(masks.iter().sum::<u64>(), u64::MAX);
        assert_eq!(masks.iter().fold(0, |all, mask| all | mask), u64::MAX);
    }

    #[test]
    fn a_number_that_is_too_large_stays_at_the_most() {
        let verdict = Verdict {
            failures: u16::MAX,
            probes: u16::MAX,
            ..Verdict::good(0)
        };
        let kept = Verdict::of(verdict.word());
        assert_eq!((kept.failures, kept.probes), (1023, 1023));
        assert_eq!((kept.state, kept.diverted), (State::Active, 0));
    }

    #[test]
    fn a_generation_follows_the_last_one_with_the_first() {
        let away = Verdict {
            state: State::Inactive,
            ..Verdict::good(most(GENERATION) as u16)
        };
        let back = away.become_state(State::Active);
        assert_eq!(back, Verdict::good(0));
        assert_eq!(Verdict::of(back.word()), back);
        assert_eq!(Verdict::good(0).next_generation(), 1);
    }

    #[test]
    fn diverted_writes_are_never_counted_back_to_none() {
        let (mut verdict, mut seen) = (Verdict::good(3), [0; 64]);
        for _ in 0..126 {
            let next = verdict.with_diverted_write();
            assert_ne!(next.diverted, verdict.diverted);
            assert_eq!(Verdict::of(next.word()), next);
            seen[usize::from(next.diverted)] += 1;
            verdict = next;
        }
        assert_eq!((seen[0], &seen[1..]), (0, &[2; 63][..]));
    }
}
