//! What operators see: `memcached.list` says how the servers are, `memcached.ping` asks them now.

#[path = "health/watch.rs"]
mod watch;

use std::time::Duration;

use serde_json::Value;
use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Request, Run, wait};
use watch::{Row, SLACK, row, rows, wait_for_state};

const WORKERS: usize = 4;

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 1000)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst"])
}

/// The rows of `memcached.ping`: server, answer, reason.
fn ping(kamailio: &Kamailio, params: &str) -> Vec<[String; 3]> {
    let text = kamailio.jsonrpc("memcached.ping", params);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let result = answer["result"].as_array();
    let rows = result.unwrap_or_else(|| kamailio.fail(&text)).iter();
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    rows.map(|row| ["server", "answer", "reason"].map(|name| text(row, name)))
        .collect()
}

#[test]
fn the_list_counts_and_tells_since_when() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    let fresh = row(&kamailio, memcached.address());
    let expected = Row {
        address: memcached.address().into(),
        state: "active".into(),
        reason: String::new(),
        since: fresh.since,
        in_flight: 0,
        operations: 0,
        failures: 0,
    };
    assert_eq!(fresh, expected);
    assert!(
        fresh.since < 15,
        "since the start, not since the machine's: {fresh:?}"
    );
    (0..20).for_each(|_| drop(kamailio.run("get")));
    assert_eq!(row(&kamailio, memcached.address()).operations, 20);
    let aged = wait::poll(wait::PATIENCE, || {
        (row(&kamailio, memcached.address()).since >= 2).then_some(())
    });
    assert_eq!(aged, Some(()));
    memcached.pause();
    let runs: Vec<Run> = (0..3)
        .map(|_| kamailio.launch("get", Request::options()))
        .collect();
    wait::until("three in flight", wait::PATIENCE, || {
        row(&kamailio, memcached.address()).in_flight == 3
    });
    wait_for_state(&kamailio, memcached.address(), "trying");
    let stalled = row(&kamailio, memcached.address());
    assert_eq!((&stalled.reason[..], stalled.operations), ("timeout", 23));
    assert!(stalled.since < 2, "a new state: {stalled:?}");
    memcached.resume();
    runs.into_iter().for_each(|run| drop(run.wait()));
    let back = row(&kamailio, memcached.address());
    assert_eq!((back.in_flight, back.failures), (0, 0));
}

#[test]
fn a_ping_asks_all_at_once_and_changes_no_state() {
    let (good, stopped) = (Memcached::start(), Memcached::start());
    let (closed, liar) = (Port::free(), FaultyServer::answering("HTTP/1.1 400\r\n"));
    let deaf = FaultyServer::silent();
    let servers = format!(
        "{} good,{},{},{},{} deaf",
        good.address(),
        stopped.address(),
        closed.v4(),
        liar.address(),
        deaf.address()
    );
    let kamailio = builder(&servers).start();
    stopped.pause();
    let begun = std::time::Instant::now();
    let pinged = ping(&kamailio, "[]");
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(1000) + SLACK,
        "all at once: {took:?}"
    );
    let names = [
        "good".into(),
        stopped.address().to_owned(),
        closed.v4().to_string(),
    ];
    let names = [&names[..], &[liar.address(), "deaf".into()]].concat();
    let answers = ["ok", "timeout", "down", "garbled", "timeout"];
    assert_eq!(pinged.len(), 5);
    for ([server, answer, reason], (name, expected)) in pinged.iter().zip(names.iter().zip(answers))
    {
        assert_eq!((server, &answer[..]), (name, expected));
        assert_eq!(reason.is_empty(), expected == "ok", "{reason}");
    }
    let alone = ping(&kamailio, r#"["good"]"#);
    assert_eq!(alone, [["good".to_owned(), "ok".into(), String::new()]]);
    for row in rows(&kamailio, "memcached.list", "[]") {
        assert_eq!((&row.state[..], row.operations), ("active", 0), "{row:?}");
    }
}
