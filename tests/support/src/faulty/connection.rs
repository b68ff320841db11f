//! `Connection` is what a faulty server can do with one of its connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::wait;

/// A connection, seen from the server.
///
/// Every method fails if the client has gone or the server is dropped, so a closure can use `?`
/// everywhere.
#[derive(Debug)]
pub struct Connection {
    number: usize,
    socket: Arc<TcpStream>,
    unread: Vec<u8>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Returns `None` if the server ends.
    pub(super) fn new(stream: TcpStream, shared: &Arc<Shared>) -> Option<Connection> {
        let socket = Arc::new(stream);
        // Every byte of a drip must leave by itself.
        let _ = socket.set_nodelay(true);
        let mut state = shared.lock();
        if state.ends {
            return None;
        }
        let number = state.received.len();
        state.received.push(Vec::new());
        state.sent.push(Vec::new());
        state.sockets.push(Arc::downgrade(&socket));
        Some(Connection {
            number,
            socket,
            unread: Vec::new(),
            shared: Arc::clone(shared),
        })
    }

    /// The same connection, for a second thread.
    pub fn twin(&self) -> Connection {
        Connection {
            number: self.number,
            socket: Arc::clone(&self.socket),
            unread: Vec::new(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Its number in the order of arrival. The first one has 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Reads up to the next line feed, including it.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                return Ok(self.unread.drain(..=end).collect());
            }
            self.fill()?;
        }
    }

    /// Reads exactly `count` bytes.
    pub fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.fill()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Reads one request of the memcached protocol: its line, and its data block if it has one.
    pub fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut request = self.line()?;
        let text = String::from_utf8_lossy(&request).into_owned();
        let words: Vec<&str> = text.split_whitespace().collect();
        let size = match words[..] {
            [
                "set" | "add" | "replace" | "append" | "prepend" | "cas",
                _,
                _,
                _,
                size,
                ..,
            ] => size,
            ["ms", _, size, ..] => size,
            _ => return Ok(request),
        };
        if let Ok(size) = size.parse::<usize>() {
            request.extend(self.read(size + 2)?);
        }
        Ok(request)
    }

    /// Reads what arrives next, at least one byte.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        // They are recorded first, so that a client that has received them can rely on the record.
        self.shared.lock().sent[self.number].extend_from_slice(bytes);
        (&*self.socket).write_all(bytes)
    }

    /// Sends bytes one by one, with a pause before each.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) -> io::Result<()> {
        for byte in bytes.as_ref() {
            self.wait(pause)?;
            self.send([*byte])?;
        }
        Ok(())
    }

    /// Does nothing for `time`.
    pub fn wait(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        while !state.ends {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.shared.ending.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(ErrorKind::BrokenPipe.into())
    }

    /// Reads everything and never answers, until the client goes.
    pub fn silence(&mut self) -> io::Result<()> {
        loop {
            self.some()?;
        }
    }

    /// Ends the connection with a reset. Afterwards it cannot be used.
    pub fn reset(&mut self) -> io::Result<()> {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the descriptor is open as long as `socket` lives. The option is passed with its
        // size, as the structure that SO_LINGER expects.
        let set = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            )
        };
        match set {
            // The error keeps the caller from closing the connection in the normal way.
            0 => Err(ErrorKind::ConnectionReset.into()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Closes the connection in both directions, even if there are unread bytes.
    pub fn hang_up(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Both)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut part = [0; 16384];
        let size = wait::uninterrupted(|| (&*self.socket).read(&mut part))?;
        if size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&part[..size]);
        self.shared.lock().received[self.number].extend_from_slice(&part[..size]);
        Ok(())
    }

    /// Reads what has arrived. If unread bytes were left, closing would be a reset.
    pub(super) fn drain(&mut self) {
        if self.socket.set_nonblocking(true).is_ok() {
            while self.fill().is_ok() {}
        }
    }
}
