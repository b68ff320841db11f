//! `Twemproxy` is a running twemproxy (`nutcracker`), with which tests compare where keys go.

use std::net::TcpStream;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pid::Pid;
use crate::port::Port;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// A running twemproxy with one pool. It is killed when it is dropped.
#[derive(Debug)]
pub struct Twemproxy {
    process: Mutex<Process>,
    port: Port,
    statistics: Port,
    scratch: Scratch,
}

impl Twemproxy {
    /// Starts it. `options` are those of the pool, such as `hash: md5`. `servers` are in its own
    /// grammar, such as `127.0.0.1:11211:1 name`.
    pub fn start(options: &[&str], servers: &[&str]) -> Twemproxy {
        let (port, statistics) = (Port::free(), Port::free());
        let scratch = Scratch::new();
        let mut text = format!("pool:\n  listen: {}\n", port.v4());
        text.extend(options.iter().map(|option| format!("  {option}\n")));
        text += "  servers:\n";
        text.extend(servers.iter().map(|server| format!("    - {server}\n")));
        scratch.write(CONFIG, text);
        let twemproxy = Twemproxy {
            process: Mutex::new(spawn(&scratch, &statistics)),
            port,
            statistics,
            scratch,
        };
        twemproxy.wait_until_ready();
        twemproxy
    }

    /// Kills it. New connections are refused.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts it again at the same address. If it is running, it is killed first.
    pub fn restart(&self) {
        self.kill();
        *self.process() = spawn(&self.scratch, &self.statistics);
        self.wait_until_ready();
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.process().pid()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.process().log()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_ready(&self) {
        let alive = || self.process().alive();
        let ready = wait::poll(wait::WAIT_LIMIT, || {
            (TcpStream::connect(self.port.v4()).is_ok() || !alive()).then_some(())
        });
        if ready.is_none() || !alive() {
            panic!("twemproxy did not start\n{}", self.process().account());
        }
    }
}

/// The name of its configuration.
const CONFIG: &str = "nutcracker.yml";

fn spawn(scratch: &Scratch, statistics: &Port) -> Process {
    let mut command = Command::new("nutcracker");
    command.arg("-c").arg(scratch.join(CONFIG));
    command.args(["-a", "127.0.0.1"]);
    command.args(["-s", &statistics.number().to_string()]);
    command.env("PATH", crate::host::path());
    Process::spawn(command, &scratch.join("log"), libc::SIGKILL)
}
