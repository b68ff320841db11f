//! Measures the resident memory of a worker, and that of a worker without the module that ran the
//! same loops.

use std::fs;

use support::{Memcached, Pid};

use crate::candidate::Candidate;
use crate::operation::{self, Maker};

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// All of it (`VmRSS`).
    pub whole: u64,
    /// The worker's share, where several processes use a page.
    pub share: u64,
    /// The memory that no other process uses.
    pub own: u64,
}

/// The number of workers of which the mean is taken. Besides the pages that a process has touched,
/// the kernel decides which pages of a file are in its memory. That differs by a hundred KiB and
/// more.
pub const WORKERS: u64 = 15;

/// Measures workers that have run the loops, in a Kamailio with the module of `maker` or with no
/// module.
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

/// The memory of a process.
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
