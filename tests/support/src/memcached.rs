//! A memcached, and what it holds, seen over connections of our own.
//!
//! Every look opens a connection and closes it again, so a server that was paused,
//! killed or restarted in between needs no special care.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::host::Host;
use crate::port::Port;
use crate::process::{Pid, Process};
use crate::scratch::Scratch;
use crate::wait;

/// A running memcached; killed on drop.
#[derive(Debug)]
pub struct Memcached {
    process: Mutex<Process>,
    listen: Listen,
    args: Vec<String>,
    address: String,
    scratch: Scratch,
}

#[derive(Debug)]
enum Listen {
    V4(Port),
    V6(Port),
    Unix(PathBuf),
}

/// What memcached holds under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The client's flag word.
    pub flags: u32,
    /// Seconds left, -1 for ever.
    pub ttl: i64,
    /// The bytes.
    pub value: Vec<u8>,
}

impl Memcached {
    /// On a free port of `127.0.0.1`.
    pub fn start() -> Memcached {
        Memcached::with(&[])
    }

    /// On a free port of `127.0.0.1`, with further arguments such as `&["-I", "8m"]`.
    pub fn with(args: &[&str]) -> Memcached {
        Memcached::launch(Host::current().scratch(), Listen::V4(Port::free()), args)
    }

    /// On a free port of `[::1]`.
    pub fn v6() -> Memcached {
        Memcached::launch(Host::current().scratch(), Listen::V6(Port::free()), &[])
    }

    /// On a unix socket.
    pub fn unix() -> Memcached {
        let scratch = Host::current().scratch();
        let path = scratch.join("m.sock");
        Memcached::launch(scratch, Listen::Unix(path), &[])
    }

    fn launch(scratch: Scratch, listen: Listen, args: &[&str]) -> Memcached {
        let address = match &listen {
            Listen::V4(port) => port.v4().to_string(),
            Listen::V6(port) => port.v6().to_string(),
            Listen::Unix(path) => Host::current().inside(path).display().to_string(),
        };
        let args: Vec<String> = args.iter().map(|&arg| arg.into()).collect();
        let process = Mutex::new(spawn(&listen, &args, &scratch));
        let memcached = Memcached {
            process,
            listen,
            args,
            address,
            scratch,
        };
        memcached.wait_until_ready();
        memcached
    }

