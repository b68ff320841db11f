//! A shortage of descriptors in one of Kamailio's processes is its own trouble, and never the server's.

use std::time::Duration;

use support::{Kamailio, Memcached, Request};

use super::callers::{Call, pass, read_during, scripts, words, write};
use super::watch::row;

#[test]
fn a_worker_without_descriptors_fails_alone() {
    for failover in [0, 1] {
        let memcached = Memcached::start();
        let kamailio = scripts(Kamailio::on(&memcached))
            .param("timeout", 1000)
            .param("failover", failover)
            .children(3)
            .rpc()
            .start();
        // No worker has a connection yet.
        let [poor, ..] = kamailio.workers()[..] else {
            panic!("three workers");
        };
        memcached.put("a", 1, 0, "one");
        poor.limit_descriptors(3);
        let ((), calls) = read_during(&kamailio, 4, &["a".into()], || {
            pass(Duration::from_millis(1500));
        });
        let (of_poor, of_others): (Vec<Call>, Vec<Call>) =
            calls.into_iter().partition(|call| call.process == poor);
        assert!(!of_poor.is_empty() && !of_others.is_empty());
        assert!(
            words(&of_poor).keys().eq([&"down"]),
            "{:?}",
            words(&of_poor)
        );
        assert!(
            words(&of_others).keys().eq([&"hit"]),
            "{:?}",
            words(&of_others)
        );
        assert_eq!(row(&kamailio, memcached.address()).state, "active");
        let lines = kamailio.module_lines();
        assert!(
            lines
                .iter()
                .all(|line| line.contains("this process cannot open")),
            "{lines:#?}"
        );
        assert!(!lines.is_empty() && lines.len() < 10, "{lines:#?}");
        poor.limit_descriptors(1024);
        let answers = kamailio.run_on_every_worker("get", &Request::about("a"));
        assert!(answers.iter().all(|answer| answer["$mcst"] == "hit"));
    }
}

/// A worker that has a connection but no descriptor for a second one: a hang-up costs it the operation.
#[test]
fn a_worker_that_cannot_look_again_says_nothing_against_the_server() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached))
        .param("timeout", 600)
        .children(2)
        .rpc()
        .start();
    write(&kamailio, "a", "one");
    kamailio.run_on_every_worker("get", &Request::about("a"));
    let workers = kamailio.workers();
    workers
        .iter()
        .for_each(|worker| worker.limit_descriptors(3));
    memcached.pause();
    let answers = kamailio.run_at_once("get", 2, &Request::about("a"));
    assert!(answers.iter().all(|answer| answer["$mcst"] != "hit"));
    memcached.resume();
    assert!(
        kamailio.log_lines(" is inactive").is_empty(),
        "{}",
        kamailio.log()
    );
    workers
        .iter()
        .for_each(|worker| worker.limit_descriptors(1024));
    let answers = kamailio.run_on_every_worker("get", &Request::about("a"));
    assert!(answers.iter().all(|answer| answer["$mcst"] == "hit"));
}

/// The prober has no descriptors: it skips its probes and takes nobody out of service.
#[test]
fn a_prober_without_descriptors_takes_nobody_out() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached))
        .param("timeout", 600)
        .param("ping_interval", 1)
        .rpc()
        .start();
    write(&kamailio, "a", "one");
    let workers = kamailio.workers();
    let others = kamailio
        .processes()
        .into_iter()
        .filter(|it| !workers.contains(it));
    others.for_each(|process| process.limit_descriptors(3));
    // Nobody vouches for the server meanwhile.
    kamailio.wait_for_log("cannot open a connection", Duration::from_secs(4));
    pass(Duration::from_millis(1500));
    assert!(
        kamailio.log_lines(" is inactive").is_empty(),
        "{}",
        kamailio.log()
    );
    assert_eq!(super::callers::call(&kamailio, "get", "a").word, "hit");
}
