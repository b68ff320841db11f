//! `Kamailio` is a running Kamailio with the module under test.
//!
//! `Kamailio::builder()` collects a configuration and starts it. With the result, a test sends SIP
//! and RPC requests, reads the log and finds the processes. When it is dropped, all its processes
//! are killed. `stop` shuts it down and returns its exit status.

mod answer;
mod builder;
mod config;
mod ready;

pub use config::module_under_test;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::process::{ExitStatus, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use answer::{Answer, Value};
pub use builder::{Builder, Check, Failure};
pub use config::Param;

use crate::host::Host;
use crate::memcached::Memcached;
use crate::pid::Pid;
use crate::port::Port;
use crate::process::{self, Process};
use crate::scratch::Scratch;
use crate::sip::{Pending, Request, Response};
use crate::wait;

/// A running Kamailio. It is killed when it is dropped.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    host: Host,
    port: Port,
    children: usize,
    scripts: Vec<Script>,
    scratch: Scratch,
}

/// Statements of the script language, and the expressions to report after them.
#[derive(Debug, Clone)]
struct Script {
    name: String,
    statements: String,
    expressions: Vec<String>,
}

impl Kamailio {
    /// Begins a configuration.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The same, with this memcached as the module's `servers`.
    pub fn on(memcached: &Memcached) -> Builder {
        Kamailio::builder().memcached(memcached)
    }

    /// Runs a script in a SIP worker and returns the values of its expressions.
    #[track_caller]
    pub fn run(&self, script: &str) -> Answer {
        self.run_with(script, Request::options())
    }

    /// The same with a given request, for scripts that read it.
    #[track_caller]
    pub fn run_with(&self, script: &str, request: Request) -> Answer {
        self.launch(script, request).wait()
    }

