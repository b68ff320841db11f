//! The commands of operators to a running cache: show or ping its servers, set their state, show
//! where a key lies, read lists of servers again.
//!
//! The answers are plain data. The caller knows how operators ask, and how an answer is shown.

use std::thread;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::health::State;
use crate::health::latency::Summary;
use crate::pool::{Member, Pool, Site};
use crate::prober::probe;
use crate::server::ServerSpec;
use crate::shared::server_list::NotPublished;
use crate::status::Status;
use crate::wire::net::Target;

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What has to change before it can be done.
    pub cause: Cause,
    /// One line that begins with what matters most, since some clients show only its beginning.
    pub reason: String,
}

/// What prevents a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The command itself: it names something that does not exist or is not accepted.
    Command,
    /// The state of the servers: the same command may succeed later.
    Servers,
}

impl Refused {
    fn because(reason: String) -> Self {
        Self {
            cause: Cause::Command,
            reason,
        }
    }
}

/// The servers that a command is about: all servers of all pools, unless it names some.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Selection<'a> {
    /// If given, only servers of the pool of this name.
    pub pool: Option<&'a str>,
    /// If given, only servers of this alias or address.
    pub server: Option<&'a str>,
}

/// A server of a pool, and its state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The name of the pool.
    pub pool: String,
    /// `host:port`, `[IPv6]:port` or the path.
    pub address: String,
    /// The server's alias, or an empty text.
    pub alias: String,
    /// The server's weight.
    pub weight: u16,
    /// The word for the server's state.
    pub state: &'static str,
    /// For how many seconds the server has been in this state.
    pub since: u64,
    /// The word for the failure that led to this state, or an empty text.
    pub reason: &'static str,
    /// Why the state changed last, in full; empty if it never did.
    pub why: String,
    /// What the last probe has found: `ok`, or what is wrong; empty if there was none.
    pub last_probe: String,
    /// The addresses that the server's name resolves to, beginning with the one in use.
    pub resolved: String,
    /// How long answers took in the last minutes.
    pub latency: Summary,
    /// How many operations are in progress, in all processes.
    pub in_flight: u32,
    /// How many operations there were since the start.
    pub operations: u64,
    /// How many of these operations the server is to blame for failing.
    pub failures: u64,
}

impl Listed {
    fn of(pool: &Pool, member: &Member) -> Self {
        let (server, health) = (member.spec(), member.health());
        let (in_flight, operations, failures) = health.counts();
        Self {
            pool: pool.settings().name.clone(),
            address: server.address.to_string(),
            alias: server.alias.clone().unwrap_or_default(),
            weight: server.weight,
            state: health.state().word(),
            since: Moment::now().since(health.since()).as_secs(),
            reason: health.reason().map_or("", Status::word),
            why: member.server().why(),
            last_probe: member.server().last_probe(),
            resolved: resolved(member),
            latency: member.server().latency().summary(Moment::now()),
            in_flight,
            operations,
            failures,
        }
    }
}

fn resolved(member: &Member) -> String {
    let text = |site: Site| match site.target {
        Target::Tcp(address) => address.ip().to_string(),
        Target::Unix(path) => path,
    };
    let sites: Vec<_> = member.server().sites().into_iter().map(text).collect();
    sites.join(" ")
}

/// Where a key lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The name of the pool.
    pub pool: String,
    /// The key as it is sent.
    pub wire: String,
    /// The key's hash.
    pub hash: u32,
    /// The point of the ring, or the slot, that the hash belongs to.
    pub point: u32,
    /// The alias or address of the server that the key lies on.
    pub owner: String,
    /// The servers that stand in for the owner, in the order in which they are asked.
    pub failover: Vec<String>,
}

/// A pool whose list of servers has been read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// The name of the pool.
    pub name: String,
    /// How many servers the pool has now.
    pub servers: usize,
}

