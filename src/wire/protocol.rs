//! The vocabulary between this client and a memcached: requests, and what is answered to them.
//!
//! [`framing`] cuts received bytes into lines and value blocks. A dialect, [`text`], writes requests
//! and reads their replies; nothing else knows a protocol word. Keys are [`WireKey`]s and lengths are
//! checked before they come here, so a request can say nothing but what it means.
//! Source of the words: memcached's `doc/protocol.txt`.

pub(crate) mod framing;
pub(crate) mod text;

use crate::item::key::WireKey;

/// The longest value that is sent or read, in bytes: the largest item that memcached can be
/// set to hold (`-I 1g`; its default is 1 MiB).
pub(crate) const MAX_VALUE: usize = 1 << 30;

/// What a memcached is asked to do. Flags are memcached's client flags; a lifetime is as the wire
/// has it, see [`Lifetime::on_wire`](crate::item::lifetime::Lifetime::on_wire).
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
    /// Tell the version of the server.
    Version,
    /// Tell the general statistics of the server.
    Stats,
    /// Remove all items.
    FlushAll,
}

/// When a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// Always.
    #[default]
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

/// What kind of request it is: all that must be known of a request once it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Request::Get`]
    Get,
    /// [`Request::Store`]
    Store(Store),
    /// [`Request::Delete`]
    Delete,
    /// [`Request::Touch`]
    Touch,
    /// [`Request::Count`]
    Count(Way),
    /// [`Request::Version`]
    Version,
    /// [`Request::Stats`]
    Stats,
    /// [`Request::FlushAll`]
    FlushAll,
}

/// What a memcached answered to a request, errors aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// An item; its bytes are in the buffer that came with the request.
    Item(Item),
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
    /// The server's version, or its statistics as lines of `name value`, in the buffer that came
    /// with the request.
    Text,
    /// All items are removed.
    Flushed,
}

/// What a reply tells of an item besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its client flags.
    pub flags: u32,
}

impl Way {
    /// The other direction.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl Request<'_> {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        match *self {
            Self::Get { .. } => Kind::Get,
            Self::Store { store, .. } => Kind::Store(store),
            Self::Delete { .. } => Kind::Delete,
            Self::Touch { .. } => Kind::Touch,
            Self::Count { way, .. } => Kind::Count(way),
            Self::Version => Kind::Version,
            Self::Stats => Kind::Stats,
            Self::FlushAll => Kind::FlushAll,
        }
    }
}

impl Kind {
    /// The operation's name in log lines.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store(Store::Set) => "set",
            Self::Store(Store::Add) => "add",
            Self::Delete => "delete",
            Self::Touch => "touch",
            Self::Count(Way::Up) => "incr",
            Self::Count(Way::Down) => "decr",
            Self::Version => "version",
            Self::Stats => "stats",
            Self::FlushAll => "flush_all",
        }
    }

    /// True when doing it twice leaves the same state and the same answer to the script: a
    /// second count counts again, a second add reports its own first one.
    pub(crate) fn is_repeatable(self) -> bool {
        !matches!(self, Self::Store(Store::Add) | Self::Count(_))
    }
}
