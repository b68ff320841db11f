//! Open: a connection while it is open.

use super::IDLE;
use crate::clock::Moment;
use crate::error::Error;
use crate::stats::Stats;
use crate::sys;
use crate::wire::net::Stream;
use crate::wire::protocol::Reply;
use crate::wire::session::Session;
use crate::wire::wait_budget::WaitBudget;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) stream: Stream,
    pub(super) session: Session,
    /// The process that opened it, as [`sys::process`] tells them apart.
    pub(super) process: u32,
    pub(super) last_used: Moment,
}

impl Open {
    /// It is about to be closed, and if it owes a reply, nobody waits for that any more. A connection of the process
    /// from before a fork is that one's.
    #[cold]
    pub(super) fn abandon(&self) {
        if !self.session.is_idle() && self.process == sys::process() {
            self.stream.abandon();
        }
    }

    /// True when this process has opened it, it owes no reply, and the server has neither closed it
    /// nor sent anything.
    #[inline(always)]
    pub(super) fn is_usable(&self, now: Moment) -> bool {
        self.process == sys::process()
            && (self.session.is_idle() || sys::planted("connections that owe a reply are used"))
            && (now < self.last_used + IDLE
                || self.stream.is_idle()
                || sys::planted("nobody looks whether a connection was closed"))
    }

    #[inline(always)]
    pub(super) fn receive(
        &mut self,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        stats: &Stats,
    ) -> Result<Reply, Error> {
        let session = &mut self.session;
        if session.is_secured() {
            return self.receive_sealed(value, budget, stats);
        }
        if session.has_input()
            && let Some(reply) = session.reply(value)?
        {
            return Ok(reply);
        }
        loop {
            match self.stream.receive(session.room(value), budget) {
                Ok(count @ 1..) => {
                    session.received(count, value);
                    stats.bytes_in.add(count);
                }
                ended => {
                    session.received(0, value);
                    return Err(match ended {
                        Err(error) => session.lost(error),
                        Ok(_) => session.closed(),
                    });
                }
            }
            if let Some(reply) = session.reply(value)? {
                return Ok(reply);
            }
            budget.note_progress();
        }
    }
}
