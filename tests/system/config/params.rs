//! The module's numeric parameters: what `kamailio -c` accepts, what it refuses and in which
//! words, and what each of them does.

use std::time::Duration;

use support::{Check, FaultyServer, Kamailio, Memcached, Param};

fn check(name: &str, value: impl Into<Param>) -> Check {
    Kamailio::builder().param(name, value).check()
}

#[track_caller]
fn assert_refused(name: &str, value: impl Into<Param>, parts: &[&str]) {
    let parameter = format!("parameter '{name}'");
    check(name, value).assert_refused(&[&[&parameter[..]], parts].concat());
}

#[track_caller]
fn assert_accepted(name: &str, value: impl Into<Param>) {
    let value = value.into();
    let check = check(name, value.clone());
    assert!(check.ok, "{name} = {value:?} is refused:\n{}", check.output);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (name, bad, accepted) in [
        (
            "expire",
            &[-1, i64::from(i32::MIN)][..],
            "0 (never) to 2147483647 seconds",
        ),
        ("mode", &[-1, 2, 7], "0 (set) or 1 (add)"),
        ("timeout", &[0, -1], "1 to 2147483647 milliseconds"),
        ("memory", &[-1, 2], "0 or 1"),
        ("stringify", &[-1, 2], "0 or 1"),
        (
            "failover",
            &[-1, 3],
            "0 (off), 1 (next server) or 2 (new ring)",
        ),
        ("replicas", &[0, -1, 4], "1, 2 or 3"),
        ("stall_limit", &[0, -1], "1 to 2147483647 milliseconds"),
        (
            "latency_limit",
            &[-1, i64::from(i32::MIN)],
            "0 (off) to 2147483647 milliseconds",
        ),
        ("near_size", &[-1, 1_000_001], "0 (none) to 1000000 items"),
        ("near_expire", &[0, -1], "1 to 2147483647 milliseconds"),
        ("near_stale", &[-1], "0 (none) to 2147483647 milliseconds"),
        (
            "miss_failover",
            &[-2, i64::from(i32::MIN)],
            "0 to 2147483647 seconds, or -1 (always)",
        ),
        ("inactive_threshold", &[0, -1, 1001], "1 to 1000"),
        ("probing_threshold", &[0, -1, 1001], "1 to 1000"),
        (
            "retry_interval",
            &[-2, i64::from(i32::MIN)],
            "0 to 2147483647 milliseconds, or -1 (never)",
        ),
        (
            "retry_max",
            &[-1, i64::from(i32::MIN)],
            "0 (always retry_interval) to 2147483647 milliseconds",
        ),
        (
            "ping_interval",
            &[-1, i64::from(i32::MIN)],
            "0 (never) to 2147483647 seconds",
        ),
    ] {
        for &number in bad {
            let value = format!(": invalid value {number}; accepted: {accepted}");
            assert_refused(name, number, &[&value]);
        }
    }
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    for name in [
        "expire",
        "mode",
        "timeout",
        "memory",
        "stringify",
        "failover",
        "replicas",
        "stall_limit",
        "latency_limit",
        "near_size",
        "near_expire",
        "near_stale",
        "miss_failover",
        "inactive_threshold",
        "probing_threshold",
        "retry_interval",
        "retry_max",
        "ping_interval",
    ] {
        for text in ["1", "60s", ""] {
            assert_refused(
                name,
                text,
                &[&format!("invalid value '{text}'; accepted: ")],
            );
        }
    }
    assert_refused(
        "servers",
        11211,
        &["invalid value 11211; accepted: a list of servers"],
    );
}

#[test]
fn numbers_within_range_are_accepted() {
    for (name, good) in [
        ("expire", &[0, 1, 2_592_001, i64::from(i32::MAX)][..]),
        ("mode", &[0, 1]),
        ("timeout", &[1, 5000, i64::from(i32::MAX)]),
        ("memory", &[0, 1]),
        ("stringify", &[0, 1]),
        ("failover", &[0, 1, 2]),
        ("replicas", &[1, 2, 3]),
        ("stall_limit", &[1, 200, i64::from(i32::MAX)]),
        ("latency_limit", &[0, 1, i64::from(i32::MAX)]),
        ("near_size", &[0, 1, 1_000_000]),
        ("near_expire", &[1, i64::from(i32::MAX)]),
        ("near_stale", &[0, i64::from(i32::MAX)]),
        ("miss_failover", &[-1, 0, 60, i64::from(i32::MAX)]),
        ("inactive_threshold", &[1, 1000]),
        ("probing_threshold", &[1, 1000]),
        ("retry_interval", &[-1, 0, i64::from(i32::MAX)]),
        ("retry_max", &[0, 1, i64::from(i32::MAX)]),
        ("ping_interval", &[0, 1, i64::from(i32::MAX)]),
    ] {
        for &number in good {
            assert_accepted(name, number);
        }
    }
}

