//! Counts the system calls of each operation while a worker runs it.
//!
//! perf counts them if the machine has it, because it hardly slows the worker down. strace slows it
//! down so much that every answer has arrived before the worker waits for it. The counts of two
//! loops of different length are subtracted, so that only the calls of the operations are left.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use support::process::Process;
use support::{Pid, Scratch, wait};

use crate::candidate::Candidate;
use crate::operation::{self, Operation, UNROLLED};

/// The number of calls per operation, by name.
pub type ByName = BTreeMap<String, f64>;

pub const SENDING: [&str; 4] = ["sendto", "sendmsg", "write", "writev"];
pub const RECEIVING: [&str; 4] = ["recvfrom", "recvmsg", "read", "readv"];
pub const WAITING: [&str; 4] = ["poll", "ppoll", "select", "epoll_wait"];

/// perf's event for all system calls. Calls without an event of their own are the difference.
const ANY: &str = "raw_syscalls:sys_enter";
const NAMED: &str = "syscalls:sys_enter_";

/// The program that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Perf,
    Strace,
}

impl Counter {
    /// The better one of those that this machine has.
    pub fn available() -> Counter {
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x,", "-e", ANY, "true"]);
        let works = |output: std::process::Output| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            output.status.success() && text.split(',').next().is_some_and(is_number)
        };
        match perf.stdin(Stdio::null()).output().is_ok_and(works) {
            true => Counter::Perf,
            false => Counter::Strace,
        }
    }

    /// Counts the calls of all operations of one candidate.
    pub fn count(self, candidate: &Candidate, turns: u32) -> Vec<(Operation, ByName)> {
        let count = |operation: Operation| {
            let script = operation.name();
            let short = self.run(candidate, script, turns);
            let mut long = self.run(candidate, script, 2 * turns);
            for (name, count) in short {
                *long.entry(name).or_default() -= count;
            }
            long.values_mut()
                .for_each(|count| *count /= f64::from(turns * UNROLLED));
            (operation, long)
        };
        operation::ALL.map(count).into()
    }

    fn run(self, candidate: &Candidate, script: &str, turns: u32) -> ByName {
        let scratch = Scratch::new();
        let (table, log) = (scratch.join("table"), scratch.join("log"));
        let mut command = self.command(candidate.worker());
        command.arg("-o").arg(&table);
        if self == Counter::Perf {
            // perf counts as long as this command runs.
            command.args(["sh", "-c", "echo attached; exec sleep 60"]);
        }
        let process = Process::spawn(command, &log, libc::SIGTERM);
        wait::until("the counter to attach", wait::WAIT_LIMIT, || {
            process.log().contains("attached") || !process.alive()
        });
        candidate.run(script, turns);
        match self {
            Counter::Perf => process
                .pid()
                .children()
                .into_iter()
                .for_each(Pid::terminate),
            Counter::Strace => process.pid().terminate(),
        }
        assert!(
            process.wait(wait::WAIT_LIMIT).is_some(),
            "{}",
            process.account()
        );
        let text = fs::read_to_string(&table).unwrap_or_else(|_| panic!("{}", process.account()));
        self.read(&text)
    }

    fn command(self, worker: Pid) -> Command {
        match self {
            Counter::Perf => {
                let named = [SENDING, RECEIVING, WAITING].concat();
                let events: String = named.iter().map(|name| format!("{NAMED}{name},")).collect();
                let mut perf = Command::new("perf");
                perf.args([
                    "stat",
                    "-x,",
                    "-e",
                    &(events + ANY),
                    "-p",
                    &worker.to_string(),
                ]);
                perf
            }
            Counter::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-c", "-U", "calls,name", "-p", &worker.to_string()]);
                strace
            }
        }
    }

    fn read(self, text: &str) -> ByName {
        let count = |line: &str| {
            let (count, name) = match self {
                // The columns are count, unit, event and so on.
                Counter::Perf => (line.split(',').next()?, line.split(',').nth(2)?),
                Counter::Strace => line.trim().split_once(' ')?,
            };
            Some((
                name.trim().trim_start_matches(NAMED).to_owned(),
                count.parse().ok()?,
            ))
        };
        let mut names: ByName = text.lines().filter_map(count).collect();
        names.remove("total");
        if let Some(all) = names.remove(ANY) {
            names.insert("other".into(), all - names.values().sum::<f64>());
        }
        names
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
