//! Real servers for the tests.
//!
//! Every test starts the servers that it needs, on free loopback ports and in its own scratch
//! folder, and waits until they answer. They end when their handles are dropped. Nothing here is
//! global, so tests can run at the same time.
//!
//! ```no_run
//! use support::{Kamailio, Memcached};
//!
//! let memcached = Memcached::start();
//! let kamailio = Kamailio::builder()
//!     .memcached(&memcached)
//!     .script("write", r#"$mct(a=>60) = "x";"#, &["$mcst", "$mct(a)"])
//!     .start();
//! let answer = kamailio.run("write");
//! assert_eq!(answer["$mct(a)"], "x");
//! assert_eq!(memcached.item("a").unwrap().flags, 1);
//! ```
//!
//! ```text
//! kamailio    a Kamailio with the module under test, and its builder
//! sip         requests to it, and its responses
//! callers     many calls to it, each of one request
//! sipp        the program that makes calls
//! memcached   a memcached, and what it holds
//! model       a memcached without a process, for tests in which a seed decides everything
//! faulty      a server with faults that a test orders
//! faults      system calls and allocations of the module that fail
//! forwarder   a forwarder that forgets connections
//! firewall    the same for hours
//! deaf        a port that does not answer requests to connect
//! network     a network whose packets can be dropped
//! dns         a name server that only one Kamailio asks
//! twemproxy   a twemproxy, to compare where keys go
//! prometheus  a Prometheus, which reads what we count
//! sqlite      a database, for examples that look something up
//! stock       the stock module, which ours replaces
//!
//! during      callers who call for as long as something happens
//! skip        says what this machine lacks for a test
//! host        this machine, or the slim root named by MCT_ROOT
//! process     a child process that does not outlive the tests
//! pid         what /proc shows about any process, and signals to it
//! authority   certificates, made by openssl
//! allocations what a thread allocates, counted
//! random      choices that a seed decides
//! port        a loopback port that no other test uses
//! scratch     a folder that is removed after the test
//! kept        files that stay in the folder for build results
//! wait        the one place that waits
//! ```

#![warn(missing_docs)]

pub mod allocations;
pub mod authority;
pub mod callers;
pub mod deaf;
pub mod dns;
pub mod during;
pub mod faults;
pub mod faulty;
pub mod firewall;
pub mod forwarder;
pub mod host;
pub mod kamailio;
pub mod kept;
pub mod memcached;
pub mod model;
pub mod network;
pub mod pid;
pub mod port;
pub mod process;
pub mod prometheus;
pub mod random;
pub mod scratch;
pub mod sip;
pub mod sipp;
pub mod skip;
pub mod sqlite;
pub mod stock;
pub mod twemproxy;
pub mod wait;

pub use allocations::{Allocations, CountingAllocator};
pub use authority::{Authority, Issued};
pub use callers::Callers;
pub use deaf::DeafServer;
pub use dns::Dns;
pub use during::{Ending, Made, during};
pub use faults::{Call, Faults, Times, Who};
pub use faulty::{Connection, FaultyServer, Store, is_second_look};
pub use firewall::Firewall;
pub use forwarder::Forwarder;
pub use host::{Host, Version};
pub use kamailio::{
    Answer, Builder, Check, Failure, Kamailio, Param, Run, Value, module_under_test,
};
pub use kept::kept;
pub use memcached::{Item, Memcached};
pub use network::Network;
pub use pid::Pid;
pub use port::Port;
pub use prometheus::Prometheus;
pub use random::Random;
pub use scratch::Scratch;
pub use sip::{Pending, Request, Response, hex};
pub use sipp::{Counted, Load, Sipp};
pub use skip::skip;
pub use sqlite::Sqlite;
pub use twemproxy::Twemproxy;

/// The workspace's folder for build results: `CARGO_TARGET_DIR`, or else `target`.
pub(crate) fn target() -> std::path::PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => path.into(),
        None => {
            let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .ancestors()
                .nth(2);
            workspace.expect("we are in tests/support").join("target")
        }
    }
}
