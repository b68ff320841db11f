//! Health: what all processes of the node know of one server, and how they come to know it.
//!
//! A server is *active*; *trying* while one worker waits beyond the stall limit, or after the prober
//! has had its first good answers; *inactive* after failures; *disabled* by an operator. Workers look
//! at it with one load and act on what they see.
//!
//! Why this is right: a server's whole verdict (state, failures in a row, good probes in a row,
//! diverted writes, generation, who waits) is one 64-bit word. Every change is one
//! compare-and-exchange from a word that was looked at as a whole. So there is no lock that a dying
//! process could keep, changes are never mixed, and of several processes that see the same failure
//! exactly one makes the change and logs it. A word never comes back after an outage: each return
//! begins another generation. What an operation says counts in the generation alone in which it began.
//!
//! Moments that decide something are written before the word that makes them visible: when an outage
//! began, when it ended, and until when a worker may hold the mark. Processes that race may write such a moment one
//! after the other; each of them was *now* in its process, so any of them is right. Only the beginning of an outage
//! must be the latest of them: who was stopped in between must not make the outage longer than it is, since a server
//! that was started during it is taken for empty. When the state began, and the reasons, may lag behind by a change.
//! All bits zero = active since the start. This module is told the time, the rules and where an operation comes from.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::status::Status;
use crate::sys;

pub(crate) mod addresses;
mod answers;
mod counts;
pub(crate) mod diverted;
pub(crate) mod latency;
pub(crate) mod log_limit;
mod mark;
mod missed;
mod verdict;
pub(crate) mod words;

pub(crate) use mark::Overdue;
pub(crate) use verdict::State;
use verdict::Verdict;

/// A server's verdict, shared by all processes.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Health {
    word: AtomicU64,
    /// When the state began.
    since: AtomicU64,
    /// When the outage began that it has not returned from.
    away_since: AtomicU64,
    /// Until when the worker that holds the mark may hold it.
    mark_until: AtomicU64,
    /// When it could be asked again after it could not; 0 = it always could.
    returned: AtomicU64,
    /// The beginning of an operation that it has answered lately.
    answered: AtomicU64,
    reason: AtomicU32,
    /// The longest time that any operation had left when it asked for the mark, in ms.
    mark_lasts: AtomicU32,
    /// Operations made, and those under way in the upper bits: one addition counts both.
    operations: AtomicU64,
    /// Operations that have failed, by what they came to.
    failures: [AtomicU64; counts::FAULTS.len()],
}

/// How many events in a row change a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Failures until a server is inactive.
    pub inactive_threshold: u16,
    /// Good probes until it is active again.
    pub probing_threshold: u16,
}

/// Where an operation or a probe comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Its process.
    pub(crate) process: u32,
    /// The server's generation when it began.
    pub(crate) generation: u16,
    /// When it began.
    pub(crate) began: Moment,
    /// Whether the process has no connection, and its request for one gets no answer.
    pub(crate) is_kept_out: bool,
    /// When it will have ended at the latest.
    pub(crate) ends: Moment,
}

/// A change of state that this process has made, and should log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// How long the state before had held.
    pub after: Duration,
}

/// What a failure has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It has changed the state.
    Changed(Change),
    /// It counts among the failures in a row, or the server is out of service already.
    Counted,
    /// It is no evidence against the server.
    NoEvidence,
    /// It is none: the server has refused the request, or another worker waits for the server.
    NoFailure,
}

impl Health {
    /// All of its verdict.
    #[cfg(feature = "simulation")]
    pub(crate) fn word(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }

    /// The state.
    pub(crate) fn state(&self) -> State {
        self.verdict().state
    }

    /// Since when.
    pub(crate) fn since(&self) -> Moment {
        Moment::from_nanos(self.since.load(Ordering::Relaxed))
    }

    /// The server's generation, if workers may ask it.
    #[inline(always)]
    pub(crate) fn admit(&self) -> Option<u16> {
        Verdict::admits(self.word.load(Ordering::Relaxed))
    }