#[test]
fn a_pool_takes_and_refuses_the_same_values() {
    for (item, accepted) in [
        ("failover=3", "0 (off), 1 (next server) or 2 (new ring)"),
        ("replicas=4", "1, 2 or 3"),
        ("replicas=2;failover=2", "accepted: failover=0 or 1"),
        ("stall_limit=0", "1 to 2147483647 milliseconds"),
        ("latency_limit=-1", "0 (off) to 2147483647 milliseconds"),
        ("near_size=1000001", "0 (none) to 1000000 items"),
        ("near_expire=0", "1 to 2147483647 milliseconds"),
        ("near_stale=-1", "0 (none) to 2147483647 milliseconds"),
        (
            "miss_failover=-2",
            "0 to 2147483647 seconds, or -1 (always)",
        ),
        ("inactive_threshold=1001", "1 to 1000"),
        ("probing_threshold=x", "1 to 1000"),
        (
            "retry_interval=-2",
            "0 to 2147483647 milliseconds, or -1 (never)",
        ),
        (
            "retry_max=-1",
            "0 (always retry_interval) to 2147483647 milliseconds",
        ),
        ("ping_interval=-1", "0 (never) to 2147483647 seconds"),
    ] {
        let pool = format!("name=calls;servers=127.0.0.1;{item}");
        assert_refused("pool", pool, &["pool 'calls'", accepted]);
    }
    assert_accepted(
        "pool",
        "name=calls;servers=127.0.0.1;failover=2;stall_limit=50;latency_limit=20;near_size=10;near_expire=50;near_stale=100;miss_failover=60;inactive_threshold=3;\
         probing_threshold=2;retry_interval=-1;retry_max=60000;ping_interval=5",
    );
}

#[test]
fn copies_need_a_ring_that_does_not_change() {
    let inherits = "name=calls;servers=127.0.0.1,127.0.0.2";
    let checks = [
        Kamailio::builder()
            .param("failover", 2)
            .param("replicas", 2),
        Kamailio::builder()
            .param("replicas", 3)
            .param("failover", 2),
        Kamailio::builder()
            .param("pool", format!("{inherits};replicas=2"))
            .param("failover", 2),
        Kamailio::builder()
            .param("pool", format!("{inherits};failover=2"))
            .param("replicas", 2),
    ];
    for check in checks {
        check
            .check()
            .assert_refused(&["needs a ring that does not change; accepted: failover=0 or 1"]);
    }
}

#[test]
fn more_copies_than_servers_are_doubted_once() {
    let doubt = |pool: &str, servers: usize| {
        format!("pool '{pool}': replicas=3, but the pool has {servers} server(s)")
    };
    let builder = || {
        Kamailio::builder()
            .param("servers", "127.0.0.1,127.0.0.2")
            .param("replicas", 3)
            .param("pool", "name=calls;servers=127.0.0.3")
            .param("pool", "name=more;servers=127.0.0.3,127.0.0.4,127.0.0.5")
    };
    let check = builder().check();
    assert!(check.ok, "{}", check.output);
    for words in [doubt("default", 2), doubt("calls", 1)] {
        assert_eq!(check.output.matches(&words).count(), 1, "{}", check.output);
    }
    assert_eq!(check.output.matches("replicas=3, but").count(), 2);
    let memcached = Memcached::start();
    let kamailio = Kamailio::builder()
        .param("servers", memcached.address())
        .param("replicas", 3)
        .start();
    assert_eq!(kamailio.log_lines(&doubt("default", 1)).len(), 1);
}

#[test]
fn unknown_parameters_are_refused() {
    let check = check("server", "127.0.0.1");
    assert!(!check.ok);
    assert!(check.output.contains("<server>"), "{}", check.output);
}

#[test]
fn a_refused_value_keeps_kamailio_from_starting_too() {
    let failure = Kamailio::builder()
        .param("timeout", 0)
        .try_start()
        .unwrap_err();
    assert!(!failure.status.success());
    assert!(
        failure.log.contains("parameter 'timeout': invalid value 0"),
        "{}",
        failure.log
    );
}

#[test]
fn the_last_value_given_counts() {
    let (unused, memcached) = (Memcached::start(), Memcached::start());
    let builder = Kamailio::on(&unused).param("expire", 60);
    builder
        .memcached(&memcached)
        .param("expire", 70)
        .eval("$mct(k) = 1;", "$mcst");
    assert!(unused.is_empty());
    memcached.assert_expires_in("k", 70);
}

#[test]
fn the_timeout_bounds_an_operation() {
    let server = FaultyServer::silent();
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .param("timeout", 150)
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    let answer = kamailio.run("read");
    assert_eq!(answer["$mcst"], "timeout");
    assert!(answer.elapsed() >= Duration::from_millis(150));
    assert!(
        answer.elapsed() < Duration::from_secs(4),
        "{:?}",
        answer.elapsed()
    );
}

#[test]
fn the_timeout_is_5_seconds_unless_told() {
    let server = FaultyServer::silent();
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    let answer = kamailio.run("read");
    assert_eq!(answer["$mcst"], "timeout");
    assert!(answer.elapsed() >= Duration::from_secs(5));
    assert!(
        answer.elapsed() < Duration::from_secs(10),
        "{:?}",
        answer.elapsed()
    );
}

#[test]
fn memory_is_accepted_without_effect_and_said_once() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("memory", 1)
        .children(3)
        .script("store", "$mct(k) = 5;", &["$mct(k)"])
        .start();
    assert_eq!(kamailio.run("store")["$mct(k)"], 5);
    let lines = kamailio.log_lines("parameter 'memory' has no effect");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARNING: memcached ["), "{lines:?}");
}

#[test]
fn memory_0_is_nothing_to_talk_about() {
    let kamailio = Kamailio::builder().param("memory", 0).start();
    assert!(
        kamailio.log_lines("memory").is_empty(),
        "{}",
        kamailio.log()
    );
}

#[test]
fn a_configuration_for_the_old_module_runs_unchanged() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("expire", 10800)
        .param("mode", 0)
        .param("timeout", 5000)
        .param("memory", 0)
        .param("stringify", 0)
        .script("store", "$mct(k) = 5;", &["$mct(k)"])
        .start();
    assert_eq!(kamailio.run("store")["$mct(k)"], 5);
    kamailio.assert_nothing_logged();
}
