//! The host, which is the Kamailio that loads us: its structures, its functions, its version, its
//! log, and memory that all of its processes share. Nothing here knows what the module does with
//! them.

#[macro_use]
pub(super) mod layout;

pub(super) mod exit;
pub(super) mod family;
pub(super) mod guard;
pub(super) mod kemi_layout;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod string;
pub(super) mod symbols;
pub(super) mod version;
