//! Watch: what the prober remembers of one server: when it asked the server last, and when it had
//! the server's name looked up last. From that follows what is due.
//!
//! Other processes know nothing of it: what they need stands in the server's health and addresses.
//! A watch is told the time.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::Settings;
use crate::health::{Health, State};
use crate::server::Address;

/// How often a name is looked up again.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);

/// How often a name is looked up while none of its addresses is known.
const LOOKUP_RETRY: Duration = Duration::from_secs(1);

/// One server, as the prober watches it.
#[derive(Debug)]
pub(super) struct Watch {
    address: Address,
    /// When the prober asked it last.
    probed: Option<Moment>,
    /// When its name was looked up last.
    looked_up: Option<Moment>,
}

impl Watch {
    fn new(address: Address) -> Self {
        Self {
            address,
            probed: None,
            looked_up: None,
        }
    }

    /// True when the server's name should be looked up `now`: every minute, once more after each
    /// failure, and soon while the server has no address. The name then counts as looked up.
    pub(super) fn is_lookup_due(&mut self, now: Moment, health: &Health, resolved: bool) -> bool {
        let due = self.looked_up.is_none_or(|last| {
            let failed = health.state() == State::Inactive && health.since() > last;
            let interval = if resolved {
                LOOKUP_INTERVAL
            } else {
                LOOKUP_RETRY
            };
            failed || now.since(last) >= interval
        });
        if due {
            self.looked_up = Some(now);
        }
        due
    }

    /// True when the prober should ask the server `now`: a server that is out every
    /// `retry_interval`, one that is active every `ping_interval`. It then counts as asked.
    pub(super) fn is_probe_due(
        &mut self,
        now: Moment,
        health: &Health,
        settings: &Settings,
    ) -> bool {
        let interval = match health.state() {
            State::Disabled => None,
            State::Active => settings.ping_interval,
            State::Inactive | State::Trying if health.is_away() => settings.retry_interval,
            State::Inactive | State::Trying => None,
        };
        let last = self.probed.unwrap_or_else(|| health.since());
        let due = interval.is_some_and(|interval| now.since(last) >= interval);
        if due {
            self.probed = Some(now);
        }
        due
    }
}

/// A watch for each server of one pool, in the order of its list.
#[derive(Debug, Default)]
pub(super) struct Watches(Vec<Watch>);

