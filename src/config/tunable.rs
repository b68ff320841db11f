//! `Tunable` is a parameter that operators can change while the host runs.
//!
//! Its value is an integer in the parameter's own unit, as the operator writes it. The rows of the
//! table say which parameters are tunable.

use super::parameter::{Number, Parameter};

/// A tunable parameter, as an index into the table.
#[derive(Debug, Clone, Copy)]
pub struct Tunable {
    /// Its index in [`Self::ALL`].
    slot: usize,
    /// Its index in [`Parameter::ALL`].
    row: usize,
    number: &'static Number,
}

impl Tunable {
    /// All tunable parameters, in the order of the table.
    pub const ALL: [Self; count(0)] = {
        let mut all = [const { next(0).expect("a parameter that may be changed") }; count(0)];
        let mut slot = 1;
        while slot < all.len() {
            if let Some(found) = next(all[slot - 1].row + 1) {
                all[slot] = Self { slot, ..found };
            }
            slot += 1;
        }
        all
    };

    /// The one called `name`.
    pub fn named(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|tunable| tunable.parameter().name.to_bytes() == name)
    }

    /// Its index in [`Self::ALL`].
    pub fn slot(self) -> usize {
        self.slot
    }

    /// Its index in [`Parameter::ALL`].
    pub(super) fn row(self) -> usize {
        self.row
    }

    /// Its row.
    pub fn parameter(self) -> &'static Parameter {
        &Parameter::ALL[self.row]
    }

    /// The range of its values.
    pub fn number(self) -> &'static Number {
        self.number
    }
}

/// The first tunable parameter from `row` on, with slot 0.
const fn next(mut row: usize) -> Option<Tunable> {
    while row < Parameter::ALL.len() {
        if let Some(number) = Parameter::ALL[row].number()
            && number.is_changeable()
        {
            return Some(Tunable {
                slot: 0,
                row,
                number,
            });
        }
        row += 1;
    }
    None
}

/// The number of tunable parameters from `row` on.
const fn count(row: usize) -> usize {
    match next(row) {
        Some(found) => 1 + count(found.row + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};

    #[test]
    fn a_number_is_what_the_configuration_would_have() {
        for tunable in Tunable::ALL {
            let name = tunable.parameter().name();
            for number in [i32::MIN, -1, 0, 1, 9, 10, 999, 86_400, i32::MAX] {
                let mut parameters = Parameters::default();
                let set = parameters.set(name, Given::Number(number));
                let accepted = tunable.number().range().contains(&number);
                assert_eq!(set.is_ok(), accepted, "{name} {number}");
                let mut tuned = Parameters::default();
                let numbers = tuned.tune(tunable, number);
                assert_eq!(numbers.is_ok(), accepted, "{name} {number}");
                if !accepted {
                    continue;
                }
                let given = parameters.settle().remove(0);
                assert_eq!(given.numbers[tunable.slot()], number, "{name}");
                assert_eq!(numbers, Ok(vec![number]), "{name}");
                let mut applied = Parameters::default().settle().remove(0).settings;
                tunable.number().apply(number, &mut applied);
                let [given, applied] = [given.settings, applied].map(|all| format!("{all:?}"));
                assert_eq!(given, applied, "{name}");
            }
        }
    }

    #[test]
    fn they_are_found_by_name() {
        for (slot, tunable) in Tunable::ALL.into_iter().enumerate() {
            assert_eq!(tunable.slot(), slot);
            let found = Tunable::named(tunable.parameter().name.to_bytes()).unwrap();
            assert_eq!(found.slot(), slot);
        }
        assert!(Tunable::named(b"servers").is_none());
    }

    #[test]
    fn they_are_the_rows_that_say_so() {
        let names = Tunable::ALL.map(|tunable| tunable.parameter().name());
        let says_so = |row: &&Parameter| row.number().is_some_and(Number::is_changeable);
        let rows = Parameter::ALL.iter().filter(says_so);
        assert_eq!(rows.map(Parameter::name).collect::<Vec<_>>(), names);
    }
}
