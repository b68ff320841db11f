//! `Builder` collects what a test wants of its Kamailio. `config` writes the configuration, and
//! `ready` waits until Kamailio is ready.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use super::answer::Value;
use super::config::{self, Param};
use super::{Kamailio, OURS, Script};
use crate::host::Host;
use crate::memcached::Memcached;
use crate::pid::Pid;
use crate::port::Port;
use crate::process::{self, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Collects a configuration, see `Kamailio::builder`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    pub(super) host: Host,
    pub(super) module: Module,
    pub(super) first: bool,
    pub(super) globals: String,
    pub(super) modules: Vec<String>,
    pub(super) params: Vec<(String, String, Param)>,
    pub(super) scripts: Vec<Script>,
    pub(super) request_route: String,
    pub(super) routes: String,
    pub(super) file: Option<PathBuf>,
    pub(super) children: usize,
    pub(super) tcp: bool,
    pub(super) daemon: bool,
    pub(super) syslog: bool,
    pub(super) rpc: bool,
    pub(super) args: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) wrapper: Vec<String>,
}

/// Which module is loaded under the name `memcached`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    UnderTest,
    Stock,
    None,
}

/// The result of `kamailio -c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// True if it accepts the configuration.
    pub ok: bool,
    /// Its exit code. `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything that it printed.
    pub output: String,
}

impl Check {
    /// It refuses the configuration, with one line of the module's alone, which has all these parts.
    #[track_caller]
    pub fn assert_refused(&self, parts: &[&str]) {
        assert!(!self.ok, "accepted, but to be refused with {parts:?}");
        let ours = self.output.lines().filter(|line| line.contains(OURS));
        let [line] = ours.collect::<Vec<_>>()[..] else {
            panic!(
                "one line of ours expected, with {parts:?}:\n{}",
                self.output
            );
        };
        for part in ["ERROR: "].iter().chain(parts) {
            assert!(line.contains(part), "no {part:?} in {line}");
        }
    }
}

