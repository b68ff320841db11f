//! Removal: an item is removed if it has certain flags, and stays if somebody has written another one meanwhile.
//!
//! Its server is asked for its flags and its version, and removes it if it still has that version. One that speaks no
//! meta commands sends the value, too, and is then given an item in its place whose lifetime is over: that can be done
//! on a condition everywhere. Where an item has several copies, each of them has a version of its own.

use super::Pool;
use super::member::Member;
use super::route::{Task, Wanted};
use crate::clock::Deadline;
use crate::config::Settings;
use crate::error::Error;
use crate::item::key::WireKey;
use crate::item::lifetime::PAST;
use crate::wire::protocol::{Kind, Reply, Request};

/// To remove an item that has these flags.
struct Removal<'a> {
    key: &'a WireKey,
    flags: u32,
}

impl Pool {
    /// Removes an item if it has these flags. The reply is [`Reply::Deleted`], or [`Reply::Miss`] if there is none with
    /// these flags.
    ///
    /// # Errors
    /// Those of [`Self::route`].
    #[cold]
    pub(crate) fn remove_with_flags(
        &mut self,
        deadline: &Deadline,
        (key, hash): Wanted<'_>,
        flags: u32,
    ) -> Result<Reply, Error> {
        self.route_task(deadline, key, hash, &mut Removal { key, flags })
    }
}

impl Task for Removal<'_> {
    fn kind(&self) -> Kind {
        Kind::Delete
    }

    fn attempt(
        &mut self,
        member: &mut Member,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let Self { key, flags } = *self;
        let request = match member.look(key, deadline, settings)? {
            Reply::Leased(item, version, _) if item.flags == flags => {
                Request::DeleteVersion { key, version }
            }
            Reply::Versioned(item, version) if item.flags == flags => Request::Cas {
                key,
                flags: 0,
                lifetime: PAST,
                version,
                value: b"",
            },
            _ => return Ok(Reply::Miss),
        };
        let removed = member.attempt_within(deadline, &request, &mut Vec::new(), settings)?;
        Ok(match removed {
            Reply::Deleted | Reply::Stored => Reply::Deleted,
            _ => Reply::Miss,
        })
    }
}

impl Member {
    /// Asks for the flags and the version of an item.
    fn look(
        &mut self,
        key: &WireKey,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let bytes = &mut Vec::new();
        match self.attempt_meta(deadline, &Request::Look { key }, bytes, settings)? {
            Some(reply) => Ok(reply),
            None => self.attempt_within(deadline, &Request::Gets { key }, bytes, settings),
        }
    }
}
