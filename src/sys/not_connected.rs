//! NotConnected: why a socket was not connected.

use std::io;

/// Why a socket was not connected.
#[derive(Debug)]
pub(crate) enum NotConnected {
    /// This process could not even ask for a connection.
    Unasked(io::Error),
    /// There was no connection.
    Refused(io::Error),
}

impl From<io::Error> for NotConnected {
    fn from(error: io::Error) -> Self {
        Self::Unasked(error)
    }
}
