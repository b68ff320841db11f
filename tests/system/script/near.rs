//! The near cache: what this node has read lately is read again without asking, and nothing else is.

use std::time::{Duration, Instant};

use support::{Builder, Kamailio, Memcached, Request, wait};

/// Longer than any test.
pub(super) const LONG: i64 = 600_000;

/// A node with a near cache, whose items are used for so many milliseconds, and a script that reads.
pub(super) fn node(memcached: &Memcached, expire: i64) -> Builder {
    Kamailio::on(memcached)
        .param("near_size", 100)
        .param("near_expire", expire)
        .rpc()
        .script("read", "", &["$mct(k)", "$mcst", "$pp"])
}

/// What the script reads, and its status.
#[track_caller]
pub(super) fn read(kamailio: &Kamailio) -> (String, String) {
    let answer = kamailio.run("read");
    let word = |name: &str| match &answer[name] {
        value if value.is_null() => "-".into(),
        value => String::from_utf8_lossy(value.bytes().unwrap_or(b"a number")).into_owned(),
    };
    (word("$mct(k)"), word("$mcst"))
}

#[track_caller]
pub(super) fn assert_reads(kamailio: &Kamailio, value: &str, status: &str) {
    assert_eq!(read(kamailio), (value.into(), status.into()));
}

#[test]
fn what_was_read_is_read_again_by_all_workers_without_asking() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "first");
    let kamailio = node(&memcached, LONG).children(3).start();
    assert_reads(&kamailio, "first", "hit");
    memcached.put("k", 1, 0, "second");
    let answers = kamailio.run_on_every_worker("read", &Request::options());
    assert!(answers.iter().all(|answer| answer["$mct(k)"] == "first"));
    let (hits, near_hits) = (kamailio.statistic("hits"), kamailio.statistic("near_hits"));
    assert_eq!(
        (hits - near_hits, kamailio.statistic("near_misses")),
        (1, 1)
    );
    assert!(near_hits >= 3, "{near_hits}");
    let shown = kamailio.rpc("memcached.near", &[]);
    for line in [
        "pool: default",
        "slots: 100",
        "used: 1",
        "misses: 1",
        "memory: 59200",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let cleared = kamailio.rpc("memcached.near", &["clear"]);
    assert!(cleared.contains("used: 0"), "{cleared}");
    assert_reads(&kamailio, "second", "hit");
    kamailio.assert_nothing_logged();
}

#[test]
fn what_is_near_is_not_asked_for_ahead() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "first");
    memcached.put("other", 1, 0, "afar");
    let wanted = ["$var(rc)", "$mct(k)", "$mct(other)"];
    let kamailio = node(&memcached, LONG)
        .script(
            "many",
            "mct_mget(\"k,other,none\"); $var(rc) = $rc;",
            &wanted,
        )
        .script(
            "ahead",
            "mct_prefetch(\"k,other\"); $var(rc) = $rc;",
            &wanted,
        )
        .start();
    assert_reads(&kamailio, "first", "hit");
    memcached.put("k", 1, 0, "second");
    for (script, code, asked) in [("many", 2, 2), ("ahead", 1, 1)] {
        let before = memcached.stat("cmd_get");
        let answer = kamailio.run(script);
        assert_eq!(answer["$var(rc)"], code, "{script}");
        assert_eq!(answer["$mct(k)"], "first", "{script}");
        assert_eq!(answer["$mct(other)"], "afar", "{script}");
        assert_eq!(memcached.stat("cmd_get") - before, asked, "{script}");
    }
    assert_eq!(kamailio.statistic("near_hits"), 2);
}

#[test]
fn numbers_strings_and_empty_strings_are_read_as_they_are_afar() {
    let memcached = Memcached::start();
    let kamailio = node(&memcached, LONG)
        .script(
            "number",
            "",
            &["$mct(number)", "$mct(text)", "$mct(empty)", "$mct(flags)"],
        )
        .start();
    memcached.put("number", 0, 0, "-42 ");
    memcached.put("text", 1, 0, "42");
    memcached.put("empty", 1, 0, "");
    memcached.put("flags", 0, 0, "0049");
    let first = kamailio.run("number");
    for key in ["number", "text", "empty", "flags"] {
        assert!(memcached.remove(key));
    }
    let second = kamailio.run("number");
    assert_eq!(first.values(), second.values());
    assert_eq!(second["$mct(number)"].int(), Some(-42));
    assert_eq!(second["$mct(empty)"], "");
    assert_eq!(kamailio.statistic("near_hits"), 4);
}

