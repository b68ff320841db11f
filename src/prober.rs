//! Prober: finds the addresses of servers, and finds out when servers that are out of service are
//! back, so that no worker has to.
//!
//! One process of Kamailio calls [`Prober::tick`] again and again. All servers that are due are asked
//! at the same time. The process serves no calls, so it may wait.

pub(crate) mod announcer;
mod clocks;
mod expiry;
pub(crate) mod probe;
pub(crate) mod rejoin;
pub(crate) mod resolver;
mod under_way;
mod watch;

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::health::State;
use crate::health::log_limit::LogLimit;
use crate::pool::{Member, Pool};
use crate::prober::clocks::Clocks;
use crate::prober::expiry::Expiry;
use crate::prober::probe::go_on;
use crate::prober::resolver::{Asker, Resolver};
use crate::prober::under_way::{ProbeUnderWay, conclude};
use crate::prober::watch::{Watch, Watches};
use crate::sys;

/// How often [`Prober::tick`] should be called. Intervals that operators set are precise to this.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How long a probe of a server that is away may be silent until the next one may begin beside it.
const OVERLAP: Duration = Duration::from_millis(500);

/// What the prober remembers of each server, and the probes that are under way. A silent server does
/// not delay the others.
#[derive(Default)]
pub(crate) struct Prober {
    /// Of each pool.
    watches: Vec<Watches>,
    resolver: Resolver,
    clocks: Clocks,
    expiry: Expiry,
    under_way: Vec<ProbeUnderWay>,
    /// The place among all servers of the first one to be looked at. It was due, but not asked, because
    /// this process lacked a descriptor.
    first: usize,
    /// Limits the log lines about that.
    shortages: LogLimit,
    /// When it has looked last.
    looked: Option<Moment>,
}

impl Prober {
    /// Begins a probe of every server that is due, and goes on with the probes under way. `lives` tells
    /// whether a process is still there.
    pub(crate) fn tick(&mut self, cache: &mut Cache, lives: impl Fn(u32) -> bool) {
        let now = Moment::now();
        cache.refresh();
        self.clocks.look(now);
        self.expiry.look(now, cache.pools());
        if self
            .looked
            .replace(now)
            .is_some_and(|last| now.passed_since(last) > OVERLAP)
        {
            self.outdate();
        }
        cache.release_near(&lives);
        self.begin_probes(cache, now, lives);
        self.resolver.go_on(now);
        let mut probes: Vec<_> = self
            .under_way
            .iter_mut()
            .map(|asked| &mut asked.probe)
            .collect();
        go_on(&mut probes, &Deadline::new(Moment::now(), TICK / 2));
        if Moment::now().passed_since(now) > OVERLAP {
            self.outdate();
        }
        let over = |asked: &mut ProbeUnderWay| asked.probe.is_over();
        for asked in self.under_way.extract_if(.., over) {
            let Some(server) = asked.server(cache) else {
                asked.give_up();
                continue;
            };
            let settings = cache.pools()[asked.pool].settings();
            let watch = self.watches[asked.pool].of(&asked.address);
            let is_broken = conclude(server, asked, settings);
            if let Some(watch) = watch {
                watch.note_end(is_broken);
            }
        }
        // A second probe must not empty a server that is back already. One that began before the clock
        // jumped back would have no end.
        let is_old = |asked: &mut ProbeUnderWay| {
            let server = asked.server(cache);
            server.is_none_or(|it| it.health().generation() != asked.origin.generation)
                || asked.probe.began().is_void(now)
        };
        self.under_way
            .extract_if(.., is_old)
            .for_each(ProbeUnderWay::give_up);
    }

    /// This process was stopped.
    fn outdate(&mut self) {
        let under_way = self.under_way.iter_mut();
        under_way.for_each(|asked| asked.is_outdated = true);
    }

    /// Begins a probe of every server that is due. If there are more than this process may have
    /// descriptors for, the others come next.
    fn begin_probes(&mut self, cache: &Cache, now: Moment, lives: impl Fn(u32) -> bool) {
        let most = (sys::descriptor_limit() / 2).max(1);
        let mut servers: Vec<_> = watched(&mut self.watches, cache).collect();
        let first = self.first.min(servers.len());
        servers.rotate_left(first);
        let mut left_out = None;
        for (place, (at, pool, member, watch)) in servers.into_iter().enumerate() {
            look_up_if_due(&mut self.resolver, at, member, watch, now);
            member.server().log_what_was_left_out(now);
            watch.look_at_certificates(now, member.server());
            let (server, health) = (member.server(), member.health());
            // This process may have been stopped since `now`.
            server.release(Moment::now(), &lives);
            let address = &member.spec().address;
            let same = self.under_way.iter().filter(|it| it.asks(at, address));
            let last = same.map(|it| it.probe.began()).max();
            // A server that is away may be asked again before a silent probe ends: the way to it may
            // be open only for what begins now.
            let waits = |began| !health.is_away() || now.passed_since(began) < OVERLAP;
            let makes_up = |it: &ProbeUnderWay| it.asks(at, address) && it.probe.makes_up();
            let is_served = |it: &ProbeUnderWay| makes_up(it) && it.probe.is_greeted();
            if last.is_some_and(waits) || self.under_way.iter().any(is_served) {
                continue;
            }
            let settles = health.diverted() != 0
                && health.state() == State::Active
                && watch.may_settle(now, pool.settings());
            if !settles && !watch.is_probe_due(now, health, pool.settings()) {
                continue;
            }
            if left_out.is_some() || self.under_way.len() >= most {
                left_out.get_or_insert(first + place);
                continue;
            }
            // Of the probes of a server, one has what is to be made up for.
            self.under_way
                .extract_if(.., |it| makes_up(it))
                .for_each(ProbeUnderWay::give_up);
            let asked = ProbeUnderWay::begin(at, pool, server, now, watch.broken(), &self.clocks);
            let Some(error) = asked.shortage() else {
                watch.note_probe(now, health);
                self.under_way.push(asked);
                continue;
            };
            left_out = Some(first + place);
            if let Some(more) = self.shortages.admit(now) {
                let label = server.spec().label();
                log::warn!("server {label} is not asked yet: {error} (probe){more}");
            }
            asked.give_up();
        }
        let count = self.watches.iter().map(Watches::len).sum::<usize>();
        self.first = left_out.map_or(0, |place| place % count);
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

#[cfg(test)]
mod tests;
