//! `DeafServer` is a port at which connecting neither succeeds nor fails, as when a firewall drops
//! packets or a machine has lost its power.
//!
//! Its socket listens with room for one connection. We make that connection ourselves and leave it
//! in the queue, so the kernel drops every further SYN. On a busy machine one may only be late, so
//! that several in a row must be dropped.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::port::Port;

/// A port of `127.0.0.1` that does not answer requests to connect.
#[derive(Debug)]
pub struct DeafServer {
    _queue: Vec<TcpStream>,
    _listener: TcpListener,
    port: Port,
}

impl DeafServer {
    /// Takes a free port.
    pub fn start() -> DeafServer {
        let port = Port::free();
        let listener = TcpListener::bind(port.v4());
        let listener = listener.unwrap_or_else(|error| panic!("{}: {error}", port.v4()));
        // SAFETY: listen takes two integers, and the descriptor is open.
        let again = unsafe { libc::listen(listener.as_raw_fd(), 0) };
        assert_eq!(again, 0, "cannot shrink the queue of {}", port.v4());
        let first = TcpStream::connect(port.v4());
        let first = first.unwrap_or_else(|error| panic!("{}: {error}", port.v4()));
        let (mut queue, mut dropped) = (vec![first], 0);
        while dropped < 3 {
            match TcpStream::connect_timeout(&port.v4(), Duration::from_millis(30)) {
                Ok(stream) => {
                    queue.push(stream);
                    dropped = 0;
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => dropped += 1,
                Err(error) => panic!("{}: {error}", port.v4()),
            }
            assert!(queue.len() < 16, "{} goes on accepting", port.v4());
        }
        DeafServer {
            _queue: queue,
            _listener: listener,
            port,
        }
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }
}
