//! One server, and what goes there and back.

pub(crate) mod access;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod net;
pub(crate) mod polled;
pub(crate) mod protocol;
pub(crate) mod second_look;
pub(crate) mod session;
mod spin;
pub(crate) mod tls;
pub(crate) mod wait_budget;
