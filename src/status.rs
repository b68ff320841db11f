//! `Status` is one word for the result of an operation.
//!
//! `$mcst`, log lines and RPC replies all use these words, so a missing key and a dead server never
//! look alike. There are three groups: the server has answered, the server could not be asked, and
//! the request is not allowed or the reply is bad.

use std::fmt;

use crate::error::Error;

/// The result of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The key was found and read.
    Hit,
    /// The key was not found.
    Miss,
    /// The value was stored.
    Stored,
    /// The value was not stored, because there is one already (`mode=1`).
    NotStored,
    /// The value was not stored, because the item has another version (`mct_cas`).
    Exists,
    /// The key was deleted.
    Deleted,
    /// The lifetime was changed.
    Touched,
    /// The value was counted up or down.
    Counted,
    /// The caller is to compute the value: it is missing, out of date, or about to end.
    Lease,
    /// The value is out of date: somebody else computes it anew, or its server could not be asked.
    Stale,
    /// The write was sent, and nobody waits for its answer (`deferred_writes`).
    Sent,
    /// The time for the operation was over.
    Timeout,
    /// Another worker is already waiting for this server, so the server was not asked.
    Busy,
    /// The server cannot be reached.
    Down,
    /// The server and we do not accept each other.
    Denied,
    /// The request was not sent, because it is impossible or not allowed.
    Refused,
    /// memcached does not store values of this size.
    TooLarge,
    /// The stored value cannot be counted.
    NotANumber,
    /// memcached answered `SERVER_ERROR`.
    ServerError,
    /// The server does not know, or does not accept, this request.
    Rejected,
    /// The bytes received are not a reply to the request, or the item's bytes are broken.
    Garbled,
    /// The item is in a form of another program that cannot be read.
    Foreign,
}

/// The answer to an operation, for which there is a word.
pub trait Outcome {
    /// The status of this answer.
    fn status(&self) -> Status;
}

impl Outcome for Status {
    fn status(&self) -> Status {
        *self
    }
}

impl Status {
    /// The status of a result.
    #[inline(always)]
    pub fn of<T: Outcome>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(answer) => answer.status(),
            Err(error) => Self::of_error(error),
        }
    }

    /// The status of an operation that failed.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::Timeout(_) => Self::Timeout,
            Error::Busy => Self::Busy,
            Error::Down(_) => Self::Down,
            Error::Denied(_) => Self::Denied,
            Error::Refused(_) => Self::Refused,
            Error::TooLarge(_) => Self::TooLarge,
            Error::NotANumber => Self::NotANumber,
            Error::ServerError(_) => Self::ServerError,
            Error::Rejected(_) => Self::Rejected,
            Error::Garbled(_) | Error::BrokenItem(_) => Self::Garbled,
            Error::Foreign { .. } => Self::Foreign,
        }
    }

    /// The word for scripts, log lines and RPC replies.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stored => "stored",
            Self::NotStored => "not_stored",
            Self::Exists => "exists",
            Self::Deleted => "deleted",
            Self::Touched => "touched",
            Self::Counted => "counted",
            Self::Lease => "lease",
            Self::Stale => "stale",
            Self::Sent => "sent",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Down => "down",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::NotANumber => "not_a_number",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::Garbled => "garbled",
            Self::Foreign => "foreign",
        }
    }

    /// All of them.
    const ALL: &[Self] = &[
        Self::Hit,
        Self::Miss,
        Self::Stored,
        Self::NotStored,
        Self::Exists,
        Self::Deleted,
        Self::Touched,
        Self::Counted,
        Self::Lease,
        Self::Stale,
        Self::Sent,
        Self::Timeout,
        Self::Busy,
        Self::Down,
        Self::Denied,
        Self::Refused,
        Self::TooLarge,
        Self::NotANumber,
        Self::ServerError,
        Self::Rejected,
        Self::Garbled,
        Self::Foreign,
    ];

    /// Those of an operation that has failed: the last ones, from [`Self::Timeout`] on.
    pub(crate) const FAILURES: [Self; 11] = *Self::ALL.last_chunk().expect("there are more");

    /// A number for shared memory. It is never 0.
    pub fn code(self) -> u32 {
        self as u32 + 1
    }

    /// The status with this number.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.code() == code)
    }

    /// What a function of the script returns: 1 = done, 2 = the caller is to compute the value, -1 = the negative
    /// answer, -2 = the server could not be asked, -3 = the request was refused or the answer is bad. 0 would end the
    /// script.
    pub fn return_code(self) -> i32 {
        match self {
            Self::Hit
            | Self::Stored
            | Self::Deleted
            | Self::Touched
            | Self::Counted
            | Self::Stale
            | Self::Sent => 1,
            Self::Lease => 2,
            Self::Miss | Self::NotStored | Self::Exists => -1,
            Self::Timeout | Self::Busy | Self::Down | Self::Denied => -2,
            Self::Refused
            | Self::TooLarge
            | Self::NotANumber
            | Self::ServerError
            | Self::Rejected
            | Self::Garbled
            | Self::Foreign => -3,
        }
    }

    /// True if the server could not be asked.
    pub(crate) fn could_not_ask(self) -> bool {
        self.return_code() == -2
    }

    /// True if the core is told that the assignment failed, because the script asked for something
    /// impossible. Outages and negative answers are not reported to the core, which would log two
    /// lines for each.
    pub fn fails_assignment(self) -> bool {
        matches!(self, Self::Refused | Self::TooLarge | Self::NotANumber)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
