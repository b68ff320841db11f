//! What operators see and decide: `memcached.list` says how the servers are, `memcached.ping` asks
//! them now, `memcached.set_state` takes one out of service or puts it back, for all processes at
//! once, and no reload undoes that.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Builder, FaultyServer, Host, Kamailio, Memcached, Port, Request, Run, wait};

use crate::health::watch::{Row, SLACK, assert_all, row, rows, wait_for_state};

const WORKERS: usize = 4;

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 1000)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst"])
}

/// The command is refused in these words.
#[track_caller]
fn assert_refused(kamailio: &Kamailio, command: &str, args: &[&str], words: &str) {
    let fault = kamailio.try_rpc(command, args).expect_err("refused");
    assert_eq!(fault, format!("error: 400 - {words}"), "{command} {args:?}");
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
    let aged = wait::poll(wait::WAIT_LIMIT, || {
        (row(&kamailio, memcached.address()).since >= 2).then_some(())
    });
    assert_eq!(aged, Some(()));
    memcached.pause();
    let runs: Vec<Run> = (0..3)
        .map(|_| kamailio.launch("get", Request::options()))
        .collect();
    wait::until("three in flight", wait::WAIT_LIMIT, || {
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
    let begun = Instant::now();
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

#[test]
fn disabled_is_out_for_all_workers_at_once_and_for_good() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = builder(memcached.address())
        .param("retry_interval", 10)
        .start();
    let set = |state: &str| kamailio.rpc("memcached.set_state", &[state, memcached.address()]);
    assert_all(&kamailio, "hit");
    for _ in 0..3 {
        let said = set("disabled");
        assert!(said.contains("state: disabled"), "{said}");
        let asked = memcached.stat("cmd_get");
        assert_all(&kamailio, "down");
        // The prober leaves it alone, too.
        let back = wait::poll(Duration::from_millis(300), || {
            (row(&kamailio, memcached.address()).state != "disabled").then_some(())
        });
        assert_eq!(back, None);
        assert_eq!(memcached.stat("cmd_get"), asked);
        set("active");
        assert_all(&kamailio, "hit");
    }
    let lines = kamailio.log_lines("set by operator");
    assert!(!lines.is_empty() && lines.len() <= 6, "{lines:#?}");
    assert!(lines[0].contains("WARNING: memcached ["), "{lines:#?}");
    assert!(lines[0].contains("is disabled: "), "{lines:#?}");
    assert_eq!(row(&kamailio, memcached.address()).failures, 0);
}

#[test]
fn deciding_the_same_again_changes_and_logs_nothing() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    for _ in 0..3 {
        kamailio.rpc("memcached.set_state", &["active", memcached.address()]);
    }
    for _ in 0..3 {
        kamailio.rpc("memcached.set_state", &["disabled", memcached.address()]);
    }
    assert_eq!(kamailio.module_lines().len(), 1);
}

#[test]
fn a_server_that_is_active_by_decision_only_fails_again() {
    let closed = Port::free();
    let address = closed.v4().to_string();
    let kamailio = builder(&address).param("retry_interval", -1).start();
    for round in 1..=2 {
        assert_all(&kamailio, "down");
        let out = row(&kamailio, &address);
        assert_eq!((&out.state[..], &out.reason[..]), ("inactive", "down"));
        assert!(out.failures >= round, "asked again");
        kamailio.rpc("memcached.set_state", &["active", &address]);
        let back = row(&kamailio, &address);
        assert_eq!((&back.state[..], &back.reason[..]), ("active", ""));
    }
}

#[test]
fn a_server_can_be_taken_out_while_somebody_waits_for_it() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    memcached.pause();
    let run = kamailio.launch("get", Request::options());
    wait_for_state(&kamailio, memcached.address(), "trying");
    kamailio.rpc("memcached.set_state", &["disabled", memcached.address()]);
    assert_eq!(kamailio.run("get")["$mcst"], "down");
    memcached.resume();
    assert_eq!(run.wait()["$mcst"], "miss", "its answer is welcome");
    let after = row(&kamailio, memcached.address());
    assert_eq!((&after.state[..], after.in_flight), ("disabled", 0));
}

