//! What a test wants of its Kamailio, turned into a configuration file and a command.
//!
//! The configuration is small and always the same, but for what the test adds; it is
//! left in the scratch folder as `kamailio.cfg`.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::answer::{self, Value};
use super::{Kamailio, Script};
use crate::host::Host;
use crate::memcached::Memcached;
use crate::port::Port;
use crate::process::{self, Pid, Process};
use crate::scratch::Scratch;
use crate::sip::Request;
use crate::{stock, wait};

/// The socket of kamcmd, in the scratch folder.
pub(super) const CTL: &str = "ctl";

const READY: &str = "support-ready";

/// Collects a configuration; see `Kamailio::builder`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    host: Host,
    module: Module,
    first: bool,
    globals: String,
    modules: Vec<String>,
    params: Vec<(String, String, Param)>,
    scripts: Vec<Script>,
    request_route: String,
    routes: String,
    file: Option<PathBuf>,
    children: usize,
    tcp: bool,
    rpc: bool,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Module {
    UnderTest,
    Stock,
    None,
}

/// The value of a module parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// Written as a number.
    Int(i64),
    /// Written between quotes.
    Str(String),
}

impl From<i64> for Param {
    fn from(number: i64) -> Param {
        Param::Int(number)
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Param {
        Param::Str(text.into())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Param {
        Param::Str(text)
    }
}

/// What `kamailio -c` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether it accepts the configuration.
    pub ok: bool,
    /// Its exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// All it printed.
    pub output: String,
}

/// A Kamailio that ended instead of getting ready.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How it ended.
    pub status: ExitStatus,
    /// All it logged.
    pub log: String,
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
            rpc: false,
            args: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Points the parameter `servers` at this memcached.
    pub fn memcached(self, memcached: &Memcached) -> Builder {
        self.param("servers", memcached.address())
    }

    /// A parameter of the module under test.
    pub fn param(self, name: &str, value: impl Into<Param>) -> Builder {
        self.param_of("memcached", name, value)
    }

    /// A parameter of any module.
    pub fn param_of(mut self, module: &str, name: &str, value: impl Into<Param>) -> Builder {
        self.params.push((module.into(), name.into(), value.into()));
        self
    }

    /// Loads one more stock module, such as `htable`, before the module under test.
    pub fn module(mut self, name: &str) -> Builder {
        self.modules.push(name.into());
        self
    }

    /// Loads the module under test before all others.
    pub fn module_first(mut self) -> Builder {
        self.first = true;
        self
    }

    /// Tests the C module that ours replaces.
    pub fn stock_module(mut self) -> Builder {
        self.module = Module::Stock;
        self
    }

    /// Loads neither, for comparisons; parameters of the module are left out, too.
    pub fn without_module(mut self) -> Builder {
        self.module = Module::None;
        self
    }

    /// A line before the modules, such as `debug=3`.
    pub fn global(mut self, line: &str) -> Builder {
        self.globals += line;
        self.globals += "\n";
        self
    }

    /// A script to be called by `Kamailio::run(name)`: `statements` are executed, then
    /// each of `expressions` is evaluated once, in this order, and reported.
    ///
    /// An expression is whatever may stand to the right of `=`. What is reported must
    /// fit into the core's `pv_buffer_size` (8 KiB on most hosts) twice: of large
    /// values, ask for `{s.len}` and `{s.md5}`.
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

    /// Starts, runs `statements`, tells what `expression` comes to, and stops.
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

    /// What the request route does with requests that are for no script; unless told,
    /// they get a 200.
    pub fn request_route(mut self, body: &str) -> Builder {
        self.request_route += body;
        self
    }

    /// Further routes, written out: `route[X] { … }`, `event_route[…] { … }`.
    pub fn routes(mut self, text: &str) -> Builder {
        self.routes += text;
        self.routes += "\n";
        self
    }