/// Lists the selected servers.
///
/// # Errors
/// No pool has that name, or no server in it has that alias or address.
pub(crate) fn list(cache: &mut Cache, selection: Selection<'_>) -> Result<Vec<Listed>, Refused> {
    cache.refresh();
    let listed = members(select(cache.pools(), selection.pool)?, selection.server)?;
    let rows = listed
        .into_iter()
        .map(|(pool, member)| Listed::of(pool, member));
    Ok(rows.collect())
}

/// Tells where `key` lies in the pool of that name, or in the default pool.
///
/// # Errors
/// No pool has that name, the key is empty, or no server is live.
pub(crate) fn hash(cache: &mut Cache, key: &[u8], pool: Option<&str>) -> Result<Placed, Refused> {
    cache.refresh();
    // There is at least one: every cache has a default pool.
    let pool = &select(cache.pools(), pool)?[0];
    let wire = pool.placement().wire_key(key);
    let wire = wire.map_err(|refusal| Refused::because(refusal.to_string()))?;
    let no_server = || Refused {
        cause: Cause::Servers,
        reason: "all servers are out of service".into(),
    };
    let location = pool.locate(wire.as_bytes()).ok_or_else(no_server)?;
    let mut order = location.order.into_iter().map(ServerSpec::label);
    Ok(Placed {
        pool: pool.settings().name.clone(),
        wire: wire.to_string(),
        hash: location.hash,
        point: location.point,
        owner: order.next().unwrap_or_default(),
        failover: order.collect(),
    })
}

/// How often a file is read again because another process has published a list in the meantime.
const ROUNDS: usize = 100;

/// Reads the `servers_file` of one pool again, or of all pools that have one. Every process uses
/// the new list from its next operation on. If two processes do this at the same time, the list that
/// was read last stays.
///
/// # Errors
/// The pool or its file does not exist, or a file cannot be read or has a mistake. In these cases
/// nothing has changed, unless another process publishes a list at the same time.
pub(crate) fn reload(cache: &mut Cache, pool: Option<&str>) -> Result<Vec<Reloaded>, Refused> {
    let mut lists = Vec::new();
    for pool_of_file in select(cache.pools(), pool)? {
        let name = &pool_of_file.settings().name;
        let because = |why| Refused::because(format!("nothing changed: pool '{name}': {why}"));
        match &pool_of_file.settings().file {
            Some(file) => {
                let read = Read::new(pool_of_file, || file.read()).map_err(because)?;
                lists.push((pool_of_file, file, read));
            }
            None if pool.is_some() => return Err(because("it has no servers_file".into())),
            None => {}
        }
    }
    if lists.is_empty() {
        return Err(Refused::because(
            "nothing changed: no pool has a servers_file".into(),
        ));
    }
    let mut reloaded = Vec::new();
    for (pool, file, read) in lists {
        let name = pool.settings().name.clone();
        let because = |why| Refused::because(format!("pool '{name}': {why}"));
        let servers = read.publish(pool, || file.read()).map_err(because)?;
        log::info!("pool '{name}' has {servers} servers now, read from its file");
        reloaded.push(Reloaded { name, servers });
    }
    Ok(reloaded)
}

/// What was read of a pool's file.
struct Read {
    /// The version of the pool's list before the file was read.
    version: u32,
    servers: Vec<ServerSpec>,
}

impl Read {
    fn new(
        pool: &Pool,
        read: impl FnOnce() -> Result<Vec<ServerSpec>, String>,
    ) -> Result<Self, String> {
        let version = pool.list_version();
        let servers = read()?;
        Ok(Self { version, servers })
    }

    /// Publishes it. Once another process has published its list, the file may be newer than what was
    /// read of it: it is then read again. Returns how many servers there are.
    fn publish(
        mut self,
        pool: &Pool,
        read: impl Fn() -> Result<Vec<ServerSpec>, String>,
    ) -> Result<usize, String> {
        for _ in 0..ROUNDS {
            match pool.publish(self.version, &self.servers) {
                Ok(()) => return Ok(self.servers.len()),
                Err(NotPublished::Changed) => {
                    // The other process may be in the middle of it.
                    thread::yield_now();
                    self = Self::new(pool, &read)?;
                }
                Err(why @ NotPublished::TooLong) => return Err(why.to_string()),
            }
        }
        Err(NotPublished::Changed.to_string())
    }
}

