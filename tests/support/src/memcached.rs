//! `Memcached` is a running memcached, and what it holds.
//!
//! Every look at it opens a connection and closes it again. So the server may be paused, killed or
//! restarted in between.

mod expect;
mod item;
mod listen;

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use item::Item;
pub use listen::Stream;

use self::item::{legal, unescape};
use self::listen::Listen;
use crate::host::Host;
use crate::pid::Pid;
use crate::port::Port;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// A running memcached. It is killed when it is dropped.
#[derive(Debug)]
pub struct Memcached {
    process: Mutex<Process>,
    listen: Listen,
    args: Vec<String>,
    address: String,
    /// `user password`, if the server requires them.
    credentials: Option<String>,
    scratch: Scratch,
    /// Reserves the port at which it speaks TLS.
    tls: Option<Port>,
}

/// Has programs with OpenSSL speak no later version than TLS 1.2.
const NO_TLS_1_3: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = it\n\
    [it]\nMaxProtocol = TLSv1.2\n";

/// The file of a server's scratch folder that OpenSSL reads, if there is one.
const OPENSSL_CONF: &str = "openssl.cnf";

impl Memcached {
    /// Starts one on a free port of `127.0.0.1`.
    pub fn start() -> Memcached {
        Memcached::with(&[])
    }

    /// The same, with more arguments such as `&["-I", "8m"]`.
    pub fn with(args: &[&str]) -> Memcached {
        let args = args.iter().map(|&arg| arg.into()).collect();
        let scratch = Host::current().scratch();
        Memcached::launch(scratch, Listen::at(Ipv4Addr::LOCALHOST), args, None)
    }

    /// Starts one on a free port of another loopback address, such as `127.0.0.11`.
    pub fn at(ip: Ipv4Addr) -> Memcached {
        let scratch = Host::current().scratch();
        Memcached::launch(scratch, Listen::at(ip), Vec::new(), None)
    }

    /// Starts one on port 11211, which some clients leave out of a server's name, at a loopback
    /// address that no other server uses.
    pub fn on_default_port() -> Memcached {
        let scratch = Host::current().scratch();
        Memcached::launch(scratch, Listen::default_port(), Vec::new(), None)
    }

    /// Starts one on a free port of `[::1]`.
    pub fn v6() -> Memcached {
        let scratch = Host::current().scratch();
        Memcached::launch(scratch, Listen::V6(Port::free()), Vec::new(), None)
    }

    /// Starts one on a unix socket.
    pub fn unix() -> Memcached {
        let scratch = Host::current().scratch();
        let path = scratch.join("m.sock");
        Memcached::launch(scratch, Listen::Unix(path), Vec::new(), None)
    }

    /// Starts one on a free port of `127.0.0.1`. Clients must send user and password.
    pub fn authenticated(user: &str, password: &str) -> Memcached {
        let scratch = Host::current().scratch();
        let file = scratch.write("users", format!("{user}:{password}\n"));
        let file = file.to_str().expect("a path we chose");
        let args = ["-Y", file].map(String::from).to_vec();
        let credentials = Some(format!("{user} {password}"));
        Memcached::launch(scratch, Listen::at(Ipv4Addr::LOCALHOST), args, credentials)
    }

    /// Starts one on a free port of `127.0.0.1` that speaks TLS as `options` say, a value of its option
    /// `-o`. What looks at its items connects in plain at another port.
    pub fn secured(options: &str) -> Memcached {
        Memcached::secured_in(Host::current().scratch(), options)
    }

    /// The same with one that speaks TLS 1.2 alone. It has no option for that, but its library has.
    pub fn secured_by_1_2(options: &str) -> Memcached {
        let scratch = Host::current().scratch();
        scratch.write(OPENSSL_CONF, NO_TLS_1_3);
        Memcached::secured_in(scratch, options)
    }