    /// The address as a server list takes it: `127.0.0.1:port`, `[::1]:port` or a path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The TCP port.
    ///
    /// # Panics
    /// When it listens on a unix socket.
    pub fn port(&self) -> u16 {
        match &self.listen {
            Listen::V4(port) | Listen::V6(port) => port.number(),
            Listen::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Everything it has written; with `-vv` among the arguments, every command.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Stops it: connections stay open and are accepted, but nothing is answered.
    pub fn pause(&self) {
        self.pid().pause();
    }

    /// Lets it go on after `pause`.
    pub fn resume(&self) {
        self.pid().resume();
    }

    /// Kills it: connections are closed, new ones refused.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts it again, empty, at the same address; kills it first if it still runs.
    pub fn restart(&self) {
        let mut process = self.process();
        process.kill();
        *process = spawn(&self.listen, &self.args, &self.scratch);
        drop(process);
        self.wait_until_ready();
    }

    /// What it holds under `key`, without a trace in recency or statistics of gets.
    pub fn item(&self, key: impl AsRef<[u8]>) -> Option<Item> {
        let key = legal(key.as_ref());
        let reply = self.command([b"mg ", key, b" v f t u\r\n"].concat());
        if reply.starts_with(b"EN\r\n") {
            return None;
        }
        let read = || {
            let end = reply.windows(2).position(|two| two == b"\r\n")?;
            let head = std::str::from_utf8(&reply[..end]).ok()?;
            let mut words = head.strip_prefix("VA ")?.split(' ');
            let size: usize = words.next()?.parse().ok()?;
            let value = reply.get(end + 2..end + 2 + size)?.to_vec();
            let mut item = Item {
                flags: 0,
                ttl: -1,
                value,
            };
            for word in words {
                match word.split_at_checked(1)? {
                    ("f", flags) => item.flags = flags.parse().ok()?,
                    ("t", ttl) => item.ttl = ttl.parse().ok()?,
                    _ => {}
                }
            }
            Some(item)
        };
        let item = read();
        Some(item.unwrap_or_else(|| panic!("bad reply to mg: {}", reply.escape_ascii())))
    }

    /// The bytes under `key`, as text for comparisons; bytes that are not UTF-8 are
    /// replaced.
    pub fn text(&self, key: impl AsRef<[u8]>) -> Option<String> {
        let item = self.item(key)?;
        Some(String::from_utf8_lossy(&item.value).into_owned())
    }

    /// Stores an item.
    pub fn put(&self, key: impl AsRef<[u8]>, flags: u32, exptime: i64, value: impl AsRef<[u8]>) {
        let (key, value) = (legal(key.as_ref()), value.as_ref());
        let mut command = [b"set ", key].concat();
        command.extend(format!(" {flags} {exptime} {}\r\n", value.len()).bytes());
        command.extend([value, b"\r\n"].concat());
        let reply = self.command(command);
        assert_eq!(reply.escape_ascii().to_string(), "STORED\\r\\n");
    }

    /// Forgets an item; tells whether there was one.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> bool {
        let reply = self.command([b"delete ", legal(key.as_ref()), b"\r\n"].concat());
        reply == b"DELETED\r\n"
    }

    /// Sends `bytes` on a connection of its own and returns all that is answered, be
    /// it one line, many, or none.
    ///
    /// The end of the answer is found by a meta no-op sent behind it; when the server
    /// closes the connection, the answer ends there.
    pub fn command(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        const MARK: &[u8] = b"MN\r\n";
        let mut stream = self
            .connect()
            .unwrap_or_else(|error| self.fail("cannot connect", &error));
        let bytes = [bytes.as_ref(), b"mn\r\n"].concat();
        // Refused or over-long requests may be answered by a closed connection.
        let _ = stream.write_all(&bytes);
        let mut reply = Vec::new();
        let mut part = [0; 16384];
        while !reply.ends_with(MARK) {
            match stream.read(&mut part) {
                Ok(0) => return reply,
                Ok(size) => reply.extend_from_slice(&part[..size]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return reply,
                Err(error) => self.fail("no answer", &error),
            }
        }
        reply.truncate(reply.len() - MARK.len());
        reply
    }

    /// A number out of its statistics: `curr_items`, `cmd_get`, `cmd_flush`, ….
    pub fn stat(&self, name: &str) -> u64 {
        let reply = self.command("stats\r\n");
        let reply = String::from_utf8_lossy(&reply);
        let line = reply
            .lines()
            .find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok())
            .unwrap_or_else(|| panic!("no number called {name} in\n{reply}"))
    }

    /// How many items it holds; one that has expired counts until it is next asked for.
    pub fn len(&self) -> usize {
        usize::try_from(self.stat("curr_items")).expect("fits")
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often it was emptied since it started: proof that nobody smuggled in a
    /// `flush_all`.
    pub fn flushes(&self) -> u64 {
        self.stat("cmd_flush")
    }

    /// All keys it holds, sorted.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let reply = wait::poll(wait::PATIENCE, || {
            let reply = self.command("lru_crawler metadump all\r\n");
            // Another crawl, the server's own or another test's, may be under way.
            (!reply.starts_with(b"BUSY")).then_some(reply)
        });
        let reply = reply.unwrap_or_else(|| panic!("the crawler of {} is busy", self.address));
        let lines = reply.split(|&byte| byte == b'\n');
        let mut keys: Vec<Vec<u8>> = lines
            .filter_map(|line| line.strip_prefix(b"key="))
            .map(|rest| unescape(rest.split(|&byte| byte == b' ').next().expect("a word")))
            .collect();
        keys.sort();
        keys
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of one's own, for exchanges that `command` does not cover.
    pub fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let limit = Some(Duration::from_secs(10));
        Ok(match &self.listen {
            Listen::V4(port) | Listen::V6(port) => {
                let v4 = matches!(self.listen, Listen::V4(_));
                let stream = TcpStream::connect(if v4 { port.v4() } else { port.v6() })?;
                stream.set_read_timeout(limit)?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Listen::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(limit)?;
                Box::new(stream)
            }
        })
    }

    fn wait_until_ready(&self) {
        let ready = wait::poll(wait::PATIENCE, || {
            (self.connect().is_ok() || !self.process().alive()).then_some(())
        });
        if ready.is_none() || !self.process().alive() {
            panic!("memcached did not start\n{}", self.process().account());
        }
    }

    fn fail(&self, what: &str, error: &std::io::Error) -> ! {
        let account = self.process().account();
        panic!("{}: {what}: {error}\n{account}", self.address);
    }
}

/// What a connection can do.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

fn spawn(listen: &Listen, args: &[String], scratch: &Scratch) -> Process {
    let mut command = Command::new("memcached");
    command.args(["-t", "2", "-U", "0"]);
    match listen {
        Listen::V4(port) => {
            command.args(["-l", "127.0.0.1", "-p", &port.number().to_string()]);
        }
        Listen::V6(port) => {
            command.args(["-l", "::1", "-p", &port.number().to_string()]);
        }
        Listen::Unix(path) => {
            command.arg("-s").arg(path).args(["-a", "0777"]);
        }
    }
    // SAFETY: geteuid has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.args(["-u", "root"]);
    }
    command.args(args);
    Process::spawn(command, &scratch.join("memcached.log"), libc::SIGKILL)
}

fn legal(key: &[u8]) -> &[u8] {
    let fits = !key.is_empty() && key.len() <= 250;
    let clean = key.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    assert!(fits && clean, "not a wire key: \"{}\"", key.escape_ascii());
    key
}

/// Undoes the percent signs of `lru_crawler metadump`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    bytes
}
