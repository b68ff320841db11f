//! Where a memcached listens: how the server is told, and how a client gets there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::Host;
use crate::port::Port;

/// A place to listen at.
#[derive(Debug)]
pub(super) enum Listen {
    V4(Port),
    V6(Port),
    Unix(PathBuf),
}

/// What a connection can do.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Listen {
    /// As a server list takes it, in the host that Kamailio runs in.
    pub(super) fn address(&self) -> String {
        match self {
            Listen::V4(port) => port.v4().to_string(),
            Listen::V6(port) => port.v6().to_string(),
            Listen::Unix(path) => Host::current().inside(path).display().to_string(),
        }
    }

    /// The arguments of memcached.
    pub(super) fn args(&self) -> Vec<String> {
        let words = match self {
            Listen::V4(port) => {
                ["-l", "127.0.0.1", "-p", &port.number().to_string()].map(Into::into)
            }
            Listen::V6(port) => ["-l", "::1", "-p", &port.number().to_string()].map(Into::into),
            Listen::Unix(path) => ["-s", &path.display().to_string(), "-a", "0777"].map(Into::into),
        };
        words.to_vec()
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Listen::V4(port) | Listen::V6(port) => port.number(),
            Listen::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// A connection whose reads do not wait for ever.
    pub(super) fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let limit = Some(Duration::from_secs(10));
        let tcp = |to: SocketAddr| -> io::Result<Box<dyn Stream>> {
            let stream = TcpStream::connect(to)?;
            stream.set_read_timeout(limit)?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        };
        match self {
            Listen::V4(port) => tcp(port.v4()),
            Listen::V6(port) => tcp(port.v6()),
            Listen::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(limit)?;
                Ok(Box::new(stream))
            }
        }
    }
}
