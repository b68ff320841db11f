//! Planted faults: what the library does wrong on purpose, one at a time, to see that the rules notice. The
//! source has a mark `sys::planted` with the name of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::run::run;

/// How many seeds may be needed.
const SEEDS: u64 = 10_000;

/// All of them.
pub const FAULTS: [&str; 48] = [
    "a change counts from its beginning",
    "a copy that fails is forgotten",
    "a lease is no condition",
    "a refusal in place of TLS is garbage",
    "a reload forgets states",
    "a server is probed once",
    "a shortage is the server's fault",
    "a stand-in has the whole time again",
    "a stand-in keeps what was deleted",
    "additions are repeated",
    "answers outlive their message",
    "changes are not noted",
    "connections survive an outage",
    "connections that owe a reply are used",
    "counts are repeated",
    "events are repeated",
    "every caller has the lease",
    "every outage is taken for a restart",
    "every worker waits on",
    "failures are not counted",
    "forgotten questions are not owed",
    "half-written entries are read",
    "leases outlive their connection",
    "lost writes are not counted",
    "marks are not given back",
    "missed writes are not noted",
    "no answer vetoes",
    "no change is told",
    "nobody looks whether a connection was closed",
    "old failures are judged",
    "old values pass for new ones",
    "newcomers forget answers",
    "one copy is written",
    "only the owner misses writes",
    "own writes leave old answers",
    "operations stay in flight",
    "servers return with what they held",
    "surplus bytes are kept",
    "the age is noted after asking",
    "the dead keep their marks",
    "the second look hides what was sent",
    "what breaks before TLS is there condemns",
    "what is given up arrives later",
    "what a source could not remove stays",
    "what comes over is not looked at again",
    "what comes over replaces what is there",
    "what is sent counts as done",
    "writes that come meanwhile are forgotten",
];

/// Whether each fault whose name has this part is found. Tells by which seed, and how.
pub fn find_all(part: &str) -> bool {
    let next = AtomicUsize::new(0);
    let missed = AtomicUsize::new(0);
    let work = || {
        while let Some(fault) = FAULTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !fault.contains(part) {
                continue;
            }
            match find(fault) {
                Some((seed, violation)) => println!("planted: {fault}: seed {seed}: {violation}"),
                None => {
                    println!("planted: {fault}: NOT FOUND in {SEEDS} seeds");
                    missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    missed.into_inner() == 0
}

/// The first seed that finds the fault, with what is found.
fn find(fault: &'static str) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let violations = run(seed, Some(fault), false).violations;
        violations
            .into_iter()
            .next()
            .map(|violation| (seed, violation))
    })
}
