//! Health: what all processes of the host know of one server, and how they come to know it.
//!
//! A server is *active*; *trying* while one worker waits on for an answer that is overdue, or
//! while the prober has had its first good answers; *inactive* after failures; *disabled* by an
//! operator. Workers look at it with one load and act on what they see.
//!
//! Why this is right: a server's whole verdict (state, failures in a row, good probes in a row, who
//! waits on) is one 64-bit word, and every change is one compare-and-exchange from a word that was
//! looked at as a whole. So there is no lock that a dying process could keep, changes are never
//! mixed, and of several processes that see the same failure exactly one makes the change and logs
//! it. When it returned stands beside the word, and is written before it. The other moments and the
//! reason are for people: they may lag behind by a change. All bits zero = active since the start.
//! It is told the time, the rules and who asks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::status::Status;

pub(crate) mod addresses;
pub(crate) mod latency;
pub(crate) mod log_limit;
mod verdict;

pub(crate) use verdict::State;
use verdict::Verdict;

/// A server's verdict, shared by all processes.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Health {
    word: AtomicU64,
    since: AtomicU64,
    away_since: AtomicU64,
    /// When it last came into service; operations that began before have nothing to say of it.
    returned: AtomicU64,
    reason: AtomicU32,
    /// Operations made, and those under way in the upper bits: one addition counts both.
    operations: AtomicU64,
    failures: AtomicU64,
}

/// An operation that is under way; below this, those made are counted, enough for a million a
/// second over eight years.
const UNDER_WAY: u64 = 1 << 48;

/// How many events in a row change a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Failures until a server is inactive.
    pub inactive_threshold: u16,
    /// Good probes until it is active again.
    pub probing_threshold: u16,
}

/// Where an operation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Its process.
    pub(crate) process: u32,
    /// When the operation began.
    pub(crate) began: Moment,
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

/// What a worker does whose operation is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It is the one that waits on, and has made this change.
    WaitOn(Change),
    /// Somebody else waits already.
    GiveUp,
}

impl Health {
    /// The state.
    pub(crate) fn state(&self) -> State {
        State::of(self.word.load(Ordering::Relaxed) as u8)
    }

    /// Since when.
    pub(crate) fn since(&self) -> Moment {
        Moment::from_nanos(self.since.load(Ordering::Relaxed))
    }

    /// True when workers may ask it.
    #[inline(always)]
    pub(crate) fn may_be_asked(&self) -> bool {
        self.state() == State::Active
    }

    /// True when it is out of service, until it is active again: it has failed, or was taken out.
    pub(crate) fn is_away(&self) -> bool {
        Verdict::of(self.word.load(Ordering::Relaxed)).is_away()
    }

    /// When the outage began that it has not returned from yet.
    pub(crate) fn away_since(&self) -> Moment {
        Moment::from_nanos(self.away_since.load(Ordering::Relaxed))
    }

    /// What the failure was that led to the state, if one did.
    pub(crate) fn reason(&self) -> Option<Status> {
        Status::from_code(self.reason.load(Ordering::Relaxed))
    }

    /// Operations under way, made, and failed, in all processes.
    ///
    /// One whose process dies stays under way for good. Kamailio ends with any of its processes
    /// (`main.c`, `SIGCHLD`), and this memory with it; it lives on with `fork=no` alone, a mode to
    /// debug in, whose only worker is the main process itself.
    pub(crate) fn counts(&self) -> (u32, u64, u64) {
        let operations = self.operations.load(Ordering::Relaxed);
        let failures = self.failures.load(Ordering::Relaxed);
        let (under_way, made) = (operations / UNDER_WAY, operations % UNDER_WAY);
        (under_way as u32, made, failures)
    }

    /// An operation begins; its number.
    pub(crate) fn begin(&self) -> u64 {
        self.operations.fetch_add(UNDER_WAY + 1, Ordering::Relaxed) % UNDER_WAY
    }

    /// It is over, however it went.
    pub(crate) fn end(&self) {
        self.operations.fetch_sub(UNDER_WAY, Ordering::Relaxed);
    }

    /// The server has answered an operation of `process`: it is there, if it is in service.
    #[inline(always)]
    pub(crate) fn answered(
        &self,
        now: impl Fn() -> Moment,
        process: impl Fn() -> u32,
    ) -> Option<Change> {
        if self.word.load(Ordering::Relaxed) == Verdict::ACTIVE.word() {
            return None;
        }
        self.clear(now(), process())
    }

    /// Forgets the failures before an answer, and that `process` has waited for it.
    #[cold]
    fn clear(&self, now: Moment, process: u32) -> Option<Change> {
        self.change(now, |verdict| {
            let verdict = verdict.without(process);
            Some(match verdict.is_away() {
                false => verdict.become_state(State::Active),
                true => verdict,
            })
        })
    }