    /// Sends the request for a script without waiting, so that many can run at the same time.
    #[track_caller]
    pub fn launch(&self, script: &str, request: Request) -> Run<'_> {
        let known = self.scripts.iter().find(|known| known.name == script);
        let script = known.unwrap_or_else(|| panic!("no script called {script:?}"));
        Run {
            kamailio: self,
            script,
            pending: self.send(request.user(&script.name)),
        }
    }

    /// Sends this request for a script `count` times at the same time. Returns the answers in the
    /// order of the requests.
    #[track_caller]
    pub fn run_at_once(&self, script: &str, count: usize, request: &Request) -> Vec<Answer> {
        let launch = |_| self.launch(script, request.clone());
        let runs: Vec<Run> = (0..count).map(launch).collect();
        runs.into_iter().map(Run::wait).collect()
    }

    /// Sends this request for a script, many at the same time, until every worker has run it.
    /// Returns all answers. The script must report its process, `$pp`.
    #[track_caller]
    pub fn run_on_every_worker(&self, script: &str, request: &Request) -> Vec<Answer> {
        let workers: HashSet<Pid> = self.workers().into_iter().collect();
        let (mut seen, mut answers) = (HashSet::new(), Vec::new());
        wait::until("an answer from every worker", wait::WAIT_LIMIT, || {
            let more = self.run_at_once(script, 2 * workers.len(), request);
            seen.extend(more.iter().map(Answer::process));
            answers.extend(more);
            seen == workers
        });
        answers
    }

    /// Sends a request and waits for the response.
    #[track_caller]
    pub fn sip(&self, request: Request) -> Response {
        match request.exchange(self.address()) {
            Ok(response) => response,
            Err(error) => self.fail(&format!("no response to {request:?}: {error}")),
        }
    }

    /// Sends a request without waiting. `Pending::wait` returns the response.
    pub fn send(&self, request: Request) -> Pending {
        request.send(self.address())
    }

    /// The address at which it listens on UDP and, if requested, on TCP.
    pub fn address(&self) -> SocketAddr {
        self.port.v4()
    }

    /// Calls an RPC command with kamcmd. The builder must have `rpc`.
    #[track_caller]
    pub fn rpc(&self, command: &str, args: &[&str]) -> String {
        match self.try_rpc(command, args) {
            Ok(text) => text,
            Err(text) => self.fail(&format!("RPC {command} {args:?}: {text}")),
        }
    }

    /// A statistic of the module, of all pools. The builder must have `rpc`.
    #[track_caller]
    pub fn statistic(&self, name: &str) -> u64 {
        let text = self.rpc("cnt.get", &["memcached", name]);
        let value = text.trim().parse();
        value.unwrap_or_else(|_| self.fail(&format!("statistic {name}: {text}")))
    }

    /// As [`Self::rpc`]. If the command answers with a fault, `Err` has what kamcmd prints, such as `error:
    /// 500 - text`.
    pub fn try_rpc(&self, command: &str, args: &[&str]) -> Result<String, String> {
        let args = args.iter().map(|arg| arg.as_bytes());
        let output = self.kamcmd(command, args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if text.starts_with("error:") || !output.status.success() {
            Err([text, errors].concat().trim_end().into())
        } else {
            Ok(text)
        }
    }

    /// Runs an RPC command whose arguments are any bytes, and returns what kamcmd shows.
    #[track_caller]
    pub fn rpc_bytes(&self, command: &str, args: &[&[u8]]) -> String {
        let output = self.kamcmd(command, args.iter().copied());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.starts_with("error:") || !output.status.success() {
            self.fail(&format!("{command}: {text}"));
        }
        text
    }

    fn kamcmd<'a>(&self, command: &str, args: impl Iterator<Item = &'a [u8]>) -> Output {
        let socket = self.host.inside(&self.scratch.join(config::CTL));
        let mut kamcmd = self.host.command("kamcmd");
        kamcmd.arg("-s").arg(format!("unix:{}", socket.display()));
        let output = process::output(kamcmd.arg(command).args(args.map(OsStr::from_bytes)));
        output.unwrap_or_else(|error| panic!("cannot run kamcmd: {error}"))
    }

    /// Calls an RPC command as JSON. `params` is a JSON array or object. Returns the whole
    /// response, with `result` or `error`.
    #[track_caller]
    pub fn jsonrpc(&self, method: &str, params: &str) -> String {
        let exchange = || {
            // Kamailio answers to the address of the client, so the client needs one. It must also
            // be valid inside a slim root, so it is a name outside of the file system.
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("kamailio-memcached-jsonrpc-{}-{count}", std::process::id());
            let own = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let socket = UnixDatagram::bind_addr(&own)?;
            socket.set_read_timeout(Some(wait::WAIT_LIMIT))?;
            socket.connect(self.scratch.join(config::JSONRPC))?;
            let head = r#"{"jsonrpc": "2.0", "id": 1, "method":"#;
            socket.send(format!("{head} \"{method}\", \"params\": {params}}}").as_bytes())?;
            let mut buffer = vec![0; 1 << 20];
            let size = wait::uninterrupted(|| socket.recv(&mut buffer))?;
            buffer.truncate(size);
            std::io::Result::Ok(buffer)
        };
        match exchange() {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => self.fail(&format!("JSON-RPC {method} {params}: {error}")),
        }
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The lines of the log that contain `text`.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    /// The lines that the module has logged.
    pub fn module_lines(&self) -> Vec<String> {
        self.log_lines(OURS)
    }

    /// The module has logged nothing.
    #[track_caller]
    pub fn assert_nothing_logged(&self) {
        let ours = self.module_lines();
        assert!(ours.is_empty(), "{ours:#?}\n{}", self.log());
    }

    /// Waits until the log has a line that holds `text`, and returns that line.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str, limit: Duration) -> String {
        let line = wait::poll(limit, || self.log_lines(text).into_iter().next());
        line.unwrap_or_else(|| self.fail(&format!("no log line with {text:?} within {limit:?}")))
    }

    /// Its configuration with line numbers. Empty if the test has its own file.
    pub fn config(&self) -> String {
        config::numbered(&self.scratch)
    }

    /// The main process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// All its processes except the main one, in the order in which they were forked.
    pub fn processes(&self) -> Vec<Pid> {
        self.pid().children()
    }

    /// The UDP workers. Kamailio forks them first.
    pub fn workers(&self) -> Vec<Pid> {
        let mut processes = self.processes();
        processes.truncate(self.children);
        processes
    }

    /// True if it is running.
    pub fn alive(&self) -> bool {
        self.process.alive()
    }

    /// Its scratch folder, with configuration, log, sockets and runtime folder.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Tells it to end, and waits. After a clean shutdown the status is `success()`.
    #[track_caller]
    pub fn stop(&self) -> ExitStatus {
        if self.alive() {
            // A process that ends while it holds one of Kamailio's locks leaves the main process
            // waiting for that lock. So whoever is still at work may finish first.
            let at_rest = || self.processes().into_iter().all(Pid::sleeps).then_some(());
            wait::poll(Duration::from_secs(5), at_rest);
            self.pid().terminate();
        }
        let mut ended = self.process.wait(wait::WAIT_LIMIT);
        if ended.is_none() && Host::current().is_emulated() {
            self.end_handlers();
            ended = self.process.wait(wait::WAIT_LIMIT);
            ended = ended.or_else(|| self.end_main());
        }
        ended.unwrap_or_else(|| {
            let all = [vec![self.pid()], self.processes()].concat();
            let accounts: Vec<String> = all.into_iter().map(Pid::account).collect();
            self.fail(&format!(
                "it does not end after SIGTERM: {}",
                accounts.join("\n")
            ))
        })
    }

    /// Kills the processes that stay in Kamailio's own handler of SIGTERM.
    ///
    /// Once in some 2000 ends, a timer of Kamailio 5.6.3 under qemu 7.2 stays at work there, between the
    /// handler's line in the log and `_exit`. Nothing of the module runs there, so whoever has come
    /// so far has shown what a test asks for. The main process must still end by itself.
    fn end_handlers(&self) {
        for process in self.processes() {
            let begun = self.log_lines("signal 15 received");
            let begun = begun
                .iter()
                .any(|line| line.contains(&format!("({process})")));
            if begun && process.blocks_sigterm() {
                println!(
                    "killed in Kamailio's handler of SIGTERM: {}",
                    process.account()
                );
                process.kill();
            }
        }
    }

    /// Kills the main process if it stays in Kamailio's own shutdown, after all others have ended; then
    /// it counts as one that has ended by itself.
    ///
    /// Kamailio 6.0.1 under qemu 7.2 has done that once in some 2000 ends. The module is not told of the
    /// end of the main process. If this is its fault nevertheless, it happens more often, and fails a test.
    fn end_main(&self) -> Option<ExitStatus> {
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        let begun = !self.log_lines("Thank you for flying").is_empty();
        if !begun || !self.processes().is_empty() || ENDED.fetch_add(1, Ordering::Relaxed) > 0 {
            return None;
        }
        println!("killed in Kamailio's shutdown: {}", self.pid().account());
        self.process.kill();
        Some(ExitStatus::default())
    }

    /// Fails the test and shows the end of the log.
    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", self.process.account())
    }
}

/// What every log line of the module has.
const OURS: &str = " memcached [";

/// A script on its way.
#[derive(Debug)]
pub struct Run<'a> {
    kamailio: &'a Kamailio,
    script: &'a Script,
    pending: Pending,
}

impl Run<'_> {
    /// True if the response or the failure has arrived.
    pub fn is_done(&self) -> bool {
        self.pending.is_done()
    }

    /// Waits for the values of its expressions.
    #[track_caller]
    pub fn wait(self) -> Answer {
        let name = &self.script.name;
        let answer = self.pending.wait().map_err(|error| error.to_string());
        let answer = answer.and_then(|response| Answer::read(&self.script.expressions, response));
        match answer {
            Ok(answer) => answer,
            Err(error) => self.kamailio.fail(&format!("script {name:?}: {error}")),
        }
    }
}