    fn secured_in(scratch: Scratch, options: &str) -> Memcached {
        let tls = Port::free();
        let listen = format!("127.0.0.1:{}", tls.number());
        let args = ["-Z", "-o", options, "-l", &listen]
            .map(String::from)
            .to_vec();
        let plain = Listen::notls();
        let mut memcached = Memcached::launch(scratch, plain, args, None);
        memcached.address = listen;
        memcached.tls = Some(tls);
        memcached
    }

    fn launch(
        scratch: Scratch,
        listen: Listen,
        args: Vec<String>,
        credentials: Option<String>,
    ) -> Memcached {
        let address = listen.address();
        let process = Mutex::new(spawn(&listen, &args, &scratch));
        let memcached = Memcached {
            process,
            listen,
            args,
            address,
            credentials,
            scratch,
            tls: None,
        };
        memcached.wait_until_ready();
        memcached
    }

    /// Its address in the form of a server list, with the port: `127.0.0.1:port`, `[::1]:port`, or
    /// a path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address at which it speaks without TLS, in the same form.
    pub fn plain_address(&self) -> String {
        self.listen.address()
    }

    /// The TCP port.
    ///
    /// # Panics
    /// It listens on a unix socket.
    pub fn port(&self) -> u16 {
        self.tls
            .as_ref()
            .map_or_else(|| self.listen.port(), Port::number)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Everything that it has written. With the argument `-vv` that is every command.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Stops it. Connections stay open and new ones are accepted, but nothing is answered.
    pub fn pause(&self) {
        self.pid().pause();
    }

    /// Continues it after `pause`.
    pub fn resume(&self) {
        self.pid().resume();
    }

    /// Kills it. Its clients have seen that their connections are closed, and new connections are
    /// refused.
    pub fn kill(&self) {
        self.process().kill();
        wait::until("all clients to know", wait::WAIT_LIMIT, || {
            !self.listen.has_unknowing_clients()
        });
    }

    /// Starts it again at the same address, without items. If it is running, it is killed first.
    pub fn restart(&self) {
        self.kill();
        *self.process() = spawn(&self.listen, &self.args, &self.scratch);
        self.wait_until_ready();
    }

    /// The item at `key`. This changes neither the order of last use nor the statistics of gets.
    pub fn item(&self, key: impl AsRef<[u8]>) -> Option<Item> {
        let key = legal(key.as_ref());
        let reply = self.command([b"mg ", key, b" v f t u\r\n"].concat());
        if reply.starts_with(b"EN\r\n") {
            return None;
        }
        let item = Item::read(&reply);
        Some(item.unwrap_or_else(|| panic!("bad reply to mg: {}", reply.escape_ascii())))
    }

    /// The bytes at `key` as text. Bytes that are not UTF-8 are replaced.
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

    /// Deletes an item. Returns true if there was one.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> bool {
        let reply = self.command([b"delete ", legal(key.as_ref()), b"\r\n"].concat());
        reply == b"DELETED\r\n"
    }

    /// Sends `bytes` on a new connection and returns the whole answer: one line, many, or none.
    ///
    /// A meta no-op is sent behind `bytes`, and its answer marks the end. If the server closes the
    /// connection, the answer ends there.
    pub fn command(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        const MARK: &[u8] = b"MN\r\n";
        let request = [bytes.as_ref(), b"mn\r\n"].concat();
        let mut reply = self.exchange(&request, |reply| reply.ends_with(MARK));
        if reply.ends_with(MARK) {
            reply.truncate(reply.len() - MARK.len());
        }
        reply
    }

