//! The system calls on sockets. Each function is one call on borrowed sockets and slices, and turns its
//! result into an `io::Result`.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use libc::{c_int, c_short, c_void, socklen_t};

use super::NotConnected;

/// A stream socket; closed when dropped.
pub(crate) type Socket = OwnedFd;

/// Sends what the socket takes at once.
pub(crate) fn send_now(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: pointer and length are those of a live slice, which send(2) only reads.
    checked(unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
        )
    })
}

/// Receives, waiting as long as the socket's receive timeout.
pub(crate) fn receive(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
    receive_with(socket, into, 0)
}

/// Receives what is there.
pub(crate) fn receive_now(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
    receive_with(socket, into, libc::MSG_DONTWAIT)
}

/// Looks for one byte without taking it: `Ok(0)` = closed, `WouldBlock` = open and silent.
pub(crate) fn peek(socket: &Socket) -> io::Result<usize> {
    receive_with(socket, &mut [0], libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn receive_with(socket: &Socket, into: &mut [u8], flags: c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are those of a live, exclusively borrowed slice; recv(2) writes
    // no more than its length.
    checked(unsafe {
        libc::recv(
            socket.as_raw_fd(),
            into.as_mut_ptr().cast(),
            into.len(),
            flags,
        )
    })
}

/// Waits until bytes can be received or the other side has closed, `time` at most.
pub(crate) fn wait_readable(socket: &Socket, time: Duration) -> io::Result<()> {
    poll(socket, libc::POLLIN, time)
}

/// Waits until bytes can be sent, `time` at most.
pub(crate) fn wait_writable(socket: &Socket, time: Duration) -> io::Result<()> {
    poll(socket, libc::POLLOUT, time)
}

fn poll(socket: &Socket, events: c_short, time: Duration) -> io::Result<()> {
    poll_all(
        &mut [libc::pollfd {
            fd: socket.as_raw_fd(),
            events,
            revents: 0,
        }],
        time,
    )
}

/// Comes back early for any reason: the caller tries its call and looks at its clock again.
fn poll_all(entries: &mut [libc::pollfd], time: Duration) -> io::Result<()> {
    // Rounded up: a poll of 0 ms near the end would spin.
    let millis = c_int::try_from(time.as_millis() + 1).unwrap_or(c_int::MAX);
    let count = entries.len() as libc::nfds_t;
    // SAFETY: pointer and count are those of a live, exclusively borrowed slice.
    match checked(unsafe { libc::poll(entries.as_mut_ptr(), count, millis) } as isize) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Sets how long a blocking receive may wait.
pub(crate) fn set_receive_timeout(socket: &Socket, time: Duration) -> io::Result<()> {
    set_timeout(socket, libc::SO_RCVTIMEO, time)
}

fn set_timeout(socket: &Socket, option: c_int, time: Duration) -> io::Result<()> {
    // Zero would mean for ever.
    let time = time.max(Duration::from_micros(1));
    let value = libc::timeval {
        tv_sec: time.as_secs() as libc::time_t,
        tv_usec: time.subsec_micros() as libc::suseconds_t,
    };
    // SAFETY: pointer and size are those of a live timeval, what these options take.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast::<c_void>(),
            size_of::<libc::timeval>() as socklen_t,
        )
    } as isize)
    .map(drop)
}

/// Whether it is a unix socket.
pub(crate) fn is_local(socket: &Socket) -> bool {
    let (mut domain, mut len): (c_int, _) = (0, size_of::<c_int>() as socklen_t);
    // SAFETY: both pointers are those of live variables; the second one has the size of the first, and getsockopt(2)
    // writes no more than that.
    let known = checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut domain).cast::<c_void>(),
            &raw mut len,
        )
    } as isize);
    known.is_ok() && domain == libc::AF_UNIX
}

/// Makes calls on the socket wait.
pub(crate) fn set_blocking(socket: &Socket) -> io::Result<()> {
    // SAFETY: F_GETFL takes no further argument.
    let flags = checked(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) } as isize)?;
    let flags = flags as c_int & !libc::O_NONBLOCK;
    // SAFETY: F_SETFL takes an int.
    checked(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags) } as isize).map(drop)
}

/// Has the kernel look, after `idle` without traffic, whether the other side of a TCP connection is
/// still there: three times, a tenth of that time apart.
pub(crate) fn keep_alive(socket: &Socket, idle: Duration) -> io::Result<()> {
    let seconds = c_int::try_from(idle.as_secs()).unwrap_or(c_int::MAX);
    // The largest numbers that Linux takes.
    let (idle, apart) = (seconds.clamp(1, 32_767), (seconds / 10).clamp(1, 32_767));
    set_number(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, apart)?;
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)
}

/// Has the kernel throw away what was sent and has not arrived, as soon as the socket is closed, and reset the
/// connection. Else it goes on to send it for minutes.
pub(crate) fn throw_away_unsent(socket: &Socket) -> io::Result<()> {
    let value = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: pointer and size are those of a live linger, what this option takes.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const value).cast::<c_void>(),
            size_of::<libc::linger>() as socklen_t,
        )
    } as isize)
    .map(drop)
}

fn set_number(socket: &Socket, level: c_int, option: c_int, number: c_int) -> io::Result<()> {
    // SAFETY: pointer and size are those of a live int, what these options take.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const number).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    } as isize)
    .map(drop)
}

/// The number that an option of the socket has.
#[cfg(test)]
pub(crate) fn number(socket: &Socket, level: c_int, option: c_int) -> io::Result<c_int> {
    let (mut number, mut len): (c_int, socklen_t) = (0, size_of::<c_int>() as socklen_t);
    // SAFETY: pointers to a live int and its size, what these options fill.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut number).cast::<c_void>(),
            &raw mut len,
        )
    } as isize)?;
    Ok(number)
}

