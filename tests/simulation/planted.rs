//! Planted faults: what the library does wrong on purpose, one at a time, to see that the rules notice. The
//! source has a mark `sys::planted` with the name of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::run::run;

/// How many seeds may be needed.
const SEEDS: u64 = 40_000;

/// All of them, each with the seed that was the first to find it lately. Where it does not find it any more, the others
/// are tried, which takes longer.
pub const FAULTS: [(&str, u64); 48] = [
    ("a change counts from its beginning", 24),
    ("a copy that fails is forgotten", 190),
    ("a lease is no condition", 1),
    ("a refusal in place of TLS is garbage", 1002),
    ("a reload forgets states", 84),
    ("a server is probed once", 3),
    ("a shortage is the server's fault", 206),
    ("a stand-in has the whole time again", 1),
    ("a stand-in keeps what was deleted", 92),
    ("additions are repeated", 421),
    ("answers outlive their message", 0),
    ("changes are not noted", 1),
    ("connections survive an outage", 8),
    ("connections that owe a reply are used", 1),
    ("counts are repeated", 5),
    ("events are repeated", 1),
    ("every caller has the lease", 180),
    ("every outage is taken for a restart", 8),
    ("every worker waits on", 1),
    ("failures are not counted", 1),
    ("forgotten questions are not owed", 81),
    ("half-written entries are read", 3928),
    ("leases outlive their connection", 255),
    ("lost writes are not counted", 33),
    ("marks are not given back", 39),
    ("missed writes are not noted", 35),
    ("no answer vetoes", 77),
    ("no change is told", 3),
    ("nobody looks whether a connection was closed", 566),
    ("old failures are judged", 5211),
    ("old values pass for new ones", 78),
    ("newcomers forget answers", 77),
    ("one copy is written", 28),
    ("only the owner misses writes", 1596),
    ("own writes leave old answers", 0),
    ("operations stay in flight", 0),
    ("servers return with what they held", 8),
    ("surplus bytes are kept", 170),
    ("the age is noted after asking", 7),
    ("the dead keep their marks", 1271),
    ("the second look hides what was sent", 18939),
    ("what breaks before TLS is there condemns", 2708),
    ("what is given up arrives later", 1),
    ("what a source could not remove stays", 2029),
    ("what comes over is not looked at again", 9292),
    ("what comes over replaces what is there", 2488),
    ("what is sent counts as done", 3386),
    ("writes that come meanwhile are forgotten", 194),
];

/// Whether each fault whose name has this part is found. Tells by which seed, and how.
pub fn find_all(part: &str) -> bool {
    let next = AtomicUsize::new(0);
    let missed = AtomicUsize::new(0);
    let work = || {
        while let Some(&(fault, hint)) = FAULTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !fault.contains(part) {
                continue;
            }
            match find(fault, hint) {
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

/// A seed that finds the fault, with what is found.
fn find(fault: &'static str, hint: u64) -> Option<(u64, String)> {
    let mut seeds = std::iter::once(hint).chain(0..SEEDS);
    seeds.find_map(|seed| {
        let violations = run(seed, Some(fault), false).violations;
        violations
            .into_iter()
            .next()
            .map(|violation| (seed, violation))
    })
}
