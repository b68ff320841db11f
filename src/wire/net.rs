//! Stream: one connected byte stream to a memcached, every wait bounded.
//!
//! Knows sockets and time, no protocol. A healthy exchange is one `send` and one `recv`: the
//! socket stays blocking and carries the operation's first patience as its own receive timeout, so
//! that an operation's first wait needs no further system call. Any later wait (after connecting, a
//! reply in pieces) polls for what is left of the deadline, so a dripping server cannot stretch it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Down, Error, Waiting};
use crate::sys;
use crate::wire::wait_budget::Patience;

/// The least time that one target is given.
const MIN_SHARE: Duration = Duration::from_millis(1);

/// Where a server can be connected; nothing to be resolved any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// One of several of a name, and what to do once it is connected.
    Named(SocketAddr, Mark),
    /// The path of a unix socket.
    Unix(String),
}

/// How others learn which target of several was connected: a number for it, in a place for that.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    place: &'static AtomicU64,
    number: u64,
}

impl Mark {
    /// To write `number` to `place`.
    pub fn new(place: &'static AtomicU64, number: u64) -> Self {
        Self { place, number }
    }

    /// Its target was connected.
    pub fn make(self) {
        self.place.store(self.number, Ordering::Relaxed);
    }
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.place, other.place) && self.number == other.number
    }
}

impl Eq for Mark {}

impl Target {
    /// It was connected.
    pub fn mark(&self) {
        if let Self::Named(_, mark) = self {
            mark.make();
        }
    }
}

/// A connected stream; closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: OwnedFd,
    /// The receive timeout that the socket carries.
    patience: Duration,
    /// True while the operation has not waited for anything: its whole time is still left, and
    /// the socket's own timeout is as good as a clock.
    unhurried: bool,
    /// Bytes received and not yet counted.
    received: usize,
}

impl Stream {
    /// Connects to one of `targets`, tried in their order, each within its share of the time.
    ///
    /// # Errors
    /// [`Error::Down`] when none could be connected, [`Error::Timeout`].
    pub(crate) fn connect(targets: &[Target], patience: &Patience<'_>) -> Result<Self, Error> {
        let socket = connect(targets, patience)?;
        let first = patience.first();
        let set = sys::set_receive_timeout(&socket, first);
        set.map_err(|error| Error::Down(Down::Connect(error)))?;
        Ok(Self {
            socket,
            patience: first,
            unhurried: false,
            received: 0,
        })
    }

    /// An operation begins whose whole time is left.
    pub(crate) fn begin(&mut self) {
        self.unhurried = true;
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`Down::Lost`] or [`Error::Timeout`]; the other side has then not got all of them.
    pub(crate) fn send(&mut self, mut bytes: &[u8], patience: &Patience<'_>) -> Result<(), Error> {
        loop {
            match sys::send_now(&self.socket, bytes) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unhurried = false;
                    let time = patience.left(Waiting::Send)?;
                    sys::wait_writable(&self.socket, time).map_err(lost)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }

    /// Receives what is there, at least one byte, or 0 when the other side has closed.
    ///
    /// # Errors
    /// [`Down::Lost`] or [`Error::Timeout`].
    pub(crate) fn receive(
        &mut self,
        into: &mut [u8],
        patience: &Patience<'_>,
    ) -> Result<usize, Error> {
        loop {
            let received = if std::mem::take(&mut self.unhurried) {
                if self.patience != patience.first() {
                    self.patience = patience.first();
                    sys::set_receive_timeout(&self.socket, self.patience).map_err(lost)?;
                }
                sys::receive(&self.socket, into)
            } else {
                let time = patience.left(Waiting::Receive)?;
                sys::wait_readable(&self.socket, time)
                    .and_then(|()| sys::receive_now(&self.socket, into))
            };
            match received {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(lost(error)),
                Ok(received) => {
                    self.received += received;
                    return Ok(received);
                }
            }
        }
    }

    /// How many bytes it has received since the last call.
    pub(crate) fn take_received(&mut self) -> usize {
        std::mem::take(&mut self.received)
    }

    /// True when the other side has neither closed nor sent anything: what a connection between
    /// two requests has to look like.
    pub(crate) fn is_idle(&self) -> bool {
        sys::peek(&self.socket).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

fn connect(targets: &[Target], patience: &Patience<'_>) -> Result<OwnedFd, Error> {
    loop {
        let mut failure = Err(Error::Down(Down::Unresolved));
        let mut late = false;
        for (tried, target) in targets.iter().enumerate() {
            let left = patience.left(Waiting::Connect)?;
            let share = (left / (targets.len() - tried) as u32).max(MIN_SHARE);
            let connected = match target {
                Target::Unix(path) => sys::connect_unix(path.as_ref(), share),
                Target::Tcp(address) | Target::Named(address, _) => {
                    TcpStream::connect_timeout(address, share).map(|stream| {
                        // Fails on no TCP socket; without it small requests would be sent late.
                        let _ = stream.set_nodelay(true);
                        stream.into()
                    })
                }
            };
            match connected {
                Ok(socket) => {
                    target.mark();
                    return Ok(socket);
                }
                Err(error) if is_late(&error) => late = true,
                Err(error) => failure = Err(Error::Down(Down::Connect(error))),
            }
        }
        if !late {
            return failure;
        }
        // Somebody did not answer in the time there was: once more if there is more.
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn lost(error: io::Error) -> Error {
    Error::Down(Down::Lost(error))
}

#[cfg(test)]
mod tests;
