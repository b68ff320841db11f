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
//! it. The moment and the reason beside it are for people: they may lag behind by a change. All
//! bits zero = active since the start. It is told the time, the rules and who asks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::status::Status;

/// A server's verdict, shared by all processes.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Health {
    word: AtomicU64,
    since: AtomicU64,
    away_since: AtomicU64,
    reason: AtomicU32,
    in_flight: AtomicU32,
    operations: AtomicU64,
    failures: AtomicU64,
}

/// What workers do with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ask it.
    Active,
    /// Somebody is waiting for it; do not begin.
    Trying,
    /// It has failed; do not ask.
    Inactive,
    /// An operator has taken it out.
    Disabled,
}

/// How many events in a row change a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures until a server is inactive.
    pub inactive_threshold: u16,
    /// Good probes until it is active again.
    pub probing_threshold: u16,
}

/// A change of state that this process has made, and should log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// How long the state before had held.
    pub after: Duration,
}

/// What a worker does whose operation is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// It is the one that waits on, and has made this change.
    WaitOn(Change),
    /// Somebody else waits already.
    GiveUp,
}

/// The word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    state: State,
    failures: u16,
    probes: u16,
    /// The process that waits on, 0 for nobody.
    holder: u32,
}

impl Verdict {
    const ACTIVE: Self = Self {
        state: State::Active,
        failures: 0,
        probes: 0,
        holder: 0,
    };

    fn of(word: u64) -> Self {
        Self {
            state: State::of(word as u8),
            failures: (word >> 8) as u16 & 0xfff,
            probes: (word >> 20) as u16 & 0xfff,
            holder: (word >> 32) as u32,
        }
    }

    fn word(self) -> u64 {
        let (failures, probes) = (self.failures.min(0xfff), self.probes.min(0xfff));
        self.state as u64
            | u64::from(failures) << 8
            | u64::from(probes) << 20
            | u64::from(self.holder) << 32
    }
}

impl State {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Active,
            1 => Self::Trying,
            2 => Self::Inactive,
            _ => Self::Disabled,
        }
    }

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

impl Health {
    /// The state.
    pub fn state(&self) -> State {
        State::of(self.word.load(Ordering::Relaxed) as u8)
    }

    /// Since when.
    pub fn since(&self) -> Moment {
        Moment::from_nanos(self.since.load(Ordering::Relaxed))
    }

    /// True after an outage, until it is active again.
    pub fn is_away(&self) -> bool {
        let verdict = Verdict::of(self.word.load(Ordering::Relaxed));
        let returning = verdict.state == State::Trying && verdict.probes > 0;
        verdict.state == State::Inactive || returning
    }

    /// When the outage began that it has not returned from yet.
    pub fn away_since(&self) -> Moment {
        Moment::from_nanos(self.away_since.load(Ordering::Relaxed))
    }

    /// What the failure was that led to the state, if one did.
    pub fn reason(&self) -> Option<Status> {
        Status::from_code(self.reason.load(Ordering::Relaxed))
    }

    /// Operations under way, made, and failed, in all processes.
    pub fn counts(&self) -> (u32, u64, u64) {
        let Self {
            in_flight,
            operations,
            failures,
            ..
        } = self;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (
            in_flight.load(Ordering::Relaxed),
            load(operations),
            load(failures),
        )
    }

    /// An operation begins; its number.
    pub fn begin(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(1, Ordering::Relaxed)
    }

    /// It is over, however it went.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The server has answered a worker: whatever it was thought of, it is there. The time is asked
    /// for only if that is news, as it costs more than all else here.
    pub fn answered(&self, now: impl Fn() -> Moment) -> Option<Change> {
        if self.word.load(Ordering::Relaxed) == Verdict::ACTIVE.word() {
            return None;
        }
        self.change(now(), |verdict| match verdict.state {
            State::Active | State::Trying => Some(Verdict::ACTIVE),
            State::Inactive | State::Disabled => None,
        })
    }

