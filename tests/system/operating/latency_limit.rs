//! `latency_limit`: an operation that takes longer is logged with what it was waiting for, and counted.

use std::time::Duration;

use support::{Builder, DeafServer, FaultyServer, Kamailio, Memcached, Port, Request};

use crate::health::watch::wait_for_state;

const READ: &[&str] = &["$mct(k)", "$mcst"];

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .rpc()
        .children(1)
        .script("read", "", READ)
}

fn slow(kamailio: &Kamailio) -> u64 {
    let text = kamailio.rpc("cnt.get", &["memcached", "slow"]);
    text.trim().parse().expect("a number")
}

/// Lines about slow operations, each from the first word of the module's own on.
fn lines(kamailio: &Kamailio) -> Vec<String> {
    let lines = kamailio.log_lines(" took ").into_iter();
    let own = lines.filter_map(|line| Some(line[line.find(" of key ")? - 3..].to_owned()));
    own.collect()
}

/// The only line so far has this form, with at least so many milliseconds.
#[track_caller]
fn assert_told(kamailio: &Kamailio, server: &str, least: u64, end: &str) {
    let lines = lines(kamailio);
    let [line] = &lines[..] else {
        panic!("{lines:#?}");
    };
    let took = line.strip_prefix(&format!("get of key 'k' at server {server} took "));
    let took = took.and_then(|rest| rest.strip_suffix(end));
    let millis = took.and_then(|rest| rest.strip_suffix(" ms, waiting for "));
    let millis: u64 = millis
        .unwrap_or_else(|| panic!("{line}"))
        .parse()
        .expect("a number");
    assert!((least..least + 2000).contains(&millis), "{line}");
}

#[test]
fn a_slow_answer_is_told_and_counted() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let delaying = FaultyServer::relay(memcached.address(), Duration::from_millis(120));
    let servers = format!("{} cellar", delaying.address());
    let kamailio = builder(&servers).param("latency_limit", 100).start();
    assert_eq!(kamailio.run("read")["$mct(k)"], "v");
    assert_told(&kamailio, "cellar", 120, "the reply");
    assert_eq!(slow(&kamailio), 1);
    let warning = &kamailio.module_lines()[0];
    assert!(warning.contains("WARNING"), "{warning}");
    // Not every sixteenth operation alone.
    (1..20).for_each(|_| drop(kamailio.run("read")));
    assert_eq!(slow(&kamailio), 20);
    assert_eq!(lines(&kamailio).len(), 5, "of one process in a minute");
}

#[test]
fn without_a_limit_nothing_is_slow() {
    let memcached = Memcached::start();
    let delaying = FaultyServer::relay(memcached.address(), Duration::from_millis(120));
    let kamailio = builder(&delaying.address()).start();
    (0..3).for_each(|_| drop(kamailio.run("read")));
    assert_eq!(slow(&kamailio), 0);
    kamailio.assert_nothing_logged();
}

#[test]
fn the_limit_is_of_a_pool_and_changes_while_running() {
    let memcached = Memcached::start();
    let delaying = FaultyServer::relay(memcached.address(), Duration::from_millis(60));
    let pool = |name: &str, own: &str| format!("name={name};servers={};{own}", delaying.address());
    let kamailio = builder(memcached.address())
        .param("latency_limit", 30)
        .param("pool", pool("own", "latency_limit=0"))
        .param("pool", pool("other", ""))
        .script("own", "", &["$mct(own=>k)"])
        .script("other", "", &["$mct(other=>k)"])
        .start();
    for (script, counted) in [("own", 0), ("other", 1)] {
        kamailio.run(script);
        assert_eq!(slow(&kamailio), counted, "{script}");
    }
    let set = |limit| kamailio.rpc("cfg.set_now_int", &["memcached", "latency_limit", limit]);
    for (limit, counted) in [("0", 1), ("30000", 1), ("20", 2)] {
        set(limit);
        kamailio.run("other");
        assert_eq!(slow(&kamailio), counted, "{limit} ms");
    }
}

#[test]
fn a_server_that_stops_answering_makes_slow_operations() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("timeout", 600)
        .param("latency_limit", 100)
        .start();
    kamailio.run("read");
    memcached.pause();
    assert_eq!(kamailio.run("read")["$mcst"], "timeout");
    assert_told(&kamailio, memcached.address(), 600, "the reply: timeout");
    assert_eq!(slow(&kamailio), 1);
    // It is out of service, so it is not asked, which is quick.
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    assert_eq!(slow(&kamailio), 1);
    memcached.resume();
}

#[test]
fn an_answer_that_comes_after_a_pause_is_slow() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("latency_limit", 100)
        .start();
    kamailio.run("read");
    memcached.pause();
    let run = kamailio.launch("read", Request::options());
    wait_for_state(&kamailio, memcached.address(), "trying");
    memcached.resume();
    assert_eq!(run.wait()["$mcst"], "miss");
    assert_told(&kamailio, memcached.address(), 200, "the reply");
}

/// It takes the connection as long as the first packet is repeated.
#[test]
fn a_server_that_is_late_to_accept_is_told_from_one_that_is_late_to_answer() {
    let full = DeafServer::start();
    let kamailio = builder(&full.address())
        .param("timeout", 300)
        .param("latency_limit", 100)
        .start();
    assert_eq!(kamailio.run("read")["$mcst"], "timeout");
    assert_told(&kamailio, &full.address(), 300, "the connection: timeout");
}

#[test]
fn what_fails_at_once_is_not_slow() {
    let closed = Port::free();
    let kamailio = builder(&closed.v4().to_string())
        .param("latency_limit", 500)
        .start();
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    assert_eq!(slow(&kamailio), 0);
}
