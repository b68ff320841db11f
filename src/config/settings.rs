//! Settings: how a pool works.

use std::time::Duration;

use crate::health::Rules;
use crate::item::lifetime::Lifetime;
use crate::placement::Placement;
use crate::server::ServerSpec;
use crate::server::file::ServersFile;
use crate::wire::protocol::Store;

use super::tunable::Tunable;

/// A pool as the configuration declares it.
#[derive(Debug, Clone)]
pub struct DeclaredPool {
    /// How it works.
    pub settings: Settings,
    /// The servers it begins with, one or more. From then on the list in shared memory holds.
    pub servers: Vec<ServerSpec>,
    /// The parameters that may be changed while running, as numbers in the order of
    /// [`Tunable::ALL`].
    pub numbers: [i32; Tunable::ALL.len()],
}

/// How a pool works: every parameter with a value.
///
/// `Default` is a blank form, not what an operator gets: the table fills it in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Where its list of servers may be read again.
    pub file: Option<ServersFile>,
    /// The lifetime of what is stored without one of its own.
    pub expire: Lifetime,
    /// How an assignment stores.
    pub mode: Store,
    /// The deadline of a whole operation.
    pub timeout: Duration,
    /// Whether numbers are read as strings.
    pub stringify: bool,
    /// Which server a key belongs to.
    pub placement: Placement,
    /// Who serves the keys of a server that is out.
    pub failover: Failover,
    /// How long one worker more than the first waits for an answer.
    pub stall_limit: Duration,
    /// When a server is out, and when it is back.
    pub rules: Rules,
    /// How often a server that is out is asked; `None` = never.
    pub retry_interval: Option<Duration>,
    /// How often an active server is asked; `None` = never.
    pub ping_interval: Option<Duration>,
    /// The part of the timeout that connecting may use; `None` = all of it.
    pub connect_timeout: Option<Duration>,
    /// What a server keeps over an outage.
    pub rejoin: Rejoin,
    /// Whether the old parameter `memory` asks for something that no longer exists; told by the
    /// default pool.
    pub memory: bool,
    /// The script function that is called for events; the default pool has it.
    pub event_callback: Option<String>,
}

/// What a server keeps over an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rejoin {
    /// Everything.
    #[default]
    Keep,
    /// Nothing: it is emptied before it is used again.
    Flush,
}

/// Who serves the keys of a server that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failover {
    /// Nobody: they fail at once.
    #[default]
    Off,
    /// The next live server on the ring, which stays as it is.
    NextServer,
    /// A ring without the server.
    NewRing,
}
