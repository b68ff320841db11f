//! How long memcached keeps what a script stores: the parameter `expire`, the part
//! behind `=>`, and `$mctex`.

use std::time::{SystemTime, UNIX_EPOCH};

use support::{Answer, Builder, Kamailio, Memcached, Request, Value};

const DAY: i64 = 86_400;

/// The last moment that memcached is told: 2^31 − 1.
const LAST_MOMENT: i64 = 2_147_483_647;

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("small")
}

/// What a script may write for a lifetime, and how many seconds it then is; -1 is for
/// ever.
fn meanings() -> Vec<(i64, i64)> {
    let now = unix_now();
    vec![
        (0, -1),
        (100, 100),
        (30 * DAY, 30 * DAY),
        (30 * DAY + 1, 30 * DAY + 1),
        (40 * DAY, 40 * DAY),
        (365 * DAY, 365 * DAY),
        (now + 500, 500),
        (now + 60 * DAY, 60 * DAY),
        // In the past as a Unix time, too far away as seconds from now.
        (now - 1000, LAST_MOMENT - now),
        (LAST_MOMENT, LAST_MOMENT - now),
    ]
}

/// Stores 1 under `k`, with this text behind the key, for a request with these headers.
fn store(builder: Builder, behind: &str, headers: &[(&str, &str)]) -> Answer {
    let statements = format!("$mct(k{behind}) = 1;");
    let kamailio = builder.script("store", &statements, &["$mcst"]).start();
    let request = Request::options();
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    kamailio.run_with("store", request)
}

#[test]
fn three_hours_unless_told() {
    let memcached = Memcached::start();
    store(Kamailio::on(&memcached), "", &[]);
    memcached.assert_expires_in("k", 10_800);
}

#[test]
fn the_parameter_sets_the_default() {
    let memcached = Memcached::start();
    for (given, seconds) in meanings() {
        store(Kamailio::on(&memcached).param("expire", given), "", &[]);
        memcached.assert_expires_in("k", seconds);
    }
}

#[test]
fn the_number_in_the_name_comes_first() {
    let memcached = Memcached::start();
    let builder = || Kamailio::on(&memcached).param("expire", 77);
    for (given, seconds) in meanings() {
        store(builder(), &format!("=>{given}"), &[]);
        memcached.assert_expires_in("k", seconds);
    }
}

#[test]
fn numbers_of_any_length_are_never_the_past() {
    let memcached = Memcached::start();
    let longest = LAST_MOMENT - unix_now();
    for given in [
        "2147483648",
        "4294967296",
        "9223372036854775808",
        "99999999999999999999999",
    ] {
        store(Kamailio::on(&memcached), &format!("=>{given}"), &[]);
        memcached.assert_expires_in("k", longest);
        store(Kamailio::on(&memcached), "=>$hdr(X)", &[("X", given)]);
        memcached.assert_expires_in("k", longest);
    }
}

#[test]
fn a_variable_may_hold_the_lifetime() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("text", "$mct(text=>$hdr(X)) = 1;", &["$mcst"])
        .script(
            "number",
            "$var(t) = 61; $mct(number=>$var(t)) = 1;",
            &["$mcst"],
        )
        .script("parts", "$mct(parts=>1$hdr(X)0) = 1;", &["$mcst"])
        .start();
    for script in ["text", "number", "parts"] {
        let answer = kamailio.run_with(script, Request::options().header("X", "60"));
        assert_eq!(answer["$mcst"], "stored");
    }
    memcached.assert_expires_in("text", 60);
    memcached.assert_expires_in("number", 61);
    memcached.assert_expires_in("parts", 1600);
}

#[test]
fn a_lifetime_can_come_from_memcached_itself() {
    let memcached = Memcached::start();
    memcached.put("ttl", 0, 0, "1234");
    store(Kamailio::on(&memcached), "=>$mct(ttl)", &[]);
    memcached.assert_expires_in("k", 1234);
}

#[test]
fn blanks_around_the_number_are_of_no_account() {
    let memcached = Memcached::start();
    store(Kamailio::on(&memcached), " => \t60 ", &[]);
    memcached.assert_expires_in("k", 60);
    let blanks = r#"$var(t) = " 61 "; $mct(k=>$var(t)) = 1;"#;
    Kamailio::on(&memcached).eval(blanks, "$mcst");
    memcached.assert_expires_in("k", 61);
}

#[test]
fn nothing_or_null_is_the_default() {
    let memcached = Memcached::start();
    let builder = || Kamailio::on(&memcached).param("expire", 77);
    let empty: &[(&str, &str)] = &[("X", "")];
    for (behind, headers) in [
        ("=>", &[][..]),
        ("=>  ", &[]),
        ("=>$hdr(X)", empty),
        ("=>$hdr(X)", &[]),
        ("=> $avp(none) ", &[]),
        ("=>$null", &[]),
    ] {
        memcached.remove("k");
        let answer = store(builder(), behind, headers);
        assert_eq!(answer["$mcst"], "stored", "{behind:?} {headers:?}");
        memcached.assert_expires_in("k", 77);
    }
}

