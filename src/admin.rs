//! What operators ask a running cache: its servers, where a key lives, new lists of servers.
//!
//! The answers are plain data; how they are asked for and shown is somebody else's.

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::health::State;
use crate::health::latency::Summary;
use crate::pool::{Member, Pool, Site};
use crate::prober::probe::probe;
use crate::server::ServerSpec;
use crate::status::Status;
use crate::wire::net::Target;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What has to change before the question can be answered.
    pub cause: Cause,
    /// One line, what matters most first: not every way to the caller takes all of it.
    pub reason: String,
}

/// What keeps a question from being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The question itself: it names something that is not there or not accepted.
    Question,
    /// The state of the servers: the same question may be answered later.
    Servers,
}

impl Refused {
    fn because(reason: String) -> Self {
        Self {
            cause: Cause::Question,
            reason,
        }
    }
}

/// Which servers a question is about: those of all pools, unless it names some.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Selection<'a> {
    /// Only those of the pool of this name.
    pub pool: Option<&'a str>,
    /// Only those of this alias or address.
    pub server: Option<&'a str>,
}

/// A server of a pool, and how it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The pool's name.
    pub pool: String,
    /// `host:port`, `[IPv6]:port` or the path.
    pub address: String,
    /// Its alias, empty for none.
    pub alias: String,
    /// Its weight.
    pub weight: u16,
    /// The word for its state.
    pub state: &'static str,
    /// For how many seconds it has been in it.
    pub since: u64,
    /// The word for the failure that led to it, empty for none.
    pub reason: &'static str,
    /// The addresses that its name has, the one in use first; empty for none.
    pub resolved: String,
    /// How quick it has been in the last minutes.
    pub latency: Summary,
    /// Operations under way in all processes.
    pub in_flight: u32,
    /// Operations since the start.
    pub operations: u64,
    /// Those of them that failed by the server's fault.
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

/// Where a key lives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The pool's name.
    pub pool: String,
    /// The key as it is sent.
    pub wire: String,
    /// Its hash.
    pub hash: u32,
    /// The ring point, or the slot, that it falls on.
    pub point: u32,
    /// The server that has it: alias or address.
    pub owner: String,
    /// The servers that would stand in for the owner, in their order.
    pub failover: Vec<String>,
}

/// A pool whose list of servers was read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// The pool's name.
    pub name: String,
    /// How many servers it has now.
    pub servers: usize,
}

/// The servers of all pools, or of one, or one of these.
///
/// # Errors
/// There is no pool of that name, or no server of that alias or address in it.
pub(crate) fn list(cache: &mut Cache, selection: Selection<'_>) -> Result<Vec<Listed>, Refused> {
    cache.refresh();
    let listed = members(select(cache.pools(), selection.pool)?, selection.server)?;
    let rows = listed
        .into_iter()
        .map(|(pool, member)| Listed::of(pool, member));
    Ok(rows.collect())
}

/// Where `key` lives in a pool, the default one if none is named.
///
/// # Errors
/// There is no pool of that name; the key is empty.
pub(crate) fn hash(cache: &mut Cache, key: &[u8], pool: Option<&str>) -> Result<Placed, Refused> {
    cache.refresh();
    // Never empty: every cache has its default pool.
    let pool = &select(cache.pools(), pool)?[0];
    let wire = pool.placement().wire_key(key);
    let wire = wire.map_err(|refusal| Refused::because(refusal.to_string()))?;
    let nobody = || Refused {
        cause: Cause::Servers,
        reason: "no server is live".into(),
    };
    let location = pool.locate(wire.as_bytes()).ok_or_else(nobody)?;
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

/// Reads the `servers_file` of all pools that have one, or of one pool, again. Every process uses
/// the new list from its next operation on.
///
/// # Errors
/// There is no such pool or no such file; a file cannot be read or has a mistake. Nothing has then
/// changed.
pub(crate) fn reload(cache: &mut Cache, pool: Option<&str>) -> Result<Vec<Reloaded>, Refused> {
    let mut lists = Vec::new();
    for pool_of_file in select(cache.pools(), pool)? {
        let name = &pool_of_file.settings().name;
        let because = |why| Refused::because(format!("nothing changed: pool '{name}': {why}"));
        match &pool_of_file.settings().file {
            Some(file) => lists.push((pool_of_file, file.read().map_err(because)?)),
            None if pool.is_some() => return Err(because("it has no servers_file".into())),
            None => {}
        }
    }
    if lists.is_empty() {
        return Err(Refused::because(
            "nothing changed: no pool has a servers_file".into(),
        ));
    }
    for (pool, list) in &lists {
        let name = &pool.settings().name;
        let because = |why| Refused::because(format!("pool '{name}': {why}"));
        pool.publish(list).map_err(because)?;
        log::info!(
            "pool '{name}' has {} servers now, as its file says",
            list.len()
        );
    }
    let reloaded = lists.into_iter().map(|(pool, list)| Reloaded {
        name: pool.settings().name.clone(),
        servers: list.len(),
    });
    Ok(reloaded.collect())
}

/// What a probe of a server came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinged {
    /// The pool's name.
    pub pool: String,
    /// The server's alias or address.
    pub server: String,
    /// `ok`, or the word for what went wrong.
    pub answer: &'static str,
    /// What went wrong, empty for nothing.
    pub reason: String,
}

/// How long a ping may take.
const PING_LIMIT: Duration = Duration::from_millis(1000);

/// Asks all servers, or one, whether they are there. Changes nobody's state.
///
/// # Errors
/// There is no server of that alias or address.
pub(crate) fn ping(cache: &mut Cache, server: Option<&str>) -> Result<Vec<Pinged>, Refused> {
    cache.refresh();
    let asked = members(cache.pools(), server)?;
    let servers: Vec<_> = asked
        .iter()
        .map(|(_, member)| member.server().sites())
        .collect();
    let results = probe(servers, &Deadline::new(Moment::now(), PING_LIMIT));
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

/// The state of that word, if it is one that an operator may set.
///
/// # Errors
/// Another word than `active` or `disabled`.
pub(crate) fn state(word: &str) -> Result<State, Refused> {
    [State::Active, State::Disabled]
        .into_iter()
        .find(|state| state.word() == word)
        .ok_or_else(|| {
            let accepted = "accepted: active, disabled";
            Refused::because(format!("state '{word}' is refused; {accepted}"))
        })
}

/// Takes a server out of service, or puts it back, in every pool that it is in.
///
/// # Errors
/// There is no server of that alias or address.
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

/// The servers of these pools, or those called `name`, each with its pool.
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
        let accepted = "an alias or address of memcached.list";
        return Err(Refused::because(format!(
            "there is no server '{name}'; accepted: {accepted}"
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

/// The pool called `name`, or all.
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
                "there is no pool '{name}'; known: {}",
                known.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests;
