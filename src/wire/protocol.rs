//! Request and reply: the vocabulary between this client and a memcached.
//!
//! [`ascii`] writes requests, [`parse`] reads replies; nothing else knows a protocol word. Keys are
//! [`WireKey`]s and lengths are checked here, so a request can say nothing but what it means.
//! Source of the words: memcached's `doc/protocol.txt`.

pub(crate) mod ascii;
pub(crate) mod parse;

use crate::item::key::WireKey;
use crate::status::Status;

/// The longest value that is sent or read, in bytes: the largest item that memcached can be
/// set to hold (`-I 1g`; its default is 1 MiB).
pub(crate) const MAX_VALUE: usize = 1 << 30;

/// One operation of the wire. Flags are memcached's client flags; a lifetime is as the wire has
/// it, see [`Lifetime::on_wire`](crate::item::lifetime::Lifetime::on_wire).
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// Read an item.
    Get { key: &'a WireKey },
    /// Write an item.
    Store {
        store: Store,
        key: &'a WireKey,
        flags: u32,
        lifetime: u32,
        value: &'a [u8],
    },
    /// Remove an item.
    Delete { key: &'a WireKey },
    /// Change an item's lifetime.
    Touch { key: &'a WireKey, lifetime: u32 },
    /// Count an item up or down; down stops at 0, up wraps at 2^64.
    Count { way: Way, key: &'a WireKey, by: u64 },
}

/// When a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Always.
    Set,
    /// Only where nothing is stored.
    Add,
}

/// The direction of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `incr`
    Up,
    /// `decr`
    Down,
}

/// What a memcached answered to a request, errors aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// An item; its bytes are in the buffer that came with the request.
    Value {
        /// Its client flags.
        flags: u32,
    },
    /// The key is not there.
    Miss,
    /// Written.
    Stored,
    /// Not written, because of the condition in [`Store`].
    NotStored,
    /// Removed.
    Deleted,
    /// Lifetime changed.
    Touched,
    /// The number after counting.
    Counted(u64),
}

impl Reply {
    /// The word for it.
    pub fn status(&self) -> Status {
        match self {
            Self::Value { .. } => Status::Hit,
            Self::Miss => Status::Miss,
            Self::Stored => Status::Stored,
            Self::NotStored => Status::NotStored,
            Self::Deleted => Status::Deleted,
            Self::Touched => Status::Touched,
            Self::Counted(_) => Status::Counted,
        }
    }
}

impl Way {
    /// The other direction.
    pub fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl Request<'_> {
    /// The operation's name in log lines.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Store {
                store: Store::Set, ..
            } => "set",
            Self::Store {
                store: Store::Add, ..
            } => "add",
            Self::Delete { .. } => "delete",
            Self::Touch { .. } => "touch",
            Self::Count { way: Way::Up, .. } => "incr",
            Self::Count { way: Way::Down, .. } => "decr",
        }
    }

    /// The key it is about.
    pub fn key(&self) -> &WireKey {
        match self {
            Self::Get { key }
            | Self::Store { key, .. }
            | Self::Delete { key }
            | Self::Touch { key, .. }
            | Self::Count { key, .. } => key,
        }
    }

    /// True when doing it twice leaves the same state and the same answer to the script: a
    /// second count counts again, a second add reports its own first one.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Get { .. } | Self::Delete { .. } | Self::Touch { .. } => true,
            Self::Store { store, .. } => *store == Store::Set,
            Self::Count { .. } => false,
        }
    }
}
