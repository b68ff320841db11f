//! A distributed cache for Kamailio scripts: `$mct(key)` on memcached.
//!
//! A read of `$mct(key)` goes down this list and comes back the same way:
//!
//! ```text
//! kamailio::pv       host pointers in, plain bytes out
//! cache              the operation, and what it came to
//! item::key          script text -> the key that is sent
//! pool               which server, and who stands in for it
//! health             may that server be asked
//! wire::connection   send, and the reply that is owed for it
//! wire::protocol     bytes <-> request and reply
//! item::value        flags and bytes -> number or string
//! kamailio::pv       the value for the script, or $null
//! ```
//!
//! Dependencies point down only. These are the modules, from top to bottom:
//!
//! * `kamailio`: the host; one file for each way in which it calls us
//! * `admin`: what operators ask, and what they decide
//! * `prober`: finds out when servers are back, finds addresses, announces events
//! * `cache`: one method an operation
//! * `pool`: a group of servers; from a key to its server and the stand-ins
//! * `shared`: what the processes of the node share of a pool
//! * `config`: parameters
//! * `wire`: connections and the protocol
//! * `stats`: what is counted
//! * `health`: the verdict on a server, its addresses, its latency, its log lines
//! * `placement`: rings and hashes
//! * `item`: keys, lifetimes, values
//! * `server`: a server as operators write it
//! * `status`: the word for what an operation came to
//! * `error`: why an operation has no answer
//! * `text_file`: a file that an operator names
//! * `secret`: bytes that nobody else may see
//! * `quoted`: text of others in messages
//! * `memory`: whether there is enough of it
//! * `clock`: moments and deadlines
//! * `sys`: the kernel
//!
//! Nothing below `kamailio` knows that Kamailio exists: without the feature `module` the rest builds
//! and runs alone. `unsafe` is denied everywhere but in `kamailio` and `sys`.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![warn(unreachable_pub)]
// The documentation is for maintainers: it is built with private items, so links may lead to them.
#![allow(rustdoc::private_intra_doc_links)]
// Much of the library is used only by `kamailio`, which is left out without the feature `module`.
#![cfg_attr(not(feature = "module"), allow(dead_code, unused_imports))]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the host's layouts are known for 64-bit machines only");

mod admin;
mod cache;
mod clock;
mod config;
mod error;
mod health;
mod item;
mod memory;
mod placement;
mod pool;
mod prober;
mod quoted;
mod secret;
mod server;
mod shared;
mod stats;
mod status;
#[cfg_attr(feature = "simulation", path = "sys/simulated.rs")]
mod sys;
mod text_file;
mod wire;

#[cfg(feature = "module")]
mod kamailio;

#[doc(hidden)]
pub mod internals;
