//! `mct_lease` and `mct_invalidate`: each answer, and what never takes the place of anything newer.

use std::time::Duration;

use support::{Answer, Builder, Kamailio, Memcached, Request, Twemproxy, Value, wait};

use super::engine::in_each;

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// A lease of `k`, and what else a caller may do with it, as scripts of these names.
fn scripts(builder: Builder) -> Builder {
    let lease = "$avp(dst) = \"old\"; mct_lease(\"k\", \"$avp(dst)\"); $var(rc) = $rc;";
    let shown = ["$var(rc)", "$mcst", "$avp(dst)", "$pp"];
    let read = |get: &str| format!("$avp(dst) = {get}; $var(rc) = 0;");
    let returns = |call: &str| format!("{call}; $var(rc) = $rc; $avp(dst) = $null;");
    // It lasts until the script `go` has run.
    let compute = format!(
        "{lease} $var(given) = $mcst; $shv(computing) = 1; while ($shv(go) != 1) {{ usleep(\"50000\"); }} \
         mct_set(\"k\", \"computed\"); $var(rc) = $rc;"
    );
    builder
        .module("cfgutils")
        .children(4)
        .script("lease", lease, &shown)
        .script("compute", &compute, &["$var(given)", "$var(rc)", "$mcst"])
        .script("wait", "$shv(go) = 0; $shv(computing) = 0;", &[])
        .script("computing", "", &["$shv(computing)"])
        .script("go", "$shv(go) = 1;", &[])
        .script("get", &read("$mct(k)"), &shown)
        .script("set", &returns("mct_set(\"k\", \"set\")"), &shown)
        .script("empty", &returns("mct_set(\"k\", \"\")"), &shown)
        .script("invalidate", &returns("mct_invalidate(\"k\", 30)"), &shown)
}

/// What a script with `$var(rc)`, `$mcst` and `$avp(dst)` has come to.
#[track_caller]
fn assert_answers(answer: &Answer, code: i64, word: &str, dst: Value) {
    let told = (&answer["$var(rc)"], &answer["$mcst"], &answer["$avp(dst)"]);
    assert_eq!(told, (&Value::Int(code), &text(word), &dst));
}

/// A memcached behind each kind of way: meta commands, the classic ones, and a proxy that has no others.
fn on_each(test: impl Fn(&Memcached, Builder, bool)) {
    for protocol in ["meta", "classic", "proxy"] {
        let memcached = Memcached::start();
        let server = format!("{}:1 m", memcached.address());
        let proxy = Twemproxy::start(&["hash: md5"], &[&server]);
        let on = match protocol {
            "proxy" => Kamailio::builder().param("servers", proxy.address()),
            _ => Kamailio::on(&memcached).param("protocol", protocol),
        };
        test(&memcached, scripts(on), protocol == "meta");
    }
}

#[test]
fn of_callers_who_miss_an_item_one_is_told_to_compute_it() {
    on_each(|memcached, on, _| {
        let kamailio = on.start();
        assert_answers(&kamailio.run("lease"), 2, "lease", Value::Null);
        memcached.assert_expires_in("k", 10);
        let answers = kamailio.run_on_every_worker("lease", &Request::options());
        for answer in answers {
            assert_answers(&answer, -1, "miss", Value::Null);
        }
        // A plain read finds nothing, either.
        assert_answers(&kamailio.run("get"), 0, "miss", Value::Null);
        memcached.put("k", 1, 0, "v");
        assert_answers(&kamailio.run("lease"), 1, "hit", text("v"));
    });
}

#[test]
fn the_holder_stores_and_an_empty_value_is_one() {
    on_each(|memcached, on, _| {
        let kamailio = on.start();
        kamailio.run("go");
        let answer = kamailio.run("compute");
        assert_eq!(answer["$var(given)"], "lease");
        assert_eq!(
            (&answer["$var(rc)"], &answer["$mcst"]),
            (&Value::Int(1), &text("stored"))
        );
        memcached.assert_holds("k", 1, "computed");
        memcached.assert_expires_in("k", 10_800);
        assert_answers(&kamailio.run("empty"), 1, "stored", Value::Null);
        assert_answers(&kamailio.run("lease"), 1, "hit", text(""));
        assert_answers(&kamailio.run("get"), 0, "hit", text(""));
    });
}

