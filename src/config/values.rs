//! `Values` are what the configuration has set for one pool, by row of the table.

use super::given::{Assignment, BadParameter};
use super::parameter::{Checked, Parameter, Scope};
use super::settings::{DeclaredPool, Settings};
use super::tunable::Tunable;

/// What was set for one pool.
#[derive(Debug)]
pub(super) struct Values([Option<Checked>; Parameter::ALL.len()]);

impl Values {
    /// No parameter is set.
    pub(super) fn empty() -> Self {
        Self([const { None }; Parameter::ALL.len()])
    }

    /// Every parameter that has a default is set to it.
    pub(super) fn defaults() -> Self {
        let mut values = Self::empty();
        for (parameter, value) in Parameter::ALL.iter().zip(&mut values.0) {
            let default = parameter.default().map(|given| Assignment {
                pool: None,
                name: parameter.name(),
                given,
            });
            *value = default.and_then(|default| parameter.check(&default).ok());
        }
        values
    }

    /// Sets the parameter of a row. The value given last counts.
    pub(super) fn set(
        &mut self,
        row: usize,
        assignment: &Assignment<'_>,
    ) -> Result<(), BadParameter> {
        self.0[row] = Some(Parameter::ALL[row].check(assignment)?);
        Ok(())
    }

    /// Makes the pool called `name`. What is left out here comes from `plain`.
    pub(super) fn settle(&self, name: &str, plain: &Self) -> DeclaredPool {
        let mut pool = DeclaredPool {
            settings: Settings {
                name: name.to_owned(),
                ..Settings::default()
            },
            servers: Vec::new(),
            numbers: Tunable::ALL
                .map(|tunable| self.number(tunable, plain))
                .to_vec(),
        };
        for row in 0..self.0.len() {
            if let Some(value) = self.get(row, plain) {
                value.put(&mut pool);
            }
        }
        let settings = &mut pool.settings;
        settings.stores_in_steps |= settings.compress_min.is_some() || settings.large_values;
        pool
    }

    /// The value of a tunable parameter. If it is left out here, it comes from `plain`.
    pub(super) fn number(&self, tunable: Tunable, plain: &Self) -> i32 {
        match self.get(tunable.row(), plain) {
            Some(Checked::Number(number, _)) => *number,
            // This does not occur: each of them is a number and has a default.
            _ => 0,
        }
    }

    fn get<'a>(&'a self, row: usize, plain: &'a Self) -> Option<&'a Checked> {
        let inherited = match Parameter::ALL[row].scope {
            Scope::Inherited => plain.0[row].as_ref(),
            Scope::Own | Scope::Plain => None,
        };
        self.0[row].as_ref().or(inherited)
    }
}
