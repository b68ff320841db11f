//! `Faults` lets system calls and allocations of the module fail, in the processes that a test names.
//!
//! A library that is preloaded into Kamailio stands between the module and the C library. It reads its
//! orders from a file that it has mapped, so a test may change them at any time. What Kamailio itself
//! calls is not touched. The library is `preload.c`, compiled once.

use std::fs::File;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::host::Host;
use crate::kamailio::Builder;
use crate::kept::kept;
use crate::pid::Pid;
use crate::process;
use crate::scratch::Scratch;
use crate::skip::skip;

/// A call of the C library that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Call {
    Socket = 1,
    SetSockOpt,
    GetSockOpt,
    Fcntl,
    Connect,
    Send,
    Recv,
    Poll,
    Allocate,
}

/// Which of the calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// The first one.
    Once,
    /// The second one.
    Second,
    /// All of them.
    Always,
}

/// In which processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// In this one.
    Only(Pid),
    /// In all but this one.
    AllBut(Pid),
    /// In all.
    All,
}

impl Times {
    /// All of them.
    pub const ALL: [Times; 3] = [Times::Once, Times::Second, Times::Always];

    /// How many calls succeed before, and how many fail; -1 = all.
    fn numbers(self) -> (i32, i32) {
        match self {
            Times::Once => (0, 1),
            Times::Second => (1, 1),
            Times::Always => (0, -1),
        }
    }
}

impl Who {
    fn number(self) -> i32 {
        match self {
            Who::Only(Pid(pid)) => pid,
            Who::AllBut(Pid(pid)) => -pid,
            Who::All => 0,
        }
    }
}

/// Orders for the preloaded library. All calls succeed until one is given.
#[derive(Debug)]
pub struct Faults {
    scratch: Scratch,
    orders: File,
}

/// The name of the library.
const LIBRARY: &str = "preload.so";

/// Where in the orders these numbers stand, see `struct orders` in `preload.c`.
const HITS: u64 = 20;
const CLOSED: u64 = 28;
const CLOCK: u64 = 32;
const SIZE: u64 = 40;

impl Faults {
    /// No faults yet. `None` if the tests run in a slim root: the library is for this machine.
    pub fn new() -> Option<Faults> {
        if !Host::current().is_local() {
            skip("faults", "none can be ordered in a slim root");
            return None;
        }
        let scratch = Scratch::new();
        scratch.write("orders", [0; SIZE as usize]);
        // LD_PRELOAD is a list, and the path of the folder for build results may have a blank.
        symlink(library(), scratch.join(LIBRARY)).expect("the scratch folder is writable");
        let orders = File::options()
            .read(true)
            .write(true)
            .open(scratch.join("orders"));
        Some(Faults {
            orders: orders.expect("the scratch folder is writable"),
            scratch,
        })
    }

    /// Makes a Kamailio obey the orders.
    pub fn obeyed_by(&self, builder: Builder) -> Builder {
        let path = |name: &str| self.scratch.join(name).display().to_string();
        builder
            .env("LD_PRELOAD", &path(LIBRARY))
            .env("MCT_FAULTS", &path("orders"))
    }

    /// From now on this call fails with `error`, such as `libc::EMFILE`. It takes the place of the order
    /// before.
    pub fn order(&self, call: Call, error: i32, times: Times, who: Who) {
        let (skip, times) = times.numbers();
        self.write([call as i32, error, skip, times, who.number(), 0, 0]);
    }

    /// From now on no allocation of `size` bytes or more succeeds.
    pub fn order_no_memory(&self, size: i32, who: Who) {
        let call = Call::Allocate as i32;
        self.write([call, libc::ENOMEM, 0, -1, who.number(), 0, size]);
    }

    /// From now on this process finds its idle connections closed, so it opens new ones.
    pub fn close_idle(&self, process: Pid) {
        self.put(CLOSED, &process.0.to_ne_bytes());
    }

    /// Everything succeeds again. Returns how many calls have failed since the order.
    pub fn clear(&self) -> i32 {
        self.put(0, &0i32.to_ne_bytes());
        self.put(CLOSED, &0i32.to_ne_bytes());
        self.hits()
    }

    /// How many calls have failed since the order.
    pub fn hits(&self) -> i32 {
        let mut bytes = [0; 4];
        let read = self.orders.read_exact_at(&mut bytes, HITS);
        read.expect("a readable file");
        i32::from_ne_bytes(bytes)
    }

    /// The module's monotonic clock is ahead by so many seconds, from now on and in all processes.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.put(CLOCK, &(seconds * 1_000_000_000).to_ne_bytes());
    }

    /// The call comes last: from then on the order is obeyed.
    fn write(&self, numbers: [i32; 7]) {
        self.put(0, &0i32.to_ne_bytes());
        for (at, number) in numbers.iter().enumerate().rev() {
            self.put(4 * at as u64, &number.to_ne_bytes());
        }
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        let written = self.orders.write_all_at(bytes, at);
        written.expect("a writable file");
    }
}

/// The library, compiled.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| kept(LIBRARY, compile))
}

fn compile(library: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/faults/preload.c");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]);
    cc.args(["-shared", "-fPIC", "-o"]);
    cc.arg(library).arg(source);
    let output = process::output(&mut cc);
    let output = output.expect("a C compiler: `make dependencies`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
