//! Tunables: one pool's values of the parameters that may be changed while running, in memory that
//! all processes share.
//!
//! The process that changes a parameter writes it here and counts a change of the pool. Every other
//! process notices that at its next operation and copies all values into its settings, so
//! operations pay nothing for reading them. Each value is an atomic of its own and makes sense
//! without the others. All bits zero = not published yet.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::config::{Settings, Tunable};

/// The values, as numbers in the units of the parameters.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Tunables {
    numbers: [AtomicI32; Tunable::ALL.len()],
}

impl Tunables {
    /// Takes the value of one parameter.
    pub fn publish(&self, tunable: Tunable, number: i32) {
        self.numbers[tunable.slot()].store(number, Ordering::Relaxed);
    }

    /// Copies all values into `settings`.
    pub fn apply(&self, settings: &mut Settings) {
        for tunable in Tunable::ALL {
            let number = self.numbers[tunable.slot()].load(Ordering::Relaxed);
            tunable.number().apply(number, settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeclaredPool, Given, Parameters};

    fn pool(timeout: i32, expire: i32) -> DeclaredPool {
        let mut parameters = Parameters::default();
        for (name, number) in [("timeout", timeout), ("expire", expire)] {
            parameters.set(name, Given::Number(number)).unwrap();
        }
        parameters.settle().remove(0)
    }

    #[test]
    fn what_was_published_last_holds() {
        let (tunables, first, second) = (Tunables::default(), pool(1, 2), pool(3, 4));
        for (tunable, number) in Tunable::ALL.into_iter().zip(first.numbers) {
            tunables.publish(tunable, number);
        }
        tunables.publish(Tunable::named(b"timeout").unwrap(), 3);
        let (first, second) = (first.settings, second.settings);
        let mut settings = second.clone();
        tunables.apply(&mut settings);
        assert_eq!(settings.timeout, second.timeout);
        assert_eq!(settings.expire, first.expire);
        assert_eq!(settings.retry_interval, first.retry_interval);
    }
}