impl Watches {
    /// Follows the pool's list: forgets the servers that left it, and begins to watch those that
    /// came.
    pub(super) fn follow<'a>(
        &mut self,
        list: impl ExactSizeIterator<Item = &'a Address> + Clone,
    ) -> &mut [Watch] {
        let watched = self.0.iter().map(|watch| &watch.address);
        if !watched.eq(list.clone()) {
            let mut old = std::mem::take(&mut self.0);
            let watch = |address: &Address| {
                let at = old.iter().position(|watch| watch.address == *address);
                at.map_or_else(|| Watch::new(address.clone()), |at| old.swap_remove(at))
            };
            self.0 = list.map(watch).collect();
        }
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};
    use crate::health::Origin;
    use crate::status::Status;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(1_000_000_000_000 + millis * 1_000_000)
    }

    fn address(name: &str) -> Address {
        Address::Tcp {
            host: name.into(),
            port: 11211,
        }
    }

    /// `retry_interval` 500 ms, `ping_interval` as given, 0 = never.
    fn settings(ping_interval: i32) -> Settings {
        let mut parameters = Parameters::default();
        for (name, number) in [("retry_interval", 500), ("ping_interval", ping_interval)] {
            parameters.set(name, Given::Number(number)).unwrap();
        }
        parameters.settle().remove(0).settings
    }

    /// A server that has been active since 0.
    fn health() -> Health {
        let health = Health::default();
        health.reset(at(0));
        health
    }

    /// The server fails as often as makes it inactive.
    fn fail(health: &Health, now: Moment) {
        let rules = settings(0).rules;
        for _ in 0..rules.inactive_threshold {
            let by = Origin {
                process: 1,
                generation: health.generation(),
                began: now,
                veto_since: now,
                ends: now,
            };
            health.failed(now, by, Status::Down, rules);
        }
        assert_eq!(health.state(), State::Inactive);
    }

    /// The moments, of these in milliseconds, at which `is_due` says yes.
    fn due(moments: &[u64], mut is_due: impl FnMut(Moment) -> bool) -> Vec<u64> {
        let moments = moments.iter().copied();
        moments.filter(|&millis| is_due(at(millis))).collect()
    }

    #[test]
    fn a_name_is_looked_up_every_minute_and_every_second_while_it_has_no_address() {
        let (health, mut watch) = (health(), Watch::new(address("a")));
        let moments = [0, 1, 999, 1000, 1500, 2000];
        let seen = due(&moments, |now| watch.is_lookup_due(now, &health, false));
        assert_eq!(seen, [0, 1000, 2000]);
        let moments = [2001, 30_000, 61_999, 62_000, 62_001, 122_000];
        let seen = due(&moments, |now| watch.is_lookup_due(now, &health, true));
        assert_eq!(seen, [62_000, 122_000]);
    }

    #[test]
    fn a_name_is_looked_up_once_more_after_each_failure() {
        let (health, mut watch) = (health(), Watch::new(address("a")));
        assert!(watch.is_lookup_due(at(0), &health, true));
        let moments = [100, 101, 5000];
        fail(&health, at(100));
        let seen = due(&moments, |now| watch.is_lookup_due(now, &health, true));
        assert_eq!(seen, [100]);
        health.set(at(6000), State::Active);
        assert!(!watch.is_lookup_due(at(6000), &health, true));
        fail(&health, at(7000));
        assert!(watch.is_lookup_due(at(7001), &health, true));
        health.set(at(8000), State::Disabled);
        assert!(!watch.is_lookup_due(at(8001), &health, true));
    }

    #[test]
    fn a_server_that_is_out_is_asked_every_retry_interval() {
        let (health, mut watch) = (health(), Watch::new(address("a")));
        fail(&health, at(100));
        let moments = [100, 599, 600, 601, 1099, 1150, 1649, 1650];
        let settings = settings(0);
        let seen = due(&moments, |now| watch.is_probe_due(now, &health, &settings));
        assert_eq!(seen, [600, 1150, 1650], "the first since it is out");
        health.set(at(1700), State::Disabled);
        let seen = due(&[9000], |now| watch.is_probe_due(now, &health, &settings));
        assert_eq!(seen, []);
    }

    #[test]
    fn an_active_server_is_asked_every_ping_interval_if_there_is_one() {
        let (health, mut watch) = (health(), Watch::new(address("a")));
        let moments = [0, 1999, 2000, 2001, 3999, 4100];
        let (never, pings) = (settings(0), settings(2));
        let seen = due(&moments, |now| watch.is_probe_due(now, &health, &never));
        assert_eq!(seen, []);
        let seen = due(&moments, |now| watch.is_probe_due(now, &health, &pings));
        assert_eq!(seen, [2000, 4100], "the first since it is active");
    }

    #[test]
    fn a_server_is_watched_as_long_as_it_is_listed() {
        let (health, mut watches) = (health(), Watches::default());
        let addresses = ["a", "b", "c", "d"].map(address);
        let [a, b, c, d] = &addresses;
        let mut fresh = |list: &[&Address]| -> Vec<bool> {
            let watches = watches.follow(list.iter().copied());
            let watched = watches.iter().map(|watch| &watch.address);
            assert!(watched.eq(list.iter().copied()));
            let due = |watch: &mut Watch| watch.is_lookup_due(at(0), &health, true);
            watches.iter_mut().map(due).collect()
        };
        assert_eq!(fresh(&[a, b, c]), [true, true, true]);
        assert_eq!(fresh(&[a, b, c]), [false, false, false]);
        assert_eq!(fresh(&[d, c, a]), [true, false, false]);
        assert_eq!(fresh(&[a, b]), [false, true], "forgotten meanwhile");
        assert_eq!(fresh(&[]), []);
    }
}
