//! `memcached.stats`, `.server_stats` and `.flush`, and what `memcached.list` shows of a server's version.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Twemproxy, wait};

use super::item_faults::assert_fault;
use crate::health::watch::{SLACK, row, rows};

fn builder(servers: &str) -> Builder {
    Kamailio::builder().param("servers", servers).rpc()
}

/// The result of a call that must succeed.
#[track_caller]
fn result(kamailio: &Kamailio, command: &str, params: Json) -> Json {
    let text = kamailio.jsonrpc(&format!("memcached.{command}"), &params.to_string());
    let response: Json = serde_json::from_str(&text).expect("JSON");
    assert!(response["error"].is_null(), "{response}");
    response["result"].clone()
}

/// Members of the rows of a result.
fn columns(result: &Json, names: &[&str]) -> Vec<Vec<String>> {
    let rows = result.as_array().expect("rows").iter();
    let text = |row: &Json, name: &str| row[name].as_str().expect("text").to_owned();
    rows.map(|row| names.iter().map(|name| text(row, name)).collect())
        .collect()
}

#[test]
fn statistics_are_told_for_each_pool_with_the_hit_ratio() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = builder(memcached.address())
        .param(
            "pool",
            format!("name=calls;servers={}", memcached.address()),
        )
        .script("hit", "", &["$mct(calls=>k)"])
        .script("miss", "", &["$mct(calls=>none)"])
        .start();
    let names = [
        "pool",
        "gets",
        "hits",
        "misses",
        "hit_ratio",
        "servers_active",
    ];
    let stats = |params: Json| columns(&result(&kamailio, "stats", params), &names);
    let none = |pool: &str| [pool, "0", "0", "0", "", "1"].map(str::to_owned).to_vec();
    assert_eq!(stats(json!([])), [none("default"), none("calls")]);
    for script in ["hit", "hit", "miss"] {
        kamailio.run(script);
    }
    let calls = ["calls", "3", "2", "1", "0.667", "1"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(stats(json!([])), [none("default"), calls.clone()]);
    assert_eq!(stats(json!(["calls"])), [calls]);
    let shown = kamailio.rpc("memcached.stats", &["calls"]);
    assert!(shown.contains("\thit_ratio: 0.667\n"), "{shown}");
    let group = kamailio.rpc("cnt.grp_get_all", &["memcached"]);
    for line in group.lines().filter_map(|line| line.split_once(": ")) {
        assert!(shown.contains(&format!("\t{}: ", line.0.trim())), "{shown}");
    }
    let unknown = "400 - unknown pool 'nix'; accepted: default, calls";
    assert_fault(&kamailio, "stats", &["nix"], unknown);
}

#[test]
fn a_server_tells_of_itself() {
    let memcached = Memcached::with(&["-m", "77"]);
    let kamailio = builder(&format!("{} cellar", memcached.address()))
        .param(
            "pool",
            format!("name=other;servers={} cellar", memcached.address()),
        )
        .start();
    for name in ["cellar", memcached.address()] {
        let stats = result(&kamailio, "server_stats", json!([name]));
        assert_eq!(stats["pid"], memcached.pid().to_string());
        assert!(stats["curr_items"].is_string(), "{stats}");
        let settings = result(&kamailio, "server_stats", json!([name, "settings"]));
        assert_eq!(settings["maxbytes"], (77 << 20).to_string());
        let shown = kamailio.rpc("memcached.server_stats", &[name]);
        assert!(
            shown.contains(&format!("\tpid: {}\n", memcached.pid())),
            "{shown}"
        );
        let shown = kamailio.rpc("memcached.server_stats", &[name, "settings"]);
        assert!(shown.contains("\tmaxconns: 1024\n"), "{shown}");
    }
    let words = "400 - invalid word 'slabs'; accepted: settings";
    assert_fault(&kamailio, "server_stats", &["cellar", "slabs"], words);
    assert_fault(
        &kamailio,
        "server_stats",
        &[],
        "400 - missing argument: server",
    );
    let nobody = "400 - unknown server 'nix'; accepted: an alias or address that memcached.list";
    assert_fault(&kamailio, "server_stats", &["nix"], nobody);
    // It answers in any state, and stays in it.
    kamailio.rpc("memcached.set_state", &["disabled", "cellar"]);
    let stats = result(&kamailio, "server_stats", json!(["cellar"]));
    assert_eq!(stats["pid"], memcached.pid().to_string());
    assert_eq!(row(&kamailio, memcached.address()).state, "disabled");
}

#[test]
fn a_server_that_does_not_tell_costs_a_fault_in_time_and_no_state() {
    let (closed, stopped) = (Port::free(), Memcached::start());
    let memcached = Memcached::start();
    let proxy = Twemproxy::start(&["timeout: 400"], &[&format!("{}:1", memcached.address())]);
    let endless = FaultyServer::start(|connection| {
        connection.request()?;
        connection.send("VERSION 1\r\n")?;
        connection.request()?;
        loop {
            connection.send("STAT a b\r\n".repeat(1000))?;
        }
    });
    let liar = FaultyServer::answering("HTTP/1.1 400 Bad\r\n");
    let refusing = FaultyServer::answering("ERROR\r\n");
    stopped.pause();
    let cases = [
        (closed.v4().to_string(), "500 - down: cannot connect: "),
        (
            stopped.address().to_owned(),
            "500 - timeout: no complete reply",
        ),
        (
            proxy.address(),
            "500 - down: connection closed by the server",
        ),
        (
            endless.address(),
            "500 - garbled: the statistics have no end",
        ),
        (liar.address(), "500 - garbled: "),
        (refusing.address(), "500 - rejected: the server says: ERROR"),
    ];
    let list: Vec<&str> = cases.iter().map(|(address, _)| &address[..]).collect();
    let kamailio = builder(&list.join(",")).param("timeout", 500).start();
    for (address, words) in &cases {
        let begun = Instant::now();
        assert_fault(&kamailio, "server_stats", &[address], words);
        let took = begun.elapsed();
        assert!(took < 2 * (Duration::from_millis(500) + SLACK), "{took:?}");
        let after = row(&kamailio, address);
        assert_eq!((&after.state[..], after.failures), ("active", 0));
    }
    stopped.resume();
}

