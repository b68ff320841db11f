//! Prober: finds the addresses of servers, and finds out when servers that are out of service are
//! back, so that no worker has to.
//!
//! One process of Kamailio calls [`Prober::tick`] again and again. All servers that are due are asked
//! at the same time. The process serves no calls, so it may wait.

pub(crate) mod announcer;
pub(crate) mod probe;
pub(crate) mod rejoin;
pub(crate) mod resolver;
mod watch;

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::config::{Rejoin, Settings};
use crate::error::Error;
use crate::health::{Origin, State};
use crate::pool::{Member, Pool, SharedServer};
use crate::prober::probe::{End, Probe, go_on};
use crate::prober::rejoin::{Errand, Finding, Outage};
use crate::prober::resolver::{Asker, Resolver};
use crate::prober::watch::{Watch, Watches};
use crate::server::Address;
use crate::status::Status;

/// How often [`Prober::tick`] should be called. Intervals that operators set are precise to this.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// A probe has as long as an operation has, but so long at least if the server has to do something.
const FLUSH_LIMIT: Duration = Duration::from_millis(1500);

/// How long a probe of a server that is away may be silent until the next one may begin beside it.
const OVERLAP: Duration = Duration::from_millis(500);

/// What the prober remembers of each server, and the probes that are under way. A silent server does
/// not delay the others.
#[derive(Default)]
pub(crate) struct Prober {
    /// Of each pool.
    watches: Vec<Watches>,
    resolver: Resolver,
    under_way: Vec<ProbeUnderWay>,
}

struct ProbeUnderWay {
    /// Index of the pool.
    pool: usize,
    address: Address,
    origin: Origin,
    /// How many writes the server had missed when the probe began, as its health counts them.
    missed: u8,
    probe: Probe,
}

impl ProbeUnderWay {
    fn begin(pool_at: usize, pool: &Pool, server: &SharedServer, now: Moment) -> Self {
        let (health, settings) = (server.health(), pool.settings());
        // Before it is known whether there is an outage: what is done in this one counts in this one.
        let generation = health.generation();
        // Before the list is taken: a write that is counted later is noticed.
        let missed = health.diverted();
        let errand = errand(server, settings, now);
        let limit = match errand {
            Errand::Ping => settings.timeout,
            Errand::Empty(_) | Errand::Settle(_) => settings.timeout.max(FLUSH_LIMIT),
        };
        let deadline = Deadline::new(now, limit);
        let key = server.question(pool.placement());
        Self {
            pool: pool_at,
            address: server.spec().address.clone(),
            origin: Origin {
                process: std::process::id(),
                generation,
                began: now,
                veto_since: now,
                ends: deadline.end(),
            },
            missed,
            probe: Probe::begin(server.sites(), key, deadline, errand),
        }
    }

    /// The server, if it still belongs to the pool.
    fn server<'a>(&self, cache: &'a Cache) -> Option<&'a SharedServer> {
        let mut members = cache.pools()[self.pool].members().iter();
        let same = |member: &&Member| member.spec().address == self.address;
        members.find(same).map(Member::server)
    }

    fn asks(&self, pool: usize, address: &Address) -> bool {
        self.pool == pool && self.address == *address
    }
}

impl Prober {
    /// Begins a probe of every server that is due, and goes on with the probes under way. `lives` tells
    /// whether a process is still there.
    pub(crate) fn tick(&mut self, cache: &mut Cache, lives: impl Fn(u32) -> bool) {
        let now = Moment::now();
        cache.refresh();
        for (at, pool, member, watch) in watched(&mut self.watches, cache) {
            look_up_if_due(&mut self.resolver, at, member, watch, now);
            member.server().log_what_was_left_out(now);
            let (server, health) = (member.server(), member.health());
            server.release(now, &lives);
            let address = &member.spec().address;
            let same = self.under_way.iter().filter(|it| it.asks(at, address));
            let last = same.map(|it| it.probe.began()).max();
            // A server that is away may be asked again before a silent probe ends: the way to it may
            // be open only for what begins now.
            let waits = |began| !health.is_away() || now.since(began) < OVERLAP;
            if last.is_some_and(waits) {
                continue;
            }
            let settles = health.diverted() != 0 && health.state() == State::Active;
            if settles || watch.is_probe_due(now, health, pool.settings()) {
                let asked = ProbeUnderWay::begin(at, pool, server, now);
                self.under_way.push(asked);
            }
        }
        let mut probes: Vec<_> = self
            .under_way
            .iter_mut()
            .map(|asked| &mut asked.probe)
            .collect();
        go_on(&mut probes, &Deadline::new(now, TICK / 2));
        let over = |asked: &mut ProbeUnderWay| asked.probe.is_over();
        for asked in self.under_way.extract_if(.., over) {
            if let Some(server) = asked.server(cache) {
                let settings = cache.pools()[asked.pool].settings();
                conclude(server, asked, settings);
            }
        }
        // A second probe must not empty a server that is back already.
        let is_old = |asked: &mut ProbeUnderWay| {
            let server = asked.server(cache);
            server.is_none_or(|it| it.health().generation() != asked.origin.generation)
        };
        for asked in self.under_way.extract_if(.., is_old) {
            if let (Some(server), Errand::Settle(keys)) =
                (asked.server(cache), &asked.probe.end().errand)
            {
                server.put_back(keys);
            }
        }
    }

