//! A value on its way from the configuration to being accepted or refused.

use std::fmt;
use std::ops::RangeInclusive;

use super::tunable::Tunable;

/// A value as the configuration gave it.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(i32),
    /// A word of a pool's specification: a string or the digits of an integer.
    Word(&'a str),
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Word(text) => write!(f, "'{text}'"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A refused value; its `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter(pub(super) String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value with the name it was given for.
pub(super) struct Value<'a> {
    /// The pool whose specification it stands in, if it does.
    pub pool: Option<&'a str>,
    pub name: &'a str,
    pub given: Given<'a>,
}

impl<'a> Value<'a> {
    /// Refuses it for the reason `why`, which says what is accepted.
    pub(super) fn refuse_because(&self, why: impl fmt::Display) -> BadParameter {
        let name = self.name;
        BadParameter(match self.pool {
            None => format!("parameter '{name}': {why}"),
            Some(pool) => format!("parameter 'pool': '{name}' of pool '{pool}': {why}"),
        })
    }

    pub(super) fn refuse(&self, accepted: &str) -> BadParameter {
        self.refuse_because(format_args!(
            "{} is refused; accepted: {accepted}",
            self.given
        ))
    }

    pub(super) fn text(&self, accepted: &str) -> Result<&'a str, BadParameter> {
        match self.given {
            Given::Text(text) | Given::Word(text) => Ok(text),
            Given::Number(_) => Err(self.refuse(accepted)),
        }
    }

    pub(super) fn number(
        &self,
        range: RangeInclusive<i32>,
        accepted: &str,
    ) -> Result<i32, BadParameter> {
        let number = match self.given {
            Given::Number(number) => Some(number),
            Given::Word(digits) => digits.parse().ok().filter(|_| !digits.starts_with('+')),
            Given::Text(_) => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.refuse(accepted))
    }

    pub(super) fn choice(&self, accepted: &str) -> Result<bool, BadParameter> {
        self.number(0..=1, accepted).map(|number| number == 1)
    }

    /// A number that `tunable` accepts.
    pub(super) fn tunable(&self, tunable: Tunable) -> Result<i32, BadParameter> {
        self.number(tunable.range(), tunable.accepted())
    }

    pub(super) fn threshold(&self) -> Result<u16, BadParameter> {
        self.number(1..=1000, "1 to 1000")
            .map(|number| number as u16)
    }
}
