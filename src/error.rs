//! `Error` is why an operation has no answer, and what follows from that.
//!
//! A miss is an answer and not an error. An error means that the server could not be asked, that
//! the request is not allowed, or that the reply is bad. What follows is decided here and nowhere
//! else: whether it is a refusal, whether the failure may count against the server,
//! and whether another server may be asked. [`Status`](crate::status::Status) has the word for the
//! script.

use crate::sys;
use std::fmt;
use std::io;

use crate::sys::NotConnected;

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
    /// The value is too large.
    TooLarge(TooLarge),
    /// The stored value cannot be counted, because it is not an unsigned 64-bit decimal number.
    NotANumber,
    /// memcached answered `SERVER_ERROR` with this text, which was made printable.
    ServerError(Box<str>),
    /// memcached answered `ERROR` or `CLIENT_ERROR` with these words, which were made printable: it
    /// does not know, or does not accept, this request.
    Rejected(Box<str>),
    /// The server and we do not accept each other.
    Denied(Denied),
    /// The bytes received are not a reply to this request. The connection is out of step.
    Garbled(&'static str),
    /// The item is in a form of another program that cannot be read here: its client flags, and what it is.
    Foreign(Box<str>),
    /// The server has delivered the item, but its bytes are not what its client flags say.
    BrokenItem(&'static str),
}

/// What an operation was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The connection to the server.
    Connect,
    /// The agreement with the server on TLS.
    Agreement,
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
    /// This process could not even ask for a connection: it has no descriptor, memory or port for it.
    Shortage(io::Error),
    /// This process had no memory left to go on with an exchange.
    CutShort(io::Error),
    /// The server answers others, but has just given this process no connection.
    TurnedAway,
    /// The request is for a connection that is gone.
    Replaced,
    /// The connection was lost before the first byte of the reply.
    Lost(io::Error),
    /// The server closed the connection before the first byte of the reply.
    Closed,
    /// The server has closed, or reset, a new connection without TLS on which it has said nothing.
    Mute,
}

/// Who does not accept whom.
#[derive(Debug)]
pub enum Denied {
    /// The server does not accept the credentials. These are its words, made printable.
    Credentials(Box<str>),
    /// The server requires credentials, and there are none.
    NoCredentials,
    /// TLS, for this reason.
    Tls(Box<str>),
}

/// Who cannot take a value of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    /// memcached does not store it (its option `-I`).
    ToStore,
    /// An item is longer than `value_limit`.
    ToRead {
        /// Its length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u32,
    },
    /// This process has no memory for an item of so many bytes.
    ForMemory(usize),
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
    /// This process has no memory for the request.
    Memory,
    /// The number that a counter is to begin with is none.
    Initial,
    /// There is no value to store.
    NullValue,
    /// The version is not a number that a read has given.
    Version,
    /// A function's argument does not fit into the evaluation buffer, or it could not be evaluated.
    Argument,
    /// A function has no variable to assign what it has read, or the variable does not take it.
    Result,
    /// A function has no name of a pool.
    PoolArgument,
    /// No pool of that name was declared.
    Pool,
}

/// The result of every operation is moved several times, and so is the room that this needs in it.
const _: () = assert!(size_of::<Error>() <= 24);

impl Error {
    /// The server keeps no versions of items, so nothing can be written on the condition of one.
    pub(crate) fn without_versions() -> Self {
        Self::ServerError("it keeps no versions of items (memcached's option -C)".into())
    }

