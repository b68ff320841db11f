//! Kind: what must be known of a request once it is sent: how its reply is read, and what follows if there is
//! none.

use super::{Store, Way};
use crate::sys;

/// What kind of request it is: all that must be known of a request once it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Request::Get`](super::Request::Get)
    Get,
    /// [`Request::Gets`](super::Request::Gets)
    Gets,
    /// [`Request::Store`](super::Request::Store)
    Store(Store),
    /// [`Request::Cas`](super::Request::Cas)
    Cas,
    /// [`Request::Fulfil`](super::Request::Fulfil)
    Fulfil,
    /// [`Request::Delete`](super::Request::Delete)
    Delete,
    /// [`Request::Touch`](super::Request::Touch)
    Touch,
    /// [`Request::Count`](super::Request::Count)
    Count(Way),
    /// [`Request::Version`](super::Request::Version)
    Version,
    /// [`Request::FlushAll`](super::Request::FlushAll)
    FlushAll,
    /// [`Request::Lease`](super::Request::Lease)
    Lease,
    /// [`Request::Invalidate`](super::Request::Invalidate)
    Invalidate,
    /// [`Request::GiveBack`](super::Request::GiveBack)
    GiveBack,
    /// [`Request::DeleteVersion`](super::Request::DeleteVersion)
    DeleteVersion,
    /// [`Request::CountOrCreate`](super::Request::CountOrCreate)
    CountOrCreate(Way),
    /// [`Request::GetLasting`](super::Request::GetLasting)
    GetLasting,
    /// [`Request::Inspect`](super::Request::Inspect)
    Inspect,
    /// [`Request::Look`](super::Request::Look)
    Look,
    /// [`Request::NoOp`](super::Request::NoOp)
    NoOp,
    /// [`Request::Stats`](super::Request::Stats)
    Stats,
    /// [`Request::Settings`](super::Request::Settings)
    Settings,
    /// [`Request::GetMany`](super::Request::GetMany)
    GetMany,
}

impl Kind {
    /// The operation's name in log lines.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Get | Self::GetMany | Self::GetLasting | Self::Inspect | Self::Look => "get",
            Self::Gets => "gets",
            Self::Cas => "cas",
            Self::Store(Store::Set) | Self::Fulfil => "set",
            Self::Store(Store::Add) => "add",
            Self::Store(Store::Replace) => "replace",
            Self::Store(Store::Append) => "append",
            Self::Store(Store::Prepend) => "prepend",
            Self::Delete | Self::DeleteVersion => "delete",
            Self::Touch => "touch",
            Self::Lease => "lease",
            Self::Invalidate | Self::GiveBack => "invalidate",
            Self::Count(Way::Up) | Self::CountOrCreate(Way::Up) => "incr",
            Self::Count(Way::Down) | Self::CountOrCreate(Way::Down) => "decr",
            Self::NoOp => "mn",
            Self::Version => "version",
            Self::Stats => "stats",
            Self::Settings => "stats settings",
            Self::FlushAll => "flush_all",
        }
    }

    /// True when doing it twice leaves the same state: a second count counts again. The answer of the second one
    /// must not mislead, as that of a second add does, which reports its own first one. (A second delete may find
    /// nothing, because the first one has removed it: it is gone in any case. A second lease may tell that somebody
    /// else has it: the first one. Then nobody computes until the time of the lease is over, and nothing is harmed.)
    /// A server that hangs up after the meta command that does nothing does so again.
    pub(crate) fn is_repeatable(self) -> bool {
        match self {
            Self::Get
            | Self::GetMany
            | Self::Gets
            | Self::GetLasting
            | Self::Inspect
            | Self::Look
            | Self::Lease
            | Self::Store(Store::Set | Store::Replace)
            | Self::Delete
            | Self::DeleteVersion
            | Self::Invalidate
            | Self::GiveBack
            | Self::Touch
            | Self::Version
            | Self::Stats
            | Self::Settings
            | Self::FlushAll => true,
            Self::Store(Store::Add | Store::Append | Store::Prepend) | Self::Cas => {
                sys::planted("additions are repeated")
            }
            Self::Count(_) | Self::CountOrCreate(_) => sys::planted("counts are repeated"),
            Self::Fulfil | Self::NoOp => false,
        }
    }

    /// True when an item that is not there is as it is to be.
    pub(crate) fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteVersion | Self::Invalidate)
    }

    /// True for the classic requests about items, whose replies are lines and at most one value.
    #[inline(always)]
    pub(crate) fn is_classic(self) -> bool {
        !matches!(
            self,
            Self::GetMany
                | Self::Lease
                | Self::Invalidate
                | Self::GiveBack
                | Self::DeleteVersion
                | Self::CountOrCreate(_)
                | Self::GetLasting
                | Self::Inspect
                | Self::Look
                | Self::NoOp
                | Self::Stats
                | Self::Settings
        )
    }

    /// True when it may only be sent on the connection that is open. A server that was restarted counts
    /// versions from the beginning, so one that a lease was given with may be another item's.
    pub(crate) fn is_bound(self) -> bool {
        self == Self::Fulfil && !sys::planted("leases outlive their connection")
    }

    /// True when it changes what is stored.
    pub(crate) fn writes(self) -> bool {
        match self {
            Self::Get
            | Self::GetMany
            | Self::Gets
            | Self::GetLasting
            | Self::Inspect
            | Self::Look
            | Self::Lease
            | Self::NoOp
            | Self::Version
            | Self::Stats
            | Self::Settings => false,
            Self::Store(_)
            | Self::Cas
            | Self::Fulfil
            | Self::Invalidate
            | Self::GiveBack
            | Self::Delete
            | Self::DeleteVersion
            | Self::Touch
            | Self::Count(_)
            | Self::CountOrCreate(_)
            | Self::FlushAll => true,
        }
    }

    /// True when its outcome depends on what is stored, so that one server alone is to decide about it.
    pub(crate) fn is_decided(self) -> bool {
        matches!(
            self,
            Self::Store(Store::Add | Store::Replace) | Self::Cas | Self::Fulfil
        )
    }

    /// True when a value follows the first line of the request.
    pub(crate) fn has_value(self) -> bool {
        matches!(self, Self::Store(_) | Self::Cas | Self::Fulfil)
    }

    /// True when the request counts.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Count(_) | Self::CountOrCreate(_))
    }
}
