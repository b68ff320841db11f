//! `Settings` are the parameters of one pool, each with a value.

use std::time::Duration;

use crate::health::Rules;
use crate::item::lifetime::Lifetime;
use crate::placement::Placement;
use crate::server::ServerSpec;
use crate::server::file::ServersFile;
use crate::wire::protocol::Store;

/// A pool as the configuration declares it.
#[derive(Debug, Clone)]
pub struct DeclaredPool {
    /// The values of its parameters.
    pub settings: Settings,
    /// The servers that the configuration lists, at least one. The prober and the workers use the
    /// list in shared memory, which begins as this one.
    pub servers: Vec<ServerSpec>,
    /// The values of the parameters that operators can change while the host runs, in the order of
    /// [`Tunable::ALL`](super::Tunable::ALL).
    pub numbers: Vec<i32>,
}

/// The parameters of a pool, each with a value.
///
/// `Default` is blank and not what an operator gets: the defaults are in the table.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The file from which its list of servers is read again.
    pub file: Option<ServersFile>,
    /// The lifetime of items that are stored without one.
    pub expire: Lifetime,
    /// Whether an assignment replaces an existing item.
    pub mode: Store,
    /// The time that a whole operation may take.
    pub timeout: Duration,
    /// True if integers are read as strings.
    pub stringify: bool,
    /// How keys are spread over the servers.
    pub placement: Placement,
    /// Which server gets the keys of a server that is out of service.
    pub failover: Failover,
    /// How long a worker waits for an answer, unless it is the one worker that may wait longer.
    pub stall_limit: Duration,
    /// When a server is out of service, and when it is back.
    pub rules: Rules,
    /// The time between two probes of a server that is out of service; `None` = it is not probed.
    pub retry_interval: Option<Duration>,
    /// How long a connection is idle until the kernel looks whether it still works; `None` = never.
    pub tcp_keepalive: Option<Duration>,
    /// The time between two probes of an active server; `None` = it is not probed.
    pub ping_interval: Option<Duration>,
    /// The part of `timeout` that connecting may use; `None` = all of it.
    pub connect_timeout: Option<Duration>,
    /// Whether a server keeps its items after an outage.
    pub rejoin: Rejoin,
    /// True if the parameter `memory` is 1, which has no effect any more. Only the default pool has
    /// it.
    pub memory: bool,
    /// The script function that is called for events. Only the default pool has it.
    pub event_callback: Option<String>,
}

/// Whether a server keeps its items after an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rejoin {
    /// It keeps all of them.
    #[default]
    Keep,
    /// It is emptied before it is used again.
    Flush,
}

/// Which server gets the keys of a server that is out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failover {
    /// None of them: an operation on such a key fails at once.
    #[default]
    Off,
    /// The next live server on the ring, and the ring does not change.
    NextServer,
    /// A server of a new ring, which is made without the one that is out of service.
    NewRing,
}
