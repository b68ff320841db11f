//! Error: why an operation has no answer, and what follows from that.
//!
//! A miss is not an error: it is an answer. What stands here is "could not ask" and "may not ask,
//! or a bad answer". The questions that follow are answered beside the enum, nowhere else: is the
//! connection still in step, does the failure count against the server, may another server be
//! asked. Which word the script sees says [`Status`](crate::status::Status).

use std::fmt;
use std::io;

/// Why an operation came to nothing.
#[derive(Debug)]
pub enum Error {
    /// The operation's deadline passed while it was doing this.
    Timeout(Waiting),
    /// Another worker is waiting for the server already; it was not asked.
    Busy,
    /// There is no connection to the server, or it ended before any byte of the reply.
    Down(Down),
    /// The caller asked for something that must not go on the wire.
    Refused(Refusal),
    /// memcached does not store a value of this size (its option `-I`).
    TooLarge,
    /// The stored value cannot be counted: it is no unsigned 64-bit decimal number.
    NotANumber,
    /// memcached answered `SERVER_ERROR`; its text, made printable.
    ServerError(Box<str>),
    /// The reply was not one to this request; the connection is out of step.
    Garbled(&'static str),
}

/// What an operation was waiting for when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The connection to the server.
    Connect,
    /// Room in the socket for the request.
    Send,
    /// The reply.
    Receive,
}

/// How a server was found to be unreachable.
#[derive(Debug)]
pub enum Down {
    /// It is out of service: inactive after failures, or disabled by an operator.
    OutOfService,
    /// No address of its name is known.
    Unresolved,
    /// Connecting failed.
    Connect(io::Error),
    /// The connection broke before any byte of the reply.
    Lost(io::Error),
    /// The server closed the connection before any byte of the reply.
    Closed,
}

/// Why a request was not sent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Empty keys cannot be sent.
    EmptyKey,
    /// The key does not fit the evaluation buffer, or could not be evaluated.
    UnusableKey,
    /// A lifetime that is no decimal number of seconds, or negative.
    Lifetime,
    /// An operand that is no integer.
    Operand,
    /// The value is longer than [`MAX_VALUE`](crate::wire::protocol::MAX_VALUE).
    Value,
}

impl Error {
    /// True when the reply was read to its end, so that the connection can serve on.
    pub fn in_step(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::TooLarge | Self::NotANumber | Self::ServerError(_)
        )
    }

    /// True when the server that was asked, not the caller or the data, is to blame.
    pub(crate) fn counts_against_server(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Down(_) | Self::Garbled(_))
    }

    /// True when a stand-in may be asked in place of the server: it might answer, and this one
    /// cannot have done what was asked, or doing it twice is `repeatable`.
    pub(crate) fn allows_stand_in(&self, repeatable: bool) -> bool {
        match self {
            Self::Busy
            | Self::Timeout(Waiting::Connect)
            | Self::Down(Down::OutOfService | Down::Unresolved | Down::Connect(_)) => true,
            Self::Timeout(_) | Self::Down(_) | Self::Garbled(_) => repeatable,
            Self::Refused(_) | Self::TooLarge | Self::NotANumber | Self::ServerError(_) => false,
        }
    }

    /// True when the connection had been closed by the other side, as a restart does to an
    /// idle one; the operation may then be tried on a new connection.
    pub fn is_hangup(&self) -> bool {
        matches!(self, Self::Down(Down::Lost(_) | Down::Closed))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The reason, without the status word in front of it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(Waiting::Connect) => f.write_str("no connection within the timeout"),
            Self::Timeout(Waiting::Send) => {
                f.write_str("the request could not be sent within the timeout")
            }
            Self::Timeout(Waiting::Receive) => f.write_str("no complete reply within the timeout"),
            Self::Busy => f.write_str("another worker is already waiting for this server"),
            Self::Down(Down::OutOfService) => f.write_str("the server is out of service"),
            Self::Down(Down::Unresolved) => f.write_str("the server's name has no address"),
            Self::Down(Down::Connect(cause)) => write!(f, "cannot connect: {cause}"),
            Self::Down(Down::Lost(cause)) => write!(f, "connection lost: {cause}"),
            Self::Down(Down::Closed) => f.write_str("connection closed by the server"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TooLarge => f.write_str("the value is larger than the server accepts"),
            Self::NotANumber => f.write_str("the stored value is not a number from 0 to 2^64-1"),
            Self::ServerError(text) => write!(f, "the server says: {text}"),
            Self::Garbled(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyKey => "the key is empty; accepted: 1 byte or more",
            Self::UnusableKey => {
                "the key cannot be evaluated, or is too long; accepted: up to 128 KiB"
            }
            Self::Lifetime => "invalid lifetime; accepted: decimal seconds, 0 or more",
            Self::Operand => "invalid number; accepted: an integer or its decimal text",
            Self::Value => "the value is too long; accepted: up to 1 GiB",
        })
    }
}

impl std::error::Error for Error {}
