//! Resident memory of a worker, beside one without the module that ran the same loops.

use std::fs;

use support::{Memcached, Pid};

use crate::candidate::Candidate;
use crate::operation;

/// In KiB.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// All of it (`VmRSS`).
    pub whole: u64,
    /// Its share, where pages are used by several processes.
    pub share: u64,
    /// What no other process uses.
    pub own: u64,
}

/// Of a worker.
pub fn of(pid: Pid) -> Resident {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let number = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {path}"))
    };
    Resident {
        whole: pid.resident_kib(),
        share: number("Pss:"),
        own: number("Private_Clean:") + number("Private_Dirty:"),
    }
}

/// A Kamailio without the module that has run the loops.
pub fn without(memcached: &Memcached, turns: u32) -> Candidate {
    let candidate = Candidate::start(None, memcached);
    for operation in operation::ALL {
        candidate.run(&operation.bare_name(), turns);
        candidate.run(operation.name(), turns);
    }
    candidate
}