#[test]
fn when_the_holder_dies_the_next_caller_is_told_after_the_time_of_the_lease() {
    on_each(|_, on, _| {
        let on = on.param("lease_time", 1);
        let first = on.clone().start();
        assert_answers(&first.run("lease"), 2, "lease", Value::Null);
        drop(first);
        let next = on.start();
        let limit = Duration::from_secs(10);
        let answer = wait::poll(limit, || {
            let answer = next.run("lease");
            (answer["$var(rc)"] == Value::Int(2)).then_some(answer)
        });
        assert_answers(&answer.expect("a lease"), 2, "lease", Value::Null);
    });
}

/// What a holder computes while this happens is refused with this word, and memcached holds what is newer.
fn assert_refused(
    memcached: &Memcached,
    kamailio: &Kamailio,
    meanwhile: impl Fn(),
    word: &str,
    held: Option<&str>,
) {
    kamailio.run("wait");
    let computing = kamailio.launch("compute", Request::options());
    wait::until("it computes", wait::WAIT_LIMIT, || {
        kamailio.run("computing")["$shv(computing)"] == Value::Int(1)
    });
    assert!(memcached.item("k").is_some_and(|it| it.value.is_empty()));
    meanwhile();
    kamailio.run("go");
    let answer = computing.wait();
    assert_eq!(answer["$var(given)"], "lease");
    assert_eq!(
        (&answer["$var(rc)"], &answer["$mcst"]),
        (&Value::Int(-1), &text(word))
    );
    let left = memcached.text("k").filter(|text| !text.is_empty());
    assert_eq!(left.as_deref(), held);
    memcached.remove("k");
}

#[test]
fn what_comes_too_late_takes_the_place_of_nothing_newer() {
    on_each(|memcached, on, is_meta| {
        let kamailio = on.start();
        let write = || memcached.put("k", 1, 0, "newer");
        assert_refused(memcached, &kamailio, write, "exists", Some("newer"));
        let set = || assert_eq!(kamailio.run("set")["$mcst"], "stored");
        assert_refused(memcached, &kamailio, set, "exists", Some("set"));
        let delete = || assert!(memcached.remove("k"));
        assert_refused(memcached, &kamailio, delete, "miss", None);
        let leave = || {
            memcached.remove("k");
            assert_eq!(kamailio.run("lease")["$var(rc)"], Value::Int(2));
        };
        assert_refused(memcached, &kamailio, leave, "exists", None);
        let invalidate = || assert_eq!(kamailio.run("invalidate")["$var(rc)"], Value::Int(1));
        let word = if is_meta { "exists" } else { "miss" };
        assert_refused(memcached, &kamailio, invalidate, word, None);
        // The server may have been restarted, and counts versions from the beginning.
        let restart = || {
            memcached.restart();
            assert_eq!(kamailio.run("lease")["$var(rc)"], Value::Int(2));
        };
        if is_meta {
            assert_refused(memcached, &kamailio, restart, "miss", None);
        }
    });
}

#[test]
fn of_an_item_that_was_invalidated_one_caller_computes_and_all_others_read_the_old_value() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached)).rpc().start();
    assert_answers(&kamailio.run("invalidate"), -1, "miss", Value::Null);
    memcached.put("k", 0, 0, "41");
    assert_answers(&kamailio.run("invalidate"), 1, "touched", Value::Null);
    // Who looks at the item does not take the lease.
    for _ in 0..2 {
        let shown = kamailio.rpc("memcached.get", &["k"]);
        assert!(shown.contains("value: 41"), "{shown}");
        let left = shown.split("expires_in: ").nth(1).unwrap();
        let left: u32 = left.lines().next().unwrap().parse().unwrap();
        assert!((25..=30).contains(&left), "{shown}");
    }
    let answers = kamailio.run_at_once("lease", 20, &Request::options());
    let told = |word: &str| answers.iter().filter(|it| it["$mcst"] == word).count();
    assert_eq!((told("lease"), told("stale")), (1, 19));
    assert!(answers.iter().all(|it| it["$avp(dst)"] == Value::Int(41)));
    // Plain reads read it, too.
    assert_answers(&kamailio.run("get"), 0, "hit", Value::Int(41));
    assert_answers(&kamailio.run("set"), 1, "stored", Value::Null);
    assert_answers(&kamailio.run("lease"), 1, "hit", text("set"));
}

