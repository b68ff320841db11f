//! Requests ahead: what a connection is asked without anybody waiting for it. Nothing here waits.

use super::{Connection, IDLE, Open};
use crate::clock::Moment;
use crate::error::{Down, Error};
use crate::sys;
use crate::wire::dial::Dial;
use crate::wire::net::Stream;
use crate::wire::polled::Polled;
use crate::wire::protocol::{Reply, Request};
use crate::wire::session::Session;
use crate::wire::wait_budget::WaitBudget;

impl Connection {
    /// True if a request can be added: this process has opened it, and the server has not closed it.
    pub(crate) fn takes_more(&self, now: Moment) -> bool {
        let usable = |open: &Open| match open.session.is_idle() {
            true => open.is_usable(now),
            false => open.process == sys::process(),
        };
        self.open.as_ref().is_some_and(usable)
    }

    /// True if it was not used for a moment: the server may have closed it meanwhile.
    pub(crate) fn was_idle(&self, now: Moment) -> bool {
        let idle = |open: &Open| now >= open.last_used + IDLE;
        self.open.as_ref().is_some_and(idle)
    }

    /// Takes a connection that was opened elsewhere, and asked nothing, in place of its own.
    ///
    /// # Errors
    /// [`Error::Down`]; those of [`Polled::reply`].
    pub(crate) fn take(
        &mut self,
        mut polled: Polled,
        budget: &WaitBudget<'_>,
        dial: &impl Dial,
    ) -> Result<(), Error> {
        // What has come already would be taken for the first reply.
        polled.reply()?;
        let (stream, session) = polled.into_parts(budget)?;
        self.adopt(stream, session, budget.start(), dial);
        self.opened = Some(Moment::now());
        Ok(())
    }

    pub(super) fn adopt(
        &mut self,
        mut stream: Stream,
        session: Session,
        last_used: Moment,
        dial: &impl Dial,
    ) {
        dial.prepare(&mut stream);
        if let Some(end) = session.certificates_end() {
            dial.note_certificates(end);
        }
        self.note_opened();
        self.silent = None;
        self.open = Some(Open {
            stream,
            session,
            process: sys::process(),
            last_used,
        });
    }

    /// Adds a request to what is to be sent. Its reply is owed from then on. Returns its length in bytes.
    ///
    /// # Errors
    /// [`Refusal::Memory`](crate::error::Refusal::Memory); [`Down::Closed`] without a connection.
    pub(crate) fn add(&mut self, request: &Request<'_>) -> Result<usize, Error> {
        let open = self.open.as_mut().ok_or(Error::Down(Down::Closed))?;
        let before = open.session.unsent().len();
        open.session.request(request)?;
        Ok(open.session.unsent().len() - before)
    }

    /// True while something that was added is not sent.
    pub(crate) fn has_unsent(&self) -> bool {
        let unsent = |open: &Open| open.session.has_to_send();
        self.open.as_ref().is_some_and(unsent)
    }

    /// Sends what it can of what was added. True if that is all.
    ///
    /// # Errors
    /// [`Error::Down`]: the connection is of no use any more.
    pub(crate) fn send_added(&mut self, now: Moment) -> Result<bool, Error> {
        let Open {
            stream,
            session,
            last_used,
            ..
        } = self.open.as_mut().ok_or(Error::Down(Down::Closed))?;
        if session.has_to_send() {
            let count = match session.sealed()? {
                Some(tls) => {
                    let count = stream.send_now(tls.unsent())?;
                    tls.note_sent(count);
                    count
                }
                None => {
                    let count = stream.send_now(session.unsent())?;
                    session.note_sent(count);
                    count
                }
            };
            self.stats.bytes_out.add(count);
            *last_used = now;
        }
        Ok(!session.has_to_send())
    }

    /// Sends what it can, and receives what is there. A value's bytes go into `value`.
    ///
    /// # Errors
    /// [`Error::Down`], [`Error::Garbled`]: the connection is of no use any more.
    pub(crate) fn go_on(&mut self, value: &mut Vec<u8>, now: Moment) -> Result<(), Error> {
        self.send_added(now)?;
        let Open {
            stream, session, ..
        } = self.open.as_mut().ok_or(Error::Down(Down::Closed))?;
        let received = match session.tls() {
            Some(tls) => stream.receive_now(tls.room()),
            None => stream.receive_now(session.room(value)),
        };
        let count = received
            .as_ref()
            .map_or(0, |count| count.unwrap_or_default());
        match session.tls() {
            Some(tls) => tls.received(count),
            None => session.received(count, value),
        }
        self.stats.bytes_in.add(count);
        match received {
            Ok(Some(0)) => Err(session.closed()),
            Ok(_) => Ok(()),
            Err(error) => Err(session.lost(error)),
        }
    }

    /// The reply that is owed first, if it has arrived.
    ///
    /// # Errors
    /// As [`Session::reply`].
    pub(crate) fn next_reply(&mut self, value: &mut Vec<u8>) -> Result<Option<Reply>, Error> {
        let open = self.open.as_mut().ok_or(Error::Down(Down::Closed))?;
        match open.session.is_secured() {
            true => open.session.secured_reply(value),
            false => open.session.reply(value),
        }
    }

    /// True if it is fit for nothing more: the last reply could not be read to its end, or the server has
    /// answered what it has not got yet.
    pub(crate) fn is_broken(&self) -> bool {
        self.open.as_ref().is_none_or(|open| !open.session.is_fit())
    }

    /// Nothing has come on it for the stall limit: it is closed. An operation that has waited for it goes
    /// on with a second look.
    pub(crate) fn close_silent(&mut self) {
        self.close();
        self.silent = Some(Moment::now());
    }

    /// True if the last one was closed by [`Self::close_silent`], and not before that moment.
    pub(crate) fn was_silent_since(&self, start: Moment) -> bool {
        self.silent.is_some_and(|at| at >= start)
    }

    fn for_waiting(&self) -> Option<(&sys::Socket, bool)> {
        let open = self.open.as_ref()?;
        Some((open.stream.socket(), open.session.has_to_send()))
    }
}

/// Waits, `time` at most, until any of these connections can go on; tells for each whether it can.
pub(crate) fn wait_for_any(connections: &[&Connection], time: std::time::Duration) -> Vec<bool> {
    let sockets = connections.iter().filter_map(|it| it.for_waiting());
    let sockets: Vec<_> = sockets.collect();
    let ready = match sockets.len() == connections.len() {
        true => sys::wait_any(&sockets, time).ok(),
        false => None,
    };
    // If the kernel does not tell, all of them look for themselves.
    ready.unwrap_or_else(|| vec![true; connections.len()])
}
