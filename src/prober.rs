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
use crate::pool::{Member, Pool, SharedServer};
use crate::prober::probe::{Probe, go_on};
use crate::prober::rejoin::{Finding, Outage};
use crate::prober::resolver::{Asker, Resolver};
use crate::prober::watch::{Watch, Watches};
use crate::server::Address;
use crate::status::Status;

/// How often [`Prober::tick`] should be called. Intervals that operators set are precise to this.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How long a probe may take at most, and one that empties the server.
const PROBE_LIMIT: Duration = Duration::from_millis(500);
const FLUSH_LIMIT: Duration = Duration::from_millis(1500);

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
    /// Since when the server has been away, if the probe empties it.
    emptied: Option<Moment>,
    probe: Probe,
}

impl ProbeUnderWay {
    fn begin(pool: usize, member: &Member, settings: &Settings, now: Moment) -> Self {
        let emptied = to_be_emptied(member.server(), settings);
        let (limit, outage) = match emptied {
            None => (PROBE_LIMIT, None),
            Some(since) => (FLUSH_LIMIT, Some(Outage::of(now.since(since)))),
        };
        Self {
            pool,
            address: member.spec().address.clone(),
            emptied,
            probe: Probe::begin(member.server().sites(), Deadline::new(now, limit), outage),
        }
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
            if asks(&self.under_way, at, &member.spec().address) {
                continue;
            }
            member.server().release(now, &lives);
            if watch.is_probe_due(now, member.health(), pool.settings()) {
                let asked = ProbeUnderWay::begin(at, member, pool.settings(), now);
                self.under_way.push(asked);
            }
        }
        let mut probes: Vec<_> = self
            .under_way
            .iter_mut()
            .map(|asked| &mut asked.probe)
            .collect();
        go_on(&mut probes, &Deadline::new(now, TICK / 2));
        for asked in self.under_way.extract_if(.., |asked| asked.probe.is_over()) {
            let pool = &cache.pools()[asked.pool];
            let same = |member: &&Member| member.spec().address == asked.address;
            if let Some(member) = pool.members().iter().find(same) {
                conclude(
                    member.server(),
                    asked.probe.end(),
                    asked.emptied,
                    pool.settings(),
                );
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

fn asks(under_way: &[ProbeUnderWay], pool: usize, address: &Address) -> bool {
    let same = |asked: &ProbeUnderWay| asked.pool == pool && asked.address == *address;
    under_way.iter().any(same)
}

/// Since when the server has been away, if it must be emptied before workers may use it again.
fn to_be_emptied(server: &SharedServer, settings: &Settings) -> Option<Moment> {
    let health = server.health();
    let wanted = settings.rejoin == Rejoin::Flush && health.is_away();
    wanted.then(|| health.away_since())
}

/// A probe is over. `emptied` is what [`to_be_emptied`] said when it began. A server that has failed
/// since then is not back.
fn conclude(
    server: &SharedServer,
    result: Result<Finding, Error>,
    emptied: Option<Moment>,
    settings: &Settings,
) {
    let (health, now) = (server.health(), Moment::now());
    if let Ok(finding) = result {
        let same_outage = emptied == Some(health.away_since());
        let empty = finding != Finding::Present && same_outage;
        if settings.rejoin == Rejoin::Flush && !empty {
            health.pinged(now);
            return;
        }
        if finding == Finding::Emptied {
            let label = server.spec().label();
            log::info!("server {label} was emptied before its return");
        }
    }
    let bad = result.as_ref().err();
    let change = health.probed(now, bad.map(Status::of_error), settings.rules);
    let Some(change) = change else {
        return;
    };
    match bad {
        None => server.note(change, &"it has answered a probe"),
        Some(error) => {
            let why = format_args!("{}: {error} (probe)", Status::of_error(error));
            server.note(change, &why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};
    use crate::health::{Origin, State};
    use crate::shared::Shared;

    #[test]
    fn only_what_was_emptied_in_this_outage_returns() {
        let mut parameters = Parameters::default();
        for (name, text) in [("servers", "a:1"), ("rejoin", "flush")] {
            parameters.set(name, Given::Text(text)).unwrap();
        }
        let pool = Pool::new(parameters.settle().remove(0), &Shared::private(1)[0]);
        let (server, settings) = (pool.members()[0].server(), pool.settings());
        let fail = || {
            let (now, rules) = (Moment::now(), settings.rules);
            let by = Origin {
                process: 99,
                began: now,
            };
            server.health().failed(now, by, Status::Down, rules)
        };
        let state = |finding, emptied| {
            conclude(server, Ok(finding), emptied, settings);
            server.health().state()
        };
        assert_eq!(to_be_emptied(server, settings), None);
        assert!(fail().is_some());
        let first = to_be_emptied(server, settings);
        // Begun when it was still in service.
        assert_eq!(state(Finding::Present, None), State::Inactive);
        assert_eq!(state(Finding::Emptied, first), State::Active);
        assert!(fail().is_some());
        assert_eq!(state(Finding::Emptied, first), State::Inactive);
        let second = to_be_emptied(server, settings);
        assert_eq!(state(Finding::Restarted, second), State::Active);
    }
}
