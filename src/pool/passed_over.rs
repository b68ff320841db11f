//! PassedOver: a server that others take a write for, because it cannot be asked.
//!
//! It makes up for the write before it is asked again, and so that is noted before the write is done. If it has returned
//! before the write was done, it may have [got back](super::stand_in) what was there before that, and makes up for the
//! write once more.

use super::Pool;
use crate::clock::Moment;
use crate::item::key::WireKey;
use crate::server::Address;

/// One server that a write passes over.
pub(super) struct PassedOver {
    /// Its index.
    pub(super) at: usize,
    /// When it had returned last.
    returned: Option<Moment>,
}

impl Pool {
    /// A write to `key` is about to pass over this server.
    pub(super) fn pass_over(&self, at: usize, key: &WireKey) -> PassedOver {
        let returned = self.members[at].health().returned();
        self.members[at].note_missed(key, &self.settings);
        PassedOver { at, returned }
    }

    /// Others have done the write.
    pub(super) fn note_passed_over(&self, key: &WireKey, servers: &[PassedOver]) {
        if self.settings.miss_failover.is_zero() {
            return;
        }
        for PassedOver { at, returned } in servers {
            let member = &self.members[*at];
            if member.health().returned() != *returned {
                member.note_missed(key, &self.settings);
            }
        }
    }

    /// A server, if it is still in the list, makes up for a write to `key` that could not be done there.
    #[cold]
    pub(crate) fn note_missed_at(&self, server: &Address, key: &WireKey) {
        let mut members = self.members.iter();
        if let Some(member) = members.find(|it| it.spec().address == *server) {
            member.note_missed(key, &self.settings);
        }
    }
}