    /// The operation of `by` has failed by the server's fault. What began before an outage that is
    /// over, or when the slot was another server's, is counted, no more.
    pub(crate) fn failed(
        &self,
        now: Moment,
        by: Origin,
        why: Status,
        rules: Rules,
    ) -> Option<Change> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let change = self.change(now, |verdict| {
            let verdict = verdict.without(by.process);
            Some(match verdict.is_away() {
                false if self.is_old(by.began) => verdict.after_old_failure(),
                false => verdict.after_failure(rules),
                true => verdict,
            })
        });
        if change.is_some() {
            self.reason.store(why.code(), Ordering::Relaxed);
        }
        change
    }

    /// The operation of `by` is unanswered for the stall limit.
    pub(crate) fn overdue(&self, now: Moment, by: Origin) -> Overdue {
        let waits_on = Cell::new(false);
        let change = self.change(now, |verdict| {
            let concerned = verdict.state == State::Active && !self.is_old(by.began);
            waits_on.set(concerned && verdict.holder == 0);
            let holder = if waits_on.get() {
                by.process
            } else {
                verdict.holder
            };
            let state = State::Trying;
            concerned.then_some(Verdict {
                state,
                holder,
                ..verdict
            })
        });
        match change {
            Some(change) if waits_on.get() => {
                self.reason.store(Status::Timeout.code(), Ordering::Relaxed);
                Overdue::WaitOn(change)
            }
            _ => Overdue::GiveUp,
        }
    }

    /// `process` waits on no more, and has no verdict.
    pub(crate) fn give_back_mark(&self, now: Moment, process: u32) -> Option<Change> {
        self.end_mark(now, |holder| holder == process)
    }

    /// Frees the server of a worker that waited on and has died; `lives` tells.
    pub(crate) fn release(&self, now: Moment, lives: impl Fn(u32) -> bool) -> Option<Change> {
        self.end_mark(now, |holder| !lives(holder))
    }

    fn end_mark(&self, now: Moment, is_over: impl Fn(u32) -> bool) -> Option<Change> {
        self.change(now, |verdict| {
            if verdict.holder == 0 || !is_over(verdict.holder) {
                return None;
            }
            let verdict = verdict.without(verdict.holder);
            Some(match verdict.is_stalled() {
                true => verdict.become_state(State::Active),
                false => verdict,
            })
        })
    }

    /// The prober has asked it: `bad` is what went wrong, if it did.
    pub(crate) fn probed(&self, now: Moment, bad: Option<Status>, rules: Rules) -> Option<Change> {
        let change = self.change(now, |verdict| match (verdict.state, bad) {
            (State::Disabled, _) => None,
            (State::Trying, _) if verdict.is_stalled() => None,
            (State::Active, None) => Some(verdict.become_state(State::Active)),
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
            (State::Inactive | State::Trying, Some(_)) => {
                Some(verdict.become_state(State::Inactive))
            }
        });
        if let (Some(_), Some(why)) = (change, bad) {
            self.reason.store(why.code(), Ordering::Relaxed);
        }
        change
    }

    /// It has answered the prober in a way that ends no outage, but a row of failures.
    pub(crate) fn pinged(&self, now: Moment) {
        self.change(now, |verdict| {
            let active = verdict.state == State::Active;
            active.then(|| verdict.become_state(State::Active))
        });
    }

    /// An operator decides.
    pub(crate) fn set(&self, now: Moment, state: State) -> Option<Change> {
        self.reason.store(0, Ordering::Relaxed);
        self.change(now, |verdict| Some(verdict.become_state(state)))
    }

    /// True for what began before the server last came into service.
    fn is_old(&self, began: Moment) -> bool {
        began.nanos() < self.returned.load(Ordering::Relaxed)
    }

    /// Another server takes this place.
    pub(crate) fn reset(&self, now: Moment) {
        self.returned.store(now.nanos(), Ordering::Relaxed);
        self.word.store(Verdict::ACTIVE.word(), Ordering::Release);
        self.reason.store(0, Ordering::Relaxed);
        self.since.store(now.nanos(), Ordering::Relaxed);
        self.operations
            .fetch_and(!(UNDER_WAY - 1), Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Applies `step` to the verdict as a whole; says so if that changes the state.
    fn change(&self, now: Moment, step: impl Fn(Verdict) -> Option<Verdict>) -> Option<Change> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let (old, new) = (Verdict::of(word), step(Verdict::of(word))?);
            if old == new {
                return None;
            }
            if old.is_away() && new.state == State::Active {
                // Before anybody can see it in service: a moment too early harms nobody, for
                // nothing begins while it is out.
                self.returned.store(now.nanos(), Ordering::Relaxed);
            }
            let exchanged = self.word.compare_exchange_weak(
                word,
                new.word(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match exchanged {
                Ok(_) if old.state == new.state => return None,
                Ok(_) => {
                    if new.state == State::Inactive && !old.is_returning() {
                        self.away_since.store(now.nanos(), Ordering::Relaxed);
                    }
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