#[test]
fn a_server_is_named_by_alias_or_address_and_meant_in_every_pool() {
    let memcached = Memcached::start();
    let address = memcached.address();
    let kamailio = builder(&format!("{address} cellar"))
        .param("pool", format!("name=calls;servers={address}"))
        .script("calls", "", &["$mct(calls=>k)", "$mcst"])
        .start();
    let states = || -> Vec<String> {
        let rows = rows(&kamailio, "memcached.list", "[]");
        rows.into_iter().map(|row| row.state).collect()
    };
    kamailio.rpc("memcached.set_state", &["disabled", "cellar"]);
    assert_eq!(
        states(),
        ["disabled", "active"],
        "only one pool has that name"
    );
    kamailio.rpc("memcached.set_state", &["disabled", address]);
    assert_eq!(states(), ["disabled", "disabled"]);
    assert_eq!(kamailio.run("calls")["$mcst"], "down");
    let said = rows(
        &kamailio,
        "memcached.set_state",
        &format!(r#"["active", "{address}"]"#),
    );
    let said: Vec<&str> = said.iter().map(|row| &row.state[..]).collect();
    assert_eq!(
        said,
        ["active", "active"],
        "the answer lists what was meant"
    );
    assert_eq!(kamailio.run("calls")["$mcst"], "miss");
}

#[test]
fn a_mistake_changes_nothing_and_is_answered_in_words() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    let address = memcached.address();
    let set_state = "memcached.set_state";
    assert_refused(
        &kamailio,
        set_state,
        &[],
        "missing argument: active|disabled",
    );
    assert_refused(
        &kamailio,
        set_state,
        &["active"],
        "missing argument: server",
    );
    for word in ["inactive", "trying", "off", "ACTIVE"] {
        let words = format!("invalid state '{word}'; accepted: active or disabled");
        assert_refused(&kamailio, set_state, &[word, address], &words);
    }
    let nobody = "unknown server 'nix'; accepted: an alias or address that memcached.list shows";
    assert_refused(&kamailio, set_state, &["disabled", "nix"], nobody);
    assert_refused(&kamailio, "memcached.ping", &["nix"], nobody);
    let words = "unknown pool 'nix'; accepted: default";
    assert_refused(&kamailio, "memcached.list", &["nix"], words);
    assert_eq!(row(&kamailio, address).state, "active");
    kamailio.assert_nothing_logged();
}

#[test]
fn a_reload_keeps_the_states_of_servers_that_stay() {
    let scratch = Host::current().scratch();
    let [stays, goes, comes] = [(); 3].map(|()| Memcached::start());
    let write = |servers: &[&Memcached]| {
        let text: Vec<&str> = servers.iter().map(|server| server.address()).collect();
        scratch.write("servers.list", text.join("\n"))
    };
    let path = write(&[&stays, &goes]);
    let kamailio = builder("127.0.0.1")
        .param(
            "servers_file",
            Host::current().inside(&path).display().to_string(),
        )
        .start();
    for server in [&stays, &goes] {
        kamailio.rpc("memcached.set_state", &["disabled", server.address()]);
    }
    write(&[&comes, &stays]);
    kamailio.rpc("memcached.reload", &[]);
    let states = || -> Vec<(String, String)> {
        let rows = rows(&kamailio, "memcached.list", "[]");
        rows.into_iter()
            .map(|row| (row.address, row.state))
            .collect()
    };
    let entry = |server: &Memcached, state: &str| (server.address().to_owned(), state.to_owned());
    assert_eq!(
        states(),
        [entry(&comes, "active"), entry(&stays, "disabled")]
    );
    // Who has gone and comes back is still disabled.
    write(&[&stays, &goes]);
    kamailio.rpc("memcached.reload", &[]);
    assert_eq!(
        states(),
        [entry(&stays, "disabled"), entry(&goes, "disabled")]
    );
}

#[test]
fn what_is_disabled_stays_so_while_the_list_drops_it_and_takes_it_back() {
    let [stays, leaves] = [Memcached::start(), Memcached::start()];
    let scratch = Host::current().scratch();
    let both = [stays.address(), leaves.address()].join("\n");
    let path = scratch.write("servers.list", &both);
    let kamailio = Kamailio::builder()
        .param(
            "servers_file",
            Host::current().inside(&path).display().to_string(),
        )
        .param("retry_interval", 100)
        .rpc()
        .start();
    kamailio.rpc("memcached.set_state", &["disabled", leaves.address()]);
    for _ in 0..2 {
        scratch.write("servers.list", stays.address());
        kamailio.rpc("memcached.reload", &[]);
        assert_eq!(rows(&kamailio, "memcached.list", "[]").len(), 1);
        // At another place of the list, with another weight.
        scratch.write(
            "servers.list",
            format!("{}:3 x\n{}", leaves.address(), stays.address()),
        );
        kamailio.rpc("memcached.reload", &[]);
        assert_eq!(row(&kamailio, leaves.address()).state, "disabled");
        assert_eq!(row(&kamailio, stays.address()).state, "active");
    }
    kamailio.rpc("memcached.set_state", &["active", leaves.address()]);
    scratch.write("servers.list", stays.address());
    kamailio.rpc("memcached.reload", &[]);
    scratch.write("servers.list", &both);
    kamailio.rpc("memcached.reload", &[]);
    assert_eq!(row(&kamailio, leaves.address()).state, "active");
}
