//! The vocabulary between this client and a memcached: requests, and what is answered to them.
//!
//! [`framing`] cuts received bytes into lines and value blocks. Two dialects, [`text`] and [`meta`],
//! write requests and read their replies; nothing else knows a protocol word. Keys are [`WireKey`]s and
//! lengths are checked before they come here, so a request can say nothing but what it means.
//! Source of the words: memcached's `doc/protocol.txt`.

pub(crate) mod credentials;
pub(crate) mod framing;
mod kind;
mod many;
pub(crate) mod meta;
mod refusal;
pub(crate) mod text;

use crate::item::key::WireKey;

pub use kind::Kind;
#[cfg(feature = "tls")]
pub(super) use refusal::printable;

/// The longest value that is sent or read, in bytes: the largest item that memcached can be
/// set to hold (`-I 1g`; its default is 1 MiB).
pub(crate) const MAX_VALUE: usize = 1 << 30;

/// The version that a server tells that keeps none: nothing can be written on the condition of it.
pub(crate) const NO_VERSION: u64 = 0;

/// What a memcached is asked to do. Flags are memcached's client flags; a lifetime is as the wire
/// has it, see [`Lifetime::on_wire`](crate::item::lifetime::Lifetime::on_wire).
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// Read an item.
    Get { key: &'a WireKey },
    /// Read these items at the same time.
    GetMany { keys: &'a [&'a WireKey] },
    /// Read an item and its version.
    Gets { key: &'a WireKey },
    /// Write an item.
    Store {
        store: Store,
        key: &'a WireKey,
        flags: u32,
        lifetime: u32,
        value: &'a [u8],
    },
    /// Write an item if it still has that version.
    Cas {
        key: &'a WireKey,
        flags: u32,
        lifetime: u32,
        version: u64,
        value: &'a [u8],
    },
    /// The same for which this very connection was given a [`Lease`]: it is sent on no other one.
    Fulfil {
        key: &'a WireKey,
        flags: u32,
        lifetime: u32,
        version: u64,
        value: &'a [u8],
    },
    /// Read an item, and who is to compute it anew. Where nothing is stored, an empty item is stored for
    /// `time` seconds, and who stores it has the lease. Who reads an item first in the last `early` seconds
    /// of its lifetime has it, too; 0 = nobody. Only servers that speak meta commands can do it.
    Lease {
        key: &'a WireKey,
        time: u32,
        early: u32,
    },
    /// Mark an item as out of date, and give it this lifetime. Who reads it next by [`Self::Lease`] has the
    /// lease. Only servers that speak meta commands can do it.
    Invalidate { key: &'a WireKey, lifetime: u32 },
    /// The same if the item still has that version.
    GiveBack {
        key: &'a WireKey,
        lifetime: u32,
        version: u64,
    },
    /// Remove an item.
    Delete { key: &'a WireKey },
    /// Remove an item if it still has that version. Only servers that speak meta commands can do it.
    DeleteVersion { key: &'a WireKey, version: u64 },
    /// Change an item's lifetime.
    Touch { key: &'a WireKey, lifetime: u32 },
    /// Count an item up or down; down stops at 0, up wraps at 2^64.
    Count { way: Way, key: &'a WireKey, by: u64 },
    /// The same; where nothing is stored, `initial` is stored for this lifetime, in the same step. Only
    /// servers that speak meta commands can do it.
    CountOrCreate {
        way: Way,
        key: &'a WireKey,
        by: u64,
        initial: u64,
        lifetime: u32,
    },
    /// Read an item, and how long it still lasts. Only servers that speak meta commands can tell.
    GetLasting { key: &'a WireKey },
    /// Read an item, and how it is used, without using it. Only servers that speak meta commands can tell.
    Inspect { key: &'a WireKey },
    /// Tell the version of an item, and who is to compute it anew, without its value. Only servers that speak
    /// meta commands can do it.
    Look { key: &'a WireKey },
    /// Nothing: the answer tells that the server speaks meta commands.
    NoOp,
    /// Tell the version of the server.
    Version,
    /// Tell the general statistics of the server.
    Stats,
    /// Tell the settings of the server.
    Settings,
    /// Remove all items.
    FlushAll,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// Always.
    #[default]
    Set,
    /// Only where nothing is stored.
    Add,
    /// Only where something is stored.
    Replace,
    /// Behind what is stored, if something is. Flags and lifetime stay.
    Append,
    /// Before what is stored, if something is. Flags and lifetime stay.
    Prepend,
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
    Item(Item),
    /// The same of [`Request::Gets`], and its version.
    Versioned(Item, u64),
    /// The same of [`Request::GetLasting`], the seconds that it lasts, or [`Usage::FOR_EVER`], and who is to
    /// compute it anew. If that is who has asked, the lease is to be given back.
    Lasting(Item, u32, Lease),
    /// The same of [`Request::Inspect`], how it is used, and the same of the lease.
    Inspected(Item, Usage, Lease),
    /// The same of [`Request::Lease`], its version, and who is to compute it anew; of [`Request::Look`] without
    /// the bytes.
    Leased(Item, u64, Lease),
    /// One of the items of [`Request::GetMany`], and its place among them. Others may follow, and then
    /// [`Self::Miss`] for all the rest.
    OneOf(Item, usize),
    /// The key is not there.
    Miss,
    /// Written.
    Stored,
    /// Not written, because of the condition in [`Store`].
    NotStored,
    /// Not written, because it has another version.
    Exists,
    /// Removed.
    Deleted,
    /// Lifetime changed.
    Touched,
    /// The number after counting.
    Counted(u64),
    /// The server's version, or its statistics or settings as lines of `name value`, in the buffer that
    /// came with the request.
    Text,
    /// All items are removed.
    Flushed,
    /// The answer to nothing.
    NoOp,
}

/// What a reply tells of an item besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its client flags.
    pub flags: u32,
}

/// How an item is used, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What is left of its lifetime; [`Self::FOR_EVER`] if that has no end.
    pub left: u32,
    /// How long ago it was used last.
    pub unused: u32,
}

/// Who is to compute an item anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// Who has asked: it has the lease.
    pub is_ours: bool,
    /// Somebody else, who has asked earlier.
    pub is_others: bool,
    /// The item is out of date.
    pub is_stale: bool,
}

impl Usage {
    /// A lifetime without end.
    pub const FOR_EVER: u32 = u32::MAX;
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
            Self::GetMany { .. } => Kind::GetMany,
            Self::Gets { .. } => Kind::Gets,
            Self::Cas { .. } => Kind::Cas,
            Self::Fulfil { .. } => Kind::Fulfil,
            Self::Lease { .. } => Kind::Lease,
            Self::Invalidate { .. } => Kind::Invalidate,
            Self::GiveBack { .. } => Kind::GiveBack,
            Self::Store { store, .. } => Kind::Store(store),
            Self::Delete { .. } => Kind::Delete,
            Self::DeleteVersion { .. } => Kind::DeleteVersion,
            Self::Touch { .. } => Kind::Touch,
            Self::Count { way, .. } => Kind::Count(way),
            Self::CountOrCreate { way, .. } => Kind::CountOrCreate(way),
            Self::GetLasting { .. } => Kind::GetLasting,
            Self::Inspect { .. } => Kind::Inspect,
            Self::Look { .. } => Kind::Look,
            Self::NoOp => Kind::NoOp,
            Self::Version => Kind::Version,
            Self::Stats => Kind::Stats,
            Self::Settings => Kind::Settings,
            Self::FlushAll => Kind::FlushAll,
        }
    }
}

impl<'a> Request<'a> {
    /// The value in it; empty if it has none.
    pub(crate) fn value(&self) -> &'a [u8] {
        match *self {
            Self::Store { value, .. } | Self::Cas { value, .. } | Self::Fulfil { value, .. } => {
                value
            }
            _ => &[],
        }
    }

    /// The same write without a condition.
    pub(crate) fn plain_write(&self) -> Option<Request<'a>> {
        match *self {
            Request::Store {
                store: Store::Add | Store::Replace,
                key,
                flags,
                lifetime,
                value,
            }
            | Request::Cas {
                key,
                flags,
                lifetime,
                value,
                ..
            }
            | Request::Fulfil {
                key,
                flags,
                lifetime,
                value,
                ..
            } => Some(Request::Store {
                store: Store::Set,
                key,
                flags,
                lifetime,
                value,
            }),
            _ => None,
        }
    }

    /// The key that it is about.
    pub(crate) fn key(&self) -> Option<&'a WireKey> {
        match *self {
            Self::Get { key }
            | Self::Gets { key }
            | Self::Store { key, .. }
            | Self::Cas { key, .. }
            | Self::Fulfil { key, .. }
            | Self::Lease { key, .. }
            | Self::Invalidate { key, .. }
            | Self::GiveBack { key, .. }
            | Self::Delete { key }
            | Self::DeleteVersion { key, .. }
            | Self::Touch { key, .. }
            | Self::Count { key, .. }
            | Self::CountOrCreate { key, .. }
            | Self::GetLasting { key }
            | Self::Inspect { key }
            | Self::Look { key } => Some(key),
            Self::GetMany { .. }
            | Self::NoOp
            | Self::Version
            | Self::Stats
            | Self::Settings
            | Self::FlushAll => None,
        }
    }
}

/// For log lines: `get of key 'k'`.
impl std::fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = self.kind().verb();
        match self.key() {
            Some(key) => write!(f, "{verb} of key '{key}'"),
            None => f.write_str(verb),
        }
    }
}
