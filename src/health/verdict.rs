//! Verdict: what is thought of a server, all of it in one word, and the steps it takes.
//!
//! Nothing here is shared and nothing happens: a word is taken apart, a step gives another one.

use super::Rules;

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

impl State {
    pub(super) fn of(number: u8) -> Self {
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

/// The word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) failures: u16,
    pub(super) probes: u16,
    /// The process that waits on, 0 for nobody; kept, whatever else happens, until it has ended.
    pub(super) holder: u32,
}

impl Verdict {
    pub(super) const ACTIVE: Self = Self {
        state: State::Active,
        failures: 0,
        probes: 0,
        holder: 0,
    };

    pub(super) fn of(word: u64) -> Self {
        Self {
            state: State::of(word as u8),
            failures: (word >> 8) as u16 & 0xfff,
            probes: (word >> 20) as u16 & 0xfff,
            holder: (word >> 32) as u32,
        }
    }

    /// In `state` with nothing counted yet; who waits on goes on waiting.
    pub(super) fn become_state(self, state: State) -> Self {
        Self {
            state,
            failures: 0,
            probes: 0,
            ..self
        }
    }

    /// One failure later.
    pub(super) fn after_failure(self, rules: Rules) -> Self {
        let failures = self.failures.saturating_add(1);
        let state = match self.state {
            _ if failures >= rules.inactive_threshold => State::Inactive,
            // Somebody else still waits.
            State::Trying if self.holder != 0 => State::Trying,
            _ => State::Active,
        };
        Self {
            failures,
            ..self.become_state(state)
        }
    }

    /// After the failure of an operation that began in an earlier time of service.
    pub(super) fn after_old_failure(self) -> Self {
        match self.is_stalled() && self.holder == 0 {
            // It was waited for by that operation alone.
            true => self.become_state(State::Active),
            false => self,
        }
    }

    /// Without `process` among those who wait on.
    pub(super) fn without(self, process: u32) -> Self {
        let holder = if self.holder == process {
            0
        } else {
            self.holder
        };
        Self { holder, ..self }
    }

    /// Somebody waits, or has waited a moment ago, for an answer that is overdue.
    pub(super) fn is_stalled(self) -> bool {
        self.state == State::Trying && self.probes == 0
    }

    /// The prober has had a good answer after an outage, but not enough of them.
    pub(super) fn is_returning(self) -> bool {
        self.state == State::Trying && self.probes > 0
    }

    /// Nobody may ask it until the prober or an operator brings it back.
    pub(super) fn is_away(self) -> bool {
        matches!(self.state, State::Inactive | State::Disabled) || self.is_returning()
    }

    pub(super) fn word(self) -> u64 {
        let (failures, probes) = (self.failures.min(0xfff), self.probes.min(0xfff));
        self.state as u64
            | u64::from(failures) << 8
            | u64::from(probes) << 20
            | u64::from(self.holder) << 32
    }
}