    /// True if this module or the server has refused the request, or the item cannot be read. Nothing is
    /// wrong with the server or with the connection: a refusal is a complete answer.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::TooLarge(_)
                | Self::NotANumber
                | Self::ServerError(_)
                | Self::Rejected(_)
                | Self::Foreign(_)
                | Self::BrokenItem(_)
        )
    }

    /// True if the server says why it is about to hang up, and has read no request: memcached at its limit of
    /// connections answers `ERROR Too many open connections`.
    pub(crate) fn is_farewell(&self) -> bool {
        matches!(self, Self::Rejected(words) if words.starts_with("ERROR "))
    }

    /// True if the server does not know, or does not accept, this request.
    pub(crate) fn is_unknown_request(&self) -> bool {
        matches!(self, Self::Rejected(_)) && !self.is_farewell()
    }

    /// True if the server may be at fault, and not the caller, the data, or this process.
    pub(crate) fn counts_against_server(&self) -> bool {
        match self {
            Self::Down(Down::Shortage(_) | Down::CutShort(_)) => {
                sys::planted("a shortage is the server's fault")
            }
            Self::Down(down) => {
                !matches!(down, Down::OutOfService | Down::TurnedAway | Down::Replaced)
            }
            Self::Timeout(_) | Self::Garbled(_) | Self::Denied(_) => true,
            Self::Busy
            | Self::Refused(_)
            | Self::TooLarge(_)
            | Self::NotANumber
            | Self::ServerError(_)
            | Self::Rejected(_)
            | Self::Foreign(_)
            | Self::BrokenItem(_) => false,
        }
    }

    /// True if there was no connection.
    pub(crate) fn is_of_connecting(&self) -> bool {
        matches!(
            self,
            Self::Timeout(Waiting::Connect | Waiting::Agreement)
                | Self::Down(Down::Unresolved | Down::Connect(_) | Down::Shortage(_))
        )
    }

    /// True if it says something about one connection alone: that is broken, or the server has refused it.
    pub(crate) fn is_of_one_connection(&self) -> bool {
        let is_broken = self.is_hangup() || matches!(self, Self::Garbled(_));
        self.is_refusal() || is_broken && !sys::planted("what breaks before TLS is there condemns")
    }

    /// True if this process lacks something, and says nothing about the server.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self, Self::Down(Down::Shortage(_) | Down::CutShort(_)))
    }

    /// The error of connecting that ended in `error`.
    pub(crate) fn of_connecting(error: NotConnected) -> Self {
        Self::Down(match error {
            NotConnected::Refused(error) if !is_own(&error) => Down::Connect(error),
            NotConnected::Refused(error) | NotConnected::Unasked(error) => Down::Shortage(error),
        })
    }

    /// The error of sending or receiving that ended in `error`.
    pub(crate) fn of_exchange(error: io::Error) -> Self {
        Self::Down(match is_own(&error) {
            true => Down::CutShort(error),
            false => Down::Lost(error),
        })
    }

    /// True if a stand-in may be asked in place of the server. It must be able to answer, and the
    /// server must not have done the operation already, unless the operation is `repeatable`.
    pub(crate) fn allows_stand_in(&self, repeatable: bool) -> bool {
        match self {
            Self::Busy
            | Self::Denied(_)
            | Self::Timeout(Waiting::Connect | Waiting::Agreement)
            | Self::Down(
                Down::OutOfService
                | Down::Unresolved
                | Down::Connect(_)
                | Down::Shortage(_)
                | Down::TurnedAway,
            ) => true,
            Self::Timeout(_) | Self::Down(_) | Self::Garbled(_) => repeatable,
            Self::Refused(_)
            | Self::TooLarge(_)
            | Self::NotANumber
            | Self::ServerError(_)
            | Self::Rejected(_)
            | Self::Foreign(_)
            | Self::BrokenItem(_) => false,
        }
    }

    /// True if the server may have done the operation, or may do it later, and nobody can tell.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_refusal() && !self.allows_stand_in(false)
    }

    /// True if the other side had closed the connection, as a server that restarts does with idle
    /// ones. The operation may then be repeated on a new connection.
    pub fn is_hangup(&self) -> bool {
        matches!(self, Self::Down(Down::Lost(_) | Down::Closed | Down::Mute))
    }
}

/// True if the system has refused this because the process, or the machine, has none left, or has only
/// interrupted it.
fn is_own(error: &io::Error) -> bool {
    let codes = [
        libc::EINTR,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EADDRNOTAVAIL,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
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
            Self::Timeout(Waiting::Agreement) => {
                f.write_str("no TLS within the timeout: perhaps none is spoken here")
            }
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
            Self::Down(Down::CutShort(cause)) => {
                write!(f, "this process cannot use its connection: {cause}")
            }
            Self::Down(Down::TurnedAway) => {
                f.write_str("the server has just given this process no connection")
            }
            Self::Down(Down::Replaced) => {
                f.write_str("the connection that was used before is gone")
            }
            Self::Down(Down::Lost(cause)) => write!(f, "connection lost: {cause}"),
            Self::Down(Down::Closed) => f.write_str("connection closed by the server"),
            Self::Down(Down::Mute) => f.write_str(
                "the server closes a new connection without a word: perhaps it speaks TLS only (tls=1)",
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TooLarge(why) => why.fmt(f),
            Self::NotANumber => f.write_str("the stored value is not a number from 0 to 2^64-1"),
            Self::ServerError(text) | Self::Rejected(text) => write!(f, "the server says: {text}"),
            Self::Denied(Denied::Credentials(text)) => {
                write!(f, "the server does not accept the credentials: {text}")
            }
            Self::Denied(Denied::NoCredentials) => {
                f.write_str("the server requires credentials; accepted: credentials_file")
            }
            Self::Denied(Denied::Tls(why)) => write!(f, "TLS with the server: {why}"),
            Self::Garbled(what) | Self::BrokenItem(what) => f.write_str(what),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}

/// What was waited for.
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Agreement => "TLS",
            Self::Send => "room for the request",
            Self::Receive => "the reply",
        })
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
            Self::Memory => "this process has no memory for the request",
            Self::Initial => "invalid initial number; accepted: 0 to 2^64-1",
            Self::NullValue => "the value is null; accepted: a string or an integer",
            Self::Version => "invalid version; accepted: what a read with the version has given",
            Self::Argument => {
                "an argument cannot be evaluated, or is too long; accepted: up to 128 KiB"
            }
            Self::Result => {
                "the result cannot be assigned; accepted: a variable that takes it, in quotes"
            }
            Self::PoolArgument => "no pool; accepted: the name of a pool, which is no variable",
            Self::Pool => {
                "there is no such pool; accepted: 'default', or the name of a declared pool"
            }
        })
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToStore => f.write_str("the value is larger than the server accepts"),
            Self::ToRead { len, limit } => {
                write!(
                    f,
                    "the item has {len} bytes; accepted: up to {limit} (value_limit)"
                )
            }
            Self::ForMemory(len) => write!(f, "this process has no memory for {len} bytes"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
