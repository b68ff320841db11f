//! A connection within TLS. All of this is cold: plain connections pay one look for it.

use super::{Connection, Open};
use crate::error::{Down, Error};
use crate::stats::Stats;
use crate::wire::protocol::Reply;
use crate::wire::wait_budget::WaitBudget;

impl Connection {
    /// Sends what the session has to send.
    ///
    /// # Errors
    /// Those of [`Connection::send`].
    #[cold]
    pub(super) fn send_sealed(&mut self, budget: &WaitBudget<'_>) -> Result<(), Error> {
        let Some(open) = &mut self.open else {
            return Err(Error::Down(Down::Closed));
        };
        match open.send_sealed(budget) {
            Ok(count) => {
                self.stats.bytes_out.add(count);
                Ok(())
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }
}

impl Open {
    /// Sends what the session has to send by TLS. Returns the number of bytes.
    #[cold]
    pub(super) fn send_sealed(&mut self, budget: &WaitBudget<'_>) -> Result<usize, Error> {
        let mut count = 0;
        while let Some(tls) = self.session.sealed()? {
            let bytes = tls.unsent();
            let len = bytes.len();
            self.stream.send(bytes, budget)?;
            tls.note_sent(len);
            count += len;
            if !self.session.has_to_send() {
                break;
            }
            budget.note_progress();
        }
        Ok(count)
    }

    /// As [`Self::receive`], by TLS.
    #[cold]
    pub(super) fn receive_sealed(
        &mut self,
        value: &mut Vec<u8>,
        budget: &WaitBudget<'_>,
        stats: &Stats,
    ) -> Result<Reply, Error> {
        loop {
            if let Some(reply) = self.session.secured_reply(value)? {
                return Ok(reply);
            }
            let Some(tls) = self.session.tls() else {
                return Err(Error::Down(Down::Closed));
            };
            match self.stream.receive(tls.room(), budget) {
                Ok(0) => return Err(self.session.closed()),
                Ok(count) => {
                    tls.received(count);
                    stats.bytes_in.add(count);
                }
                Err(error) => return Err(self.session.lost(error)),
            }
            // What belongs to TLS alone is no answer, but no stall either.
            budget.note_progress();
        }
    }
}
