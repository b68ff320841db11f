//! `Error` is why an operation has no answer, and what follows from that.
//!
//! A miss is an answer and not an error. An error means that the server could not be asked, that
//! the request is not allowed, or that the reply is bad. What follows is decided here and nowhere
//! else: whether it is a refusal, whether the failure may count against the server,
//! and whether another server may be asked. [`Status`](crate::status::Status) has the word for the
//! script.

use std::fmt;
use std::io;

/// Why an operation has no answer.
#[derive(Debug)]
pub enum Error {
    /// The time for the operation was over while it was waiting for this.
    Timeout(Waiting),
    /// Another worker is already waiting for this server, so the server was not asked.
    Busy,
    /// There is no connection to the server, or it was lost before the first byte of the reply.
    Down(Down),
    /// The caller asked for something that must not be sent.
    Refused(Refusal),
    /// memcached does not store values of this size (its option `-I`).
    TooLarge,
    /// The stored value cannot be counted, because it is not an unsigned 64-bit decimal number.
    NotANumber,
    /// memcached answered `SERVER_ERROR` with this text, which was made printable.
    ServerError(Box<str>),
    /// memcached answered `ERROR` or `CLIENT_ERROR` with these words, which were made printable: it
    /// does not know, or does not accept, this request.
    Rejected(Box<str>),
    /// The bytes received are not a reply to this request. The connection is out of step.
    Garbled(&'static str),
}

/// What an operation was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The connection to the server.
    Connect,
    /// Space in the socket's buffer for the request.
    Send,
    /// The reply.
    Receive,
}

/// Why a server cannot be reached.
#[derive(Debug)]
pub enum Down {
    /// It is out of service: inactive after failures, or disabled by an operator.
    OutOfService,
    /// Its name has no address.
    Unresolved,
    /// Connecting failed.
    Connect(io::Error),
    /// This process has no descriptor, memory or port left for a connection.
    Shortage(io::Error),
    /// The server answers others, but has just given this process no connection.
    TurnedAway,
    /// The connection was lost before the first byte of the reply.
    Lost(io::Error),
    /// The server closed the connection before the first byte of the reply.
    Closed,
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is empty.
    EmptyKey,
    /// The key does not fit into the evaluation buffer, or it could not be evaluated.
    UnusableKey,
    /// The lifetime is negative, or not a decimal number of seconds.
    Lifetime,
    /// The operand is not an integer.
    Operand,
    /// The value is longer than [`MAX_VALUE`](crate::wire::protocol::MAX_VALUE).
    Value,
}

impl Error {
    /// True if this module or the server has refused the request. Nothing is wrong with the server or
    /// with the connection: a refusal is a complete answer.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::TooLarge
                | Self::NotANumber
                | Self::ServerError(_)
                | Self::Rejected(_)
        )
    }

    /// True if the server may be at fault, and not the caller, the data, or this process.
    pub(crate) fn counts_against_server(&self) -> bool {
        match self {
            Self::Down(down) => !matches!(
                down,
                Down::Shortage(_) | Down::OutOfService | Down::TurnedAway
            ),
            Self::Timeout(_) | Self::Garbled(_) => true,
            Self::Busy
            | Self::Refused(_)
            | Self::TooLarge
            | Self::NotANumber
            | Self::ServerError(_)
            | Self::Rejected(_) => false,
        }
    }

    /// True if this process lacks something, and says nothing about the server.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self, Self::Down(Down::Shortage(_)))
    }

    /// The error of connecting that ended in `error`.
    pub(crate) fn of_connecting(error: io::Error) -> Self {
        let shortage = [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOMEM,
            libc::ENOBUFS,
            libc::EADDRNOTAVAIL,
        ];
        let is_shortage = error
            .raw_os_error()
            .is_some_and(|code| shortage.contains(&code));
        Self::Down(match is_shortage {
            true => Down::Shortage(error),
            false => Down::Connect(error),
        })
    }

    /// True if a stand-in may be asked in place of the server. It must be able to answer, and the
    /// server must not have done the operation already, unless the operation is `repeatable`.
    pub(crate) fn allows_stand_in(&self, repeatable: bool) -> bool {
        match self {
            Self::Busy
            | Self::Timeout(Waiting::Connect)
            | Self::Down(
                Down::OutOfService
                | Down::Unresolved
                | Down::Connect(_)
                | Down::Shortage(_)
                | Down::TurnedAway,
            ) => true,
            Self::Timeout(_) | Self::Down(_) | Self::Garbled(_) => repeatable,
            Self::Refused(_)
            | Self::TooLarge
            | Self::NotANumber
            | Self::ServerError(_)
            | Self::Rejected(_) => false,
        }
    }

    /// True if the other side had closed the connection, as a server that restarts does with idle
    /// ones. The operation may then be repeated on a new connection.
    pub fn is_hangup(&self) -> bool {
        matches!(self, Self::Down(Down::Lost(_) | Down::Closed))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The reason, without the word of the status.
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
            Self::Down(Down::Shortage(cause)) => {
                write!(f, "this process cannot open a connection: {cause}")
            }
            Self::Down(Down::TurnedAway) => {
                f.write_str("the server has just given this process no connection")
            }
            Self::Down(Down::Lost(cause)) => write!(f, "connection lost: {cause}"),
            Self::Down(Down::Closed) => f.write_str("connection closed by the server"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TooLarge => f.write_str("the value is larger than the server accepts"),
            Self::NotANumber => f.write_str("the stored value is not a number from 0 to 2^64-1"),
            Self::ServerError(text) | Self::Rejected(text) => write!(f, "the server says: {text}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Error {
        Error::of_connecting(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn what_this_process_lacks_is_not_the_servers_fault() {
        for code in [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOMEM,
            libc::ENOBUFS,
            libc::EADDRNOTAVAIL,
        ] {
            let error = of(code);
            assert!(matches!(error, Error::Down(Down::Shortage(_))), "{error:?}");
            assert!(!error.counts_against_server() && !error.is_refusal());
            assert!(error.allows_stand_in(false), "nothing was sent");
            let text = error.to_string();
            assert!(text.starts_with("this process cannot open"), "{text}");
        }
    }

    #[test]
    fn a_server_that_cannot_be_connected_has_failed() {
        for code in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ETIMEDOUT] {
            let error = of(code);
            assert!(matches!(error, Error::Down(Down::Connect(_))), "{error:?}");
            assert!(error.counts_against_server() && error.allows_stand_in(false));
        }
        let other = io::Error::new(io::ErrorKind::InvalidInput, "no code");
        let error = Error::of_connecting(other);
        assert!(matches!(error, Error::Down(Down::Connect(_))), "{error:?}");
    }

    #[test]
    fn no_error_is_both_a_refusal_and_the_servers_fault() {
        let refusals = [
            Error::Refused(Refusal::EmptyKey),
            Error::TooLarge,
            Error::NotANumber,
            Error::ServerError("x".into()),
            Error::Rejected("ERROR".into()),
        ];
        for error in refusals {
            assert!(error.is_refusal() && !error.counts_against_server());
            assert!(!error.allows_stand_in(true), "{error:?}");
        }
        let failures = [
            Error::Timeout(Waiting::Receive),
            Error::Down(Down::Closed),
            Error::Down(Down::Unresolved),
            Error::Garbled("x"),
        ];
        for error in failures {
            assert!(error.counts_against_server() && !error.is_refusal());
        }
        let out = Error::Down(Down::OutOfService);
        assert!(!out.counts_against_server() && !out.is_refusal());
    }
}
