//! `Twemproxy` is a running twemproxy (`nutcracker`), with which tests compare where keys go.

use std::net::TcpStream;
use std::process::Command;

use crate::pid::Pid;
use crate::port::Port;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// A running twemproxy with one pool. It is killed when it is dropped.
#[derive(Debug)]
pub struct Twemproxy {
    process: Process,
    port: Port,
    _statistics: Port,
    _scratch: Scratch,
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
        let config = scratch.write("nutcracker.yml", text);

        let mut command = Command::new("nutcracker");
        command.arg("-c").arg(config);
        command.args(["-a", "127.0.0.1"]);
        command.args(["-s", &statistics.number().to_string()]);
        command.env("PATH", crate::host::path());
        let process = Process::spawn(command, &scratch.join("log"), libc::SIGKILL);
        let ready = wait::poll(wait::WAIT_LIMIT, || {
            (TcpStream::connect(port.v4()).is_ok() || !process.alive()).then_some(())
        });
        if ready.is_none() || !process.alive() {
            panic!("twemproxy did not start\n{}", process.account());
        }
        Twemproxy {
            process,
            port,
            _statistics: statistics,
            _scratch: scratch,
        }
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
