//! Dial: how a connection gets to its server. The pool knows the addresses, the wire does not.

use super::access::Access;
use super::net::Stream;
use super::polled::Polled;
use super::wait_budget::WaitBudget;
use crate::error::Error;
use crate::item::key::WireKey;

/// The way to one server.
pub(crate) trait Dial {
    /// Connects, within the budget.
    ///
    /// # Errors
    /// [`Error::Down`], [`Error::Timeout`]
    fn connect(&self, budget: &WaitBudget<'_>) -> Result<Stream, Error>;

    /// Begins to connect, without waiting.
    ///
    /// # Errors
    /// [`Error::Down`]
    fn begin(&self) -> Result<Polled, Error>;

    /// A key to ask the server for, only to see that it answers. It is the same one until that was not
    /// answered: behind a proxy the server of one key may be stuck.
    fn question(&self) -> WireKey;

    /// What the server requires of a new connection.
    fn access(&self) -> &Access;

    /// A stream was connected, by either way: what it still needs.
    fn prepare(&self, stream: &mut Stream);

    /// The server has shown certificates, the first of which ends then, in seconds of Unix time.
    fn note_certificates(&self, end: i64);

    /// The server has answered something else than the operation.
    fn note_answer(&self);

    /// The server has not answered the question.
    fn note_silence(&self);
}
