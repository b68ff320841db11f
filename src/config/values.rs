//! Values: what was set for one pool, and what it comes to.

use std::time::Duration;

use super::given::{BadParameter, Value};
use super::names::NAMES;
use super::settings::{DeclaredPool, Failover, Rejoin, Settings};
use super::tunable::{Tunable, connect_timeout, millis, ping_interval, retry_interval};
use crate::health::Rules;
use crate::item::key::{self, MAX_PREFIX};
use crate::item::lifetime::Lifetime;
use crate::placement::ring::Distribution;
use crate::placement::{HashTag, Placement};
use crate::server::file::ServersFile;
use crate::server::{self, ServerSpec};
use crate::wire::protocol::Store;

/// What was set for one pool; everything else has its default.
#[derive(Debug, Default)]
pub(super) struct Values {
    servers: Option<Vec<ServerSpec>>,
    file: Option<(ServersFile, Vec<ServerSpec>)>,
    expire: Option<Lifetime>,
    mode: Option<Store>,
    timeout: Option<Duration>,
    stringify: Option<bool>,
    distribution: Option<Distribution>,
    hash: Option<String>,
    key_prefix: Option<String>,
    hash_prefix: Option<bool>,
    hash_tag: Option<Option<HashTag>>,
    failover: Option<Failover>,
    stall_limit: Option<Duration>,
    inactive_threshold: Option<u16>,
    probing_threshold: Option<u16>,
    retry_interval: Option<Option<Duration>>,
    ping_interval: Option<Option<Duration>>,
    connect_timeout: Option<Option<Duration>>,
    rejoin: Option<Rejoin>,
}

impl Values {
    /// Sets one of them; the last value given counts.
    pub(super) fn set(&mut self, value: &Value<'_>) -> Result<(), BadParameter> {
        match value.name {
            "servers" => {
                let list = server::parse_list(value.text("a list of servers")?);
                self.servers = Some(list.map_err(|bad| value.refuse_because(bad))?);
            }
            "servers_file" => {
                let file = ServersFile::new(value.text("a path")?);
                let list = file.read().map_err(|bad| value.refuse_because(bad))?;
                self.file = Some((file, list));
            }
            "expire" => {
                let seconds = value.tunable(Tunable::Expire)?;
                self.expire = Some(Lifetime::from(seconds.unsigned_abs()));
            }
            "mode" => {
                let add = value.choice("0 (set) or 1 (add)")?;
                self.mode = Some(if add { Store::Add } else { Store::Set });
            }
            "timeout" => self.timeout = Some(millis(value.tunable(Tunable::Timeout)?)),
            "stringify" => self.stringify = Some(value.choice("0 or 1")?),
            "distribution" => {
                let distribution = value.text("a name")?.parse();
                self.distribution = Some(distribution.map_err(|bad| value.refuse_because(bad))?);
            }
            "hash" => {
                // Known to any distribution, known to all: only the meaning may differ.
                let name = value.text("a name")?;
                let known = Distribution::Ketama.parse_hash(name);
                known.map_err(|bad| value.refuse_because(bad))?;
                self.hash = Some(name.to_owned());
            }
            "key_prefix" => self.key_prefix = Some(prefix(value)?),
            "hash_prefix" => self.hash_prefix = Some(value.choice("0 or 1")?),
            "hash_tag" => {
                self.hash_tag = Some(match value.text("two characters")? {
                    "" => None,
                    tag => Some(tag.parse().map_err(|bad| value.refuse_because(bad))?),
                });
            }
            "failover" => {
                let accepted = "0 (off), 1 (next server) or 2 (new ring)";
                self.failover = Some(match value.number(0..=2, accepted)? {
                    0 => Failover::Off,
                    1 => Failover::NextServer,
                    _ => Failover::NewRing,
                });
            }
            "stall_limit" => {
                self.stall_limit = Some(millis(value.tunable(Tunable::StallLimit)?));
            }
            "inactive_threshold" => self.inactive_threshold = Some(value.threshold()?),
            "probing_threshold" => self.probing_threshold = Some(value.threshold()?),
            "retry_interval" => {
                let number = value.tunable(Tunable::RetryInterval)?;
                self.retry_interval = Some(retry_interval(number));
            }
            "ping_interval" => {
                let number = value.tunable(Tunable::PingInterval)?;
                self.ping_interval = Some(ping_interval(number));
            }
            "connect_timeout" => {
                let number = value.tunable(Tunable::ConnectTimeout)?;
                self.connect_timeout = Some(connect_timeout(number));
            }
            "rejoin" => {
                self.rejoin = Some(match value.text("keep or flush")? {
                    "keep" => Rejoin::Keep,
                    "flush" => Rejoin::Flush,
                    _ => return Err(value.refuse("keep or flush")),
                });
            }
            name => {
                let known = NAMES
                    .iter()
                    .filter(|name| !["pool", "memory", "event_callback"].contains(name));
                let known = known.copied().collect::<Vec<_>>().join(", ");
                return Err(value.refuse_because(format_args!(
                    "there is no parameter '{name}'; accepted: {known}"
                )));
            }
        }
        Ok(())
    }

