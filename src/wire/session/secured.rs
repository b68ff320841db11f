//! A session within TLS. Its driver sends and receives encrypted bytes in place of the session's own.

use super::{SURPLUS, Session};
use crate::error::Error;
use crate::wire::protocol::Reply;
use crate::wire::tls::Tls;

/// How much of a request is encrypted at once: three records. So there is no further copy of a long value.
const PIECE: usize = 3 * 16 * 1024;

impl Session {
    /// Whether its bytes go through TLS.
    #[inline(always)]
    pub(in crate::wire) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// True until both sides have agreed on TLS, if there is any.
    pub(in crate::wire) fn is_opening(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_opening())
    }

    /// When the first of the certificates ends that the server has shown, in seconds of Unix time.
    pub(in crate::wire) fn certificates_end(&self) -> Option<i64> {
        self.tls.as_ref()?.certificates_end()
    }

    /// True if it has bytes to be sent.
    pub(in crate::wire) fn has_to_send(&self) -> bool {
        let has_plain = !self.unsent().is_empty();
        match &self.tls {
            None => has_plain,
            Some(tls) => tls.has_to_send() || has_plain && !tls.is_opening(),
        }
    }

    /// The encrypted bytes to be sent, and TLS, which is told how many of them were. A long request is encrypted
    /// piece by piece: then [there is more to send](Self::has_to_send) afterwards.
    ///
    /// # Errors
    /// [`Error::Garbled`]
    #[cold]
    pub(in crate::wire) fn sealed(&mut self) -> Result<Option<&mut Tls>, Error> {
        let Some(tls) = &mut self.tls else {
            return Ok(None);
        };
        if !tls.is_opening() && self.sent < self.output.len() && tls.unsent().len() < PIECE {
            let end = self.output.len().min(self.sent + PIECE);
            tls.write(&self.output[self.sent..end])?;
            self.sent = end;
        }
        Ok(Some(tls))
    }

    /// TLS, if there is any.
    pub(in crate::wire) fn tls(&mut self) -> Option<&mut Tls> {
        self.tls.as_deref_mut()
    }

    /// As [`Self::reply`], from what has arrived by TLS.
    ///
    /// # Errors
    /// Those of [`Self::reply`]; [`Error::Denied`]
    #[cold]
    pub(in crate::wire) fn secured_reply(
        &mut self,
        value: &mut Vec<u8>,
    ) -> Result<Option<Reply>, Error> {
        loop {
            if self.has_input() {
                let reply = self.reply(value);
                if self.is_idle() && self.tls().is_some_and(Tls::has_surplus) {
                    self.is_broken = true;
                    return Err(SURPLUS);
                }
                if !matches!(reply, Ok(None)) {
                    return reply;
                }
            }
            let Some(tls) = &mut self.tls else {
                return Ok(None);
            };
            let read = tls.read(self.input.room(value));
            let count = read.as_ref().map_or(0, |&count| count);
            self.input.received(count, value);
            if read.map_err(|error| self.lost(error))? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests;
