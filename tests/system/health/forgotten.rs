//! A firewall between Kamailio and memcached forgets connections that nobody has used for a while, and
//! then drops what comes on them: each worker finds out at the price of its stall limit, no more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use support::{Builder, Forwarder, Kamailio, Memcached, Pid, Request};

use super::callers::{assert_all_are, call, longest, pass, read_at_once, scripts, words, write};
use super::watch::{Bystanders, SLACK, row};

/// Five times the default: on a busy machine, too, the second look has its answer within two fifths of this.
const STALL_LIMIT: Duration = Duration::from_secs(1);

fn builder(servers: &str, workers: usize) -> Builder {
    scripts(Kamailio::builder())
        .param("servers", servers)
        .param("timeout", 4000)
        .param("stall_limit", STALL_LIMIT.as_millis() as i64)
        .children(workers)
        .rpc()
}

/// What the operations of a script come to on connections that were forgotten.
fn assert_costs_a_stall(script: &str, workers: usize, word: &str, late: &str) {
    let memcached = Memcached::start();
    let forwarder = Forwarder::to(memcached.address());
    let kamailio = builder(&forwarder.address(), workers).start();
    memcached.put("a", 0, 0, "5");
    kamailio.run_on_every_worker("get", &Request::about("a"));
    let what = format!("{script} with {workers} workers");
    for round in 1..=2 {
        forwarder.forget();
        let bystanders = Bystanders::start(&kamailio);
        let begun = Instant::now();
        let request = Request::about("a").header("X-Value", "5");
        let answers = kamailio.run_at_once(script, 4 * workers, &request);
        let waited = bystanders.longest_wait();
        let mut found_out: HashSet<Pid> = HashSet::new();
        for answer in &answers {
            let is_late = answer["$mcst"] == late && found_out.insert(answer.process());
            let is_good = answer["$mcst"] == word;
            assert!(is_late || is_good, "{what}: {:?}", answer["$mcst"]);
        }
        // Requests that came behind one that has found out have waited with it.
        let most = STALL_LIMIT * 3 / 2 + SLACK;
        assert!(begun.elapsed() < most, "{what}: {:?}", begun.elapsed());
        assert!(waited < most, "{what}: a bystander waited {waited:?}");
        // Whoever was not asked yet finds out now.
        let rest = kamailio.run_on_every_worker(script, &request);
        let after: Vec<_> = rest.iter().map(|answer| &answer["$mcst"]).collect();
        assert!(
            after.iter().all(|it| **it == word || **it == late),
            "{what}: {after:?}"
        );
        assert_all_are(&read_at_once(&kamailio, 4 * workers, "b"), "miss");
        memcached.put("a", 0, 0, "5");
        assert_eq!(
            row(&kamailio, &forwarder.address()).state,
            "active",
            "{what}"
        );
        assert!(
            kamailio.log_lines(" is inactive").is_empty(),
            "{what}, round {round}"
        );
        assert!(
            kamailio.log_lines(" is trying").is_empty(),
            "{what}, round {round}"
        );
    }
}

#[test]
fn a_read_on_a_forgotten_connection_is_late_and_succeeds() {
    for workers in [1, 2, 4] {
        assert_costs_a_stall("get", workers, "hit", "hit");
    }
}

#[test]
fn a_write_on_a_forgotten_connection_is_late_and_succeeds() {
    for workers in [1, 4] {
        assert_costs_a_stall("set", workers, "stored", "stored");
    }
}

/// It may not be repeated, so it fails, at the stall limit.
#[test]
fn a_count_on_a_forgotten_connection_costs_that_count_alone() {
    for workers in [1, 4] {
        assert_costs_a_stall("count", workers, "counted", "timeout");
    }
}

#[test]
fn no_count_is_made_twice_and_no_value_is_wrong() {
    const ROUNDS: usize = 6;
    let memcached = Memcached::start();
    let forwarder = Forwarder::to(memcached.address());
    // One worker: the first count is on the connection that was forgotten, the second one on a fresh one.
    let kamailio = builder(&forwarder.address(), 1).start();
    for number in 0..10 {
        memcached.put(format!("k{number}"), 1, 0, format!("v{number}"));
    }
    memcached.put("n", 0, 0, "0");
    for round in 0..ROUNDS {
        forwarder.forget();
        for number in 0..10 {
            let read = call(&kamailio, "get", &format!("k{number}"));
            assert_eq!(read.value, Some(format!("v{number}")), "round {round}");
        }
        forwarder.forget();
        for word in ["timeout", "counted"] {
            let count = call(&kamailio, "count", "n");
            assert_eq!(count.word, word, "round {round}");
        }
    }
    let count: usize = memcached
        .text("n")
        .expect("a count")
        .trim()
        .parse()
        .expect("a number");
    assert_eq!(count, ROUNDS, "those that failed have not arrived");
}

/// Connections are forgotten again and again while all workers are busy.
#[test]
fn a_firewall_that_forgets_again_and_again_causes_no_outage() {
    let memcached = Memcached::start();
    let forwarder = Forwarder::to(memcached.address());
    let kamailio = builder(&forwarder.address(), 4).start();
    write(&kamailio, "a", "one");
    let ((), calls) = super::callers::read_during(&kamailio, 4, &["a".into()], || {
        for _ in 0..4 {
            pass(2 * STALL_LIMIT);
            forwarder.forget();
        }
    });
    // On a busy machine the answer on a fresh connection may come too late.
    let told = words(&calls);
    let late = calls.iter().filter(|call| call.word == "timeout").count();
    let hits = calls.iter().filter(|call| call.word == "hit").count();
    assert!(late * 100 <= calls.len(), "{told:?}");
    assert_eq!(hits + late, calls.len(), "{told:?}");
    let most = STALL_LIMIT * 3 / 2 + SLACK;
    assert!(longest(&calls) < most, "{:?}", longest(&calls));
    assert!(
        kamailio.log_lines(" is trying").is_empty(),
        "{}",
        kamailio.log()
    );
}