/// A Kamailio that ended instead of getting ready.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it logged.
    pub log: String,
    /// Its configuration, with line numbers.
    pub config: String,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            host: Host::current(),
            module: Module::UnderTest,
            first: false,
            globals: String::new(),
            modules: Vec::new(),
            params: Vec::new(),
            scripts: Vec::new(),
            request_route: String::new(),
            routes: String::new(),
            file: None,
            children: 1,
            tcp: false,
            daemon: false,
            syslog: false,
            rpc: false,
            args: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// Sets the parameter `servers` to this memcached.
    pub fn memcached(self, memcached: &Memcached) -> Builder {
        self.param("servers", memcached.address())
    }

    /// Sets a parameter of the module under test.
    pub fn param(self, name: &str, value: impl Into<Param>) -> Builder {
        self.param_of("memcached", name, value)
    }

    /// Sets a parameter of any module.
    pub fn param_of(mut self, module: &str, name: &str, value: impl Into<Param>) -> Builder {
        self.params.push((module.into(), name.into(), value.into()));
        self
    }

    /// Keeps every server in service whatever it does, and lets every worker wait until its own
    /// deadline. For tests of one exchange after the other, each with a fault.
    ///
    /// With the defaults, no worker would ask the server again for a while after the first fault.
    pub fn without_verdicts(self) -> Builder {
        self.param("inactive_threshold", 1000)
            .param("stall_limit", 60_000)
    }

    /// Loads another module of Kamailio, such as `htable`, before the module under test.
    pub fn module(mut self, name: &str) -> Builder {
        self.modules.push(name.into());
        self
    }

    /// Loads the module under test before all others.
    pub fn module_first(mut self) -> Builder {
        self.first = true;
        self
    }

    /// Tests the stock module instead of ours.
    pub fn stock_module(mut self) -> Builder {
        self.module = Module::Stock;
        self
    }

    /// Loads neither of the two modules, for comparisons. The parameters of the module are left
    /// out, too.
    pub fn without_module(mut self) -> Builder {
        self.module = Module::None;
        self
    }

    /// Adds a line before the modules, such as `debug=3`.
    pub fn global(mut self, line: &str) -> Builder {
        self.globals += line;
        self.globals += "\n";
        self
    }

    /// Adds a script that `Kamailio::run(name)` calls. It executes `statements`. Then it evaluates
    /// each of `expressions` once, in this order, and reports the values.
    ///
    /// An expression is anything that may be to the right of `=`. A value, with a third of its
    /// length added, must fit into the core's `pv_buffer_size` (8 KiB on most hosts). For larger
    /// values, use `{s.len}` and `{s.md5}`.
    pub fn script(mut self, name: &str, statements: &str, expressions: &[&str]) -> Builder {
        assert!(
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            "{name:?} is to stand in a SIP URI: letters, digits, - and _"
        );
        self.scripts.push(Script {
            name: name.into(),
            statements: statements.into(),
            expressions: expressions.iter().map(|&text| text.into()).collect(),
        });
        self
    }

    /// Starts Kamailio, runs `statements`, returns the value of `expression`, and stops it.
    #[track_caller]
    pub fn eval(self, statements: &str, expression: &str) -> Value {
        let kamailio = self.script("eval", statements, &[expression]).start();
        let value = kamailio.run("eval")[expression].clone();
        let status = kamailio.stop();
        if !status.success() {
            kamailio.fail("it did not end properly");
        }
        value
    }

    /// Sets what the request route does with requests that are not for a script. By default it
    /// answers 200.
    pub fn request_route(mut self, body: &str) -> Builder {
        self.request_route += body;
        self
    }

    /// Adds routes: `route[X] { … }`, `event_route[…] { … }`.
    pub fn routes(mut self, text: &str) -> Builder {
        self.routes += text;
        self.routes += "\n";
        self
    }

    /// Uses a configuration file instead of the collected configuration. It must answer every
    /// request. A module named without a path is first searched in the folder of the module under
    /// test. Only `children`, `define`, `arg` and `env` have an effect together with this.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.file = Some(path.into());
        self
    }

    /// Defines a word of the preprocessor (`-A name=value`).
    pub fn define(self, name: &str, value: &str) -> Builder {
        self.arg("-A").arg(&format!("{name}={value}"))
    }

    /// Sets the number of UDP workers. The default is 1.
    pub fn children(mut self, count: usize) -> Builder {
        self.children = count;
        self
    }

    /// Listens on TCP, too.
    pub fn tcp(mut self) -> Builder {
        self.tcp = true;
        self
    }

    /// Lets it become a daemon, as the service does, and not stay in the foreground. A test that is
    /// killed leaves it running.
    pub fn daemon(mut self) -> Builder {
        self.daemon = true;
        self
    }

    /// Lets it log to syslog, or to where a module such as log_custom writes the log.
    /// `Kamailio::log` then has only what is logged before the configuration is read.
    pub fn syslog(mut self) -> Builder {
        self.syslog = true;
        self
    }

    /// Makes `Kamailio::rpc` and `jsonrpc` work: loads ctl, jsonrpcs, kex, cfg_rpc and counters.
    pub fn rpc(mut self) -> Builder {
        self.rpc = true;
        self
    }

    /// Adds an argument to the command line.
    pub fn arg(mut self, arg: &str) -> Builder {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Builder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets another program start it, such as `&["valgrind", "--tool=callgrind"]`. That program
    /// must become Kamailio, or run it within its own process.
    pub fn wrapper(mut self, words: &[&str]) -> Builder {
        self.wrapper = words.iter().map(|&word| word.into()).collect();
        self
    }

    /// Starts it and waits until it answers SIP requests.
    #[track_caller]
    pub fn start(self) -> Kamailio {
        match self.try_start() {
            Ok(kamailio) => kamailio,
            Err(Failure {
                status,
                log,
                config,
            }) => {
                panic!(
                    "Kamailio did not start, it ended with {status}; its configuration:\n\
                     {config}\nits log:\n{log}"
                )
            }
        }
    }

    /// The same, for a configuration that may be refused at start.
    #[track_caller]
    pub fn try_start(self) -> Result<Kamailio, Failure> {
        let scratch = self.host.scratch();
        let port = Port::free();
        let mut command = self.command(&scratch, &port);
        if !self.syslog {
            command.arg("-E");
        }
        command.args(&self.args);
        let kamailio = Kamailio {
            process: self.launch(command, &scratch)?,
            host: self.host.clone(),
            port,
            children: self.children,
            scripts: self.scripts.clone(),
            scratch,
        };
        self.wait_until_ready(&kamailio);
        match kamailio.process.ended() {
            None => Ok(kamailio),
            Some(status) => Err(Failure::new(status, kamailio.log(), &kamailio.scratch)),
        }
    }

    fn launch(&self, mut command: Command, scratch: &Scratch) -> Result<Process, Failure> {
        let log = scratch.join("log");
        // When the main process is told to end, it ends the others, too.
        let on_orphan = libc::SIGTERM;
        if !self.daemon {
            command.arg("-DD");
            return Ok(Process::spawn(command, &log, on_orphan));
        }
        process::accept_daemons();
        let file = scratch.join("pid");
        command.arg("-P").arg(self.host.inside(&file));
        let launcher = Process::spawn(command, &log, on_orphan);
        match launcher.wait(wait::WAIT_LIMIT) {
            Some(status) if status.success() => {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let pid = text.trim().parse();
                let pid = pid.unwrap_or_else(|_| panic!("no pid file\n{}", launcher.account()));
                Ok(Process::adopt(Pid(pid), &launcher))
            }
            Some(status) => Err(Failure::new(status, launcher.log(), scratch)),
            None => panic!("it does not become a daemon\n{}", launcher.account()),
        }
    }

    /// Checks the configuration with `kamailio -c`.
    #[track_caller]
    pub fn check(self) -> Check {
        let scratch = self.host.scratch();
        let mut command = self.command(&scratch, &Port::free());
        command.arg("-c").arg("-E").args(&self.args);
        let output = process::output(&mut command)
            .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", process::line(&command)));
        let text = [output.stdout, output.stderr].concat();
        Check {
            ok: output.status.success(),
            code: output.status.code(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

impl Failure {
    fn new(status: ExitStatus, log: String, scratch: &Scratch) -> Failure {
        Failure {
            status,
            log,
            config: config::numbered(scratch),
        }
    }
}
