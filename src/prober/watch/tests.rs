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

/// `retry_interval` 500 ms, and what is given.
fn settings(given: &[(&str, i32)]) -> Settings {
    let mut parameters = Parameters::default();
    for &(name, number) in [("retry_interval", 500)].iter().chain(given) {
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

/// Something that begins and ends `now`.
fn origin(health: &Health, now: Moment) -> Origin {
    Origin {
        process: 1,
        generation: health.generation(),
        began: now,
        is_kept_out: false,
        ends: now,
    }
}

/// The server fails as often as makes it inactive.
fn fail(health: &Health, now: Moment) {
    let rules = settings(&[]).rules;
    for _ in 0..rules.inactive_threshold {
        health.failed(now, origin(health, now), Status::Down, rules);
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

/// What a prober does that asks whenever it should: true if it asks.
fn asks(watch: &mut Watch, now: Moment, health: &Health, settings: &Settings) -> bool {
    let is_due = watch.is_probe_due(now, health, settings);
    if is_due {
        watch.note_probe(now, health);
    }
    is_due
}

#[test]
fn a_probe_that_cannot_begin_stays_due() {
    let (health, mut watch) = (health(), Watch::new(address("a")));
    fail(&health, at(100));
    let settings = settings(&[]);
    let seen = due(&[150, 800, 850, 900], |now| {
        watch.is_probe_due(now, &health, &settings)
    });
    assert_eq!(seen, [800, 850, 900]);
}

/// The times in milliseconds from `start` to the first probe and between the next ones, if the
/// prober looks every millisecond.
fn waits(
    watch: &mut Watch,
    start: u64,
    count: usize,
    health: &Health,
    settings: &Settings,
) -> Vec<u64> {
    let due = (start..).filter(|&millis| asks(watch, at(millis), health, settings));
    let due: Vec<_> = [start].into_iter().chain(due.take(count)).collect();
    due.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// All are within a fifth of `interval`, and they are not the same.
#[track_caller]
fn assert_about(interval: u64, waits: &[u64]) {
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(
        interval * 4 / 5 <= *least && *most <= interval * 6 / 5 + 1,
        "{waits:?}"
    );
    assert!(waits.len() < 20 || most - least > interval / 5, "{waits:?}");
}

#[test]
fn a_server_that_is_out_is_asked_about_every_retry_interval() {
    let (health, mut watch) = (health(), Watch::new(address("a")));
    let settings = settings(&[]);
    assert_eq!(
        due(&[99], |now| asks(&mut watch, now, &health, &settings)),
        []
    );
    fail(&health, at(100));
    let seen = waits(&mut watch, 100, 200, &health, &settings);
    assert_about(500, &seen);
    let mean = seen.iter().sum::<u64>() / 200;
    assert!((485..=515).contains(&mean), "{mean}");
    health.set(at(200_000), State::Disabled);
    let never = due(&[900_000], |now| asks(&mut watch, now, &health, &settings));
    assert_eq!(never, []);
}

#[test]
fn nodes_and_servers_do_not_ask_in_step() {
    let settings = settings(&[]);
    let first = |name: &str, nanos: u64| {
        let (health, mut watch) = (Health::default(), Watch::new(address(name)));
        health.reset(at(0));
        fail(&health, at(0) + Duration::from_nanos(nanos));
        waits(&mut watch, 0, 1, &health, &settings)[0]
    };
    let mut nodes: Vec<_> = (0..100).map(|nanos| first("a", nanos)).collect();
    let mut servers: Vec<_> = (0..100).map(|name| first(&name.to_string(), 0)).collect();
    for waits in [&mut nodes, &mut servers] {
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 60, "{waits:?}");
    }
}

#[test]
fn a_server_that_stays_out_is_asked_more_and_more_seldom() {
    let (health, mut watch) = (health(), Watch::new(address("a")));
    let settings = settings(&[("retry_max", 3000)]);
    let expected = [500, 750, 1125, 1688, 2531, 3000, 3000, 3000];
    for start in [0, 1_000_000] {
        fail(&health, at(start));
        watch.probed = None;
        let seen = waits(&mut watch, start, expected.len(), &health, &settings);
        for (wait, interval) in seen.into_iter().zip(expected) {
            assert_about(interval, &[wait]);
        }
        health.set(at(start + 100_000), State::Active);
    }
    let most = waits(&mut Watch::new(address("b")), 0, 60, &failed(), &settings);
    assert_about(3000, &most[10..]);
}

/// A server that has been out for long.
fn failed() -> Health {
    let health = health();
    fail(&health, at(0));
    health
}

#[test]
fn a_server_that_begins_to_answer_is_asked_every_retry_interval() {
    let (health, mut watch) = (failed(), Watch::new(address("a")));
    let settings = settings(&[("retry_max", 3000), ("probing_threshold", 2)]);
    waits(&mut watch, 0, 8, &health, &settings);
    let now = watch.probed.unwrap();
    let by = origin(&health, now);
    assert!(health.probed(now, by, None, settings.rules).is_some());
    assert_eq!(health.state(), State::Trying);
    let start = now.since(at(0)).as_millis() as u64;
    assert_about(500, &waits(&mut watch, start, 1, &health, &settings));
}

#[test]
fn no_retry_max_shortens_the_interval_and_none_waits_for_ever() {
    let least = |given: &[(&str, i32)]| {
        let watch = &mut Watch::new(address("a"));
        waits(watch, 0, 30, &failed(), &settings(given))
    };
    assert_about(500, &least(&[("retry_max", 100)]));
    let grown = least(&[("retry_interval", 0), ("retry_max", 1000)]);
    assert_about(50, &grown[..1]);
    assert_about(1000, &grown[10..]);
    let long = &[("retry_interval", i32::MAX), ("retry_max", i32::MAX)];
    let watch = Watch {
        tries: i32::MAX,
        ..Watch::new(address("a"))
    };
    let interval = watch.back_off(&settings(long)).unwrap();
    assert_eq!(interval, Duration::from_millis(i32::MAX as u64));
}

#[test]
fn an_active_server_is_asked_about_every_ping_interval_if_there_is_one() {
    let (health, mut watch) = (health(), Watch::new(address("a")));
    let (never, pings) = (
        settings(&[]),
        settings(&[("ping_interval", 2), ("retry_max", 9000)]),
    );
    let seen = due(&[0, 9000], |now| asks(&mut watch, now, &health, &never));
    assert_eq!(seen, []);
    assert_about(2000, &waits(&mut watch, 0, 20, &health, &pings));
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
