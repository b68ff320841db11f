//! Writes what the builder has collected: the configuration file and the command line.
//!
//! The configuration is small. It is always the same, except for what the test adds. It is in the
//! scratch folder, as `kamailio.cfg`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::answer;
use super::builder::{Builder, Module};
use super::ready::READY;
use crate::port::Port;
use crate::scratch::Scratch;
use crate::stock;

/// The name of kamcmd's socket in the scratch folder.
pub(super) const CTL: &str = "ctl";

/// The name of the JSON-RPC socket in the scratch folder.
pub(super) const JSONRPC: &str = "jsonrpc";

/// The value of a module parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// It is written as a number.
    Int(i64),
    /// It is written in quotes.
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

impl Builder {
    pub(super) fn command(&self, scratch: &Scratch, port: &Port) -> Command {
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
        if self.module == Module::Stock
            && let Some(folder) = stock::libraries()
        {
            command.env("LD_LIBRARY_PATH", folder);
        }
        if let Some(library) = std::env::var_os("MCT_PRELOAD") {
            command.env("LD_PRELOAD", library);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        self.wrap(command)
    }

    fn wrap(&self, command: Command) -> Command {
        let Some((program, args)) = self.wrapper.split_first() else {
            return command;
        };
        let mut wrapped = Command::new(program);
        wrapped.args(args);
        wrapped.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }

    /// The arguments for a configuration file of the test's own.
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
            modules.extend(["ctl", "jsonrpcs", "kex", "cfg_rpc", "counters"]);
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
            let socket = self.host.inside(&scratch.join(JSONRPC));
            let datagrams = 4;
            text += &modparam("jsonrpcs", "transport", &Param::Int(datagrams));
            text += &modparam(
                "jsonrpcs",
                "dgram_socket",
                &socket.display().to_string().into(),
            );
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
}

/// The configuration with line numbers. Empty if the test has its own file.
pub(super) fn numbered(scratch: &Scratch) -> String {
    let text = std::fs::read_to_string(scratch.join("kamailio.cfg")).unwrap_or_default();
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| format!("{:3} {line}\n", at + 1))
        .collect()
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

/// `MCT_MODULE`, or else what `make build` builds.
///
/// # Panics
/// There is no such file.
pub fn module_under_test() -> PathBuf {
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