    /// True when workers may ask it.
    pub(crate) fn may_be_asked(&self) -> bool {
        self.admit().is_some()
    }

    /// The generation of the server.
    pub(crate) fn generation(&self) -> u16 {
        self.verdict().generation
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.word.load(Ordering::Relaxed))
    }

    /// True when it is out of service, until it is active again: it has failed, or was taken out.
    pub(crate) fn is_away(&self) -> bool {
        self.verdict().is_away()
    }

    /// When the outage began that it has not returned from yet.
    pub(crate) fn away_since(&self) -> Moment {
        // The moment is written before the word.
        self.word.load(Ordering::Acquire);
        Moment::from_nanos(self.away_since.load(Ordering::Relaxed))
    }

    /// When workers could ask it again last, after an outage or a moment in which they could not. `None` = they
    /// always could.
    pub(crate) fn returned(&self) -> Option<Moment> {
        // The moment is written before the word.
        self.word.load(Ordering::Acquire);
        match self.returned.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Moment::from_nanos(nanos)),
        }
    }

    /// What the failure was that led to the state, if one did.
    pub(crate) fn reason(&self) -> Option<Status> {
        Status::from_code(self.reason.load(Ordering::Relaxed))
    }

    /// The server has answered an operation that began at `began` in this generation. False if more
    /// follows from that: [`Self::clear`].
    #[inline(always)]
    pub(crate) fn answered(&self, generation: u16, began: Moment) -> bool {
        self.note_answer(began);
        self.word.load(Ordering::Relaxed) == Verdict::good(generation).word()
    }

    /// The operation of `by` was answered. The failures before that are forgotten, and its mark ends.
    #[cold]
    pub(crate) fn clear(&self, now: Moment, by: Origin) -> Option<Change> {
        self.change(now, |verdict| {
            let is_old = verdict.generation != by.generation;
            let verdict = verdict.without(by.process);
            Some(match verdict.is_away() || is_old {
                true => verdict.after_no_evidence(),
                false => verdict.become_state(State::Active),
            })
        })
    }

    /// The operation of `by` has failed on a fresh connection, by the server's fault. It is counted, but
    /// no more than that, if it began in another generation, or if the server has answered anybody since
    /// it began.
    pub(crate) fn failed(&self, now: Moment, by: Origin, why: Status, rules: Rules) -> Judgement {
        self.count_failure(why);
        let is_evidence = Cell::new(true);
        let change = self.change(now, |verdict| {
            let verdict = verdict.without(by.process);
            let is_old =
                verdict.generation != by.generation && !sys::planted("old failures are judged");
            is_evidence.set(!is_old && !self.outweighs(verdict, by));
            Some(match verdict.is_away() {
                true => verdict,
                false if is_evidence.get() => verdict.after_failure(rules),
                false => verdict.after_no_evidence(),
            })
        });
        match change {
            Some(change) => {
                self.reason.store(why.code(), Ordering::Relaxed);
                Judgement::Changed(change)
            }
            None if is_evidence.get() => Judgement::Counted,
            None => Judgement::NoEvidence,
        }
    }

    /// The prober has asked it: `bad` is what went wrong, if anything did. A probe that began in another
    /// generation says nothing, and neither does a bad one if the server has answered a worker since
    /// then.
    pub(crate) fn probed(
        &self,
        now: Moment,
        by: Origin,
        bad: Option<Status>,
        rules: Rules,
    ) -> Option<Change> {
        if bad.is_none() {
            self.note_answer(by.began);
        }
        let change = self.change(now, |verdict| match (verdict.state, bad) {
            _ if verdict.generation != by.generation => None,
            (State::Disabled, _) => None,
            (State::Trying, _) if verdict.is_stalled() => None,
            (State::Active, None) => Some(verdict.become_state(State::Active)),
            (State::Active, Some(_)) if self.outweighs(verdict, by) => None,
            (State::Active, Some(_)) => Some(verdict.after_failure(rules)),
            (State::Inactive | State::Trying, None) => {
                let probes = verdict.probes.saturating_add(1);
                Some(if probes >= rules.probing_threshold {
                    verdict.become_state(State::Active)
                } else {
                    Verdict {
                        probes,
                        ..verdict.become_state(State::Trying)
                    }
                })
            }
            // A later probe has been answered meanwhile.
            (State::Trying, Some(_)) if self.has_answered_since(by.began) => None,
            (State::Inactive | State::Trying, Some(_)) => {
                Some(verdict.become_state(State::Inactive))
            }
        });
        if let (Some(_), Some(why)) = (change, bad) {
            self.reason.store(why.code(), Ordering::Relaxed);
        }
        change
    }

    /// The server has answered the prober in a way that ends no outage, but a row of failures.
    pub(crate) fn pinged(&self, now: Moment, by: Origin) -> Option<Change> {
        self.note_answer(by.began);
        self.change(now, |verdict| {
            let is_present = verdict.generation == by.generation;
            let concerned = is_present && verdict.state == State::Active;
            concerned.then(|| verdict.become_state(State::Active))
        })
    }

    /// An operator decides.
    pub(crate) fn set(&self, now: Moment, state: State) -> Option<Change> {
        self.reason.store(0, Ordering::Relaxed);
        self.change(now, |verdict| Some(verdict.become_state(state)))
    }

    /// Another server takes this place. It begins in a generation of its own.
    pub(crate) fn reset(&self, now: Moment) {
        let generation = self.verdict().next_generation();
        self.answered.store(0, Ordering::Relaxed);
        self.returned.store(0, Ordering::Relaxed);
        let word = Verdict::good(generation).word();
        self.word.store(word, Ordering::Release);
        self.reason.store(0, Ordering::Relaxed);
        self.since.store(now.nanos(), Ordering::Relaxed);
        self.reset_counts();
    }

    /// Moments that were noted before the clock jumped back count as `now`: else they would silence verdicts
    /// until the clock comes by again. A mark ends no later than if it were taken now.
    pub(crate) fn void_moments(&self, now: Moment) {
        for moment in [
            &self.since,
            &self.away_since,
            &self.returned,
            &self.answered,
        ] {
            if Moment::from_nanos(moment.load(Ordering::Relaxed)).is_void(now) {
                moment.store(now.nanos(), Ordering::Relaxed);
            }
        }
        let until = Moment::from_nanos(self.mark_until.load(Ordering::Acquire));
        let lasts = self.mark_lasts.load(Ordering::Relaxed);
        let latest = now + Duration::from_millis(lasts.into());
        if until.is_void(latest) {
            self.mark_until.store(latest.nanos(), Ordering::Relaxed);
        }
    }

    /// Applies `step` to the verdict as a whole. Returns the change of state, if that is one.
    fn change(&self, now: Moment, step: impl Fn(Verdict) -> Option<Verdict>) -> Option<Change> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let (old, new) = (Verdict::of(word), step(Verdict::of(word))?);
            if old == new {
                return None;
            }
            if new.state == State::Inactive && !old.is_away() {
                self.away_since.fetch_max(now.nanos(), Ordering::Relaxed);
            }
            if Verdict::admits(word).is_none() && Verdict::admits(new.word()).is_some() {
                self.returned.store(now.nanos(), Ordering::Relaxed);
            }
            sys::preempt();
            let exchanged = self.word.compare_exchange_weak(
                word,
                new.word(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match exchanged {
                Ok(_) if old.state == new.state && !sys::planted("no change is told") => {
                    return None;
                }
                Ok(_) => {
                    sys::preempt();
                    let since = Moment::from_nanos(self.since.swap(now.nanos(), Ordering::Relaxed));
                    return Some(Change {
                        from: old.state,
                        to: new.state,
                        after: now.since(since),
                    });
                }
                Err(seen) => word = seen,
            }
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