    /// Sends `request` and reads until the answer is `complete` or the connection is closed.
    fn exchange(&self, request: &[u8], complete: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut stream = self
            .connect()
            .unwrap_or_else(|error| self.fail("cannot connect", &error));
        // The server may close the connection at requests that it refuses or that are too long.
        let _ = stream.write_all(request);
        let mut reply = Vec::new();
        let mut part = [0; 16384];
        while !complete(&reply) {
            match wait::uninterrupted(|| stream.read(&mut part)) {
                Ok(0) => break,
                Ok(size) => reply.extend_from_slice(&part[..size]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => self.fail("no answer", &error),
            }
        }
        reply
    }

    /// A number of its statistics: `curr_items`, `cmd_get`, `cmd_flush` and so on.
    pub fn stat(&self, name: &str) -> u64 {
        let reply = self.command("stats\r\n");
        let reply = String::from_utf8_lossy(&reply);
        let line = reply
            .lines()
            .find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok())
            .unwrap_or_else(|| panic!("no number called {name} in\n{reply}"))
    }

    /// The number of its items. An expired item counts until a client asks for it.
    pub fn len(&self) -> usize {
        usize::try_from(self.stat("curr_items")).expect("fits")
    }

    /// True if it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often it was emptied since its start. This shows whether somebody has smuggled in a
    /// `flush_all`.
    pub fn flushes(&self) -> u64 {
        self.stat("cmd_flush")
    }

    /// All its keys, sorted.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        // The crawler misses an item that is moving from one LRU list to another. So it is sent
        // again as long as it finds fewer keys than are counted. Expired items are counted, too.
        let complete = || Some(self.dump()).filter(|keys| keys.len() >= self.len());
        wait::poll(Duration::from_secs(1), complete).unwrap_or_else(|| self.dump())
    }

    fn dump(&self) -> Vec<Vec<u8>> {
        let reply = wait::poll(wait::WAIT_LIMIT, || {
            // No other command may be sent before the end, because the crawler uses the connection.
            let complete = |reply: &[u8]| {
                reply.ends_with(b"END\r\n")
                    || (reply.ends_with(b"\r\n") && !reply.starts_with(b"key="))
            };
            let reply = self.exchange(b"lru_crawler metadump all\r\n", complete);
            // The server or another test may have started a crawler already.
            (!reply.starts_with(b"BUSY")).then_some(reply)
        });
        let reply = reply.unwrap_or_else(|| panic!("the crawler of {} is busy", self.address));
        let lines = reply.split(|&byte| byte == b'\n');
        let mut keys: Vec<Vec<u8>> = lines
            .filter_map(|line| line.strip_prefix(b"key="))
            .map(|rest| unescape(rest.split(|&byte| byte == b' ').next().expect("a word")))
            .collect();
        keys.sort();
        // The crawler may find an item twice if it is moving.
        keys.dedup();
        keys
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection, for exchanges that `command` does not support.
    pub fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let mut stream = self.listen.connect()?;
        if let Some(words) = &self.credentials {
            let size = words.len();
            stream.write_all(format!("set login 0 -1 {size}\r\n{words}\r\n").as_bytes())?;
            let mut reply = [0; b"STORED\r\n".len()];
            stream.read_exact(&mut reply)?;
        }
        Ok(stream)
    }

    fn wait_until_ready(&self) {
        let ready = wait::poll(wait::WAIT_LIMIT, || {
            (self.connect().is_ok() || !self.process().alive()).then_some(())
        });
        if ready.is_none() || !self.process().alive() {
            panic!("memcached did not start\n{}", self.process().account());
        }
    }

    fn fail(&self, what: &str, error: &io::Error) -> ! {
        let account = self.process().account();
        panic!("{}: {what}: {error}\n{account}", self.address);
    }
}

fn spawn(listen: &Listen, args: &[String], scratch: &Scratch) -> Process {
    let mut command = Command::new("memcached");
    command.env("PATH", crate::host::path());
    let openssl_conf = scratch.join(OPENSSL_CONF);
    if openssl_conf.exists() {
        command.env("OPENSSL_CONF", openssl_conf);
    }
    command.args(["-t", "2", "-U", "0"]);
    command.args(listen.args());
    // SAFETY: geteuid has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.args(["-u", "root"]);
    }
    command.args(args);
    Process::spawn(command, &scratch.join("memcached.log"), libc::SIGKILL)
}
