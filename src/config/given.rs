//! A value that the configuration gives, and the line for the operator if it is refused.

use std::fmt;

use crate::quoted::quoted;

/// A value as the configuration gives it.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(i32),
    /// A word of a pool's specification: a string or the digits of an integer.
    Word(&'a str),
}

impl<'a> Given<'a> {
    /// The text, unless the value is an integer.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// The integer, if the value is one or may be read as one.
    pub(super) fn number(self) -> Option<i32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Word(digits) => digits.parse().ok().filter(|_| !digits.starts_with('+')),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Word(text) => quoted(text).fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Why a value is refused. Its `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter(pub(super) String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value and the name of the parameter it was given for.
pub(super) struct Assignment<'a> {
    /// The pool, if the value is part of a pool's specification.
    pub pool: Option<&'a str>,
    pub name: &'a str,
    pub given: Given<'a>,
}

impl Assignment<'_> {
    /// Refuses the value. `why` says the reason and what is accepted.
    pub(super) fn refuse_because(&self, why: impl fmt::Display) -> BadParameter {
        let name = quoted(self.name);
        BadParameter(match self.pool {
            None => format!("parameter {name}: {why}"),
            Some(pool) => format!("parameter 'pool': {name} of pool '{pool}': {why}"),
        })
    }

    pub(super) fn refuse(&self, accepted: &str) -> BadParameter {
        self.refuse_because(format_args!(
            "invalid value {}; accepted: {accepted}",
            self.given
        ))
    }
}
