//! Stream: one connected byte stream to a memcached, every wait bounded by a deadline.
//!
//! Knows sockets and time, no protocol. A healthy exchange is one `send` and one `recv`: the
//! socket stays blocking and carries the operation's whole timeout as its own receive timeout, so
//! that an operation's first wait needs no further system call. Any later wait (after connecting, a
//! reply in pieces) polls for what is left of the deadline, so a dripping server cannot stretch it.

pub mod sys;

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::clock::Deadline;
use crate::error::{Down, Error, Waiting};
use crate::server::Address;

/// The least time that one address of a name is given.
const MIN_SHARE: Duration = Duration::from_millis(1);

/// A connected stream; closed when dropped.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
    /// The receive timeout that the socket carries.
    patience: Duration,
    /// True while the operation has not waited for anything: its whole time is still left, and
    /// the socket's own timeout is as good as the deadline.
    unhurried: bool,
}

impl Stream {
    /// Connects to `address`. A name is looked up by the system's resolver, which cannot be
    /// bounded; its time counts. All its addresses are tried, each within its share of what is left.
    ///
    /// # Errors
    /// [`Error::Down`] when no address could be connected, [`Error::Timeout`].
    pub fn connect(address: &Address, deadline: &Deadline) -> Result<Self, Error> {
        let socket = match address {
            Address::Tcp { host, port } => connect_tcp(host, *port, deadline)?,
            Address::Unix(path) => {
                sys::connect_unix(path.as_ref(), left(deadline, Waiting::Connect)?)
                    .map_err(not_connected)?
            }
        };
        let patience = deadline.limit();
        sys::set_receive_timeout(&socket, patience).map_err(not_connected)?;
        Ok(Self {
            socket,
            patience,
            unhurried: false,
        })
    }

    /// An operation begins whose whole time is left.
    pub fn begin(&mut self) {
        self.unhurried = true;
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`Down::Lost`] or [`Error::Timeout`]; the other side has then not got all of them.
    pub fn send(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), Error> {
        loop {
            match sys::send_now(&self.socket, bytes) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unhurried = false;
                    let time = left(deadline, Waiting::Send)?;
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
    pub fn receive(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, Error> {
        if self.patience != deadline.limit() {
            self.patience = deadline.limit();
            sys::set_receive_timeout(&self.socket, self.patience).map_err(lost)?;
        }
        loop {
            let received = if std::mem::take(&mut self.unhurried) {
                sys::receive(&self.socket, into)
            } else {
                let time = left(deadline, Waiting::Receive)?;
                sys::wait_readable(&self.socket, time)
                    .and_then(|()| sys::receive_now(&self.socket, into))
            };
            match received {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                received => return received.map_err(lost),
            }
        }
    }

    /// True when the other side has neither closed nor sent anything: what a connection between
    /// two requests has to look like.
    pub fn is_idle(&self) -> bool {
        sys::peek(&self.socket).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

fn connect_tcp(host: &str, port: u16, deadline: &Deadline) -> Result<OwnedFd, Error> {
    let unresolved = |error: io::Error| Error::Down(Down::Unresolved(error.to_string()));
    let mut addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(unresolved)?
        .collect();
    addresses.dedup();
    let mut failure = Error::Down(Down::Unresolved(format!("no address for {host}")));
    for (tried, address) in addresses.iter().enumerate() {
        let share = left(deadline, Waiting::Connect)? / (addresses.len() - tried) as u32;
        match TcpStream::connect_timeout(address, share.max(MIN_SHARE)) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(not_connected)?;
                return Ok(stream.into());
            }
            Err(error) => failure = not_connected(error),
        }
    }
    Err(failure)
}

fn left(deadline: &Deadline, waiting: Waiting) -> Result<Duration, Error> {
    deadline.remaining().ok_or(Error::Timeout(waiting))
}

fn not_connected(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::Timeout(Waiting::Connect),
        _ => Error::Down(Down::Connect(error)),
    }
}

fn lost(error: io::Error) -> Error {
    Error::Down(Down::Lost(error))
}

#[cfg(test)]
mod tests;
