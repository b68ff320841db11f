//! The statistics: what is counted, once for all processes, and every way to see it.

use std::collections::BTreeMap;
use std::time::Duration;

use support::{FaultyServer, Kamailio, Memcached, Port, Request, wait};

/// The group as kamcmd shows it.
fn statistics(kamailio: &Kamailio) -> BTreeMap<String, u64> {
    let text = kamailio.rpc("cnt.grp_get_all", &["memcached"]);
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    let number = |(name, value): (&str, &str)| (name.trim().to_owned(), value.trim().parse().ok());
    pairs
        .map(number)
        .map(|(name, value)| (name, value.unwrap_or_else(|| panic!("{text}"))))
        .collect()
}

/// Those that are not 0.
fn counted(kamailio: &Kamailio) -> Vec<(String, u64)> {
    let all = statistics(kamailio).into_iter();
    all.filter(|(_, value)| *value != 0).collect()
}

#[track_caller]
fn assert_counted(kamailio: &Kamailio, expected: &[(&str, u64)]) {
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    expected.sort();
    assert_eq!(counted(kamailio), expected);
}

#[test]
fn the_group_has_every_name() {
    let kamailio = Kamailio::builder().rpc().start();
    let names: Vec<_> = statistics(&kamailio).into_keys().collect();
    let expected = [
        "bytes_in",
        "bytes_out",
        "counts",
        "deferred",
        "deletes",
        "errors",
        "failovers",
        "foreign",
        "gets",
        "hits",
        "leases",
        "lost",
        "misses",
        "near_hits",
        "near_misses",
        "prefetched",
        "reconnects",
        "refused",
        "repaired",
        "retries",
        "servers_active",
        "servers_inactive",
        "sets",
        "skipped",
        "slow",
        "stale",
        "timeouts",
        "touches",
        "waiting",
        "warmed",
    ];
    assert_eq!(names, expected);
    let about = kamailio.rpc("cnt.help", &["memcached", "hits"]);
    assert!(
        about.contains("read operations that found the item"),
        "{about}"
    );
}

#[test]
fn operations_of_all_processes_are_counted_once() {
    let memcached = Memcached::start();
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let kamailio = Kamailio::builder()
        .param("servers", relay.address())
        .param("pool", format!("name=other;servers={}", relay.address()))
        .rpc()
        .tcp()
        .script(
            "udp",
            "$mct(a) = 1; $mcinc(a) = 2; $mcdec(none) = 1; $mctex(a) = 60; $mct(none) = $null;",
            &["$mct(a)", "$mct(none)"],
        )
        .script("tcp", "$mct(other=>b) = \"x\";", &["$mct(b)"])
        .script("bad", "$mctex(a) = \"soon\"; $mct(a=>$rm) = 1;", &[])
        .start();
    for _ in 0..3 {
        kamailio.run("udp");
    }
    kamailio.run_with("tcp", Request::options().tcp());
    kamailio.run("bad");
    let length = |pieces: Vec<Vec<u8>>| pieces.concat().len() as u64;
    assert_counted(
        &kamailio,
        &[
            ("gets", 3 * 2 + 1),
            ("hits", 3 + 1),
            ("misses", 3),
            ("sets", 3 + 1),
            ("counts", 3 * 2),
            ("touches", 3),
            ("deletes", 3),
            ("refused", 2),
            ("bytes_out", length(relay.received())),
            ("bytes_in", length(relay.sent())),
            ("servers_active", 2),
        ],
    );
}

#[test]
fn a_restart_is_a_retry_or_a_reconnect() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    kamailio.run("read");
    memcached.restart();
    wait::until("the server to be back", wait::WAIT_LIMIT, || {
        kamailio.run("read")["$mcst"] == "miss"
    });
    let all = statistics(&kamailio);
    assert_eq!(all["reconnects"], 1);
    assert_eq!(all["gets"], all["misses"] + all["errors"]);
}

#[test]
fn an_answer_that_never_begins_is_a_retry_too() {
    // The first connection is closed at the second request.
    let server = FaultyServer::start(|connection| {
        connection.request()?;
        connection.send("END\r\n")?;
        connection.request()?;
        if connection.number() > 0 {
            connection.send("END\r\n")?;
        }
        Ok(())
    });
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .rpc()
        .script("read", "", &["$mct(k)", "$mct(k)"])
        .start();
    kamailio.run("read");
    let all = statistics(&kamailio);
    assert_eq!((all["retries"], all["reconnects"]), (1, 1));
    assert_eq!((all["misses"], all["errors"]), (2, 0));
}

#[test]
fn an_outage_is_counted_by_what_it_cost() {
    let silent = FaultyServer::silent();
    let kamailio = Kamailio::builder()
        .param("servers", silent.address())
        .param("timeout", 300)
        .param("retry_interval", -1)
        .rpc()
        .children(2)
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    let first = kamailio.launch("read", Request::options());
    wait::until("somebody to wait", wait::WAIT_LIMIT, || {
        statistics(&kamailio)["waiting"] == 1
    });
    first.wait();
    for _ in 0..5 {
        assert_eq!(kamailio.run("read")["$mcst"], "down");
    }
    let all = statistics(&kamailio);
    let expected = [
        ("gets", 6),
        ("hits", 0),
        ("misses", 0),
        ("timeouts", 1),
        ("errors", 5),
        ("skipped", 5),
        ("servers_active", 0),
        ("servers_inactive", 1),
        ("waiting", 0),
    ];
    for (name, value) in expected {
        assert_eq!(all[name], value, "{name}");
    }
}

#[test]
fn stand_ins_are_counted() {
    let (memcached, closed) = (Memcached::start(), Port::free());
    let servers = format!("{}, {}", memcached.address(), closed.v4());
    let read = (0..20).map(|key| format!("$var(x) = $mct(k{key});"));
    let kamailio = Kamailio::builder()
        .param("servers", servers)
        .param("failover", 1)
        .param("retry_interval", -1)
        .rpc()
        .script("read", &read.collect::<String>(), &["$mcst"])
        .start();
    kamailio.run("read");
    let all = statistics(&kamailio);
    assert_eq!((all["misses"], all["errors"]), (20, 0));
    // The owner's first key has found out, its others did not ask any more.
    assert!(all["failovers"] > 1, "{all:?}");
    assert_eq!(all["skipped"] + 1, all["failovers"]);
}

#[test]
fn the_script_reads_them() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("read", "$mct(a) = 1;", &["$mct(a)"])
        .script("look", "", &["$stat(hits)", "$stat(servers_active)"])
        .start();
    kamailio.run("read");
    let answer = kamailio.run("look");
    assert_eq!(answer["$stat(hits)"], 1);
    assert_eq!(answer["$stat(servers_active)"], 1);
}
