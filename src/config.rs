//! Parameters: what an operator may set, with defaults, units and refusals.
//!
//! The one place that knows a default, a range or a unit. Values are checked where they are
//! given, so that `kamailio -c` reports them; [`Parameters::settle`] then makes the [`Settings`]
//! that the rest works with. A pool takes from the plain parameters what it leaves out,
//! whichever of them comes first in the configuration.

mod given;
mod tunable;

use std::time::Duration;

pub use given::{BadParameter, Given};
pub use tunable::Tunable;

use crate::health::Rules;
use crate::key::{self, MAX_PREFIX};
use crate::lifetime::Lifetime;
use crate::placement::{HashTag, Placement};
use crate::protocol::Store;
use crate::ring::Distribution;
use crate::server::{self, ServerSpec};
use crate::servers_file::ServersFile;
use given::Value;
use tunable::{millis, ping_interval, retry_interval};

/// The parameters' names.
pub const NAMES: [&str; 22] = [
    "servers",
    "servers_file",
    "expire",
    "mode",
    "timeout",
    "memory",
    "stringify",
    "pool",
    "distribution",
    "hash",
    "key_prefix",
    "hash_prefix",
    "hash_tag",
    "failover",
    "stall_limit",
    "inactive_threshold",
    "probing_threshold",
    "retry_interval",
    "ping_interval",
    "connect_timeout",
    "rejoin",
    "event_callback",
];

/// The name of the pool that is made of the plain parameters.
pub const DEFAULT_POOL: &str = "default";

/// The most pools there may be, the default one included.
pub const MAX_POOLS: usize = 64;

/// What was set so far.
#[derive(Debug, Default)]
pub struct Parameters {
    plain: Values,
    pools: Vec<(String, Values)>,
    memory: bool,
    event_callback: Option<String>,
    /// What stood in front of `=>` in variables' names and was no pool then.
    keys: Vec<String>,
}

/// What was set for one pool; everything else has its default.
#[derive(Debug, Default)]
struct Values {
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

/// How a pool works: every parameter with a value.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Its servers, one or more.
    pub servers: Vec<ServerSpec>,
    /// Where that list may be read again.
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
}

/// What a server keeps over an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejoin {
    /// Everything.
    Keep,
    /// Nothing: it is emptied before it is used again.
    Flush,
}

/// Who serves the keys of a server that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// Nobody: they fail at once.
    Off,
    /// The next live server on the ring, which stays as it is.
    NextServer,
    /// A ring without the server.
    NewRing,
}

impl Parameters {
    /// Sets the parameter called `name`; the last value given counts.
    ///
    /// # Errors
    /// [`BadParameter`] for an unknown name, the wrong type, or a value out of range.
    pub fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), BadParameter> {
        let value = Value {
            pool: None,
            name,
            given,
        };
        match name {
            "memory" => self.memory = value.choice("0 or 1; it has no effect")?,
            "event_callback" => self.event_callback = Some(function_name(&value)?),
            "pool" => {
                let pool = self.pool(&value)?;
                self.pools.push(pool);
            }
            _ => self.plain.set(&value)?,
        }
        Ok(())
    }

    /// True when the old parameter `memory` asks for something that no longer exists.
    pub fn wants_memory(&self) -> bool {
        self.memory
    }

    /// The script function that is called for events.
    pub fn event_callback(&self) -> Option<&str> {
        self.event_callback.as_deref()
    }

    /// The index of the pool called `name` among [`Self::settle`]'s.
    pub fn pool_index(&self, name: &str) -> Option<usize> {
        let declared = self.pools.iter().position(|(known, _)| known == name)?;
        Some(declared + 1)
    }

    /// Remembers that `key` stood where a pool could have stood, and was taken for a key.
    pub fn note_key(&mut self, key: &str) {
        if !self.keys.iter().any(|known| known == key) {
            self.keys.push(key.to_owned());
        }
    }

    /// The settings of all pools, the default one first.
    pub fn settle(&self) -> Vec<Settings> {
        let default = self.plain.settle(DEFAULT_POOL, &Values::default());
        let pools = self
            .pools
            .iter()
            .map(|(name, values)| values.settle(name, &self.plain));
        std::iter::once(default).chain(pools).collect()
    }

    /// `name=calls;servers=…;…`
    fn pool(&self, value: &Value<'_>) -> Result<(String, Values), BadParameter> {
        const FORM: &str =
            "name=NAME;servers=LIST or servers_file=PATH, and further PARAMETER=VALUE";
        let items = value
            .text(FORM)?
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut items = items.map(|item| item.split_once('=').ok_or_else(|| value.refuse(FORM)));
        let name = match items.next().transpose()? {
            Some(("name", name)) if is_pool_name(name) => name,
            _ => {
                let accepted = format!("{FORM}; a NAME has letters, digits, '_', '.', '-'");
                return Err(value.refuse(&accepted));
            }
        };
        let refuse = |why: String| Err(value.refuse_because(why));
        if name == DEFAULT_POOL || self.pool_index(name).is_some() {
            return refuse(format!(
                "pool '{name}' is there already; accepted: another name"
            ));
        }
        if self.pools.len() + 1 == MAX_POOLS {
            return refuse(format!(
                "'{name}' is one pool too many; accepted: {MAX_POOLS} in all"
            ));
        }
        if self.keys.iter().any(|key| key == name) {
            return refuse(format!(
                "'{name}' was used as a key before ('{name}=>…'); accepted: pools that are \
                 declared before variables use them"
            ));
        }
        let mut values = Values::default();
        for item in items {
            let (parameter, word) = item?;
            let (parameter, given) = (parameter.trim_end(), Given::Word(word.trim_start()));
            values.set(&Value {
                pool: Some(name),
                name: parameter,
                given,
            })?;
        }
        if values.servers.is_none() && values.file.is_none() {
            return refuse(format!("pool '{name}' has no servers; accepted: {FORM}"));
        }
        Ok((name.to_owned(), values))
    }
}

fn is_pool_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
}

impl Values {
    fn set(&mut self, value: &Value<'_>) -> Result<(), BadParameter> {
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
                let accepted = "0 (all of the timeout) to 2147483647 milliseconds";
                let millis = value.number(0..=i32::MAX, accepted)?.unsigned_abs();
                let limit = (millis > 0).then(|| Duration::from_millis(millis.into()));
                self.connect_timeout = Some(limit);
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

    fn settle(&self, name: &str, plain: &Self) -> Settings {
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
        Settings {
            name: name.to_owned(),
            servers,
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

fn function_name(value: &Value<'_>) -> Result<String, BadParameter> {
    let accepted = "the name of a function of the KEMI script";
    let name = value.text(accepted)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(value.refuse(accepted));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
