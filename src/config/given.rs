//! A value on its way from the configuration to being accepted or refused.

use std::fmt;

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

impl<'a> Given<'a> {
    /// The text, if it may be one.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// The integer, if it may be one.
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
pub(super) struct Assignment<'a> {
    /// The pool whose specification it stands in, if it does.
    pub pool: Option<&'a str>,
    pub name: &'a str,
    pub given: Given<'a>,
}

impl Assignment<'_> {
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
            "invalid value {}; accepted: {accepted}",
            self.given
        ))
    }
}
