//! Pools: operators read their lists of servers again, look at their statistics, and empty them; scripts
//! empty them, too.

use std::thread;

use super::servers::{ask, distinct};
use super::{Refused, members, select};
use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::error::Error;
use crate::pool::Pool;
use crate::prober::rejoin::Errand;
use crate::quoted::quoted;
use crate::server::ServerSpec;
use crate::shared::server_list::NotPublished;
use crate::stats::TABLE;
use crate::status::Status;

/// A pool whose files have been read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// The name of the pool.
    pub name: String,
    /// How many servers the pool has now.
    pub servers: usize,
}

/// How often a file is read again because another process has published a list in the meantime, or is in the middle
/// of that: it may have to wait for a processor.
const ROUNDS: usize = 10_000;

/// Reads the files of one pool again, or of all pools that have any: the `servers_file`, and the files of
/// secrets. Every process uses the new list from its next operation on, and the new secrets for its next
/// connection. If two processes do this at the same time, the list that was read last stays.
///
/// # Errors
/// The pool or its file does not exist, or a file cannot be read or has a mistake. In these cases
/// nothing has changed, unless another process publishes a list at the same time.
pub(crate) fn reload(cache: &mut Cache, pool: Option<&str>) -> Result<Vec<Reloaded>, Refused> {
    let (mut lists, mut secrets) = (Vec::new(), Vec::new());
    for pool_of_file in select(cache.pools(), pool)? {
        let name = &pool_of_file.settings().name;
        let because = |why| Refused::because(format!("nothing changed: pool '{name}': {why}"));
        if pool_of_file.settings().has_secrets() {
            pool_of_file.settings().clone().renew().map_err(because)?;
            secrets.push(pool_of_file);
        }
        match &pool_of_file.settings().file {
            Some(file) => {
                let read = Read::new(pool_of_file, || file.read()).map_err(because)?;
                lists.push((pool_of_file, file, read));
            }
            None if pool.is_some() && secrets.is_empty() => {
                return Err(because(
                    "it has no servers_file, no credentials_file, and no tls_… files".into(),
                ));
            }
            None => {}
        }
    }
    if lists.is_empty() && secrets.is_empty() {
        return Err(Refused::because(
            "nothing changed: no pool has a servers_file, a credentials_file or tls_… files".into(),
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
    for pool in secrets {
        let name = pool.settings().name.clone();
        pool.note_renewal();
        log::info!(
            "pool '{name}' uses the credentials and certificates that were read from its files"
        );
        if reloaded.iter().all(|reloaded| reloaded.name != name) {
            let servers = pool.members().len();
            reloaded.push(Reloaded { name, servers });
        }
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

/// The statistics of a pool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// The name of the pool.
    pub pool: String,
    /// The name and the value of each, in the order of the table.
    pub values: Vec<(&'static std::ffi::CStr, u64)>,
    /// How many of the reads that were answered have found their item, from `0.000` to `1.000`; empty if
    /// none was answered.
    pub hit_ratio: String,
}

/// The statistics of the pool of that name, or of all pools.
///
/// # Errors
/// No pool has that name.
pub(crate) fn statistics(
    cache: &mut Cache,
    pool: Option<&str>,
) -> Result<Vec<Statistics>, Refused> {
    cache.refresh();
    let of = |pool: &Pool| {
        let values = TABLE.iter().map(|row| (row.name, pool.statistic(row)));
        let (hits, misses) = (pool.stats().hits.value(), pool.stats().misses.value());
        Statistics {
            pool: pool.settings().name.clone(),
            values: values.collect(),
            hit_ratio: match hits + misses {
                0 => String::new(),
                answered => format!("{:.3}", hits as f64 / answered as f64),
            },
        }
    };
    Ok(select(cache.pools(), pool)?.iter().map(of).collect())
}

/// A server that was to be emptied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// The name of the pool.
    pub pool: String,
    /// The alias or address of the server.
    pub server: String,
    /// `deleted`, or the word for the failure.
    pub answer: &'static str,
    /// A description of the failure, or an empty text.
    pub reason: String,
}

/// Empties all servers of a pool, or one server, all at the same time. The servers' states make no
/// difference, and do not change.
///
/// # Errors
/// Neither a pool nor a server has that name, or both have it.
pub(crate) fn flush(cache: &mut Cache, name: &str) -> Result<Vec<Flushed>, Refused> {
    cache.refresh();
    let meant = match (
        select(cache.pools(), Some(name)),
        members(cache.pools(), Some(name)),
    ) {
        (Ok(_), Ok(_)) => {
            return Err(Refused::because(format!(
                "{} is a pool and a server; accepted: the address of the server",
                quoted(name)
            )));
        }
        (Ok(pool), Err(_)) => members(pool, None)?,
        (Err(_), Ok(servers)) => distinct(servers),
        (Err(_), Err(_)) => {
            return Err(Refused::because(format!(
                "unknown pool or server {}; accepted: a pool, alias or address that memcached.list shows",
                quoted(name)
            )));
        }
    };
    let limit = meant.iter().map(|(pool, _)| pool.settings().timeout).max();
    let deadline = Deadline::new(Moment::now(), limit.unwrap_or_default());
    let _change = cache.change_all();
    let ends = ask(&meant, &Errand::Flush, &deadline);
    let flushed = meant.into_iter().zip(ends).map(|((pool, member), end)| {
        let error = end.result.err();
        let status = error.as_ref().map_or(Status::Deleted, Status::of_error);
        Flushed {
            pool: pool.settings().name.clone(),
            server: member.spec().label(),
            answer: status.word(),
            reason: error.map_or_else(String::new, |error| error.to_string()),
        }
    });
    Ok(flushed.collect())
}

/// Empties all servers of the pool of that index, for a script: those that are in service, all at the same
/// time, until the `timeout` of the pool at most.
///
/// # Errors
/// That of the first server, in the order of the list, that was not emptied. The others are.
pub(crate) fn empty(cache: &mut Cache, index: usize) -> Result<Status, Error> {
    cache.refresh();
    let deadline = Deadline::new(Moment::now(), cache.pools()[index].settings().timeout);
    cache.settle(index, &deadline);
    let pool = &cache.pools()[index];
    let name = pool.settings().name.clone();
    let listed = pool.members().iter().enumerate();
    let (live, out): (Vec<_>, Vec<_>) = listed.partition(|(_, it)| it.health().may_be_asked());
    let asked: Vec<_> = live.iter().map(|&(_, member)| (pool, member)).collect();
    let _change = cache.change_all();
    let ends = ask(&asked, &Errand::Flush, &deadline);
    let mut failures: Vec<(usize, Error)> = Vec::new();
    for (at, member) in out {
        let error = member.not_asked();
        pool.stats().note_failure(&error);
        failures.push((at, error));
    }
    let labels: Vec<_> = live
        .iter()
        .map(|(at, it)| (*at, it.spec().label()))
        .collect();
    for ((at, server), end) in labels.into_iter().zip(ends) {
        if let Err(error) = end.result {
            let what = format_args!("flush of pool '{name}' at server {server}");
            cache.note_failure(index, what, &error);
            failures.push((at, error));
        }
    }
    match failures.into_iter().min_by_key(|&(at, _)| at) {
        Some((_, error)) => Err(error),
        None => Ok(Status::Deleted),
    }
}

#[cfg(test)]
mod tests;
