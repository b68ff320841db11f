//! Prober: finds out where servers are, and when those that are out are back, so that no worker
//! has to.
//!
//! One process of the host calls [`Prober::tick`] again and again; whatever is due is asked at the
//! same time. It serves no calls, so it may wait.

pub(crate) mod announcer;
pub(crate) mod probe;
pub(crate) mod rejoin;
pub(crate) mod resolver;

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::config::Settings;
use crate::pool::Member;
use crate::prober::probe::{Probe, go_on};
use crate::prober::rejoin::Outage;
use crate::server::Address;

/// How often it should be called: the precision of the intervals that operators set.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How long a probe may take at most, and one that empties the server.
const PROBE_LIMIT: Duration = Duration::from_millis(500);
const FLUSH_LIMIT: Duration = Duration::from_millis(1500);

/// Has all names looked up and waits for the answers, `time` at most: for the start, so that the
/// first call finds its servers.
pub(crate) fn look_up(cache: &mut Cache, time: Duration) {
    let start = Moment::now();
    let members = cache
        .pools_mut()
        .iter_mut()
        .flat_map(|pool| pool.probing().1);
    members.for_each(|member| member.look_up(start));
    for member in cache.pools().iter().flat_map(|pool| pool.members()) {
        member.wait_for_lookup(time.saturating_sub(Moment::now().since(start)));
    }
}

/// The probes that are under way; a server that is silent does not delay the others.
#[derive(Default)]
pub(crate) struct Prober {
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    /// Index of the pool.
    pool: usize,
    address: Address,
    /// Since when it has been away, if it is emptied on the way.
    emptied: Option<Moment>,
    probe: Probe,
}

impl UnderWay {
    fn begin(pool: usize, member: &Member, settings: &Settings, now: Moment) -> Self {
        let emptied = member.to_be_emptied(settings);
        let (limit, outage) = match emptied {
            None => (PROBE_LIMIT, None),
            Some(since) => (FLUSH_LIMIT, Some(Outage::of(now.since(since)))),
        };
        Self {
            pool,
            address: member.spec().address.clone(),
            emptied,
            probe: Probe::begin(member.targets(), Deadline::new(now, limit), outage),
        }
    }
}

impl Prober {
    /// Asks every server that is due, and goes on with those that were; `lives` tells whether a
    /// process is still there.
    pub(crate) fn tick(&mut self, cache: &mut Cache, lives: impl Fn(u32) -> bool) {
        let now = Moment::now();
        cache.refresh();
        for (at, pool) in cache.pools_mut().iter_mut().enumerate() {
            let (settings, members) = pool.probing();
            for member in members {
                member.look_up(now);
                member.make_up_for_lines(now);
                let address = &member.spec().address;
                if !self.asks(at, address) && member.is_due(now, settings, &lives) {
                    let asked = UnderWay::begin(at, member, settings, now);
                    self.under_way.push(asked);
                }
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
                member.probed(asked.probe.end(), asked.emptied, pool.settings());
            }
        }
    }

    fn asks(&self, pool: usize, address: &Address) -> bool {
        self.under_way
            .iter()
            .any(|asked| asked.pool == pool && asked.address == *address)
    }
}
