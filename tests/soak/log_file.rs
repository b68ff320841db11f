//! The log of a Kamailio, read piece by piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use support::Kamailio;

/// What our module writes has this.
const OURS: &str = " memcached [";

/// Lines that must never be there: of `call.cfg`, of the module, and what the core writes about a process that
/// has died or a script that went wrong.
const BAD: [&str; 6] = [
    "wrong: ",
    "bug, please report",
    "CRITICAL: ",
    "BUG: ",
    "child process",
    "out of mem",
];

/// How much of it was read, and what was in it.
pub struct LogFile {
    path: PathBuf,
    at: u64,
    rest: String,
    /// Lines of the module.
    pub ours: u64,
    /// Lines of the core and of other modules.
    pub others: u64,
    /// All of them, in bytes.
    pub bytes: u64,
    /// Lines that must not be there: the first few.
    pub bad: Vec<String>,
    /// Other errors that are not our module's: the first few.
    pub errors: Vec<String>,
}

impl LogFile {
    pub fn of(node: &Kamailio) -> LogFile {
        LogFile {
            path: node.scratch().join("log"),
            at: 0,
            rest: String::new(),
            ours: 0,
            others: 0,
            bytes: 0,
            bad: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Reads what was written since the last time.
    pub fn read(&mut self) {
        let mut file = File::open(&self.path).expect("a log");
        file.seek(SeekFrom::Start(self.at)).expect("a file");
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes).expect("a file");
        self.at += read as u64;
        self.bytes += read as u64;
        let text = std::mem::take(&mut self.rest) + &String::from_utf8_lossy(&bytes);
        let (lines, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        lines.lines().for_each(|line| self.line(line));
        self.rest = rest.to_owned();
    }

    fn line(&mut self, line: &str) {
        let is_ours = line.contains(OURS);
        match is_ours {
            true => self.ours += 1,
            false => self.others += 1,
        }
        let few = 20;
        if BAD.iter().any(|bad| line.contains(bad)) {
            if self.bad.len() < few {
                self.bad.push(line.to_owned());
            }
        } else if !is_ours && line.contains("ERROR: ") && self.errors.len() < few {
            self.errors.push(line.to_owned());
        }
    }
}
