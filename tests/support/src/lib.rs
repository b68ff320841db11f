//! Real servers for the tests.
//!
//! Every test starts what it needs, on free loopback ports and in a scratch folder
//! of its own, waits until it answers, and loses it when the handle is dropped.
//! Nothing here is global, so tests run side by side.
//!
//! ```text
//! kamailio    a Kamailio with the module under test, and its builder
//! sip         requests to it, and its responses
//! memcached   a memcached, and what it holds
//! stock       the C module that ours replaces
//!
//! host        this machine, or the slim root named by MCT_ROOT
//! process     a child process and what /proc tells about it
//! port        a loopback port nobody else will take
//! scratch     a folder that is removed again
//! wait        the one place that waits
//! ```

pub mod host;
pub mod kamailio;
pub mod memcached;
pub mod port;
pub mod process;
pub mod scratch;
pub mod sip;
pub mod stock;
pub mod wait;

pub use host::{Host, Version};
pub use kamailio::{Answer, Builder, Check, Kamailio, Value};
pub use memcached::{Item, Memcached};
pub use port::Port;
pub use process::Pid;
pub use scratch::Scratch;
pub use sip::{Request, Response};

/// The workspace's folder for what is built: `CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target() -> std::path::PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => path.into(),
        None => std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    }
}