/// Each way in which this node can change an item. The item is in the near cache before, and memcached has
/// another value than what is there.
#[test]
fn whatever_this_node_does_with_an_item_it_is_not_read_from_the_near_cache_afterwards() {
    let memcached = Memcached::start();
    let ways = [
        ("assign", "$mct(k) = \"new\";"),
        ("delete", "$mct(k) = $null;"),
        ("touch", "$mctex(k) = 100;"),
        ("count", "$mcinc(k) = 1;"),
        ("set", "mct_set(\"k\", \"new\");"),
        ("add", "mct_add(\"k\", \"new\");"),
        ("replace", "mct_replace(\"k\", \"new\");"),
        ("append", "mct_append(\"k\", \"new\");"),
        ("prepend", "mct_prepend(\"k\", \"new\");"),
        ("cas", "mct_cas(\"k\", \"new\", \"1\");"),
        ("del", "mct_del(\"k\");"),
        ("expire", "mct_touch(\"k\", \"100\");"),
        ("inc", "mct_inc(\"k\", \"1\");"),
        (
            "create",
            "mct_inc(\"k\", \"1\", \"$var(x)\", \"1\", \"100\");",
        ),
        ("invalidate", "mct_invalidate(\"k\", \"30\");"),
        (
            "lease",
            "mct_del(\"k\"); mct_lease(\"k\", \"$var(x)\"); mct_set(\"k\", \"new\");",
        ),
        ("flush", "mct_flush(\"default\");"),
    ];
    let change = |builder: Builder, (name, statement): &(&str, &str)| {
        builder.script(name, statement, &["$mcst"])
    };
    let kamailio = ways.iter().fold(node(&memcached, LONG), change).start();
    let assert_forgotten = |name: &str, change: &dyn Fn()| {
        memcached.put("k", 1, 0, "1");
        kamailio.rpc("memcached.near", &["clear"]);
        assert_reads(&kamailio, "1", "hit");
        memcached.put("k", 1, 0, "2");
        assert_reads(&kamailio, "1", "hit");
        change();
        let now = memcached.text("k").unwrap_or("-".into());
        assert_ne!(now, "1");
        assert_eq!(read(&kamailio).0, now, "{name}");
    };
    for (name, _) in ways {
        assert_forgotten(name, &|| drop(kamailio.run(name)));
    }
    for command in [
        &["memcached.set", "k", "new"][..],
        &["memcached.touch", "k", "100"],
        &["memcached.delete", "k"],
        &["memcached.flush", "default"],
        &["memcached.flush", memcached.address()],
    ] {
        let change = || drop(kamailio.rpc(command[0], &command[1..]));
        assert_forgotten(command[0], &change);
    }
}

/// Pools on one server, which this node reaches at two addresses.
#[test]
fn what_is_changed_by_one_pool_is_not_read_from_the_near_cache_of_another() {
    let memcached = Memcached::start();
    let port = memcached.address().rsplit(':').next().expect("a port");
    let pool = |name: &str, more: &str| format!("name={name};servers=localhost:{port}{more}");
    let shown = ["$mct(k)", "$mct(other=>k)"];
    let ways = [
        ("assign", "$mct(other=>k) = \"new\";"),
        (
            "later",
            "$mct(later=>k) = \"new\"; $var(x) = $mct(later=>k);",
        ),
        ("ahead", "mct_prefetch(\"k\"); $mct(other=>k) = \"new\";"),
        ("flush", "mct_flush(\"other\");"),
    ];
    let change = |builder: Builder, (name, statement): &(&str, &str)| {
        builder.script(name, statement, &shown)
    };
    let builder = node(&memcached, LONG)
        .param("pool", pool("other", ""))
        .param("pool", pool("later", ";deferred_writes=1"))
        .script("both", "", &shown);
    let kamailio = ways.iter().fold(builder, change).start();
    let assert_both_are = |script: &str, value: Option<&str>| {
        let answer = kamailio.run(script);
        for name in shown {
            let read = answer[name].bytes();
            assert_eq!(read, value.map(str::as_bytes), "{script} {name}");
        }
    };
    let prepare = || {
        memcached.put("k", 1, 0, "old");
        kamailio.rpc("memcached.near", &["clear"]);
        assert_both_are("both", Some("old"));
        memcached.put("k", 1, 0, "unseen");
        assert_both_are("both", Some("old"));
    };
    for (name, _) in ways {
        prepare();
        assert_both_are(name, (name != "flush").then_some("new"));
    }
    prepare();
    kamailio.rpc("memcached.flush", &[memcached.address()]);
    assert_both_are("both", None);
}

