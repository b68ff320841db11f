//! System calls per operation, counted by strace on the worker.
//!
//! The same request with an empty loop is counted in the same way and subtracted, so
//! what is left belongs to the operations.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use support::process::Process;
use support::{Scratch, wait};

use crate::candidate::{Candidate, EMPTY};
use crate::operation::{self, Operation, UNROLLED};

/// Calls per operation by name.
pub type ByName = BTreeMap<String, f64>;

/// Counts all operations of one candidate.
pub fn count(candidate: &Candidate, turns: u32) -> Vec<(Operation, ByName)> {
    let scratch = Scratch::new();
    let empty = run(candidate, &scratch, EMPTY, turns);
    let count = |operation: Operation| {
        // What has changed since the last one, such as a lapsed wait, is settled first.
        candidate.run(operation.name(), 1);
        let mut counted = run(candidate, &scratch, operation.name(), turns);
        for (name, count) in &empty {
            *counted.entry(name.clone()).or_default() -= count;
        }
        counted
            .values_mut()
            .for_each(|count| *count /= f64::from(turns * UNROLLED));
        (operation, counted)
    };
    operation::ALL.map(count).into()
}

fn run(candidate: &Candidate, scratch: &Scratch, script: &str, turns: u32) -> ByName {
    let (table, log) = (scratch.join("table"), scratch.join("log"));
    let _ = fs::remove_file(&log);
    let mut strace = Command::new("strace");
    strace.args([
        "-c",
        "-U",
        "name,calls",
        "-p",
        &candidate.worker().to_string(),
    ]);
    strace.arg("-o").arg(&table);
    let strace = Process::spawn(strace, &log, libc::SIGTERM);
    wait::until("strace to attach", wait::PATIENCE, || {
        strace.log().contains("attached") || !strace.alive()
    });
    candidate.run(script, turns);
    strace.pid().terminate();
    let ended = strace.wait(Duration::from_secs(10));
    assert!(ended.is_some(), "{}", strace.account());
    let text = fs::read_to_string(&table).unwrap_or_else(|_| panic!("{}", strace.account()));
    let count = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, count) = (words.next()?, words.next()?);
        let count = count.parse().ok()?;
        (name != "total").then(|| (name.to_owned(), count))
    };
    text.lines().filter_map(count).collect()
}
