//! Inspection: an item is read with what only meta commands tell of it, where its server speaks them.

use super::member::Member;
use crate::clock::Deadline;
use crate::config::Settings;
use crate::error::Error;
use crate::item::key::WireKey;
use crate::item::lifetime::Lifetime;
use crate::wire::protocol::{Reply, Request, Usage};

/// What to inspect.
#[derive(Debug)]
pub(super) struct Inspection<'a> {
    /// The key.
    pub(super) key: &'a WireKey,
    /// The request that asks for it by meta commands.
    pub(super) request: Request<'a>,
    /// Gets the bytes of the value.
    pub(super) value: &'a mut Vec<u8>,
}

impl Member {
    /// Inspects an item. The reply is that to its request, [`Reply::Item`] where the server speaks no meta
    /// commands, or [`Reply::Miss`].
    ///
    /// # Errors
    /// Those of [`Self::attempt`].
    #[inline(never)]
    pub(super) fn inspect(
        &mut self,
        inspection: &mut Inspection<'_>,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let Inspection {
            key,
            request,
            value,
        } = inspection;
        match self.attempt_meta(deadline, request, value, settings)? {
            Some(reply) => {
                self.give_back(key, &reply, deadline, settings);
                Ok(reply)
            }
            None => self.attempt_within(deadline, &Request::Get { key }, value, settings),
        }
    }

    /// Whoever reads an item that is out of date by a meta command gets its lease, if nobody has it. Who
    /// computes nothing marks it as out of date once more: the next one has the lease. What somebody has stored
    /// meanwhile is not marked: so the item is looked at, and marked only if it still has the version that was seen.
    /// (Every reply to a read would be longer if it told the version, too.)
    fn give_back(
        &mut self,
        key: &WireKey,
        reply: &Reply,
        deadline: &Deadline,
        settings: &Settings,
    ) {
        let left = match reply {
            Reply::Inspected(_, usage, lease) if lease.is_ours => usage.left,
            Reply::Lasting(_, left, lease) if lease.is_ours => *left,
            _ => return,
        };
        let lifetime = match left {
            Usage::FOR_EVER => 0,
            // 0 = for ever.
            seconds => Lifetime::from(seconds.max(1)).on_wire(),
        };
        let look = Request::Look { key };
        let looked = self.attempt_within(deadline, &look, &mut Vec::new(), settings);
        if let Ok(Reply::Leased(_, version, lease)) = looked
            && lease.is_stale
        {
            let request = Request::GiveBack {
                key,
                lifetime,
                version,
            };
            // If that fails, it is computed when its time is over.
            let _ = self.attempt_within(deadline, &request, &mut Vec::new(), settings);
        }
    }
}