    /// An operation of `process` failed by the server's fault.
    pub fn failed(&self, now: Moment, why: Status, rules: Rules) -> Option<Change> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let change = self.change(now, |verdict| match verdict.state {
            State::Active | State::Trying => {
                let failures = verdict.failures.saturating_add(1);
                let out = failures >= rules.inactive_threshold;
                let state = if out { State::Inactive } else { State::Active };
                Some(Verdict {
                    state,
                    failures,
                    ..Verdict::ACTIVE
                })
            }
            State::Inactive | State::Disabled => None,
        });
        if change.is_some() {
            self.reason.store(why.code(), Ordering::Relaxed);
        }
        change
    }

    /// An operation of `process` is unanswered for the stall limit.
    pub fn overdue(&self, now: Moment, process: u32) -> Overdue {
        let change = self.change(now, |verdict| match verdict.state {
            State::Active => Some(Verdict {
                state: State::Trying,
                holder: process,
                ..verdict
            }),
            _ => None,
        });
        if let Some(change) = change {
            self.reason.store(Status::Timeout.code(), Ordering::Relaxed);
            return Overdue::WaitOn(change);
        }
        Overdue::GiveUp
    }

    /// Frees the server of a worker that waited on and has died; `lives` tells.
    pub fn release(&self, now: Moment, lives: impl Fn(u32) -> bool) -> Option<Change> {
        self.change(now, |verdict| {
            let dead = verdict.holder != 0 && !lives(verdict.holder);
            (verdict.state == State::Trying && dead).then_some(Verdict::ACTIVE)
        })
    }

    /// True when the prober should ask it.
    pub fn wants_probe(&self) -> bool {
        let verdict = Verdict::of(self.word.load(Ordering::Relaxed));
        match verdict.state {
            State::Inactive => true,
            State::Trying => verdict.holder == 0,
            State::Active | State::Disabled => false,
        }
    }

    /// The prober has asked: `bad` is what went wrong, if it did.
    pub fn probed(&self, now: Moment, bad: Option<Status>, rules: Rules) -> Option<Change> {
        let change = self.change(now, |verdict| match (verdict.state, bad) {
            (State::Inactive | State::Trying, None) if verdict.holder == 0 => {
                let probes = verdict.probes.saturating_add(1);
                let back = probes >= rules.probing_threshold;
                let trying = Verdict {
                    state: State::Trying,
                    probes,
                    ..Verdict::ACTIVE
                };
                Some(if back { Verdict::ACTIVE } else { trying })
            }
            (State::Trying, Some(_)) if verdict.holder == 0 => Some(Verdict {
                state: State::Inactive,
                ..Verdict::ACTIVE
            }),
            (State::Active, Some(_)) => {
                let failures = verdict.failures.saturating_add(1);
                let out = failures >= rules.inactive_threshold;
                let state = if out { State::Inactive } else { State::Active };
                Some(Verdict {
                    state,
                    failures,
                    ..Verdict::ACTIVE
                })
            }
            _ => None,
        });
        if let (Some(_), Some(why)) = (change, bad) {
            self.reason.store(why.code(), Ordering::Relaxed);
        }
        change
    }

    /// An operator decides.
    pub fn set(&self, now: Moment, state: State) -> Option<Change> {
        self.reason.store(0, Ordering::Relaxed);
        self.change(now, |_| {
            Some(Verdict {
                state,
                ..Verdict::ACTIVE
            })
        })
    }

    /// Another server takes this place.
    pub fn reset(&self, now: Moment) {
        self.set(now, State::Active);
        self.since.store(now.nanos(), Ordering::Relaxed);
        self.operations.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Applies `step` to the verdict as a whole; says so if that changes the state.
    fn change(&self, now: Moment, step: impl Fn(Verdict) -> Option<Verdict>) -> Option<Change> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (old, new) = (Verdict::of(word), step(Verdict::of(word))?);
            if old == new {
                return None;
            }
            match self.word.compare_exchange_weak(
                word,
                new.word(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if old.state == new.state => return None,
                Ok(_) => {
                    if new.state == State::Inactive
                        && (old.state == State::Active || old.holder != 0)
                    {
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
