//! Counts the user instructions of each operation, by object file, with callgrind.
//!
//! A Kamailio runs under valgrind. After each script, its worker writes down what it has executed
//! since the last time. The counts of two runs of different length are subtracted, which removes
//! the start, the request and its response. A tenth of the count of the empty loop is subtracted to
//! remove the loop.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::process::Process;
use support::{Memcached, Scratch, wait};

use crate::candidate::{Candidate, EMPTY};
use crate::operation::{self, Maker, Operation, UNROLLED};

/// Instructions per operation, by object file.
pub type ByObject = BTreeMap<String, f64>;

/// Counts all operations of one module. One run has `turns` turns, the other has twice as many.
pub fn count(maker: Maker, memcached: &Memcached, turns: u32) -> Vec<(Operation, ByObject)> {
    for operation in operation::ALL {
        operation.store(memcached);
    }
    let callgrind = Callgrind::around(|words| Candidate::below(words, Some(maker), memcached));
    callgrind.candidate.verify(memcached);
    callgrind.turn(EMPTY, 1);
    let empty = callgrind.turn(EMPTY, turns);
    let count = |operation: Operation| {
        let mut counted = callgrind.turn(operation.name(), turns);
        for (object, count) in &empty {
            *counted.entry(object.clone()).or_default() -= count;
        }
        counted
            .values_mut()
            .for_each(|count| *count /= f64::from(UNROLLED));
        (operation, counted)
    };
    operation::ALL.map(count).into()
}

/// A Kamailio whose instructions are counted.
pub struct Callgrind {
    candidate: Candidate,
    scratch: Scratch,
}

impl Callgrind {
    /// Calls `start` with the words that every command line must begin with.
    pub fn around(start: impl FnOnce(&[&str]) -> Candidate) -> Callgrind {
        let scratch = Scratch::new();
        let output = format!("--callgrind-out-file={}", scratch.join("out.%p").display());
        // Without the third word, forked children cannot be controlled.
        let words = [
            "valgrind",
            "--tool=callgrind",
            "--trace-children=yes",
            "--compress-strings=no",
            &output,
        ];
        let candidate = start(&words);
        Callgrind { candidate, scratch }
    }

    /// The Kamailio that runs under valgrind.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// The instructions of one turn of a script's loop. One run has `turns` turns, the other has
    /// twice as many.
    pub fn turn(&self, script: &str, turns: u32) -> ByObject {
        self.run(script, 1);
        let short = self.run(script, turns);
        let mut long = self.run(script, 2 * turns);
        for (object, count) in short {
            *long.entry(object).or_default() -= count;
        }
        long.values_mut()
            .for_each(|count| *count /= f64::from(turns));
        long
    }

    /// The instructions since the last run.
    fn run(&self, script: &str, turns: u32) -> ByObject {
        self.candidate.run(script, turns);
        self.dump();
        let mut counted = ByObject::new();
        for entry in fs::read_dir(self.scratch.path()).expect("our folder") {
            let path = entry.expect("readable").path();
            // callgrind keeps `out.<pid>` open until the end. `out.<pid>.<part>` is one part.
            let dumped = path.extension().is_some()
                && path
                    .file_stem()
                    .is_some_and(|stem| stem.to_string_lossy().contains('.'));
            if dumped {
                by_object(&fs::read_to_string(&path).expect("our file"), &mut counted);
                fs::remove_file(&path).expect("our file");
            }
        }
        counted
    }

    fn dump(&self) {
        let mut vgdb = Command::new("vgdb");
        vgdb.arg(format!("--pid={}", self.candidate.worker()));
        vgdb.args(["--max-invoke-ms=5", "--cmd-time-out=20", "dump"]);
        let vgdb = Process::spawn(vgdb, &self.scratch.join("log"), libc::SIGKILL);
        let ended = vgdb.wait(wait::WAIT_LIMIT);
        assert!(
            ended.is_some_and(|status| status.success()),
            "{}",
            vgdb.account()
        );
    }
}

/// Adds up the self cost in callgrind's format. A line `ob=` names the object file. A line that
/// begins with a number, absolute or relative, has a position and a cost. Behind `calls=` there is
/// a line with the cost of the callee, which does not count.
fn by_object(text: &str, counted: &mut ByObject) {
    let mut object = String::new();
    let mut of_callee = false;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("ob=") {
            object = path.rsplit('/').next().unwrap_or(path).into();
        } else if line.starts_with("calls=") {
            of_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !std::mem::take(&mut of_callee)
        {
            let cost = line
                .split(' ')
                .nth(1)
                .and_then(|cost| cost.parse::<f64>().ok());
            *counted.entry(object.clone()).or_default() += cost.unwrap_or(0.0);
        }
    }
}
