//! Resident memory of a worker, beside one without the module that ran the same loops.

use std::fs;

use support::{Memcached, Pid};

use crate::candidate::Candidate;
use crate::operation::{self, Maker};

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

/// Workers of which the median is taken: which pages of a file a process has is up to the kernel.
pub const WORKERS: usize = 7;

/// Of a worker of a Kamailio with that module, or with none, that has run the loops.
pub fn median(maker: Option<Maker>, memcached: &Memcached, turns: u32) -> Resident {
    let all = [(); WORKERS].map(|()| {
        let candidate = Candidate::start(maker, memcached);
        for operation in operation::ALL {
            candidate.run(&operation.bare_name(), turns);
            candidate.run(operation.name(), turns);
        }
        of(candidate.worker())
    });
    let median = |part: fn(&Resident) -> u64| {
        let mut parts = all.each_ref().map(part);
        parts.sort_unstable();
        parts[WORKERS / 2]
    };
    Resident {
        whole: median(|resident| resident.whole),
        share: median(|resident| resident.share),
        own: median(|resident| resident.own),
    }
}

fn of(pid: Pid) -> Resident {
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
