//! Writing and deleting: `mode`, `$mct(k) = $null`, sizes, and what `$mcst` says.

use std::time::Duration;

use support::{FaultyServer, Kamailio, Memcached, Value};

/// The largest value that fits a memcached of 1 MB items under a short key; the rest is
/// the item's head.
const ONE_MB: usize = 1024 * 1024 - 200;

#[test]
fn an_assignment_replaces_what_was_there() {
    let memcached = Memcached::start();
    memcached.put("k", 7, 50, "old");
    let status = Kamailio::on(&memcached).eval("$mct(k) = \"new\";", "$mcst");
    assert_eq!(status, "stored");
    memcached.assert_holds("k", 1, "new");
    memcached.assert_expires_in("k", 10_800);
}

#[test]
fn mode_0_replaces_too() {
    let memcached = Memcached::start();
    memcached.put("k", 7, 50, "old");
    let status = Kamailio::on(&memcached)
        .param("mode", 0)
        .eval("$mct(k) = 5;", "$mcst");
    assert_eq!(status, "stored");
    memcached.assert_holds("k", 0, "5");
}

#[test]
fn mode_1_only_adds() {
    let memcached = Memcached::start();
    memcached.put("old", 7, 50, "old");
    let kamailio = Kamailio::on(&memcached)
        .param("mode", 1)
        .script("old", "$mct(old=>900) = \"new\";", &["$mcst", "$mct(old)"])
        .script("new", "$mct(new=>900) = \"new\";", &["$mcst", "$mct(new)"])
        .start();
    let answer = kamailio.run("old");
    assert_eq!(answer["$mcst"], "not_stored");
    assert_eq!(answer["$mct(old)"], "old");
    memcached.assert_holds("old", 7, "old");
    memcached.assert_expires_in("old", 50);
    let answer = kamailio.run("new");
    assert_eq!(answer["$mcst"], "stored");
    memcached.assert_holds("new", 1, "new");
    memcached.assert_expires_in("new", 900);
    // Not an error: the core has nothing to say about it.
    assert!(!kamailio.log().contains("assignment failed"));
}

#[test]
fn null_deletes() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("null", "$mct(k) = $null;", &["$mcst"])
        .script("undefined", "$mct(k) = $avp(none);", &["$mcst"])
        .script("unset", "pv_unset(\"$mct(k)\");", &["$mcst"])
        .start();
    for script in ["null", "undefined", "unset"] {
        memcached.put("k", 1, 0, "v");
        assert_eq!(kamailio.run(script)["$mcst"], "deleted", "{script}");
        assert!(memcached.is_empty(), "{script}");
    }
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("null", "$mct(k) = $null;", &["$mcst"])
        .script("unset", "pv_unset(\"$mct(k)\");", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("null")["$mcst"], "miss");
    assert_eq!(kamailio.run("unset")["$mcst"], "miss");
    assert!(!kamailio.log().contains("ERROR: memcached"));
    assert!(!kamailio.log().contains("assignment failed"));
}

#[test]
fn values_of_any_size_go_in_both_directions() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script(
            "copy",
            "$mct(to) = $mct(from);",
            &["$mcst", "$(mct(to){s.len})"],
        )
        .start();
    // About the core's buffer (8192) and ours (16384), and the largest of all.
    let sizes = [
        0, 1, 8191, 8192, 8193, 16_360, 16_384, 32_768, 65_535, 65_536, 500_000, ONE_MB,
    ];
    for size in sizes {
        let value: Vec<u8> = (0..size).map(|at| (at * 7 % 256) as u8).collect();
        memcached.put("from", 1, 0, &value);
        let answer = kamailio.run("copy");
        assert_eq!(answer["$mcst"], "stored", "{size}");
        assert_eq!(answer["$(mct(to){s.len})"], i64::try_from(size).unwrap());
        let item = memcached.item("to").unwrap();
        assert!((item.flags, &item.value) == (1, &value), "{size}");
    }
}

#[test]
fn values_larger_than_usual_are_read_where_memcached_keeps_them() {
    let memcached = Memcached::with(&["-I", "16m", "-m", "128"]);
    memcached.put("k", 1, 0, vec![b'x'; 10_000_000]);
    let length = Kamailio::on(&memcached).eval("", "$(mct(k){s.len})");
    assert_eq!(length, 10_000_000);
}

#[test]
fn a_value_larger_than_memcached_stores_is_too_large() {
    let memcached = Memcached::start();
    memcached.put("half", 1, 0, vec![b'x'; 600_000]);
    let kamailio = Kamailio::on(&memcached)
        .script(
            "store",
            "$mct(k) = $mct(half) + $mct(half);",
            &["$mcst", "$mct(k)", "$mct(n)"],
        )
        .start();
    memcached.put("n", 0, 0, "5");
    let answer = kamailio.run("store");
    assert_eq!(answer["$mcst"], "too_large");
    assert_eq!(answer["$mct(k)"], Value::Null);
    // The connection is in step: the next answer is its own.
    assert_eq!(answer["$mct(n)"], 5);
    let line = &kamailio.log_lines("too_large")[0];
    assert!(
        line.contains("set of key 'k': too_large: the value is larger"),
        "{line}"
    );
}

#[test]
fn every_operation_is_one_request() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "5");
    for (statement, request) in [
        ("$mct(k=>60) = \"v w\";", "set k 1 60 3\r\nv w\r\n"),
        ("$mct(k=>60) = -5;", "set k 0 60 2\r\n-5\r\n"),
        ("$mct(k) = $null;", "delete k\r\n"),
        ("$mcinc(n) = 3;", "incr n 3\r\n"),
        ("$mcinc(n) = -1;", "decr n 1\r\n"),
        ("$mcdec(n) = 3;", "decr n 3\r\n"),
        ("$mcdec(n) = -2147483647;", "incr n 2147483647\r\n"),
        ("$mctex(n) = 60;", "touch n 60\r\n"),
        ("$var(x) = $mct(n);", "get n\r\n"),
        ("$var(x) = $mcinc(n);", "get n\r\n"),
    ] {
        let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
        Kamailio::builder()
            .param("servers", relay.address())
            .eval(statement, "$mcst");
        let received = relay.received().concat();
        assert_eq!(
            received.escape_ascii().to_string(),
            request.escape_default().to_string()
        );
    }
}

#[test]
fn mode_1_is_one_request_too() {
    let memcached = Memcached::start();
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let builder = Kamailio::builder()
        .param("servers", relay.address())
        .param("mode", 1);
    assert_eq!(builder.eval("$mct(k=>60) = 5;", "$mcst"), "stored");
    assert_eq!(relay.received(), [b"add k 0 60 1\r\n5\r\n"]);
}