    /// Whether there is a list of servers.
    pub(super) fn has_servers(&self) -> bool {
        self.servers.is_some() || self.file.is_some()
    }

    /// The pool called `name`; `plain` has what is left out here.
    pub(super) fn settle(&self, name: &str, plain: &Self) -> DeclaredPool {
        let localhost = || server::parse_list("localhost:11211").expect("a well-formed default");
        let (servers, file) = match (&self.file, &self.servers) {
            (Some((file, list)), _) => (list.clone(), Some(file.clone())),
            (None, Some(list)) => (list.clone(), None),
            (None, None) => (localhost(), None),
        };
        let distribution = self.distribution.or(plain.distribution);
        let distribution = distribution.unwrap_or(Distribution::Ketama);
        let mut placement = Placement::new(distribution);
        let hash = self.hash.as_ref().or(plain.hash.as_ref());
        if let Some(Ok(hash)) = hash.map(|name| distribution.parse_hash(name)) {
            placement.hash = hash;
        }
        if let Some(prefix) = self.key_prefix.as_ref().or(plain.key_prefix.as_ref()) {
            placement.prefix = prefix.as_bytes().into();
        }
        placement.hash_prefix = self.hash_prefix.or(plain.hash_prefix).unwrap_or(true);
        placement.hash_tag = self.hash_tag.or(plain.hash_tag).flatten();
        let settings = Settings {
            name: name.to_owned(),
            file,
            expire: self.expire.or(plain.expire).unwrap_or(Lifetime::DEFAULT),
            mode: self.mode.or(plain.mode).unwrap_or(Store::Set),
            timeout: self
                .timeout
                .or(plain.timeout)
                .unwrap_or(Duration::from_secs(5)),
            stringify: self.stringify.or(plain.stringify).unwrap_or(false),
            placement,
            failover: self.failover.or(plain.failover).unwrap_or(Failover::Off),
            stall_limit: self
                .stall_limit
                .or(plain.stall_limit)
                .unwrap_or(millis(200)),
            rules: Rules {
                inactive_threshold: self
                    .inactive_threshold
                    .or(plain.inactive_threshold)
                    .unwrap_or(1),
                probing_threshold: self
                    .probing_threshold
                    .or(plain.probing_threshold)
                    .unwrap_or(1),
            },
            retry_interval: self
                .retry_interval
                .or(plain.retry_interval)
                .unwrap_or(Some(millis(1000))),
            ping_interval: self.ping_interval.or(plain.ping_interval).flatten(),
            connect_timeout: self.connect_timeout.or(plain.connect_timeout).flatten(),
            rejoin: self.rejoin.or(plain.rejoin).unwrap_or(Rejoin::Keep),
        };
        DeclaredPool {
            numbers: Tunable::ALL.map(|tunable| tunable.number(&settings)),
            settings,
            servers,
        }
    }
}

fn prefix(value: &Value<'_>) -> Result<String, BadParameter> {
    let accepted = format!("up to {MAX_PREFIX} bytes without blanks and control characters");
    let text = value.text(&accepted)?;
    if text.len() > MAX_PREFIX || !key::is_legal(text.as_bytes()) {
        return Err(value.refuse(&accepted));
    }
    Ok(text.to_owned())
}