#[test]
fn a_variable_without_a_number_refuses_the_operation() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "old");
    let kamailio = Kamailio::on(&memcached)
        .script("store", "$mct(k=>$hdr(X)) = 1;", &["$mcst"])
        .script("delete", "$mct(k=>$hdr(X)) = $null;", &["$mcst"])
        .script("read", "", &["$mct(k=>$hdr(X))", "$mcst"])
        .start();
    for bad in [
        "abc", "60s", "-5", "+5", "1.5", "0x10", "6 0", "=>5", "60;61",
    ] {
        for script in ["store", "delete", "read"] {
            let request = Request::options().header("X", bad);
            let answer = kamailio.run_with(script, request);
            assert_eq!(answer["$mcst"], "refused", "{script} with {bad}");
        }
    }
    memcached.assert_holds("k", 1, "old");
    let line = "$mct(k=>$hdr(X)): refused: invalid lifetime";
    assert!(kamailio.log().contains(line));
}

#[test]
fn mctex_changes_the_lifetime_and_nothing_else() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("number", "$mctex(k) = $(hdr(X){s.int});", &["$mcst"])
        .script("text", "$mctex(k) = $hdr(X);", &["$mcst"])
        .start();
    for (given, seconds) in meanings() {
        for script in ["number", "text"] {
            memcached.put("k", 5, 50_000, b"any\r\nbytes\0");
            let request = Request::options().header("X", given.to_string());
            let answer = kamailio.run_with(script, request);
            assert_eq!(answer["$mcst"], "touched");
            memcached.assert_holds("k", 5, b"any\r\nbytes\0");
            memcached.assert_expires_in("k", seconds);
        }
    }
}

#[test]
fn mctex_on_what_is_not_there_is_a_miss() {
    let memcached = Memcached::start();
    let status = Kamailio::on(&memcached).eval("$mctex(k) = 100;", "$mcst");
    assert_eq!(status, "miss");
    assert!(memcached.is_empty());
}

#[test]
fn mctex_refuses_what_is_no_lifetime() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 500, "v");
    let kamailio = Kamailio::on(&memcached)
        .script("text", "$mctex(k) = $hdr(X);", &["$mcst"])
        .script("negative", "$mctex(k) = -1;", &["$mcst"])
        .script("null", "$mctex(k) = $null;", &["$mcst"])
        .start();
    for bad in ["", "abc", "60s", "-5", "1.5"] {
        let answer = kamailio.run_with("text", Request::options().header("X", bad));
        assert_eq!(answer["$mcst"], "refused", "{bad:?}");
    }
    assert_eq!(kamailio.run("text")["$mcst"], "refused", "a null variable");
    assert_eq!(kamailio.run("negative")["$mcst"], "refused");
    assert_eq!(kamailio.run("null")["$mcst"], "refused");
    memcached.assert_holds("k", 1, "v");
    memcached.assert_expires_in("k", 500);
}

#[test]
fn a_lifetime_that_has_no_effect_is_warned_of_and_accepted() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("store", "$mct(k=>60) = 1;", &["$mcst"])
        .script("count", "$mcinc(k=>70) = 1;", &["$mcst"])
        .script("touch", "$mctex(k=>$hdr(X)) = 80;", &["$mcst"]);
    let check = kamailio.clone().check();
    assert!(check.ok, "{}", check.output);
    let warnings = check
        .output
        .lines()
        .filter(|line| line.contains("has no effect"));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 2, "{}", check.output);
    for (line, variable) in warnings
        .into_iter()
        .zip(["$mcinc(k=>70)", "$mctex(k=>$hdr(X))"])
    {
        assert!(line.contains("WARNING: "), "{line}");
        assert!(line.contains(&format!("'{variable}'")), "{line}");
    }
    let kamailio = kamailio.start();
    assert_eq!(kamailio.run("store")["$mcst"], "stored");
    assert_eq!(kamailio.run("count")["$mcst"], "counted");
    memcached.assert_expires_in("k", 60);
    let request = Request::options().header("X", "90");
    assert_eq!(kamailio.run_with("touch", request)["$mcst"], "touched");
    memcached.assert_expires_in("k", 80);
}

#[test]
fn reading_mctex_is_null_and_asks_nobody() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    assert_eq!(Kamailio::on(&memcached).eval("", "$mctex(k)"), Value::Null);
    assert_eq!(memcached.stat("cmd_get") + memcached.stat("cmd_touch"), 0);
}

#[test]
fn an_expired_item_is_a_miss() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("store", "$mct(k=>1) = 5;", &["$mcst"])
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    kamailio.run("store");
    support::wait::until("its end", support::wait::WAIT_LIMIT, || {
        kamailio.run("read")["$mct(k)"].is_null()
    });
    assert_eq!(kamailio.run("read")["$mcst"], "miss");
}