/// A server's answer to a ping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinged {
    /// The name of the pool.
    pub pool: String,
    /// The alias or address of the server.
    pub server: String,
    /// `ok`, or the word for the failure.
    pub answer: &'static str,
    /// A description of the failure, or an empty text.
    pub reason: String,
}

/// How long a ping may take, all servers together.
const PING_LIMIT: Duration = Duration::from_millis(1000);

/// Asks one server, or all, for a sign of life. This changes no server's state.
///
/// # Errors
/// No server has that alias or address.
pub(crate) fn ping(cache: &mut Cache, server: Option<&str>) -> Result<Vec<Pinged>, Refused> {
    cache.refresh();
    let asked = members(cache.pools(), server)?;
    let servers: Vec<_> = asked
        .iter()
        .map(|(pool, member)| {
            let server = member.server();
            (server.sites(), server.question(pool.placement()))
        })
        .collect();
    let results = probe::ping(servers, &Deadline::new(Moment::now(), PING_LIMIT));
    let pinged = asked
        .into_iter()
        .zip(results)
        .map(|((pool, member), result)| Pinged {
            pool: pool.settings().name.clone(),
            server: member.spec().label(),
            answer: result
                .as_ref()
                .map_or_else(|error| Status::of_error(error).word(), |()| "ok"),
            reason: result
                .err()
                .map_or_else(String::new, |error| error.to_string()),
        });
    Ok(pinged.collect())
}

/// The state that an operator names, to be set with [`set_state`].
///
/// # Errors
/// The word is neither `active` nor `disabled`.
pub(crate) fn state(word: &str) -> Result<State, Refused> {
    [State::Active, State::Disabled]
        .into_iter()
        .find(|state| state.word() == word)
        .ok_or_else(|| {
            let accepted = "accepted: active or disabled";
            Refused::because(format!("invalid state '{word}'; {accepted}"))
        })
}

/// Takes a server out of service, or back into service, in every pool that it belongs to.
///
/// # Errors
/// No server has that alias or address.
pub(crate) fn set_state(
    cache: &mut Cache,
    state: State,
    server: &str,
) -> Result<Vec<Listed>, Refused> {
    cache.refresh();
    let meant = members(cache.pools(), Some(server))?;
    let changed = meant.into_iter().map(|(pool, member)| {
        member.server().set(state);
        Listed::of(pool, member)
    });
    Ok(changed.collect())
}

/// The servers of these pools, each with its pool. With `name`, only those of this alias or
/// address.
fn members<'a>(
    pools: &'a [Pool],
    name: Option<&str>,
) -> Result<Vec<(&'a Pool, &'a Member)>, Refused> {
    let all = pools
        .iter()
        .flat_map(|pool| pool.members().iter().map(move |member| (pool, member)));
    let Some(name) = name else {
        return Ok(all.collect());
    };
    let called: Vec<_> = all.filter(|(_, member)| is_called(member, name)).collect();
    if called.is_empty() {
        let accepted = "an alias or address that memcached.list shows";
        return Err(Refused::because(format!(
            "unknown server '{name}'; accepted: {accepted}"
        )));
    }
    Ok(called)
}

fn is_called(member: &Member, name: &str) -> bool {
    let spec = member.spec();
    spec.alias.as_deref() == Some(name)
        || spec.address.to_string() == name
        || spec.address.short() == name
}

/// The pool called `name`, or all pools.
fn select<'a>(pools: &'a [Pool], name: Option<&str>) -> Result<&'a [Pool], Refused> {
    let Some(name) = name else {
        return Ok(pools);
    };
    match pools.iter().position(|pool| pool.settings().name == name) {
        Some(at) => Ok(&pools[at..=at]),
        None => {
            let known: Vec<_> = pools
                .iter()
                .map(|pool| pool.settings().name.as_str())
                .collect();
            Err(Refused::because(format!(
                "unknown pool '{name}'; accepted: {}",
                known.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests;
