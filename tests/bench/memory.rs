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

/// Workers of which the mean is taken: which pages of a file are in a process's memory beside those
/// that it has touched is up to the kernel, and differs by a hundred KiB and more.
pub const WORKERS: u64 = 15;

/// Of a worker of a Kamailio with that module, or with none, that has run the loops.
pub fn mean(maker: Option<Maker>, memcached: &Memcached, turns: u32) -> Resident {
    let all: Vec<Resident> = (0..WORKERS)
        .map(|_| {
            let candidate = Candidate::start(maker, memcached);
            for operation in operation::ALL {
                candidate.run(&operation.bare_name(), turns);
                candidate.run(operation.name(), turns);
            }
            of(candidate.worker())
        })
        .collect();
    let mean = |part: fn(&Resident) -> u64| all.iter().map(part).sum::<u64>() / WORKERS;
    Resident {
        whole: mean(|resident| resident.whole),
        share: mean(|resident| resident.share),
        own: mean(|resident| resident.own),
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
