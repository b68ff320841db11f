//! Servers that are far away: a proxy holds their answers back until the time of the way there and back has passed
//! since the question. So its own work takes no time, as long as it is done within that. One thread serves
//! all of them, so answers that are due at the same time are sent at the same time. A network does not have to
//! be woken up: where the thread has a processor for itself, it does not sleep while there are connections.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::processor;

/// A client's connection, the one to its server, and the answers that are under way.
struct Path {
    client: TcpStream,
    server: TcpStream,
    answers: VecDeque<(Instant, Vec<u8>)>,
    /// When the last question has come.
    asked: Instant,
}

/// Makes these servers `away`, there and back. Returns their new addresses. The thread runs until the process
/// ends, on another processor than the clients if there is one.
pub fn of(servers: &[&str], away: Duration) -> io::Result<Vec<String>> {
    let mut gates = Vec::new();
    for server in servers {
        let gate = TcpListener::bind("127.0.0.1:0")?;
        gate.set_nonblocking(true)?;
        let server: SocketAddr = server.parse().map_err(io::Error::other)?;
        gates.push((gate, server));
    }
    let addresses = gates.iter().map(|(gate, _)| gate.local_addr());
    let addresses: io::Result<Vec<_>> = addresses.collect();
    thread::spawn(move || {
        let own = processor::allowed().expect("those of this process");
        // If there is no other, it stays there.
        let sleeps = processor::allow(|number| !processor::has(&own, number)).is_err();
        // Else the kernel may wake it 50 µs late.
        // SAFETY: this call takes numbers alone.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
        serve(&gates, away, sleeps).expect("sockets that work");
    });
    Ok(addresses?.iter().map(SocketAddr::to_string).collect())
}

fn serve(gates: &[(TcpListener, SocketAddr)], away: Duration, sleeps: bool) -> io::Result<()> {
    let mut paths: Vec<Path> = Vec::new();
    loop {
        let sockets = gates.iter().map(|(gate, _)| gate.as_raw_fd());
        let both = |path: &Path| [path.client.as_raw_fd(), path.server.as_raw_fd()];
        let answers = paths.iter().filter_map(|path| path.answers.front());
        let due = answers.map(|(due, _)| *due).min();
        let until = if sleeps || paths.is_empty() {
            due
        } else {
            Some(Instant::now())
        };
        let ready = wait(sockets.chain(paths.iter().flat_map(both)), until)?;
        if !ready && due.is_none_or(|due| Instant::now() < due) {
            continue;
        }
        for (gate, server) in gates {
            if let Ok((client, _)) = gate.accept() {
                let server = TcpStream::connect(server)?;
                for socket in [&client, &server] {
                    socket.set_nodelay(true)?;
                    socket.set_nonblocking(true)?;
                }
                paths.push(Path {
                    client,
                    server,
                    answers: VecDeque::new(),
                    asked: Instant::now(),
                });
            }
        }
        // An end on either side ends both.
        paths.retain_mut(|path| path.pass_on(away).is_ok());
    }
}

impl Path {
    fn pass_on(&mut self, away: Duration) -> io::Result<()> {
        while let Some(question) = received(&mut self.client)? {
            self.asked = Instant::now();
            self.server.write_all(&question)?;
        }
        while let Some(answer) = received(&mut self.server)? {
            self.answers.push_back((self.asked + away, answer));
        }
        let now = Instant::now();
        while let Some((_, answer)) = self.answers.pop_front_if(|(due, _)| *due <= now) {
            self.client.write_all(&answer)?;
        }
        Ok(())
    }
}

/// What has come in; `None` if that is nothing.
fn received(socket: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = [0; 16384];
    match socket.read(&mut bytes) {
        Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok(size) => Ok(Some(bytes[..size].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until one of the sockets has something, or until then. Returns whether one has.
fn wait(sockets: impl Iterator<Item = RawFd>, until: Option<Instant>) -> io::Result<bool> {
    let poll = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut sockets: Vec<libc::pollfd> = sockets.map(poll).collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| libc::timespec {
        tv_sec: left.as_secs().cast_signed(),
        tv_nsec: left.subsec_nanos().into(),
    });
    let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = sockets.len() as libc::nfds_t;
    // SAFETY: the set has that many places, and the time lives or is null.
    match unsafe { libc::ppoll(sockets.as_mut_ptr(), count, left, std::ptr::null()) } {
        -1 => Err(io::Error::last_os_error()),
        count => Ok(count > 0),
    }
}
