//! The table of RPC commands: `memcached.list` and its kin.
//!
//! A [`call`] reads the arguments, has `admin` answer, and writes the reply. It runs in the process that
//! serves the command, on the cache of that process. [`servers`], [`pools`] and [`items`] have a function for
//! each command.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use super::host::layout::{RPC_RET_ARRAY, Rpc, RpcExport};
use crate::cache::Cache;

mod call;
mod items;
mod pools;
mod servers;

use call::{Arguments, Call, RpcFault};

/// A command.
struct Command {
    name: &'static CStr,
    /// What it does, then `: ` and its arguments. Those that may be left out are in brackets. This is also
    /// what its arguments are called, and which of them it needs.
    doc: &'static CStr,
    /// The description in the host's form.
    host_doc: [*const c_char; 2],
    /// [`RPC_RET_ARRAY`] if the reply may have several structures, else 0.
    flags: u32,
    run: fn(&Call, &mut Cache, Arguments) -> Result<(), RpcFault>,
}

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for Command {}

/// All commands.
static COMMANDS: [Command; 13] = [
    command(
        c"memcached.list",
        c"Show the servers of all pools, of one pool, or one server of it: [pool [server]]",
        servers::list,
    )
    .of_several(),
    command(
        c"memcached.stats",
        c"Show the statistics of all pools, or of one pool: [pool]",
        pools::stats,
    )
    .of_several(),
    command(
        c"memcached.server_stats",
        c"Show the statistics of a server in its own words, or its settings: server [settings]",
        servers::server_stats,
    ),
    command(
        c"memcached.ping",
        c"Ask all servers, or one server, whether they answer: [server]",
        servers::ping,
    )
    .of_several(),
    command(
        c"memcached.set_state",
        c"Take a server out of service or put it back: active|disabled server",
        servers::set_state,
    )
    .of_several(),
    command(
        c"memcached.reload",
        c"Read the files of servers, credentials and certificates of all pools, or of one pool, again: [pool]",
        pools::reload,
    )
    .of_several(),
    command(
        c"memcached.flush",
        c"Empty all servers of a pool, or one server: pool|server",
        pools::flush,
    )
    .of_several(),
    command(
        c"memcached.near",
        c"Show the near caches, or empty them first: [clear]",
        pools::near,
    )
    .of_several(),
    command(
        c"memcached.hash",
        c"Show which server a key belongs to: key [pool]",
        items::hash,
    ),
    command(c"memcached.get", c"Show an item: key [pool]", items::get),
    command(
        c"memcached.set",
        c"Store an item: key value [expire [pool]]",
        items::set,
    ),
    command(
        c"memcached.delete",
        c"Remove an item: key [pool]",
        items::delete,
    ),
    command(
        c"memcached.touch",
        c"Give an item another lifetime: key expire [pool]",
        items::touch,
    ),
];

const fn command(
    name: &'static CStr,
    doc: &'static CStr,
    run: fn(&Call, &mut Cache, Arguments) -> Result<(), RpcFault>,
) -> Command {
    Command {
        name,
        doc,
        host_doc: [doc.as_ptr(), ptr::null()],
        flags: 0,
        run,
    }
}

impl Command {
    /// The same, whose reply may have several structures.
    const fn of_several(self) -> Self {
        Self {
            flags: RPC_RET_ARRAY,
            ..self
        }
    }

    /// Its arguments, as a person writes them.
    fn usage(&self) -> &'static str {
        let doc = self.doc.to_str().unwrap_or_default();
        doc.rsplit_once(": ").map_or("", |(_, usage)| usage)
    }

    /// The name of each argument, and whether the command needs it.
    fn arguments(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let mut is_needed = true;
        self.usage().split(' ').map(move |word| {
            is_needed &= !word.starts_with('[');
            (word.trim_matches(['[', ']']), is_needed)
        })
    }
}

/// The type of the table that the module exports.
pub(super) struct RpcTable([RpcExport; COMMANDS.len() + 1]);

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for RpcTable {}

/// The table, a row for each command.
pub(super) static TABLE: RpcTable = RpcTable([
    row::<0>(),
    row::<1>(),
    row::<2>(),
    row::<3>(),
    row::<4>(),
    row::<5>(),
    row::<6>(),
    row::<7>(),
    row::<8>(),
    row::<9>(),
    row::<10>(),
    row::<11>(),
    row::<12>(),
    RpcExport {
        name: ptr::null(),
        function: None,
        doc_str: ptr::null(),
        flags: 0,
    },
]);

impl RpcTable {
    /// The first row, for the module's exports.
    pub(super) const fn rows(&self) -> *const RpcExport {
        self.0.as_ptr()
    }
}

const fn row<const AT: usize>() -> RpcExport {
    let command = &COMMANDS[AT];
    RpcExport {
        name: command.name.as_ptr(),
        function: Some(run::<AT>),
        doc_str: &raw const command.host_doc,
        flags: command.flags,
    }
}

/// The host calls this for the command of that index.
unsafe extern "C" fn run<const AT: usize>(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(&COMMANDS[AT]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_what_the_arguments_are() {
        for command in &COMMANDS {
            let name = command.name.to_str().unwrap();
            let known: Vec<_> = command.arguments().map(|(argument, _)| argument).collect();
            let plain = |letter: char| letter.is_ascii_lowercase() || "_|".contains(letter);
            assert!(!known.is_empty(), "{name}");
            for argument in known {
                assert!(
                    !argument.is_empty() && argument.chars().all(plain),
                    "{name}"
                );
            }
            assert!(name.starts_with("memcached."));
        }
        let arguments = |at: usize| COMMANDS[at].arguments().collect::<Vec<_>>();
        assert_eq!(arguments(0), [("pool", false), ("server", false)]);
        let set = [
            ("key", true),
            ("value", true),
            ("expire", false),
            ("pool", false),
        ];
        assert_eq!(arguments(10), set);
        assert_eq!(arguments(6), [("pool|server", true)]);
    }
}