#[test]
fn a_pool_or_a_server_is_emptied() {
    let memcached = [(); 3].map(|()| Memcached::start());
    let [one, two, other] = &memcached;
    let kamailio = builder(&format!("{} one,{} two", one.address(), two.address()))
        .param(
            "pool",
            format!(
                "name=calls;servers={} one,{}",
                one.address(),
                other.address()
            ),
        )
        .start();
    let fill = || {
        memcached
            .each_ref()
            .map(|server| server.put("k", 1, 0, "v"))
    };
    let held = || {
        let has = |server: &Memcached| usize::from(server.item("k").is_some());
        memcached.each_ref().map(has)
    };
    let flush = |name: &str| {
        let result = result(&kamailio, "flush", json!([name]));
        columns(&result, &["pool", "server", "answer", "reason"])
    };
    let done = |pool: &str, server: &str| [pool, server, "deleted", ""].map(str::to_owned).to_vec();
    fill();
    assert_eq!(flush("one"), [done("default", "one")]);
    assert_eq!(held(), [0, 1, 1]);
    assert_eq!(one.flushes(), 1, "once, though it belongs to two pools");
    fill();
    assert_eq!(
        flush("default"),
        [done("default", "one"), done("default", "two")]
    );
    assert_eq!(held(), [0, 0, 1]);
    fill();
    let shown = kamailio.rpc("memcached.flush", &["calls"]);
    assert_eq!(shown.matches("\tanswer: deleted\n").count(), 2, "{shown}");
    assert_eq!(held(), [0, 1, 0]);
    kamailio.rpc("memcached.flush", &[two.address()]);
    assert_eq!(held(), [0, 0, 0]);
    assert_fault(
        &kamailio,
        "flush",
        &[],
        "400 - missing argument: pool|server",
    );
    let unknown = "400 - unknown pool or server 'nix'; accepted: a pool, alias or address";
    assert_fault(&kamailio, "flush", &["nix"], unknown);
}

#[test]
fn servers_that_cannot_be_emptied_keep_no_other_from_it() {
    let (good, stopped, locked) = (
        Memcached::start(),
        Memcached::start(),
        Memcached::with(&["-F"]),
    );
    let closed = Port::free();
    good.put("k", 1, 0, "v");
    let list = [
        stopped.address(),
        &closed.v4().to_string(),
        locked.address(),
        good.address(),
    ]
    .join(",");
    let kamailio = builder(&list).param("timeout", 500).start();
    stopped.pause();
    let begun = Instant::now();
    let flushed = result(&kamailio, "flush", json!(["default"]));
    let took = begun.elapsed();
    stopped.resume();
    assert!(
        took < Duration::from_millis(500) + SLACK,
        "all at once: {took:?}"
    );
    let answers = columns(&flushed, &["answer"]).concat();
    assert_eq!(answers, ["timeout", "down", "rejected", "deleted"]);
    let reason = columns(&flushed, &["reason"]).concat();
    assert!(reason[2].contains("flush_all not allowed"), "{reason:?}");
    assert!(good.item("k").is_none());
    for row in rows(&kamailio, "memcached.list", "[]") {
        assert_eq!((&row.state[..], row.failures), ("active", 0), "{row:?}");
    }
}

#[test]
fn the_version_is_listed_once_a_probe_has_heard_it() {
    let memcached = Memcached::start();
    let version = String::from_utf8(memcached.command("version\r\n")).expect("text");
    let version = version
        .trim()
        .strip_prefix("VERSION ")
        .expect("a version")
        .to_owned();
    let listed = |kamailio: &Kamailio| {
        let rows = result(kamailio, "list", json!([]));
        columns(&rows, &["version"]).concat()
    };
    let kamailio = builder(memcached.address()).start();
    assert_eq!(listed(&kamailio), [""]);
    kamailio.rpc("memcached.ping", &[]);
    assert_eq!(listed(&kamailio), [&version[..]]);
    let kamailio = builder(memcached.address()).start();
    kamailio.rpc("memcached.server_stats", &[memcached.address()]);
    assert_eq!(listed(&kamailio), [&version[..]]);
    let kamailio = builder(memcached.address())
        .param("ping_interval", 1)
        .start();
    wait::until("a probe", wait::WAIT_LIMIT, || {
        listed(&kamailio) == [&version[..]]
    });

    let strange = FaultyServer::answering("VERSION \x1b[2J\r\n");
    let silent = FaultyServer::answering("ERROR\r\n");
    let servers = format!("{},{}", strange.address(), silent.address());
    let kamailio = builder(&servers).start();
    kamailio.rpc("memcached.ping", &[]);
    assert_eq!(listed(&kamailio), ["\\x1b[2J", ""]);
}
