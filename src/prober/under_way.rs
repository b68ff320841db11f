//! Under way: a probe from its beginning until it is concluded what it says of its server.

use std::time::Duration;

use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::config::{Rejoin, Settings};
use crate::error::Error;
use crate::health::Origin;
use crate::pool::{Debt, Member, Pool, SharedServer};
use crate::prober::clocks::Clocks;
use crate::prober::probe::{End, Probe};
use crate::prober::rejoin::{Errand, Finding, Outage};
use crate::server::Address;
use crate::status::Status;
use crate::sys;

/// A probe has as long as an operation has, but so long at least if the server has to do something.
const FLUSH_LIMIT: Duration = Duration::from_millis(1500);

/// So many probes in a row may break off while a server makes up for writes. Then it cannot do that.
const MOST_BROKEN: u8 = 3;

/// A probe, and what matters of the time when it began.
pub(super) struct ProbeUnderWay {
    /// Index of the pool.
    pub(super) pool: usize,
    pub(super) address: Address,
    pub(super) origin: Origin,
    /// How many writes the server had missed when the probe began, as its health counts them.
    pub(super) missed: u8,
    /// Where they are put back.
    pub(super) debt: Debt,
    /// How many probes before it have broken off while the server made up for writes.
    pub(super) broken: u8,
    pub(super) probe: Probe,
    /// Whether this process was stopped meanwhile: the server may have gone and come back, and the
    /// connection is no fresh one any more.
    pub(super) is_outdated: bool,
}

impl ProbeUnderWay {
    pub(super) fn begin(
        pool_at: usize,
        pool: &Pool,
        server: &SharedServer,
        now: Moment,
        broken: u8,
        clocks: &Clocks,
    ) -> Self {
        let (health, settings) = (server.health(), pool.settings());
        // Before it is known whether there is an outage: what is done in this one counts in this one.
        let generation = health.generation();
        // Before the list is taken: a write that is counted later is noticed.
        let (missed, debt) = (health.diverted(), server.debt());
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
            debt,
            broken,
            probe: Probe::begin(server.sites(), key, deadline, errand),
            is_outdated: false,
        }
    }

    /// The server, if it still belongs to the pool.
    pub(super) fn server<'a>(&self, cache: &'a Cache) -> Option<&'a SharedServer> {
        let mut members = cache.pools()[self.pool].members().iter();
        let same = |member: &&Member| member.spec().address == self.address;
        members.find(same).map(Member::server)
    }

    pub(super) fn asks(&self, pool: usize, address: &Address) -> bool {
        self.pool == pool && self.address == *address
    }

    /// What this process lacks for the probe, if the probe has ended by that.
    pub(super) fn shortage(&self) -> Option<&Error> {
        self.probe.failure().filter(|error| error.is_shortage())
    }

    /// The probe is given up: what the server was to make up for is still to be done.
    pub(super) fn give_up(self) {
        if let Errand::Settle(keys, _) = self.probe.end().errand {
            self.debt.put_back(&keys);
        }
    }
}

/// What a probe has to do at the server.
pub(super) fn errand(
    server: &SharedServer,
    settings: &Settings,
    now: Moment,
    clocks: &Clocks,
) -> Errand {
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

/// A probe is over. What it says of another generation of the server is out of date. Returns whether it has broken off
/// while the server made up for writes.
pub(super) fn conclude(server: &SharedServer, asked: ProbeUnderWay, settings: &Settings) -> bool {
    let (health, now) = (server.health(), Moment::now());
    let ProbeUnderWay {
        origin,
        missed,
        debt,
        broken,
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
    if result.is_err()
        && let Errand::Settle(keys, _) = &errand
    {
        debt.put_back(keys);
    }
    match &result {
        Ok(Finding::Settled) => {
            // After many writes their number may be the same again, but not the list.
            let is_all = !server.has_missed_more()
                || sys::planted("writes that come meanwhile are forgotten");
            if is_all && health.settle(now, origin.generation, missed) {
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
    // The server has just answered on a fresh connection, which has then broken. It is asked again, but not for ever.
    let is_broken = is_greeted
        && matches!(errand, Errand::Settle(..))
        && bad.is_some_and(|error| error.is_hangup() || matches!(error, Error::Timeout(_)));
    let change = match result {
        Err(_) if is_shortage || is_outdated || is_broken && broken < MOST_BROKEN => None,
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
    is_broken
}
