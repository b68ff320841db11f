//! Outcome: what operations have answered, and the word for each.

use crate::item::value::Found;
use crate::status::{Outcome, Status};

/// The answer to reading an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// It is there.
    Hit(Found),
    /// The near cache has it. It is over, but its server cannot be asked.
    Stale(Found),
    /// It is not there.
    Miss,
}

impl Read {
    /// What a server has answered.
    #[inline(always)]
    pub(super) fn of(found: Option<Found>) -> Self {
        found.map_or(Self::Miss, Self::Hit)
    }

    /// What was read.
    #[inline(always)]
    pub fn found(self) -> Option<Found> {
        match self {
            Self::Hit(found) | Self::Stale(found) => Some(found),
            Self::Miss => None,
        }
    }
}

/// The answer to writing an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// It was sent, and nobody waits for the answer.
    Sent,
    /// It is not stored, because of the condition in [`Store`](crate::wire::protocol::Store).
    NotStored,
    /// It is not stored, because the item has another version.
    Exists,
    /// It is not stored, because there is no item that could have that version.
    Missing,
}

impl Outcome for Written {
    fn status(&self) -> Status {
        match self {
            Self::Stored => Status::Stored,
            Self::Sent => Status::Sent,
            Self::NotStored => Status::NotStored,
            Self::Exists => Status::Exists,
            Self::Missing => Status::Miss,
        }
    }
}

impl Outcome for Read {
    fn status(&self) -> Status {
        match self {
            Self::Hit(_) => Status::Hit,
            Self::Stale(_) => Status::Stale,
            Self::Miss => Status::Miss,
        }
    }
}

/// The number after counting.
impl Outcome for Option<u64> {
    fn status(&self) -> Status {
        self.map_or(Status::Miss, |_| Status::Counted)
    }
}
