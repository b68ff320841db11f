//! `Settings` are the parameters of one pool, each with a value.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::health::Rules;
use crate::health::latency::LatencyLimit;
use crate::item::forms::ItemForm;
use crate::item::lifetime::Lifetime;
use crate::placement::Placement;
use crate::server::ServerSpec;
use crate::server::file::ServersFile;
use crate::wire::access::Access;
use crate::wire::protocol::Store;
use crate::wire::protocol::credentials::Credentials;
use crate::wire::tls::{self, Terms};

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
    /// Whose form its items have.
    pub values: ItemForm,
    /// The length of the longest value that is read, in bytes.
    pub value_limit: u32,
    /// Whether more may have to be done to store a value than to send it.
    pub stores_in_steps: bool,
    /// The name of the pool that is asked for what this one does not have.
    pub warm_from: Option<String>,
    /// For so long after the return of a server, what it does not have is asked for at its stand-in: zero =
    /// never, [`Duration::MAX`] = always.
    pub miss_failover: Duration,
    /// Whether what a server does not have may be elsewhere.
    pub has_sources: bool,
    /// The length from which on values are compressed, in bytes; `None` = none are.
    pub compress_min: Option<NonZeroU32>,
    /// Whether values of more than 1 MB are stored in parts.
    pub large_values: bool,
    /// How keys are spread over the servers.
    pub placement: Placement,
    /// Which server gets the keys of a server that is out of service.
    pub failover: Failover,
    /// On how many servers each item is kept.
    pub replicas: usize,
    /// How long a worker waits for an answer, unless it is the one worker that may wait longer.
    pub stall_limit: Duration,
    /// Which operations are slow.
    pub latency_limit: LatencyLimit,
    /// When a server is out of service, and when it is back.
    pub rules: Rules,
    /// The time between two probes of a server that is out of service; `None` = it is not probed.
    pub retry_interval: Option<Duration>,
    /// The longest time between two probes of a server that stays out of service. If it is not longer
    /// than `retry_interval`, that one always holds.
    pub retry_max: Duration,
    /// How long a connection is idle until the kernel looks whether it still works; `None` = never.
    pub tcp_keepalive: Option<Duration>,
    /// How long a worker asks again for an answer before it sleeps; zero = it sleeps at once; `None` = as is usually
    /// best.
    pub spin: Option<Duration>,
    /// The time between two probes of an active server; `None` = it is not probed.
    pub ping_interval: Option<Duration>,
    /// The part of `timeout` that connecting may use; `None` = all of it.
    pub connect_timeout: Option<Duration>,
    /// Who we are, if the servers are told.
    pub credentials: Option<Credentials>,
    /// What is encrypted on the way to the servers.
    pub tls: tls::Options,
    /// Whether a server keeps its items after an outage.
    pub rejoin: Rejoin,
    /// What the servers speak.
    pub protocol: Protocol,
    /// How long one caller may compute an item alone, in seconds.
    pub lease_time: u32,
    /// So many seconds before an item ends, one caller is told to compute it; 0 = not before.
    pub lease_early: u32,
    /// How many items its near cache has; 0 = it has none.
    pub near_size: u32,
    /// How long an item of the near cache is used without asking.
    pub near_expire: Duration,
    /// How long after that it is used while its server cannot be asked.
    pub near_stale: Duration,
    /// True if a plain write does not wait for its answer.
    pub deferred_writes: bool,
    /// True if the parameter `memory` is 1, which has no effect any more. Only the default pool has
    /// it.
    pub memory: bool,
    /// The script function that is called for events. Only the default pool has it.
    pub event_callback: Option<String>,
}

impl DeclaredPool {
    /// Why what is set so far cannot be right, whatever follows in the configuration.
    pub(crate) fn conflict(&self) -> Option<String> {
        let Settings {
            replicas,
            failover,
            tls,
            values,
            large_values,
            ..
        } = &self.settings;
        if *replicas > 1 && *failover == Failover::NewRing {
            return Some(format!(
                "replicas={replicas} needs a ring that does not change; accepted: failover=0 or 1"
            ));
        }
        tls.conflict(&self.servers).or_else(|| {
            (*large_values && !values.splits()).then(|| {
                format!(
                    "'large_values' is 1, and no value of the form '{}' is stored in parts; accepted: 'values' = \
                     'kamailio' or 'libmc', or 'large_values' = 0",
                    values.name()
                )
            })
        })
    }

    /// What is missing, now that the configuration has been read; a line for the operator.
    pub(crate) fn lack(&self) -> Option<String> {
        let Settings { name, tls, .. } = &self.settings;
        tls.lack().map(|why| format!("pool '{name}': {why}"))
    }

    /// What is probably not meant.
    pub(super) fn doubt(&self) -> Option<String> {
        let (replicas, servers) = (self.settings.replicas, self.servers.len());
        (replicas > servers).then(|| {
            format!(
                "pool '{}': replicas={replicas}, but the pool has {servers} server(s): each item is \
                 kept on as many as there are",
                self.settings.name
            )
        })
    }
}

impl Settings {
    /// What was set, but has no effect because something else is missing; a line for the operator.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        let is_alone = self.failover == Failover::Off && self.replicas <= 1;
        let is_in_vain = is_alone && !self.miss_failover.is_zero();
        is_in_vain.then_some("miss_failover has no effect without failover or replicas")
    }

    /// What a server does not have may be elsewhere from now on.
    pub(super) fn expect_sources(&mut self) {
        self.has_sources = true;
        self.stores_in_steps = true;
    }

    /// Whether a server makes up for the writes that it has missed before it is asked again.
    pub(crate) fn makes_up_for_writes(&self) -> bool {
        self.rejoin == Rejoin::Flush || self.replicas > 1
    }

    /// What the servers require of a new connection.
    pub(crate) fn access(&self) -> Access {
        Access::new(self.credentials.clone(), Terms::new(&self.tls))
    }

    /// True if there are files of secrets or certificates.
    pub(crate) fn has_secrets(&self) -> bool {
        self.credentials.is_some() || self.tls.has_files()
    }

    /// Reads these files again.
    ///
    /// # Errors
    /// One line for the operator. Then nothing has changed.
    pub(crate) fn renew(&mut self) -> Result<(), String> {
        let credentials = self.credentials.as_ref().map(Credentials::read_again);
        let (credentials, tls) = (credentials.transpose()?, self.tls.read_again()?);
        (self.credentials, self.tls) = (credentials, tls);
        Ok(())
    }
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

/// What the servers of a pool speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// That is found out for each server, where it matters.
    #[default]
    Auto,
    /// Meta commands, too.
    Meta,
    /// The commands of all versions.
    Classic,
}
