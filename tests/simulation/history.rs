//! History: what has happened in a run, as far as the rules need it.

use internals::simulation::Source;
use kamailio_memcached::internals;

use super::command::Command;
use super::process::Role;
use super::world::State;

/// An operation of a worker.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The index of its process.
    pub process: usize,
    pub what: What,
    pub key: String,
    pub began: u64,
    /// When it began, by the clock of the node.
    pub clock: u64,
    /// When its process began with its message.
    pub message: u64,
    /// Where the answer to a read has come from.
    pub source: Source,
    /// Since when its answer may be: it was asked ahead then, or has begun then.
    pub from: u64,
    /// `None` if its process has died.
    pub ended: Option<u64>,
    /// For how long its process was stopped meanwhile.
    pub stopped: u64,
    pub answer: Answer,
    /// The server that it has asked last.
    pub asked: Option<usize>,
    /// The last time that a server has executed it.
    pub last_executed: u64,
    /// The servers whose answers to it were positive, one after the other. Those that got a copy of what another
    /// one had decided are left out.
    pub executed: Vec<usize>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Get,
    /// Reads an item and its version.
    Gets,
    /// Writes a value that no other operation writes.
    Set,
    /// The same, if the item still has the version that was read last.
    Cas,
    /// Writes the number 0.
    Zero,
    Delete,
    Touch,
    /// Reads an item, and perhaps gets its lease.
    Lease,
    /// Writes as [`Self::Set`] does what the holder of a lease has computed.
    Fulfil,
    /// Marks an item as out of date.
    Invalidate,
    /// Counts by a number that no other operation counts by.
    Count(u64),
    /// The same; a missing counter is created with that number.
    Create(u64),
    /// Asks for so many items ahead.
    Prefetch(usize),
    /// The same, and waits for the answers.
    Many(usize),
}

impl What {
    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Gets | Self::Prefetch(_) | Self::Many(_)
        )
    }
}

/// What an operation has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Hit(String),
    /// A value that is out of date, or that the near cache has of a server that cannot be asked.
    Stale(String),
    /// The lease of an item, and its value if it has one.
    Leased(String),
    Miss,
    Stored,
    NotStored,
    Deleted,
    Touched,
    Counted(u64),
    /// The write was sent, or the question for an item was.
    Sent,
    /// So many items were found.
    Found(usize),
    /// The word for why there is no answer.
    Failed(&'static str),
    /// None yet.
    Open,
}

impl Answer {
    /// The value that was read.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Hit(value) | Self::Stale(value) | Self::Leased(value) => Some(value.as_str())
                .filter(|value| !value.is_empty() || matches!(self, Self::Hit(_))),
            _ => None,
        }
    }
}

/// A command that a server has executed.
#[derive(Debug, Clone)]
pub struct Served {
    pub at: u64,
    pub server: usize,
    /// The index of the process that has sent it.
    pub process: usize,
    /// The flow on which it was sent.
    pub flow: u32,
    pub command: Command,
    pub reply: Vec<u8>,
}

impl Served {
    /// Whether it has written a value.
    pub fn has_stored(&self) -> bool {
        self.reply == b"STORED\r\n"
    }

    /// The value that was read.
    pub fn value(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.reply).ok()?;
        let (line, rest) = text.split_once("\r\n")?;
        match line.split(' ').next()? {
            "VA" => rest.strip_suffix("\r\n"),
            "VALUE" => rest.strip_suffix("\r\nEND\r\n"),
            _ => None,
        }
    }

    /// The version of the item that a lease is bound to, if it tells one.
    pub fn version(&self) -> Option<&[u8]> {
        let line = self.reply.split(|&byte| byte == b'\r').next()?;
        let mut words = line.split(|&byte| byte == b' ');
        match self.command.verb() {
            b"gets" => words.nth(4),
            b"mg" if self.is_won() => words.find_map(|word| word.strip_prefix(b"c")),
            _ => None,
        }
    }

    /// Whether it gives the lease of an item.
    pub fn is_won(&self) -> bool {
        self.tells("W")
    }

    /// Whether it tells that an item is out of date.
    pub fn is_stale(&self) -> bool {
        self.tells("X")
    }

    fn tells(&self, flag: &str) -> bool {
        let line = self.reply.split(|&byte| byte == b'\r').next();
        let mut words = line.unwrap_or_default().split(|&byte| byte == b' ');
        self.command.verb() == b"mg" && words.any(|word| word == flag.as_bytes())
    }

    /// Whether it has changed what is stored under its key, so that earlier leases are over.
    pub fn has_changed(&self) -> bool {
        let is_invalidated = self.command.verb() == b"md" && self.reply == b"HD\r\n";
        self.has_stored() || self.reply == b"DELETED\r\n" || is_invalidated || self.is_won()
    }
}

/// A server's state has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub at: u64,
    pub server: usize,
    pub from: &'static str,
    pub to: &'static str,
    /// What the process does that ran then.
    pub by: Option<Role>,
    /// The index of that process.
    pub process: Option<usize>,
    /// The same, and since when it has asked the server within its operation.
    pub attempt: Option<(usize, u64)>,
    /// When the server had come back into service last.
    pub returned: u64,
}

/// A server was out of service, and is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub server: usize,
    pub began: u64,
    pub ended: u64,
    /// An operator has taken it out, or put it back.
    pub is_operators: bool,
}

/// A worker has waited for a server for longer than the stall limit allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongWait {
    pub server: usize,
    pub process: usize,
    pub from: u64,
    pub to: u64,
}

