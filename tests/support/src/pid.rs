//! `Pid` is a process id, with what `/proc` shows about the process and the signals that it gets.

use std::fmt;
use std::fs;

use crate::wait;

/// The system calls by which a process pauses. Only some processors have one of its own. An emulator
/// makes that of the processor that it stands for.
const PAUSES: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pause,
    libc::SYS_ppoll,
];

/// A process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

impl Pid {
    /// True if the process exists and is not a zombie.
    pub fn alive(self) -> bool {
        !matches!(self.state(), None | Some('Z' | 'X'))
    }

    /// Stops it (`SIGSTOP`), and returns when it has stopped.
    pub fn pause(self) {
        signal(self.0, libc::SIGSTOP);
        wait::until("a process to stop", wait::WAIT_LIMIT, || {
            self.state() == Some('T')
        });
    }

    /// Continues it (`SIGCONT`).
    pub fn resume(self) {
        signal(self.0, libc::SIGCONT);
    }

    /// Kills it (`SIGKILL`) without waiting.
    pub fn kill(self) {
        signal(self.0, libc::SIGKILL);
    }

    /// Tells it to end (`SIGTERM`), without waiting.
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

    /// Resident memory in KiB that is not part of a file (`RssAnon`).
    pub fn anonymous_kib(self) -> u64 {
        self.status_number("RssAnon:")
    }

    /// Resident memory in KiB that it shares with other processes and that is part of no file (`RssShmem`).
    pub fn shared_kib(self) -> u64 {
        self.status_number("RssShmem:")
    }

    /// The number of its threads.
    pub fn threads(self) -> usize {
        self.status_number("Threads:") as usize
    }

    /// How often it has gone to sleep until something happens.
    pub fn waits(self) -> u64 {
        self.status_number("voluntary_ctxt_switches:")
    }

    /// The number of its open descriptors.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{self}/fd"))
            .unwrap_or_else(|error| panic!("no process {self}: {error}"))
            .count()
    }

    /// Allows it no descriptor with this number or a higher one (`RLIMIT_NOFILE`, the soft limit). What
    /// is open stays open.
    pub fn limit_descriptors(self, limit: u64) {
        self.limit(libc::RLIMIT_NOFILE, limit);
    }

    /// Allows it so many bytes of address space more than it has now (`RLIMIT_AS`, the soft limit).
    pub fn limit_more_memory(self, more: u64) {
        let present = self.status_number("VmSize:") * 1024;
        self.limit(libc::RLIMIT_AS, present + more);
    }

    fn limit(self, what: libc::__rlimit_resource_t, limit: u64) {
        let mut limits = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let none = std::ptr::null();
        // SAFETY: the kernel writes the old limits to `limits`, which lives, and reads nothing.
        let read = unsafe { libc::prlimit(self.0, what, none, &raw mut limits) };
        assert_eq!(read, 0, "no process {self}");
        limits.rlim_cur = limit.min(limits.rlim_max);
        let none = std::ptr::null_mut();
        // SAFETY: the kernel reads the new limits from `limits`, which lives, and writes nothing.
        let set = unsafe { libc::prlimit(self.0, what, &raw const limits, none) };
        assert_eq!(set, 0, "process {self} keeps its limit");
    }

    /// True if it sleeps until something happens.
    pub fn sleeps(self) -> bool {
        self.state() == Some('S')
    }

    /// True if it sleeps until a signal comes. If the kernel does not show what a process waits
    /// for, true if it sleeps.
    pub fn sleeps_in_pause(self) -> bool {
        let call = self.read("syscall");
        let pauses = |number| call.starts_with(&format!("{number} "));
        self.sleeps() && (call.is_empty() || PAUSES.iter().any(pauses))
    }

    /// True if it blocks SIGTERM, as it does while its handler of that signal runs.
    pub fn blocks_sigterm(self) -> bool {
        let status = self.read("status");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (libc::SIGTERM - 1) != 0)
    }

    /// For the message of a failure: its state, its system call, and its signals.
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
        // The name in parentheses may contain anything, so its end is searched from the right.
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

/// Sends a signal. It is no error if the process has ended.
pub(crate) fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid, signal) };
}
