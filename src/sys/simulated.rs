//! The system of a simulated world: what [`sys`](super) is in a build with the feature `simulation`.
//!
//! Each function asks the [`System`] of the current thread, which `tests/simulation` provides. There,
//! processes take turns: any call may let other processes run before it returns.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

mod not_connected;

pub(crate) use not_connected::NotConnected;

/// A simulated operating system, with the processes that it runs.
pub trait System {
    /// The monotonic clock in nanoseconds.
    fn now(&self) -> u64;
    /// The time of day, since the beginning of Unix time.
    fn unix_time(&self) -> Duration;
    /// The number of the process that is running, not 0.
    fn process(&self) -> u32;
    /// Other processes may run now.
    fn pause(&self);
    /// Whether the fault of that name is planted in this world.
    fn is_planted(&self, fault: &'static str) -> bool;
    /// Begins to connect. Returns the number of the socket.
    fn connect(&self, place: Place<'_>) -> io::Result<u32>;
    /// How connecting went.
    fn connected(&self, socket: u32) -> io::Result<()>;
    /// Sends what the socket takes at once.
    fn send(&self, socket: u32, bytes: &[u8]) -> io::Result<usize>;
    /// Receives what is there; with `keeps` it stays there, too.
    fn receive(&self, socket: u32, into: &mut [u8], keeps: bool) -> io::Result<usize>;
    /// Waits, `time` at most, until one of the sockets can send (`true`) or receive (`false`); tells
    /// which.
    fn wait(&self, sockets: &[(u32, bool)], time: Duration) -> Vec<bool>;
    /// When the socket is closed, what is still to be sent will be thrown away.
    fn abandon(&self, socket: u32);
    /// Closes the socket.
    fn close(&self, socket: u32);
    /// The addresses of a name.
    fn look_up(&self, name: &str) -> Vec<IpAddr>;
    /// Does `work` on another thread of the process.
    fn start_thread(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// Where a server is connected.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// By TCP.
    Tcp(SocketAddr),
    /// By a unix socket.
    Unix(&'a Path),
}

thread_local! {
    static SYSTEM: Cell<Option<&'static dyn System>> = const { Cell::new(None) };
}

/// Makes `system` the one of this thread, or removes it.
pub fn install(system: Option<&'static dyn System>) {
    SYSTEM.set(system);
}

fn system() -> &'static dyn System {
    SYSTEM.get().expect("a simulated system is installed")
}

/// A simulated socket; closed when dropped.
pub(crate) struct Socket {
    number: u32,
    receive_timeout: Cell<Duration>,
}

impl Socket {
    fn begin(place: Place<'_>) -> Result<Self, NotConnected> {
        // What keeps a process from asking is a shortage of its own.
        let number = system().connect(place)?;
        Ok(Self {
            number,
            receive_timeout: Cell::new(Duration::MAX),
        })
    }

    fn connect(place: Place<'_>, time: Duration) -> Result<Self, NotConnected> {
        let socket = Self::begin(place)?;
        if !wait_any(&[(&socket, true)], time)?[0] {
            return Err(NotConnected::Refused(io::ErrorKind::WouldBlock.into()));
        }
        connected(&socket)?;
        Ok(socket)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(system) = SYSTEM.get() {
            system.close(self.number);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.number)
    }
}

pub(crate) fn send_now(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    system().send(socket.number, bytes)
}

pub(crate) fn receive(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
    match receive_now(socket, into) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            wait_any(&[(socket, false)], socket.receive_timeout.get())?;
            receive_now(socket, into)
        }
        received => received,
    }
}

pub(crate) fn receive_now(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
    system().receive(socket.number, into, false)
}

pub(crate) fn peek(socket: &Socket) -> io::Result<usize> {
    system().receive(socket.number, &mut [0], true)
}

pub(crate) fn wait_readable(socket: &Socket, time: Duration) -> io::Result<()> {
    wait_any(&[(socket, false)], time).map(drop)
}

pub(crate) fn wait_writable(socket: &Socket, time: Duration) -> io::Result<()> {
    wait_any(&[(socket, true)], time).map(drop)
}

pub(crate) fn set_receive_timeout(socket: &Socket, time: Duration) -> io::Result<()> {
    socket.receive_timeout.set(time);
    Ok(())
}

/// Every second one is waited for as if it was one: what arrives is the same.
pub(crate) fn is_local(socket: &Socket) -> bool {
    socket.number % 2 == 1
}

pub(crate) fn set_blocking(_: &Socket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn keep_alive(_: &Socket, _: Duration) -> io::Result<()> {
    Ok(())
}

pub(crate) fn throw_away_unsent(socket: &Socket) -> io::Result<()> {
    system().abandon(socket.number);
    Ok(())
}

pub(crate) fn connect_unix(path: &Path, time: Duration) -> Result<Socket, NotConnected> {
    Socket::connect(Place::Unix(path), time)
}

pub(crate) fn connect_tcp(address: &SocketAddr, time: Duration) -> Result<Socket, NotConnected> {
    Socket::connect(Place::Tcp(*address), time)
}

pub(crate) fn begin_connect_unix(path: &Path) -> Result<Socket, NotConnected> {
    Socket::begin(Place::Unix(path))
}

pub(crate) fn begin_connect_tcp(address: &SocketAddr) -> Result<Socket, NotConnected> {
    Socket::begin(Place::Tcp(*address))
}

pub(crate) fn connected(socket: &Socket) -> Result<(), NotConnected> {
    let connected = system().connected(socket.number);
    connected.map_err(NotConnected::Refused)
}

pub(crate) fn wait_any(sockets: &[(&Socket, bool)], time: Duration) -> io::Result<Vec<bool>> {
    let numbers = sockets
        .iter()
        .map(|&(socket, sends)| (socket.number, sends));
    Ok(system().wait(&numbers.collect::<Vec<_>>(), time))
}

pub(crate) fn look_up(name: &str) -> Vec<IpAddr> {
    system().look_up(name)
}

pub(crate) fn start_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    system().start_thread(work)
}

pub(crate) fn descriptor_limit() -> usize {
    1024
}

pub(crate) fn monotonic_nanos() -> u64 {
    system().now()
}

pub(crate) fn unix_time() -> Duration {
    system().unix_time()
}

pub(crate) fn random_number() -> u64 {
    1
}

pub(crate) fn process_id() -> u32 {
    system().process()
}

pub(crate) fn process() -> u32 {
    process_id()
}

pub(crate) fn watch_forks() {}

pub(crate) fn give_way() {
    system().pause();
}

pub(crate) fn preempt() {
    system().pause();
}

pub(crate) fn planted(fault: &'static str) -> bool {
    SYSTEM.get().is_some_and(|system| system.is_planted(fault))
}
