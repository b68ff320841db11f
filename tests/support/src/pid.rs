//! A process id, and what `/proc` and signals can do with it.

use std::fmt;
use std::fs;

use crate::wait;

/// What `pause` asks of the kernel.
#[cfg(target_arch = "x86_64")]
const PAUSE: i64 = libc::SYS_pause;
#[cfg(not(target_arch = "x86_64"))]
const PAUSE: i64 = libc::SYS_ppoll;

/// A process id, and what can be seen and done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

impl Pid {
    /// Whether such a process exists and is not merely waiting to be collected.
    pub fn alive(self) -> bool {
        !matches!(self.state(), None | Some('Z' | 'X'))
    }

    /// Stops it (`SIGSTOP`) and returns when it has stopped.
    pub fn pause(self) {
        signal(self.0, libc::SIGSTOP);
        wait::until("a process to stop", wait::PATIENCE, || {
            self.state() == Some('T')
        });
    }

    /// Lets it go on (`SIGCONT`).
    pub fn resume(self) {
        signal(self.0, libc::SIGCONT);
    }

    /// Kills it (`SIGKILL`) without waiting.
    pub fn kill(self) {
        signal(self.0, libc::SIGKILL);
    }

    /// Asks it to end (`SIGTERM`) without waiting.
    pub fn terminate(self) {
        signal(self.0, libc::SIGTERM);
    }

    /// Its children, in the order in which they were forked.
    pub fn children(self) -> Vec<Pid> {
        let text = self.read(&format!("task/{self}/children"));
        text.split_whitespace()
            .map(|pid| Pid(pid.parse().expect("the kernel writes numbers")))
            .collect()
    }

    /// Resident memory in KiB (`VmRSS`).
    pub fn resident_kib(self) -> u64 {
        self.status_number("VmRSS:")
    }

    /// Resident memory in KiB that is shared with nobody's files (`RssAnon`).
    pub fn anonymous_kib(self) -> u64 {
        self.status_number("RssAnon:")
    }

    /// How many descriptors it has open.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{self}/fd"))
            .unwrap_or_else(|error| panic!("no process {self}: {error}"))
            .count()
    }

    /// Whether it sleeps, waiting for something to happen.
    pub fn sleeps(self) -> bool {
        self.state() == Some('S')
    }

    /// Whether it sleeps until a signal comes; where the kernel does not tell for what
    /// it sleeps, whether it sleeps.
    pub fn sleeps_in_pause(self) -> bool {
        let call = self.read("syscall");
        self.sleeps() && (call.is_empty() || call.starts_with(&format!("{PAUSE} ")))
    }

    /// For failure messages: its state, the system call it is in, and its signals.
    pub fn account(self) -> String {
        let state = self.state().unwrap_or('?');
        let call = self.read("syscall");
        let status = self.read("status");
        let signals = status
            .lines()
            .filter(|line| line.contains("Sig") || line.contains("Pnd"));
        let signals: Vec<&str> = signals.collect();
        format!(
            "process {self}: {state}, system call {}, {}",
            call.trim(),
            signals.join(", ")
        )
    }

    fn state(self) -> Option<char> {
        // The command name in parentheses may hold anything: count from its end.
        let stat = self.read("stat");
        let rest = &stat[stat.rfind(')')? + 1..];
        rest.trim_start().chars().next()
    }

    fn status_number(self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no {name} for process {self}"))
    }

    fn read(self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{self}/{name}")).unwrap_or_default()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Sends a signal; a process that has gone is no error.
pub(crate) fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid, signal) };
}