    /// Has all names looked up and waits for the answers, `time` at most. The start does this, so that
    /// the first call finds its servers.
    pub(crate) fn look_up(&mut self, cache: &Cache, time: Duration) {
        let start = Moment::now();
        for (at, _, member, watch) in watched(&mut self.watches, cache) {
            look_up_if_due(&mut self.resolver, at, member, watch, start);
        }
        self.resolver.wait(time);
    }
}

/// All servers: the index of the pool, the pool, the server, what is watched of it.
fn watched<'a>(
    watches: &'a mut Vec<Watches>,
    cache: &'a Cache,
) -> impl Iterator<Item = (usize, &'a Pool, &'a Member, &'a mut Watch)> {
    watches.resize_with(cache.pools().len(), Watches::default);
    let pools = cache.pools().iter().zip(watches).enumerate();
    pools.flat_map(|(at, (pool, watches))| {
        let members = pool.members().iter();
        let list = members.clone().map(|member| &member.spec().address);
        let pairs = members.zip(watches.follow(list));
        pairs.map(move |(member, watch)| (at, pool, member, watch))
    })
}

fn look_up_if_due(
    resolver: &mut Resolver,
    pool: usize,
    member: &Member,
    watch: &mut Watch,
    now: Moment,
) {
    let server = member.server();
    let Some(name) = server.name() else {
        return;
    };
    let resolved = !server.sites().is_empty();
    if watch.is_lookup_due(now, server.health(), resolved) {
        let address = server.spec().address.clone();
        let asker = Asker { pool, address };
        resolver.begin(name, asker, now, server.address_writer());
    }
}

/// What a probe has to do at the server.
fn errand(server: &SharedServer, settings: &Settings, now: Moment) -> Errand {
    let health = server.health();
    match settings.rejoin {
        Rejoin::Flush if health.is_away() => {
            let lasted = now.since(health.away_since());
            Errand::Empty(Outage::of(lasted))
        }
        _ if health.diverted() != 0 => Errand::Settle(server.take_missed()),
        _ => Errand::Ping,
    }
}

/// A probe is over. What it says of another generation of the server is out of date.
fn conclude(server: &SharedServer, asked: ProbeUnderWay, settings: &Settings) {
    let (health, now) = (server.health(), Moment::now());
    let ProbeUnderWay {
        origin,
        missed,
        probe,
        ..
    } = asked;
    let End {
        result,
        site,
        errand,
    } = probe.end();
    if let Some(site) = site.filter(|_| result.is_ok()) {
        server.note_use(&site);
    }
    if let Err(Errand::Settle(keys)) = result.as_ref().map(|_| ()).map_err(|_| &errand) {
        server.put_back(keys);
    }
    match &result {
        Ok(Finding::Settled) => {
            // After many writes their number may be the same again, but not the list.
            if !server.has_missed_more() && health.settle(now, origin.generation, missed) {
                server.note_change();
                let label = server.spec().label();
                log::info!("server {label} has made up for writes that a stand-in has taken");
            }
        }
        Ok(Finding::Emptied) => {
            let label = server.spec().label();
            log::info!("server {label} was emptied before its return");
        }
        Ok(Finding::Present | Finding::Restarted) | Err(_) => {}
    }
    let bad = result.as_ref().err();
    if bad.is_some() {
        server.note_silence();
    }
    // A probe that this process could not begin says nothing.
    let is_shortage = bad.is_some_and(Error::is_shortage);
    let change = match result {
        Err(_) if is_shortage => None,
        // If it failed after the probe began, it must be emptied first.
        Ok(Finding::Present | Finding::Settled) if settings.rejoin == Rejoin::Flush => {
            health.pinged(now, origin)
        }
        _ => health.probed(now, origin, bad.map(Status::of_error), settings.rules),
    };
    let words = bad.map(|error| format!("{}: {error}", Status::of_error(error)));
    let is_news = server.note_probe(words.as_deref().unwrap_or("ok"));
    match (words, change) {
        (None, Some(change)) => server.note(change, &"it has answered a probe"),
        (Some(words), Some(change)) => server.note(change, &format_args!("{words} (probe)")),
        (Some(words), None) if is_news && (is_shortage || health.is_away()) => {
            server.log_probe(now, &words);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
