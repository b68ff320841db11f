//! `Pair` is the real memcached and its model, which get the same bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::model::{self, ClientSession, Options};
use support::{Memcached, wait};

/// How long to wait for an answer before the real memcached is asked whether it has sent one.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// How long to wait for an answer that nobody can ask for.
const LAST_LIMIT: Duration = Duration::from_secs(5);

/// How long after a tick of its clock no batch may begin any more. So few are interrupted by one.
const QUIET_AFTER: Duration = Duration::from_millis(900);

/// What has come of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Same,
    /// The clock of the real memcached has moved meanwhile: nobody knows at which command.
    Interrupted,
    Different {
        real: String,
        model: String,
    },
}

/// Both, with some connections.
pub(super) struct Pair {
    real: Memcached,
    model: model::Memcached,
    options: Options,
    clock: Box<dyn support::memcached::Stream>,
    /// What its clock said last.
    now: u64,
    /// When we saw it move.
    tick: Instant,
    connections: Vec<Connection>,
}

/// One connection to both.
struct Connection {
    stream: TcpStream,
    session: ClientSession,
    /// What the model has answered, and was not compared yet.
    owed: Vec<u8>,
}

impl Pair {
    /// Starts both, with so many connections.
    pub(super) fn start(real: Memcached, options: Options, connections: usize) -> Self {
        let clock = real.connect().expect("it listens");
        let mut pair = Self {
            model: model::Memcached::new(options.clone()),
            real,
            options,
            clock,
            now: 0,
            tick: Instant::now(),
            connections: Vec::new(),
        };
        pair.begin(connections);
        pair
    }

    /// Starts both again.
    pub(super) fn restart(&mut self) {
        let connections = self.connections.len();
        self.connections.clear();
        self.real.restart();
        self.clock = self.real.connect().expect("it listens");
        self.begin(connections);
    }

    fn begin(&mut self, connections: usize) {
        let (time, uptime) = self.ask_clock();
        self.now = time;
        self.tick = Instant::now();
        // Its clock stands at 62 in the second of its start, and it says 60 seconds less.
        self.options.started = time - uptime + 2;
        self.model = model::Memcached::new(self.options.clone());
        self.connections = (0..connections).map(|_| self.connect()).collect();
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// True if no request is under way on any connection.
    pub(super) fn is_idle(&self) -> bool {
        self.connections.iter().all(|it| it.session.is_idle())
    }

    /// Time and uptime of the real memcached. It has then taken all that was sent before, because it
    /// has one thread.
    fn ask_clock(&mut self) -> (u64, u64) {
        self.clock.write_all(b"stats\r\n").expect("it runs");
        let mut reply = Vec::new();
        let mut part = [0; 4096];
        while !reply.ends_with(b"\r\nEND\r\n") {
            let size = self.clock.read(&mut part).expect("it answers");
            reply.extend(&part[..size]);
        }
        let reply = String::from_utf8(reply).expect("text");
        let number = |name: &str| {
            let line = reply.lines().find_map(|line| line.strip_prefix(name));
            line.expect("the statistics").parse().expect("a number")
        };
        (number("STAT time "), number("STAT uptime "))
    }

    /// True if the clock has moved.
    fn has_ticked(&mut self) -> bool {
        let (time, _) = self.ask_clock();
        let ticked = time != self.now;
        if ticked {
            self.now = time;
            self.tick = Instant::now();
        }
        ticked
    }

    /// Waits until the clock is about to stand still for a while.
    pub(super) fn wait_for_quiet(&mut self) {
        if self.tick.elapsed() > QUIET_AFTER {
            self.wait_for_tick();
        } else {
            self.has_ticked();
        }
    }

    pub(super) fn wait_for_tick(&mut self) {
        wait::until("the clock", wait::WAIT_LIMIT, || self.has_ticked());
    }

    /// Opens a connection again. Requests that have not arrived are lost.
    pub(super) fn reconnect(&mut self, at: usize) {
        self.connections[at] = self.connect();
    }

    /// Opens a connection. The thread of the real memcached knows it then, unless it asks for a login.
    fn connect(&self) -> Connection {
        let mut stream = TcpStream::connect(self.real.address()).expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        if self.options.credentials.is_none() {
            stream.write_all(b"mn\r\n").expect("it listens");
            stream.read_exact(&mut [0; 4]).expect("it answers");
        }
        Connection {
            stream,
            session: ClientSession::default(),
            owed: Vec::new(),
        }
    }

    /// Sends these bytes on a connection, and compares the answers if all of them are due. At
    /// `cut` the real memcached gets what is in front of it before the rest is sent.
    pub(super) fn send(&mut self, at: usize, bytes: &[u8], cut: Option<usize>) -> Outcome {
        let mut bytes = bytes.to_vec();
        let now = self.now;
        let connection = &mut self.connections[at];
        let mut take = |connection: &mut Connection, bytes: &[u8]| {
            let output = self.model.input(&mut connection.session, bytes, now);
            connection.owed.extend(output.bytes);
            output.closes
        };
        let closes = take(connection, &bytes);
        if connection.session.is_idle() && self.options.credentials.is_none() {
            // Its answer is the end of all answers.
            take(connection, b"mn\r\n");
            bytes.extend(b"mn\r\n");
        }
        let mut start = 0;
        for end in cut.into_iter().chain([bytes.len()]) {
            // It may have closed the connection already.
            let _ = self.connections[at].stream.write_all(&bytes[start..end]);
            start = end;
            if end != bytes.len() {
                self.ask_clock();
            }
        }
        let is_due = closes || self.connections[at].session.is_idle();
        let mut real = Vec::new();
        if is_due {
            self.connections[at].read(&mut real, ANSWER_LIMIT);
        }
        if self.has_ticked() {
            return Outcome::Interrupted;
        }
        if is_due {
            // By now it has sent all of it, unless it has several threads.
            let is_single = self.options.credentials.is_none();
            let limit = if is_single { ANSWER_LIMIT } else { LAST_LIMIT };
            self.connections[at].read(&mut real, limit);
        }
        let owed = &mut self.connections[at].owed;
        if is_due && real != *owed {
            let real = real.escape_ascii().to_string();
            let model = owed.escape_ascii().to_string();
            return Outcome::Different { real, model };
        }
        if is_due {
            owed.clear();
        }
        if closes {
            self.reconnect(at);
        }
        Outcome::Same
    }
}

impl Connection {
    /// Reads the answer of the real memcached: all bytes up to the end of the connection, or else as
    /// many as the model has answered. Fewer if they do not come in time.
    fn read(&mut self, reply: &mut Vec<u8>, limit: Duration) {
        let limit = Some(limit);
        self.stream.set_read_timeout(limit).expect("a TCP socket");
        let closes = !self.session.is_idle();
        let mut part = [0; 65536];
        while closes || reply.len() < self.owed.len() {
            match wait::uninterrupted(|| self.stream.read(&mut part)) {
                Ok(0) => return,
                Ok(size) => reply.extend(&part[..size]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