    /// Takes a whole configuration file instead of a collected one. It must answer
    /// every request; modules by plain name are searched beside the module under test
    /// first. Only `children`, `define`, `arg` and `env` have an effect beside it.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.file = Some(path.into());
        self
    }

    /// Defines a preprocessor word (`-A name=value`).
    pub fn define(self, name: &str, value: &str) -> Builder {
        self.arg("-A").arg(&format!("{name}={value}"))
    }

    /// How many UDP workers; 1 unless told.
    pub fn children(mut self, count: usize) -> Builder {
        self.children = count;
        self
    }

    /// Listens on TCP, too.
    pub fn tcp(mut self) -> Builder {
        self.tcp = true;
        self
    }

    /// Makes `Kamailio::rpc` work: loads ctl, kex, cfg_rpc and counters.
    pub fn rpc(mut self) -> Builder {
        self.rpc = true;
        self
    }

    /// One more command line argument.
    pub fn arg(mut self, arg: &str) -> Builder {
        self.args.push(arg.into());
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Builder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it answers SIP requests.
    #[track_caller]
    pub fn start(self) -> Kamailio {
        match self.try_start() {
            Ok(kamailio) => kamailio,
            Err(Failure { status, log }) => {
                panic!("Kamailio did not start, it ended with {status}; its log:\n{log}")
            }
        }
    }

    /// The same for configurations that may be refused at start.
    #[track_caller]
    pub fn try_start(self) -> Result<Kamailio, Failure> {
        let scratch = self.host.scratch();
        let port = Port::free();
        let mut command = self.command(&scratch, &port);
        command.args(["-DD", "-E"]).args(&self.args);
        let kamailio = Kamailio {
            // The main process takes the others with it when it is asked to end.
            process: Process::spawn(command, &scratch.join("log"), libc::SIGTERM),
            host: self.host.clone(),
            port,
            children: self.children,
            scripts: self.scripts.clone(),
            scratch,
        };
        self.wait_until_ready(&kamailio);
        match kamailio.process.ended() {
            None => Ok(kamailio),
            Some(status) => Err(Failure {
                status,
                log: kamailio.log(),
            }),
        }
    }

    /// Has the configuration checked by `kamailio -c`.
    #[track_caller]
    pub fn check(self) -> Check {
        let scratch = self.host.scratch();
        let mut command = self.command(&scratch, &Port::free());
        command.arg("-c").arg("-E").args(&self.args);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", process::line(&command)));
        let text = [output.stdout, output.stderr].concat();
        Check {
            ok: output.status.success(),
            code: output.status.code(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    fn command(&self, scratch: &Scratch, port: &Port) -> Command {
        let inside = |path: &Path| self.host.inside(path);
        let run = scratch.join("run");
        std::fs::create_dir(&run).unwrap_or_else(|error| panic!("{}: {error}", run.display()));
        let mut command = self.host.command("kamailio");
        match &self.file {
            None => {
                let path = scratch.write("kamailio.cfg", self.config(scratch, port));
                command.arg("-f").arg(inside(&path));
            }
            Some(file) => {
                self.own_file(file, scratch, port, &mut command);
            }
        }
        command.arg("-Y").arg(inside(&run));
        command.args(["-m", "32", "-M", "8"]);
        if self.module == Module::Stock {
            command.env("LD_LIBRARY_PATH", stock::libraries());
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// The arguments for a configuration file that we did not write.
    fn own_file(&self, file: &Path, scratch: &Scratch, port: &Port, command: &mut Command) {
        let file = match self.host.is_local() {
            true => file.to_owned(),
            false => {
                let text = std::fs::read(file);
                let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                self.host.inside(&scratch.write("kamailio.cfg", text))
            }
        };
        let modules = scratch.join("modules");
        std::fs::create_dir(&modules).expect("the scratch folder is writable");
        if let Some(path) = self.module_path() {
            copy(&path, &modules.join("memcached.so"));
        }
        let own = self.host.inside(&modules);
        let search = format!("{}:{}", own.display(), self.host.modules().display());
        command.arg("-f").arg(file).arg("-L").arg(search);
        command.args(["-n", &self.children.to_string()]);
        command.args(["-l", &format!("udp:{}", port.v4())]);
    }

    fn module_path(&self) -> Option<PathBuf> {
        match self.module {
            Module::UnderTest => Some(module_under_test()),
            Module::Stock => Some(stock::module()),
            Module::None => None,
        }
    }

    fn config(&self, scratch: &Scratch, port: &Port) -> String {
        let module = self.module_path().map(|path| {
            let path = match self.host.is_local() {
                true => path,
                false => {
                    let copied = scratch.join("memcached.so");
                    copy(&path, &copied);
                    self.host.inside(&copied)
                }
            };
            format!("loadmodule \"{}\"\n", path.display())
        });
        let module = module.unwrap_or_default();
        let mut modules: Vec<&str> = vec!["pv", "xlog", "sl", "textops"];
        if self.rpc {
            modules.extend(["ctl", "kex", "cfg_rpc", "counters"]);
        }
        modules.extend(self.modules.iter().map(String::as_str));

        let mut text = String::from("#!KAMAILIO\ndebug=2\nauto_aliases=no\ndns=no\nrev_dns=no\n");
        text += &format!("children={}\nlisten=udp:{}\n", self.children, port.v4());
        if self.tcp {
            text += &format!("tcp_children=1\nlisten=tcp:{}\n", port.v4());
        } else {
            text += "disable_tcp=yes\n";
        }
        text += &self.globals;
        if self.first {
            text += &module;
        }
        for name in modules {
            text += &format!("loadmodule \"{name}.so\"\n");
        }
        if !self.first {
            text += &module;
        }
        if self.rpc {
            let socket = self.host.inside(&scratch.join(CTL));
            let socket = format!("unix:{}", socket.display());
            text += &modparam("ctl", "binrpc", &Param::Str(socket));
        }
        for (module, name, value) in &self.params {
            if self.module != Module::None || module != "memcached" {
                text += &modparam(module, name, value);
            }
        }
        text += "request_route {\n";
        text += &format!(
            "    if ($rU == \"{READY}\") {{ sl_send_reply(\"200\", \"ready\"); exit; }}\n"
        );
        let scripts = || self.scripts.iter().enumerate();
        text.extend(scripts().map(|(index, script)| answer::branch(index, script)));
        text += match self.request_route.trim() {
            "" => "    sl_send_reply(\"200\", \"OK\");",
            body => body,
        };
        text += "\n}\n";
        text.extend(scripts().map(|(index, script)| answer::routes(index, script)));
        text += &self.routes;
        text
    }

    /// Returns when the workers answer, all processes are forked and the sockets are
    /// there, or when Kamailio has ended.
    #[track_caller]
    fn wait_until_ready(&self, kamailio: &Kamailio) {
        let ended = || !kamailio.alive();
        let step = |what: &str, done: &mut dyn FnMut() -> bool| {
            if wait::poll(wait::PATIENCE, || (done() || ended()).then_some(())).is_none() {
                kamailio.fail(&format!("Kamailio does not get ready: {what}"));
            }
        };
        step("no answer to a SIP request", &mut || {
            answers(kamailio).unwrap_or(false)
        });
        step("too few workers", &mut || {
            kamailio.workers().len() == self.children
        });
        if self.file.is_none() && self.rpc {
            step("no RPC socket", &mut || {
                UnixStream::connect(kamailio.scratch.join(CTL)).is_ok()
            });
        }
        if self.file.is_none() && self.tcp {
            step("no TCP port", &mut || {
                TcpStream::connect(kamailio.address()).is_ok()
            });
        }
        // A child that has just been forked still takes itself for the main process,
        // and would swallow the SIGTERM of an early shutdown.
        step("its processes do not come to rest", &mut || {
            kamailio.pid().sleeps_in_pause() && kamailio.processes().into_iter().all(Pid::sleeps)
        });
    }
}

/// Asks for a sign of life, and waits for it unless the port is still closed.
fn answers(kamailio: &Kamailio) -> std::io::Result<bool> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(kamailio.address())?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let request = Request::options().user(READY);
    socket.send(&request.encode(socket.local_addr()?))?;
    match socket.recv(&mut [0; 4096]) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

fn modparam(module: &str, name: &str, value: &Param) -> String {
    let value = match value {
        Param::Int(number) => number.to_string(),
        Param::Str(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        }
    };
    format!("modparam(\"{module}\", \"{name}\", {value})\n")
}

/// `MCT_MODULE`, else what `make build` leaves behind.
fn module_under_test() -> PathBuf {
    let path = match std::env::var_os("MCT_MODULE") {
        Some(path) => PathBuf::from(path),
        None => crate::target().join("release/memcached.so"),
    };
    std::path::absolute(&path)
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| panic!("there is no {}: run `make build`", path.display()))
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| {
        panic!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        )
    });
}