#[test]
fn classic_servers_delete_what_is_invalidated_and_the_log_says_so_once() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached).param("protocol", "classic")).start();
    memcached.put("k", 1, 0, "v");
    assert_answers(&kamailio.run("invalidate"), 1, "deleted", Value::Null);
    assert_eq!(memcached.item("k"), None);
    assert_answers(&kamailio.run("invalidate"), -1, "miss", Value::Null);
    kamailio.run_on_every_worker("lease", &Request::options());
    let said = kamailio.log_lines("does not speak meta commands");
    let server = format!("pool 'default': server {}", memcached.address());
    assert!(said.len() == 1 && said[0].contains(&server), "{said:?}");
}

#[test]
fn before_an_item_ends_one_caller_is_told_early() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached).param("lease_early", 60)).start();
    memcached.put("k", 1, 90, "v");
    assert_answers(&kamailio.run("lease"), 1, "hit", text("v"));
    memcached.put("k", 1, 50, "v");
    assert_answers(&kamailio.run("lease"), 2, "lease", text("v"));
    assert_answers(&kamailio.run("lease"), 1, "hit", text("v"));
}

/// Whoever reads by a meta command what is out of date gets its lease, and gives it back. More than 30 days are sent as
/// a moment.
#[test]
fn an_item_that_is_out_of_date_for_two_months_stays_when_it_is_read() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = scripts(Kamailio::on(&memcached).param("near_size", 10))
        .script("outdate", "mct_invalidate(\"k\", 5184000);", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("outdate")["$mcst"], "touched");
    for _ in 0..2 {
        assert_answers(&kamailio.run("get"), 0, "hit", text("v"));
    }
    assert_answers(&kamailio.run("lease"), 2, "lease", text("v"));
}

#[test]
fn a_server_without_versions_gives_no_leases() {
    for protocol in ["meta", "classic"] {
        let memcached = Memcached::with(&["-C"]);
        let kamailio = scripts(Kamailio::on(&memcached).param("protocol", protocol)).start();
        let answer = kamailio.run("lease");
        assert_eq!(answer["$var(rc)"], -3, "{protocol}");
        assert_eq!(answer["$mcst"], "server_error", "{protocol}");
        let said = kamailio.log_lines("it keeps no versions of items");
        assert_eq!(said.len(), 1, "{protocol}: {}", kamailio.log());
    }
}

#[test]
fn leases_in_each_language() {
    in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("there", 1, 0, "v");
        engine.assert_answers(
            Kamailio::on(&memcached),
            &[
                ("lease(\"k\")", "2", "lease"),
                ("value()", "nothing", "lease"),
                ("sets(\"k\", \"computed\")", "1", "stored"),
                ("lease(\"k\")", "1", "hit"),
                ("value()", "<computed>", "hit"),
                ("invalidate(\"k\", 30)", "1", "touched"),
                ("invalidate_in(\"default\", \"none\", 30)", "-1", "miss"),
                ("lease_in(\"default\", \"k\")", "2", "lease"),
                ("value()", "<computed>", "lease"),
                ("lease(\"k\")", "1", "stale"),
                ("value()", "<computed>", "stale"),
                ("delete(\"k\")", "1", "deleted"),
                ("sets(\"k\", \"late\")", "-1", "miss"),
                ("lease(\"other\")", "2", "lease"),
                ("lease(\"other\")", "-1", "miss"),
                ("get(\"other\")", "nothing", "miss"),
                ("lease_in(\"none\", \"k\")", "-3", "refused"),
            ],
        );
    });
}
