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
mod watch;

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::config::{Rejoin, Settings};
use crate::error::Error;
use crate::health::log_limit::LogLimit;
use crate::health::{Origin, State};
use crate::pool::{Member, Pool, SharedServer};
use crate::prober::clocks::Clocks;
use crate::prober::expiry::Expiry;
use crate::prober::probe::{End, Probe, go_on};
use crate::prober::rejoin::{Errand, Finding, Outage};
use crate::prober::resolver::{Asker, Resolver};
use crate::prober::watch::{Watch, Watches};
use crate::server::Address;
use crate::status::Status;
use crate::sys;

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

struct ProbeUnderWay {
    /// Index of the pool.
    pool: usize,
    address: Address,
    origin: Origin,
    /// How many writes the server had missed when the probe began, as its health counts them.
    missed: u8,
    probe: Probe,
    /// Whether this process was stopped meanwhile: the server may have gone and come back, and the
    /// connection is no fresh one any more.
    is_outdated: bool,
}

impl ProbeUnderWay {
    fn begin(
        pool_at: usize,
        pool: &Pool,
        server: &SharedServer,
        now: Moment,
        clocks: &Clocks,
    ) -> Self {
        let (health, settings) = (server.health(), pool.settings());
        // Before it is known whether there is an outage: what is done in this one counts in this one.
        let generation = health.generation();
        // Before the list is taken: a write that is counted later is noticed.
        let missed = health.diverted();
        let errand = errand(server, settings, now, clocks);
        let limit = match errand {
            Errand::Ping | Errand::Stats | Errand::Settings => settings.timeout,
            Errand::Empty(_) | Errand::Flush | Errand::Settle(..) => {
                settings.timeout.max(FLUSH_LIMIT)
            }
        };
        // The process may have been stopped since `now`.
        let deadline = Deadline::new(Moment::now(), limit);
        let key = server.question(pool.placement());
        Self {
            pool: pool_at,
            address: server.spec().address.clone(),
            origin: Origin {
                process: sys::process_id(),
                generation,
                began: deadline.start(),
                is_kept_out: false,
                ends: deadline.end(),
            },
            missed,
            probe: Probe::begin(server.sites(), key, deadline, errand),
            is_outdated: false,
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

    /// What this process lacks for the probe, if the probe has ended by that.
    fn shortage(&self) -> Option<&Error> {
        self.probe.failure().filter(|error| error.is_shortage())
    }

    /// The probe is given up: what it was to make up for at `server` is still to be done.
    fn give_up(self, server: &SharedServer) {
        if let Errand::Settle(keys, _) = self.probe.end().errand {
            server.put_back(&keys);
        }
    }
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
            if let Some(server) = asked.server(cache) {
                let settings = cache.pools()[asked.pool].settings();
                conclude(server, asked, settings);
            }
        }
        // A second probe must not empty a server that is back already. One that began before the clock
        // jumped back would have no end.
        let is_old = |asked: &mut ProbeUnderWay| {
            let server = asked.server(cache);
            server.is_none_or(|it| it.health().generation() != asked.origin.generation)
                || asked.probe.began().is_void(now)
        };
        for asked in self.under_way.extract_if(.., is_old) {
            if let Some(server) = asked.server(cache) {
                asked.give_up(server);
            }
        }
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
            server.release(now, &lives);
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
            let settles = health.diverted() != 0 && health.state() == State::Active;
            if !settles && !watch.is_probe_due(now, health, pool.settings()) {
                continue;
            }
            if left_out.is_some() || self.under_way.len() >= most {
                left_out.get_or_insert(first + place);
                continue;
            }
            // Of the probes of a server, one has what is to be made up for.
            for silent in self.under_way.extract_if(.., |it| makes_up(it)) {
                silent.give_up(server);
            }
            let asked = ProbeUnderWay::begin(at, pool, server, now, &self.clocks);
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
            asked.give_up(server);
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

/// What a probe has to do at the server.
fn errand(server: &SharedServer, settings: &Settings, now: Moment, clocks: &Clocks) -> Errand {
    let health = server.health();
    let outage = health.is_away().then(|| {
        let began = health.away_since();
        Outage::of(match clocks.have_jumped_since(began) {
            // Nobody knows how long it has lasted. No server was started in no time.
            true => Duration::ZERO,
            false => now.since(began),
        })
    });
    match (settings.rejoin, outage) {
        (Rejoin::Flush, Some(outage)) if !sys::planted("servers return with what they held") => {
            Errand::Empty(outage)
        }
        (_, outage) if health.diverted() != 0 => Errand::Settle(server.take_missed(), outage),
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
        is_outdated,
        ..
    } = asked;
    let End {
        result,
        site,
        is_greeted,
        errand,
        version,
        certificates_end,
        ..
    } = probe.end();
    if result.is_ok() {
        server.note_version(&version);
        if let Some(end) = certificates_end {
            server.note_certificates(end);
        }
    }
    if let Some(site) = site.filter(|_| result.is_ok()) {
        server.note_use(&site);
    }
    if let Err(Errand::Settle(keys, _)) = result.as_ref().map(|_| ()).map_err(|_| &errand) {
        server.put_back(keys);
    }
    match &result {
        Ok(Finding::Settled) => {
            // After many writes their number may be the same again, but not the list.
            let is_all = !server.has_missed_more()
                || sys::planted("writes that come meanwhile are forgotten");
            if is_all && health.settle(now, origin.generation, missed) {
                server.note_change();
                let label = server.spec().label();
                log::info!("server {label} has made up for writes that others have taken");
            }
        }
        Ok(Finding::Emptied) => {
            let label = server.spec().label();
            log::info!("server {label} was emptied before its return");
        }
        Ok(Finding::Present | Finding::Told | Finding::Restarted) | Err(_) => {}
    }
    let bad = result.as_ref().err();
    if bad.is_some() {
        server.note_silence();
    }
    // What this process lacks says nothing.
    let is_shortage = bad.is_some_and(Error::is_shortage);
    // The server has just answered on a fresh connection, which has then broken. It is asked again.
    let is_broken = is_greeted
        && matches!(errand, Errand::Settle(..))
        && bad.is_some_and(|error| error.is_hangup() || matches!(error, Error::Timeout(_)));
    let change = match result {
        Err(_) if is_shortage || is_broken || is_outdated => None,
        // If it failed after the probe began, it must be emptied first.
        Ok(Finding::Present | Finding::Settled)
            if settings.rejoin == Rejoin::Flush
                && !sys::planted("servers return with what they held") =>
        {
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