/// Connects to a unix socket; with a full backlog it waits `time` at most, then `WouldBlock`.
pub(crate) fn connect_unix(path: &Path, time: Duration) -> Result<Socket, NotConnected> {
    let address = unix_address(path).map_err(NotConnected::Refused)?;
    let socket = socket(libc::AF_UNIX, 0)?;
    set_timeout(&socket, libc::SO_SNDTIMEO, time)?;
    connect(&socket, &address).map_err(NotConnected::Refused)?;
    Ok(socket)
}

/// Connects to a TCP address; waits `time` at most, then `WouldBlock`.
pub(crate) fn connect_tcp(address: &SocketAddr, time: Duration) -> Result<Socket, NotConnected> {
    let socket = begin_connect_tcp(address)?;
    if !wait_any(&[(&socket, true)], time)?[0] {
        return Err(NotConnected::Refused(io::ErrorKind::WouldBlock.into()));
    }
    connected(&socket)?;
    Ok(socket)
}

/// Begins to connect to a unix socket, without waiting.
pub(crate) fn begin_connect_unix(path: &Path) -> Result<Socket, NotConnected> {
    let address = unix_address(path).map_err(NotConnected::Refused)?;
    let socket = socket(libc::AF_UNIX, libc::SOCK_NONBLOCK)?;
    connect(&socket, &address).map_err(NotConnected::Refused)?;
    Ok(socket)
}

/// Begins to connect to a TCP address, without waiting; [`connected`] tells how it went.
pub(crate) fn begin_connect_tcp(address: &SocketAddr) -> Result<Socket, NotConnected> {
    let (socket, result) = match address {
        SocketAddr::V4(v4) => {
            let mut to: libc::sockaddr_in = zeroed();
            to.sin_family = libc::AF_INET as libc::sa_family_t;
            to.sin_port = v4.port().to_be();
            to.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            let socket = socket(libc::AF_INET, libc::SOCK_NONBLOCK)?;
            let result = connect(&socket, &to);
            (socket, result)
        }
        SocketAddr::V6(v6) => {
            let mut to: libc::sockaddr_in6 = zeroed();
            to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            to.sin6_port = v6.port().to_be();
            to.sin6_addr.s6_addr = v6.ip().octets();
            to.sin6_scope_id = v6.scope_id();
            let socket = socket(libc::AF_INET6, libc::SOCK_NONBLOCK)?;
            let result = connect(&socket, &to);
            (socket, result)
        }
    };
    match result {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
            return Err(NotConnected::Refused(error));
        }
        _ => {}
    }
    // Without it small requests would be sent late. It fails on no TCP socket.
    let _ = set_number(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
    Ok(socket)
}

/// How connecting went, once the socket can send.
pub(crate) fn connected(socket: &Socket) -> Result<(), NotConnected> {
    let (mut error, mut len): (c_int, socklen_t) = (0, size_of::<c_int>() as socklen_t);
    // SAFETY: pointers to a live int and its size, what this option fills.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast::<c_void>(),
            &raw mut len,
        )
    } as isize)?;
    if error == 0 {
        Ok(())
    } else {
        Err(NotConnected::Refused(io::Error::from_raw_os_error(error)))
    }
}

/// Waits, `time` at most, until one of the sockets can receive, or send if it has to (`true`), or has
/// failed; tells which.
pub(crate) fn wait_any(sockets: &[(&Socket, bool)], time: Duration) -> io::Result<Vec<bool>> {
    let entry = |&(socket, sends): &(&Socket, bool)| libc::pollfd {
        fd: socket.as_raw_fd(),
        events: if sends {
            libc::POLLIN | libc::POLLOUT
        } else {
            libc::POLLIN
        },
        revents: 0,
    };
    let mut entries: Vec<_> = sockets.iter().map(entry).collect();
    poll_all(&mut entries, time)?;
    Ok(entries.iter().map(|entry| entry.revents != 0).collect())
}

fn unix_address(path: &Path) -> io::Result<libc::sockaddr_un> {
    let path = path.as_os_str().as_bytes();
    let mut address: libc::sockaddr_un = zeroed();
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // One byte stays 0, as the end of the path.
    if path.len() >= address.sun_path.len() || path.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "invalid path of a socket",
        ));
    }
    for (to, &from) in address.sun_path.iter_mut().zip(path) {
        *to = from as libc::c_char;
    }
    Ok(address)
}

/// The socket addresses that C fills by hand.
trait RawAddress: Copy {}
impl RawAddress for libc::sockaddr_un {}
impl RawAddress for libc::sockaddr_in {}
impl RawAddress for libc::sockaddr_in6 {}

fn zeroed<A: RawAddress>() -> A {
    // SAFETY: the three types are plain numbers; all-zero bytes are valid.
    unsafe { mem::zeroed() }
}

fn socket(family: c_int, flags: c_int) -> io::Result<Socket> {
    // SAFETY: socket(2) takes no pointers.
    let fd =
        checked(
            unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | flags, 0) }
                as isize,
        )?;
    // SAFETY: a descriptor that socket(2) has just returned and nobody else owns.
    Ok(unsafe { Socket::from_raw_fd(fd as c_int) })
}

fn connect<A: RawAddress>(socket: &Socket, address: &A) -> io::Result<()> {
    // SAFETY: pointer and size are those of a live, initialised socket address.
    checked(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const *address).cast(),
            size_of::<A>() as socklen_t,
        )
    } as isize)
    .map(drop)
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
