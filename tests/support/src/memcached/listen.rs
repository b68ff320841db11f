//! `Listen` is where a memcached listens: its arguments, and the way for clients.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::Host;
use crate::port::Port;

const DEFAULT_PORT: u16 = 11_211;

/// The state of an open connection in the kernel's table.
const ESTABLISHED: &str = "01";

/// A place to listen at.
#[derive(Debug)]
pub(super) enum Listen {
    V4 {
        address: SocketAddrV4,
        /// Reserves the port.
        _port: Port,
    },
    /// A plain port of a server whose other ports speak TLS.
    NoTls(Port),
    V6(Port),
    Unix(PathBuf),
}

/// A connection, of any kind.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Listen {
    /// A free port of this loopback address.
    pub(super) fn at(ip: Ipv4Addr) -> Listen {
        let port = Port::free();
        Listen::V4 {
            address: SocketAddrV4::new(ip, port.number()),
            _port: port,
        }
    }

    /// A free plain port of `127.0.0.1`, of a server whose other ports speak TLS.
    pub(super) fn notls() -> Listen {
        Listen::NoTls(Port::free())
    }

    /// memcached's default port, at a loopback address that is made from a reserved number.
    pub(super) fn default_port() -> Listen {
        let port = Port::free();
        let [high, low] = port.number().to_be_bytes();
        let ip = Ipv4Addr::new(127, high, low, 1);
        Listen::V4 {
            address: SocketAddrV4::new(ip, DEFAULT_PORT),
            _port: port,
        }
    }

    /// The address in the form of a server list, for the Kamailio under test.
    pub(super) fn address(&self) -> String {
        match self {
            Listen::V4 { address, .. } => address.to_string(),
            Listen::NoTls(port) => port.v4().to_string(),
            Listen::V6(port) => port.v6().to_string(),
            Listen::Unix(path) => Host::current().inside(path).display().to_string(),
        }
    }

    /// The arguments for memcached.
    pub(super) fn args(&self) -> Vec<String> {
        let words = match self {
            Listen::V4 { address, .. } => {
                let (ip, port) = (address.ip().to_string(), address.port().to_string());
                ["-l", &ip, "-p", &port].map(Into::into)
            }
            Listen::NoTls(port) => {
                return vec!["-l".into(), format!("notls:127.0.0.1:{}", port.number())];
            }
            Listen::V6(port) => ["-l", "::1", "-p", &port.number().to_string()].map(Into::into),
            Listen::Unix(path) => ["-s", &path.display().to_string(), "-a", "0777"].map(Into::into),
        };
        words.to_vec()
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Listen::V4 { address, .. } => address.port(),
            Listen::NoTls(port) | Listen::V6(port) => port.number(),
            Listen::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// True if the client's end of a connection does not know yet that the server has ended. On a
    /// busy machine the kernel takes some time to deliver that.
    pub(super) fn has_unknowing_clients(&self) -> bool {
        let (table, end) = match self {
            Listen::V4 { address, .. } => {
                let ip = u32::from_ne_bytes(address.ip().octets());
                ("tcp", format!("{ip:08X}:{:04X}", address.port()))
            }
            Listen::NoTls(port) => ("tcp", format!(":{:04X}", port.number())),
            Listen::V6(port) => ("tcp6", format!(":{:04X}", port.number())),
            Listen::Unix(_) => return false,
        };
        let table = fs::read_to_string(format!("/proc/net/{table}")).expect("a kernel with TCP");
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let (remote, state) = (fields.next(), fields.next());
            remote.is_some_and(|remote| remote.ends_with(&end)) && state == Some(ESTABLISHED)
        })
    }

    /// A connection whose reads end after a limit.
    pub(super) fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let limit = Some(Duration::from_secs(10));
        let tcp = |to: SocketAddr| -> io::Result<Box<dyn Stream>> {
            let stream = TcpStream::connect(to)?;
            stream.set_read_timeout(limit)?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        };
        match self {
            Listen::V4 { address, .. } => tcp((*address).into()),
            Listen::NoTls(port) => tcp(port.v4()),
            Listen::V6(port) => tcp(port.v6()),
            Listen::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(limit)?;
                Ok(Box::new(stream))
            }
        }
    }
}