#[test]
fn what_another_node_writes_is_seen_after_near_expire() {
    let memcached = Memcached::start();
    let write = |builder: Builder| builder.script("write", "$mct(k) = \"new\";", &["$mcst"]);
    let reader = node(&memcached, 400).start();
    let writer = write(node(&memcached, 400)).start();
    memcached.put("k", 1, 0, "old");
    let asked = Instant::now();
    assert_reads(&reader, "old", "hit");
    writer.run("write");
    wait::until("the new value", wait::WAIT_LIMIT, || {
        read(&reader).0 == "new"
    });
    let after = asked.elapsed();
    assert!(after >= Duration::from_millis(400), "{after:?}");
    // It can be made shorter and longer while running.
    reader.rpc("cfg.set_now_int", &["memcached", "near_expire", "600000"]);
    assert_reads(&reader, "new", "hit");
    memcached.put("k", 1, 0, "newer");
    assert_reads(&reader, "new", "hit");
    reader.rpc("cfg.set_now_int", &["memcached", "near_expire", "1"]);
    wait::until("the newer value", wait::WAIT_LIMIT, || {
        read(&reader).0 == "newer"
    });
}

#[test]
fn an_item_is_not_used_after_its_own_lifetime() {
    let memcached = Memcached::start();
    let kamailio = node(&memcached, LONG).param("near_stale", LONG).start();
    // memcached's clock ticks once a second: one that lasts for 1 s may end at once.
    memcached.put("k", 1, 2, "short");
    assert_reads(&kamailio, "short", "hit");
    wait::until("its end", wait::WAIT_LIMIT, || read(&kamailio).0 == "-");
    memcached.put("k", 1, 2, "short");
    assert_reads(&kamailio, "short", "hit");
    memcached.kill();
    wait::until("its end in an outage", wait::WAIT_LIMIT, || {
        read(&kamailio) == ("-".into(), "down".into())
    });
}

#[test]
fn misses_long_items_and_versions_are_asked_for_each_time() {
    let memcached = Memcached::start();
    let gets = "mct_gets(\"k\", \"$var(v)\", \"$var(c)\");";
    let kamailio = node(&memcached, LONG)
        .script("gets", gets, &["$var(v)", "$mcst"])
        .start();
    assert_reads(&kamailio, "-", "miss");
    let long = "x".repeat(511);
    memcached.put("k", 1, 0, &long);
    assert_reads(&kamailio, &long, "hit");
    let longer = "x".repeat(512);
    memcached.put("k", 1, 0, &longer);
    assert_reads(&kamailio, &long, "hit");
    assert_eq!(kamailio.run("gets")["$var(v)"], &longer[..]);
    kamailio.rpc("memcached.near", &["clear"]);
    assert_reads(&kamailio, &longer, "hit");
    memcached.put("k", 1, 0, "short");
    assert_reads(&kamailio, "short", "hit");
}

#[test]
fn a_pool_without_a_near_cache_asks_each_time() {
    let memcached = Memcached::start();
    let pool = format!("name=far;near_size=0;servers={}", memcached.address());
    let kamailio = node(&memcached, LONG)
        .param("pool", pool)
        .script("far", "", &["$mct(far=>k)", "$mcst"])
        .start();
    for value in ["one", "two"] {
        memcached.put("k", 1, 0, value);
        assert_eq!(kamailio.run("far")["$mct(far=>k)"], value);
        assert_reads(&kamailio, "one", "hit");
    }
    let shown = kamailio.rpc("memcached.near", &[]);
    assert!(!shown.contains("far"), "{shown}");
}

#[test]
fn a_server_without_meta_commands_is_asked_by_plain_ones() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = node(&memcached, LONG).param("protocol", "classic").start();
    assert_reads(&kamailio, "v", "hit");
    memcached.remove("k");
    assert_reads(&kamailio, "v", "hit");
    assert_eq!(memcached.stat("cmd_meta"), 0);
}
