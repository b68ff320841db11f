//! A real twemproxy with two memcacheds behind it, of which one is stopped or dead: keys of the other one are
//! served, and the proxy stays in service.

use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Twemproxy, wait};

use crate::health::callers::{
    Call, assert_all_are, call, has_each_answered, leave_idle, read_until, scripts, words, write,
};
use crate::health::watch::{row, wait_for_state};

/// One that gives up on a server behind it before we give up on the proxy, as its manual recommends.
const OPTIONS: [&str; 4] = [
    "hash: md5",
    "distribution: ketama",
    "timeout: 400",
    "auto_eject_hosts: false",
];

/// So long an operation that is served may take.
const AT_ONCE: Duration = Duration::from_millis(300);

struct Site {
    memcacheds: [Memcached; 2],
    proxy: Twemproxy,
}

impl Site {
    fn start() -> Site {
        let memcacheds = [Memcached::start(), Memcached::start()];
        let servers = memcacheds
            .each_ref()
            .map(|it| format!("{}:1", it.address()));
        let proxy = Twemproxy::start(&OPTIONS, &servers.each_ref().map(String::as_str));
        Site { memcacheds, proxy }
    }

    fn builder(&self, workers: usize) -> Builder {
        scripts(Kamailio::builder())
            .param("servers", self.proxy.address())
            .param("timeout", 1000)
            .param("retry_interval", 200)
            .children(workers)
            .rpc()
    }

    /// Writes so many keys; returns those that the healthy memcached has, and the others.
    fn fill(&self, kamailio: &Kamailio) -> (Vec<String>, Vec<String>) {
        let keys: Vec<String> = (0..40).map(|number| format!("key-{number}")).collect();
        for key in &keys {
            assert_eq!(write(kamailio, key, "one").word, "stored");
        }
        let held = self.memcacheds[0].keys();
        keys.into_iter()
            .partition(|key| held.contains(&key.as_bytes().to_vec()))
    }
}

/// While a memcached behind the proxy is out, callers ask for keys of both.
fn assert_healthy_one_is_served(workers: usize, ping_interval: i64, stopped: bool) {
    let site = Site::start();
    let kamailio = site
        .builder(workers)
        .param("ping_interval", ping_interval)
        .start();
    let (healthy, lost) = site.fill(&kamailio);
    match stopped {
        true => site.memcacheds[1].pause(),
        false => site.memcacheds[1].kill(),
    }
    // One key in ten is lost.
    let keys: Vec<String> = healthy
        .iter()
        .take(9)
        .chain(lost.first())
        .cloned()
        .collect();
    let callers = workers.div_ceil(2);
    // The first question on a fresh connection may be about a key of the lost memcached: what these reads come to
    // is not looked at.
    read_until(&kamailio, callers, &keys, |calls| {
        let of_lost = calls.iter().filter(|call| call.key == lost[0]).count();
        of_lost >= 3 && has_each_answered(&kamailio, calls, 5)
    });
    let calls = read_until(&kamailio, callers, &keys, |calls| {
        calls.iter().filter(|call| call.word == "hit").count() >= 100
    });
    let (good, late): (Vec<Call>, Vec<Call>) = calls
        .into_iter()
        .partition(|call| healthy.contains(&call.key));
    let what = format!(
        "{workers} workers, ping_interval={ping_interval}, stopped: {stopped}: {:?}, lost {:?}",
        words(&good),
        words(&late)
    );
    let served = good
        .iter()
        .filter(|call| call.word == "hit" && call.took < AT_ONCE);
    let served = served.count();
    // Not all: on a busy machine a read may take longer, or the answer on a fresh connection may come too late.
    assert!(
        served * 100 >= good.len() * 95,
        "{what}\n{}",
        kamailio.log()
    );
    assert!(!words(&late).contains_key("hit"), "{what}");
    let state = row(&kamailio, &site.proxy.address()).state;
    assert_eq!(state, "active", "{what}");
    assert!(
        kamailio.log_lines(" is inactive").is_empty(),
        "{what}\n{}",
        kamailio.log()
    );
    match stopped {
        true => site.memcacheds[1].resume(),
        false => site.memcacheds[1].restart(),
    }
    wait::until("the lost keys", wait::WAIT_LIMIT, || {
        let word = call(&kamailio, "get", &lost[0]).word;
        word == "hit" || word == "miss"
    });
}

/// All combinations, two of them beside each other.
fn for_all(stopped: bool) {
    for workers in [1, 4] {
        std::thread::scope(|scope| {
            for ping_interval in [0, 1] {
                scope.spawn(move || assert_healthy_one_is_served(workers, ping_interval, stopped));
            }
        });
    }
}

#[test]
fn one_of_two_memcacheds_behind_twemproxy_is_stopped() {
    for_all(true);
}

#[test]
fn one_of_two_memcacheds_behind_twemproxy_is_killed() {
    for_all(false);
}

#[test]
fn twemproxy_is_restarted() {
    for workers in [1, 4] {
        let site = Site::start();
        let kamailio = site.builder(workers).start();
        let (healthy, _) = site.fill(&kamailio);
        let key = &healthy[0];
        // Between two operations: nothing is lost.
        site.proxy.restart();
        leave_idle();
        assert_eq!(call(&kamailio, "get", key).word, "hit", "{workers} workers");
        // For longer: it is found again.
        site.proxy.kill();
        assert_eq!(call(&kamailio, "get", key).word, "down");
        assert_eq!(row(&kamailio, &site.proxy.address()).state, "inactive");
        site.proxy.restart();
        let back = wait_for_state(&kamailio, &site.proxy.address(), "active");
        assert!(back < Duration::from_millis(1500), "{back:?}");
        let calls = read_until(&kamailio, workers, &healthy, |calls| {
            has_each_answered(&kamailio, calls, 10)
        });
        assert_all_are(&calls, "hit");
    }
}

/// It is restarted while one memcached behind it is dead: that the probe is not answered by the dead one.
#[test]
fn twemproxy_is_found_again_while_a_memcached_behind_it_is_dead() {
    for dead in 0..2 {
        let site = Site::start();
        let kamailio = site.builder(2).start();
        let (first, second) = site.fill(&kamailio);
        site.memcacheds[dead].kill();
        site.proxy.kill();
        let key = if dead == 0 { &second[0] } else { &first[0] };
        assert_eq!(call(&kamailio, "get", key).word, "down");
        site.proxy.restart();
        wait_for_state(&kamailio, &site.proxy.address(), "active");
        assert_eq!(call(&kamailio, "get", key).word, "hit", "without {dead}");
    }
}
