//! A distributed cache for Kamailio scripts: `$mct(key)` on memcached.
//!
//! A read of `$mct(key)` goes down this list and comes back the same way:
//!
//! * [`kamailio`]: host pointers in, plain bytes out, and the value back (`pv`)
//! * [`cache`]: the operation and what it came to
//! * [`key`]: script text → wire key, with its [`lifetime`]
//! * [`pool`]: which server, within which [deadline](clock), and its [`health`]
//! * [`connection`]: one exchange with one server
//! * [`protocol`]: bytes ↔ request and reply
//! * [`net`]: bytes ↔ socket
//! * [`value`]: flags and bytes → number or string
//!
//! Dependencies point down only, and nothing below `kamailio` knows that Kamailio exists: without
//! the feature `module` the rest builds and runs alone. `unsafe` is denied everywhere but in
//! `kamailio` and `net::sys`.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the host's layouts are known for 64-bit machines only");

pub mod addresses;
pub mod admin;
pub mod cache;
pub mod clock;
pub mod config;
pub mod connection;
pub mod error;
pub mod events;
pub mod hash;
pub mod health;
pub mod key;
pub mod latency;
pub mod lifetime;
pub mod limiter;
pub mod net;
pub mod patience;
pub mod placement;
pub mod pool;
pub mod probe;
pub mod prober;
pub mod protocol;
pub mod rejoin;
pub mod resolver;
pub mod ring;
pub mod roster;
pub mod server;
pub mod servers_file;
pub mod shared;
pub mod stats;
pub mod status;
pub mod tunables;
pub mod value;

#[cfg(feature = "module")]
pub mod kamailio;
