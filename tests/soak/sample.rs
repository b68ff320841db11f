//! Samples: what the processes of a Kamailio need at a moment, and what its module has counted until then.

use std::collections::BTreeMap;
use std::time::Duration;

use support::{Kamailio, Pid};

use crate::log_file::LogFile;
use crate::site::{ask, number, statistics};

/// A Kamailio at a moment.
pub struct Sample {
    /// Since the start of the run.
    pub at: Duration,
    pub processes: Vec<Process>,
    /// Bytes of Kamailio's shared memory that are in use.
    pub shared: u64,
    /// The statistics of the module.
    pub counted: BTreeMap<String, u64>,
    /// Lines of our module in the log until then.
    pub lines: u64,
}

/// One of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    /// Memory of its own.
    pub anonymous_kib: u64,
    /// Memory that it shares with others, as far as it has touched that.
    pub shared_kib: u64,
    pub descriptors: usize,
}

impl Sample {
    pub fn take(node: &Kamailio, log: &mut LogFile, at: Duration) -> Sample {
        log.read();
        let processes = node.processes().into_iter().map(Process::of).collect();
        let memory = ask(node, "core.shmmem", "[]");
        Sample {
            at,
            processes,
            shared: number(&memory["used"]),
            counted: statistics(node),
            lines: log.ours,
        }
    }

    /// The most memory that a process has of its own, in KiB.
    pub fn most_memory(&self) -> u64 {
        let all = self.processes.iter().map(|process| process.anonymous_kib);
        all.max().unwrap_or(0)
    }

    /// The most memory of others that a process has touched, in KiB.
    pub fn most_shared(&self) -> u64 {
        let all = self.processes.iter().map(|process| process.shared_kib);
        all.max().unwrap_or(0)
    }

    /// The most descriptors that a process has.
    pub fn most_descriptors(&self) -> usize {
        let all = self.processes.iter().map(|process| process.descriptors);
        all.max().unwrap_or(0)
    }

    pub fn count(&self, name: &str) -> u64 {
        self.counted.get(name).copied().unwrap_or(0)
    }

    /// Operations that could not be done.
    pub fn failures(&self) -> u64 {
        self.count("errors") + self.count("timeouts") + self.count("refused")
    }

    /// Operations of all kinds.
    pub fn operations(&self) -> u64 {
        ["gets", "sets", "deletes", "counts", "touches"]
            .iter()
            .map(|name| self.count(name))
            .sum()
    }
}

impl Process {
    fn of(pid: Pid) -> Process {
        Process {
            pid,
            anonymous_kib: pid.anonymous_kib(),
            shared_kib: pid.shared_kib(),
            descriptors: pid.descriptors(),
        }
    }
}
