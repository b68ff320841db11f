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
//! Beside that way: `prober` finds servers that are back, `admin` answers operators, `config` reads
//! parameters, `placement` builds rings, `shared` is the memory that all processes see.
//!
//! Dependencies point down only, and nothing below `kamailio` knows that Kamailio exists: without
//! the feature `module` the rest builds and runs alone. `unsafe` is denied everywhere but in
//! `kamailio` and `sys`.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![warn(unreachable_pub)]
// Much of the core has no user but the host.
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
mod placement;
mod pool;
mod prober;
mod server;
mod shared;
mod stats;
mod status;
mod sys;
mod wire;

#[cfg(feature = "module")]
mod kamailio;

#[doc(hidden)]
pub mod internals;
