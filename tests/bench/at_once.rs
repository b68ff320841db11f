//! A simulated system with servers that answer at once, or refuse connections. It counts both.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use kamailio_memcached::internals::simulation::{Place, System, install};
use support::model::{ClientSession, Memcached, Options};

/// In which steps events are counted.
pub const STEP: Duration = Duration::from_millis(100);

/// Unix time when the clock stands at 0.
const EPOCH: u64 = 1_800_000_000;

/// The system of one thread.
pub struct AtOnce {
    now: Cell<u64>,
    /// When the present outage began.
    began: Cell<u64>,
    up: Cell<bool>,
    /// All nodes probe at the very end of each interval.
    in_step: bool,
    servers: RefCell<Vec<Memcached>>,
    sockets: RefCell<BTreeMap<u32, Socket>>,
    last_socket: Cell<u32>,
    counts: RefCell<Counts>,
}

/// What has come to the servers in each [`STEP`] since an outage began.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub connections: Vec<u32>,
    pub flushes: Vec<u32>,
}

#[derive(Default)]
struct Socket {
    /// `None` = refused.
    server: Option<usize>,
    session: ClientSession,
    /// What the server has sent.
    answer: Vec<u8>,
}

impl AtOnce {
    /// Makes one the system of this thread, with so many servers.
    pub fn install(servers: usize, in_step: bool) -> Rc<Self> {
        let options = Options {
            started: EPOCH,
            ..Options::default()
        };
        let system = Rc::new(Self {
            now: Cell::new(0),
            began: Cell::new(0),
            up: Cell::new(true),
            in_step,
            servers: RefCell::new(vec![Memcached::new(options); servers]),
            sockets: RefCell::default(),
            last_socket: Cell::new(0),
            counts: RefCell::default(),
        });
        install(Some(Rc::clone(&system) as Rc<dyn System>));
        system
    }

    /// All servers are gone now. The time since then.
    pub fn begin_outage(&self) {
        self.began.set(self.now.get());
        self.up.set(false);
    }

    /// It is so long after the beginning of the outage.
    pub fn set_time(&self, since_outage: Duration) {
        self.now
            .set(self.began.get() + since_outage.as_nanos() as u64);
    }

    /// All servers are back, with what they had.
    pub fn end_outage(&self) {
        self.up.set(true);
    }

    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    fn since_outage(&self) -> usize {
        let nanos = self.now.get() - self.began.get();
        (u128::from(nanos) / STEP.as_nanos()) as usize
    }
}

fn count(steps: &mut Vec<u32>, at: usize) {
    if steps.len() <= at {
        steps.resize(at + 1, 0);
    }
    steps[at] += 1;
}

impl System for AtOnce {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn unix_time(&self) -> Duration {
        Duration::from_secs(EPOCH) + Duration::from_nanos(self.now.get())
    }

    fn process(&self) -> u32 {
        1
    }

    fn pause(&self) {}

    fn is_planted(&self, fault: &'static str) -> bool {
        self.in_step && fault == "probes in step"
    }

    fn connect(&self, place: Place<'_>) -> io::Result<u32> {
        let Place::Tcp(SocketAddr::V4(address)) = place else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        count(
            &mut self.counts.borrow_mut().connections,
            self.since_outage(),
        );
        let server = usize::from(address.port()) - 1;
        let number = self.last_socket.get() + 1;
        self.last_socket.set(number);
        let socket = Socket {
            server: self.up.get().then_some(server),
            ..Socket::default()
        };
        self.sockets.borrow_mut().insert(number, socket);
        Ok(number)
    }

    fn connected(&self, socket: u32) -> io::Result<()> {
        let sockets = self.sockets.borrow();
        let server = sockets[&socket].server;
        server
            .map(drop)
            .ok_or(io::ErrorKind::ConnectionRefused.into())
    }

    fn send(&self, socket: u32, bytes: &[u8]) -> io::Result<usize> {
        let mut sockets = self.sockets.borrow_mut();
        let socket = sockets.get_mut(&socket).expect("an open socket");
        let server = socket.server.ok_or(io::ErrorKind::ConnectionReset)?;
        if bytes.starts_with(b"flush_all") {
            count(&mut self.counts.borrow_mut().flushes, self.since_outage());
        }
        let server = &mut self.servers.borrow_mut()[server];
        let time = self.unix_time().as_secs();
        let output = server.input(&mut socket.session, bytes, time);
        socket.answer.extend(output.bytes);
        Ok(bytes.len())
    }

    fn receive(&self, socket: u32, into: &mut [u8], keeps: bool) -> io::Result<usize> {
        let mut sockets = self.sockets.borrow_mut();
        let socket = sockets.get_mut(&socket).expect("an open socket");
        if !self.up.get() {
            return Ok(0);
        }
        if socket.answer.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let size = socket.answer.len().min(into.len());
        into[..size].copy_from_slice(&socket.answer[..size]);
        if !keeps {
            socket.answer.drain(..size);
        }
        Ok(size)
    }

    fn wait(&self, sockets: &[(u32, bool)], time: Duration) -> Vec<bool> {
        let all = self.sockets.borrow();
        let is_ready = |&(socket, sends): &(u32, bool)| {
            sends || !self.up.get() || !all[&socket].answer.is_empty()
        };
        let ready: Vec<_> = sockets.iter().map(is_ready).collect();
        if !ready.contains(&true) {
            self.now.set(self.now.get() + time.as_nanos() as u64);
        }
        ready
    }

    fn close(&self, socket: u32) {
        self.sockets.borrow_mut().remove(&socket);
    }

    fn look_up(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn start_thread(&self, _: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
