//! `Port` is a loopback port that no other test uses.
//!
//! To ask the kernel for port 0 and close that socket is a race: the port may go to the next caller
//! before the server has bound it. So the numbers come from below the range that the kernel hands
//! out by itself, and each number is reserved by an abstract unix socket with that number in its
//! name. Such a name is unique in the network namespace, like the port, and it vanishes with the
//! process. So test processes that run at the same time get different ports, too.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A reserved number. When it was taken, it was free for TCP and UDP on `127.0.0.1` and `[::1]`. No
/// other test gets it as long as this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: UnixListener,
}

impl Port {
    /// Reserves a free port.
    pub fn free() -> Port {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Each process begins at another number, so that they seldom try the same one.
        let start = std::process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = start.wrapping_add(step) % u32::from(COUNT);
            let number = FIRST + u16::try_from(offset).expect("less than COUNT");
            if let Some(reservation) = reserve(number)
                && is_free(number)
            {
                return Port {
                    number,
                    _reservation: reservation,
                };
            }
        }
        panic!(
            "no free loopback port between {FIRST} and {}",
            FIRST + COUNT
        );
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1` with this port.
    pub fn v4(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }

    /// `[::1]` with this port.
    pub fn v6(&self) -> SocketAddr {
        SocketAddr::from((Ipv6Addr::LOCALHOST, self.number))
    }
}

fn reserve(number: u16) -> Option<UnixListener> {
    let name = format!("kamailio-memcached-test-port-{number}");
    let address = net::SocketAddr::from_abstract_name(name).expect("a short name");
    UnixListener::bind_addr(&address).ok()
}

/// A child that is forked at this moment would keep the port for a while longer.
fn is_free(number: u16) -> bool {
    process::without_forks(|| can_be_bound(number))
}

fn can_be_bound(number: u16) -> bool {
    let taken = |error: std::io::Error| error.kind() == ErrorKind::AddrInUse;
    [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ]
    .into_iter()
    .all(|ip| {
        // Other errors, such as those of a machine without IPv6, do not mean that the port is in
        // use.
        !TcpListener::bind((ip, number)).is_err_and(taken)
            && !UdpSocket::bind((ip, number)).is_err_and(taken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_given_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::free()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }

    #[test]
    fn is_reserved_until_the_drop() {
        let port = Port::free();
        assert!(reserve(port.number()).is_none());
        let number = port.number();
        drop(port);
        assert!(reserve(number).is_some());
    }
}
