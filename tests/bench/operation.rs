//! `Operation` is one of the ten uses of the cache that are measured: the statement of the script,
//! and the bytes on the wire.
//!
//! For `$mcinc`, `$mcdec` and `$mctex` the stock module makes two trips and ours makes one. So
//! every operation has the trips of both, and each module is compared with a plain loop of what it
//! sends itself.

use std::fmt::Write;

use support::Memcached;

/// The module that carries out an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The module under test.
    Ours,
    /// The stock module.
    Stock,
}

/// One exchange with memcached: the bytes to send, and the number of bytes that come back.
#[derive(Debug, Clone)]
pub struct Trip {
    pub request: Vec<u8>,
    pub reply: usize,
    /// The counter in memcached's `stats` that this trip increases by one.
    pub counter: &'static str,
}

/// A use of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get16,
    Get1k,
    Get7k,
    Miss,
    LongKey,
    Set16,
    Set1k,
    Inc,
    Dec,
    Ex,
}

use Operation::{Dec, Ex, Get1k, Get7k, Get16, Inc, LongKey, Miss, Set1k, Set16};

pub const ALL: [Operation; 10] = [
    Get16, Get1k, Get7k, Miss, LongKey, Set16, Set1k, Inc, Dec, Ex,
];

/// A number of ten digits. It keeps ten digits when it is counted up or down by some millions.
const NUMBER: &str = "1500000000";

impl Operation {
    /// The name of its script and of its row in the table.
    pub fn name(self) -> &'static str {
        match self {
            Get16 => "get-16",
            Get1k => "get-1k",
            Get7k => "get-7k",
            Miss => "miss",
            LongKey => "key-300",
            Set16 => "set-16",
            Set1k => "set-1k",
            Inc => "inc",
            Dec => "dec",
            Ex => "ex",
        }
    }

    /// The name of the script that does the same without the cache.
    pub fn bare_name(self) -> String {
        format!("bare-{}", self.name())
    }

    /// The statement in the script language.
    pub fn statement(self) -> String {
        let key = self.key();
        match self {
            Get16 | Get1k | Get7k | Miss | LongKey => format!("$var(x) = $mct({key});"),
            Set16 | Set1k => format!("$mct({key}) = \"{}\";", self.value()),
            Inc => format!("$mcinc({key}) = 1;"),
            Dec => format!("$mcdec({key}) = 1;"),
            Ex => format!("$mctex({key}) = 1000;"),
        }
    }

    /// An assignment of the same value that does not use the cache.
    pub fn bare_statement(self) -> String {
        match self {
            Get16 | Get1k | Get7k | LongKey => "$var(x) = $var(v);".into(),
            Miss => "$var(x) = $null;".into(),
            Set16 | Set1k => format!("$var(x) = \"{}\";", self.value()),
            Inc | Dec => "$var(x) = 1;".into(),
            Ex => "$var(x) = 1000;".into(),
        }
    }

    /// The statements that the script runs before its loop.
    pub fn preparation(self) -> String {
        match self {
            Get16 | Get1k | Get7k | LongKey => format!("$var(v) = \"{}\";", self.value()),
            _ => String::new(),
        }
    }

    /// Stores in memcached what the operation expects there.
    pub fn store(self, memcached: &Memcached) {
        match self {
            Miss => {
                memcached.remove(self.wire_key());
            }
            Inc | Dec => memcached.put(self.wire_key(), 0, 0, self.value()),
            _ => memcached.put(self.wire_key(), 1, 0, self.value()),
        }
    }

    /// The trips that `maker` makes for it.
    pub fn trips(self, maker: Maker) -> Vec<Trip> {
        let get = || self.line("get", "", self.hit(), "get_hits");
        match (self, maker) {
            (Get16 | Get1k | Get7k | LongKey, _) => vec![get()],
            (Miss, _) => vec![self.line("get", "", "END\r\n".len(), "get_misses")],
            (Set16 | Set1k, _) => vec![self.set(0)],
            (Inc, Maker::Ours) => vec![self.count("incr", "incr_hits")],
            (Inc, Maker::Stock) => vec![get(), self.count("incr", "incr_hits")],
            (Dec, Maker::Ours) => vec![self.count("decr", "decr_hits")],
            (Dec, Maker::Stock) => vec![get(), self.count("decr", "decr_hits")],
            (Ex, Maker::Ours) => {
                vec![self.line("touch", " 1000", "TOUCHED\r\n".len(), "touch_hits")]
            }
            (Ex, Maker::Stock) => vec![get(), self.set(1000)],
        }
    }

    fn key(self) -> String {
        match self {
            LongKey => "k".repeat(300),
            _ => self.name().into(),
        }
    }

    fn wire_key(self) -> String {
        match self {
            LongKey => format!("{:x}", md5::compute(self.key())),
            _ => self.key(),
        }
    }

    fn value(self) -> String {
        match self {
            Get16 | LongKey | Set16 | Ex => "0123456789abcdef".into(),
            Get1k | Set1k => "v".repeat(1024),
            Get7k => "v".repeat(7 * 1024),
            Inc | Dec => NUMBER.into(),
            Miss => String::new(),
        }
    }

    fn hit(self) -> usize {
        let (key, size) = (self.wire_key(), self.value().len());
        format!("VALUE {key} 1 {size}\r\n\r\nEND\r\n").len() + size
    }

    fn set(self, lifetime: u32) -> Trip {
        let value = self.value();
        let rest = format!(" 1 {lifetime} {}\r\n{value}", value.len());
        self.line("set", &rest, "STORED\r\n".len(), "cmd_set")
    }

    fn count(self, verb: &str, counter: &'static str) -> Trip {
        self.line(verb, " 1", NUMBER.len() + 2, counter)
    }

    fn line(self, verb: &str, rest: &str, reply: usize, counter: &'static str) -> Trip {
        let request = format!("{verb} {}{rest}\r\n", self.wire_key()).into_bytes();
        Trip {
            request,
            reply,
            counter,
        }
    }
}

/// A loop of `$hdr(X-N)` turns, each with `UNROLLED` times `statement`. So only a tenth of the
/// loop's own cost counts, which varies with the core's allocator.
pub fn script(preparation: &str, statement: &str) -> String {
    let mut text = format!(
        "{preparation}\n$var(n) = $(hdr(X-N){{s.int}});\n$var(i) = 0;\n\
         $var(begun) = $TV(Sn);\nwhile ($var(i) < $var(n)) {{\n"
    );
    for _ in 0..UNROLLED {
        writeln!(text, "    {statement}").expect("a string takes all");
    }
    text + "    $var(i) = $var(i) + 1;\n}\n$var(ended) = $TV(Sn);\n"
}

/// How often the statement is in its loop.
pub const UNROLLED: u32 = 10;