/// What has happened.
#[derive(Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    pub served: Vec<Served>,
    pub turns: Vec<Turn>,
    pub outages: Vec<Outage>,
    /// From when until when workers were not to ask a server.
    pub outs: Vec<(u64, u64, usize)>,
    /// Moments when fresh connections to a server broke, but not for longer.
    pub blips: Vec<(u64, usize)>,
    /// When each server could not serve fresh connections, and until when.
    pub troubles: Vec<(u64, u64, usize)>,
    /// When servers were in trouble that fresh connections do not see, and until when.
    pub other_troubles: Vec<(u64, u64, usize)>,
    /// When servers have lost an item, or all of them.
    pub losses: Vec<(u64, usize)>,
    /// When processes had no descriptors, and until when.
    pub shortages: Vec<(u64, u64, usize)>,
    /// When a firewall, or a machine without power, has forgotten flows.
    pub forgets: Vec<u64>,
    /// An operator has replaced the list.
    pub is_reloaded: bool,
    /// Deferred writes whose answers nobody has received at the end.
    pub owed: u64,
    /// Operations under way at the end.
    pub in_flight: u32,
    /// The statistics at the end.
    pub statistics: Vec<(&'static str, u64)>,
    pub long_waits: Vec<LongWait>,
    pub announcements: Vec<(u64, String, bool)>,
    pub log: Vec<(u64, String)>,
    /// When processes were stopped, and until when.
    pub stops: Vec<(u64, u64)>,
    /// When an operator has put servers back or changed the list.
    pub commands: Vec<u64>,
    /// When operators have put servers back.
    pub activations: Vec<(u64, usize)>,
    /// When each server came back into service last.
    pub returned: Vec<u64>,
    /// What was found while the run went on.
    pub violations: Vec<String>,
    /// The kinds of faults that there were, a bit each.
    pub coverage: u32,
    /// The keys, each with its servers in their order.
    pub orders: Vec<(String, Vec<usize>)>,
}

impl State {
    /// An operator's command begins or ends.
    pub fn note_command(&mut self) {
        let now = self.now;
        self.history.commands.push(now);
    }

    /// A server has executed a command.
    pub fn note_served(&mut self, flow: u32, server: usize, command: &Command, reply: &[u8]) {
        let (process, at) = (self.flows[flow as usize].process, self.now);
        self.say(|_| {
            let line = command.line().escape_ascii().to_string();
            format!(
                "server {server} executes '{line}': {}",
                super::trace::shown(reply)
            )
        });
        for (command, reply) in command.for_each_key(reply) {
            self.note_one_served(Served {
                at,
                server,
                process,
                flow,
                command,
                reply,
            });
        }
    }

    fn note_one_served(&mut self, served: Served) {
        let (command, reply, at) = (&served.command, &served.reply, served.at);
        let number = match command.verb() {
            b"set" | b"add" | b"cas" if served.has_stored() => {
                let created = || self.created_by(command.value());
                number_of(command.value()).or_else(created)
            }
            b"incr" | b"decr" if reply.first().is_some_and(u8::is_ascii_digit) => {
                Some(command.number() as usize)
            }
            b"ma" if reply.starts_with(b"VA ") => Some(command.number() as usize),
            _ => None,
        };
        // What comes over is what another operation has written.
        let operation = number.filter(|_| !self.comes_over(&served));
        let operation = operation.and_then(|number| self.history.operations.get_mut(number));
        if let Some(it) = operation.filter(|it| it.process == served.process) {
            it.last_executed = at;
            let is_decided = match it.what {
                What::Set => self.setup.adds,
                what => matches!(what, What::Cas | What::Fulfil),
            };
            if !is_decided || command.verb() != b"set" {
                it.executed.push(served.server);
            }
        }
        if command.verb() == b"flush_all" {
            self.history.losses.push((at, served.server));
        }
        if !command.key().starts_with(b"kamailio-memcached:") {
            self.history.served.push(served);
        }
    }
}

impl State {
    /// Whether this stores what the same operation has just read at another server. It may be done after that
    /// has ended. Workers themselves add nothing but counters then.
    fn comes_over(&self, served: &Served) -> bool {
        let is_added = self.setup.has_sources() && served.command.verb() == b"add";
        if is_added && number_of(served.command.value()).is_some() {
            return true;
        }
        let created = self.created_by(served.command.value());
        if is_added && created.is_some_and(|it| self.history.operations[it].ended.is_some()) {
            return true;
        }
        // Who does nothing has nothing come over: it is an old write, which was long on its way.
        let Some(operation) = self.processes[served.process].operation else {
            return false;
        };
        let began = self.history.operations[operation].began;
        let before = self.history.served.iter().rev();
        let mut before = before.take_while(|it| it.at >= began);
        let last = before
            .find(|it| it.process == served.process && it.command.key() == served.command.key());
        let last = last.filter(|last| last.server != served.server);
        let value = last.and_then(|last| last.value());
        value.map(str::as_bytes) == Some(served.command.value())
    }

    /// The operation that creates a counter with this value.
    fn created_by(&self, value: &[u8]) -> Option<usize> {
        let number: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
        let what = self.history.operations.get(number)?.what;
        (what == What::Create(number as u64)).then_some(number)
    }
}

/// The value that the operation of that number writes.
pub fn value_of(number: usize, len: usize) -> String {
    format!("v{number}.{}", "x".repeat(len))
}

/// The number of the operation that has written this value, if one has.
pub fn number_of(value: &[u8]) -> Option<usize> {
    let number = value.strip_prefix(b"v")?;
    let end = number.iter().position(|&byte| byte == b'.')?;
    std::str::from_utf8(&number[..end]).ok()?.parse().ok()
}
