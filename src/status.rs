//! Status: the one word that says what an operation came to.
//!
//! `$mcst`, log lines and RPC replies all use these words, so that a missing key and a dead
//! server never look alike. Three groups: answers, could not ask, may not ask or bad answer.

use std::fmt;

use crate::error::Error;

/// What the last operation of this process came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Read: the key was there.
    Hit,
    /// The key was not there.
    Miss,
    /// Written.
    Stored,
    /// Not written: an existing value stays (`mode=1`).
    NotStored,
    /// Deleted.
    Deleted,
    /// The lifetime was changed.
    Touched,
    /// Counted up or down.
    Counted,
    /// The deadline passed.
    Timeout,
    /// The server is not answering somebody else; nobody asked it again.
    Busy,
    /// The server cannot be reached.
    Down,
    /// The request was not sent: it cannot be expressed, or must not be.
    Refused,
    /// The server does not store values of this size.
    TooLarge,
    /// The stored value cannot be counted.
    NotANumber,
    /// The server answered `SERVER_ERROR`.
    ServerError,
    /// The reply made no sense.
    Garbled,
}

/// What an operation was answered, which has a word.
pub trait Outcome {
    /// The word.
    fn status(&self) -> Status;
}

impl Outcome for Status {
    fn status(&self) -> Status {
        *self
    }
}

impl Status {
    /// What an operation came to.
    #[inline(always)]
    pub fn of<T: Outcome>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(answer) => answer.status(),
            Err(error) => Self::of_error(error),
        }
    }

    /// What an operation without an answer came to.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::Timeout(_) => Self::Timeout,
            Error::Busy => Self::Busy,
            Error::Down(_) => Self::Down,
            Error::Refused(_) => Self::Refused,
            Error::TooLarge => Self::TooLarge,
            Error::NotANumber => Self::NotANumber,
            Error::ServerError(_) => Self::ServerError,
            Error::Garbled(_) => Self::Garbled,
        }
    }

    /// The word itself.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stored => "stored",
            Self::NotStored => "not_stored",
            Self::Deleted => "deleted",
            Self::Touched => "touched",
            Self::Counted => "counted",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Down => "down",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::NotANumber => "not_a_number",
            Self::ServerError => "server_error",
            Self::Garbled => "garbled",
        }
    }

    /// Every word there is.
    const ALL: [Self; 15] = [
        Self::Hit,
        Self::Miss,
        Self::Stored,
        Self::NotStored,
        Self::Deleted,
        Self::Touched,
        Self::Counted,
        Self::Timeout,
        Self::Busy,
        Self::Down,
        Self::Refused,
        Self::TooLarge,
        Self::NotANumber,
        Self::ServerError,
        Self::Garbled,
    ];

    /// A number for shared memory, never 0.
    pub fn code(self) -> u32 {
        self as u32 + 1
    }

    /// The status that has this number.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// True for what the core is told as a failed assignment: the script asked for something
    /// that cannot be. Outages and negative answers are not: the core would log two lines for each.
    pub fn fails_assignment(self) -> bool {
        matches!(self, Self::Refused | Self::TooLarge | Self::NotANumber)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
