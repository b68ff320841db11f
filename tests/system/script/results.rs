//! The variables that functions assign what they read, and what stops the start.

use support::{Builder, Host, Kamailio, Memcached, Value};

fn with_containers(memcached: &Memcached) -> Builder {
    Kamailio::on(memcached)
        .module("htable")
        .param_of("htable", "htable", "t=>size=4;")
        .param_of("pv", "shvset", "s=i:1")
}

/// Every container of the host takes a value with its type. Where it can be null, a miss makes it null.
#[test]
fn every_variable_that_can_be_assigned_takes_the_result() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "a b");
    memcached.put("number", 0, 0, "41");
    for (variable, of_a_miss) in [
        ("$var(x)", Value::Int(0)),
        ("$vz(x)", Value::Int(0)),
        ("$vn(x)", Value::Null),
        ("$avp(x)", Value::Null),
        ("$avp(s:x)", Value::Null),
        ("$xavp(x=>y)", Value::Null),
        ("$xavu(x)", Value::Null),
        ("$xavi(x)", Value::Null),
        ("$shv(s)", Value::Str(Vec::new())),
        ("$sht(t=>k)", Value::Null),
        ("$mct(copy)", Value::Null),
    ] {
        let since = match &variable[..5] {
            "$xavu" => (5, 4, 0),
            "$xavi" => (5, 5, 0),
            _ => (5, 3, 0),
        };
        if Host::current().version() < since {
            continue;
        }
        let get = |key: &str| format!("mct_get(\"{key}\", \"{variable}\");");
        let kamailio = with_containers(&memcached)
            .script("text", &get("text"), &[variable])
            .script("number", &get("number"), &[variable])
            .script(
                "none",
                &format!("{} {}", get("text"), get("none")),
                &[variable],
            )
            .script(
                "count",
                &format!("mct_inc(\"number\", 0, \"{variable}\");"),
                &[variable],
            )
            .start();
        assert_eq!(kamailio.run("text")[variable], "a b", "{variable}");
        assert_eq!(kamailio.run("number")[variable], 41, "{variable}");
        assert_eq!(kamailio.run("count")[variable], 41, "{variable}");
        assert_eq!(kamailio.run("none")[variable], of_a_miss, "{variable}");
        kamailio.assert_nothing_logged();
    }
}

#[test]
fn parts_of_the_message_take_the_result() {
    let memcached = Memcached::start();
    memcached.put("uri", 1, 0, "sip:bob@example.com:5099");
    memcached.put("user", 1, 0, "carol");
    memcached.put("domain", 1, 0, "example.net");
    memcached.put("port", 1, 0, "5070");
    let get = |(key, variable)| format!("mct_get(\"{key}\", \"{variable}\");");
    let one_after_the_other = [
        ("uri", "$ru"),
        ("uri", "$du"),
        ("user", "$rU"),
        ("domain", "$rd"),
        ("port", "$rp"),
    ];
    let kamailio = with_containers(&memcached)
        .script(
            "run",
            &one_after_the_other.map(get).concat(),
            &["$ru", "$du"],
        )
        .start();
    let answer = kamailio.run("run");
    assert_eq!(answer["$ru"], "sip:carol@example.net:5070");
    assert_eq!(answer["$du"], "sip:bob@example.com:5099");
}

/// `$hdr` cannot be assigned; module pv_headers has a variable that can.
#[test]
fn a_header_takes_the_result() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "a b");
    let kamailio = Kamailio::on(&memcached)
        .module("tm")
        .module("pv_headers")
        .script(
            "run",
            "mct_get(\"text\", \"$x_hdr(X-Is)\");",
            &["$x_hdr(X-Is)"],
        )
        .start();
    assert_eq!(kamailio.run("run")["$x_hdr(X-Is)"], "a b");
}

#[test]
fn a_variable_of_the_dialog_takes_the_result() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "a b");
    let kamailio = Kamailio::on(&memcached)
        .module("tm")
        .module("rr")
        .module("dialog")
        .request_route(
            "dlg_manage(); mct_get(\"text\", \"$dlg_var(x)\"); \
             append_to_reply(\"X-Is: $dlg_var(x)\\r\\n\"); sl_send_reply(\"480\", \"no\");",
        )
        .start();
    let response = kamailio.sip(support::Request::new("INVITE"));
    assert_eq!(response.text("X-Is"), Some("a b"));
}

/// Whatever a result is, the script has it byte for byte.
#[test]
fn results_are_read_byte_for_byte() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("get", "mct_get(\"k\", \"$avp(x)\");", &["$avp(x)"])
        .script(
            "gets",
            "mct_gets(\"k\", \"$avp(x)\", \"$avp(v)\");",
            &["$avp(x)", "$avp(v)"],
        )
        .start();
    for bytes in [&b""[..], b" ", b"a\0b", b"\r\nEND\r\n", b"\xff", b"$rU=>5"] {
        memcached.put("k", 1, 0, bytes);
        assert_eq!(kamailio.run("get")["$avp(x)"], Value::Str(bytes.to_vec()));
        let answer = kamailio.run("gets");
        assert_eq!(answer["$avp(x)"], Value::Str(bytes.to_vec()));
        let version = answer["$avp(v)"].bytes().expect("decimal text");
        assert!(!version.is_empty() && version.iter().all(u8::is_ascii_digit));
    }
}

#[test]
fn a_result_without_quotes_is_refused_when_it_is_called() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "x");
    let kamailio = Kamailio::on(&memcached)
        .script(
            "run",
            "$var(x) = \"$var(y)\"; mct_get(\"k\", $var(x)); $var(rc) = $rc;",
            &["$var(rc)", "$mcst", "$var(y)"],
        )
        .script(
            "flush",
            "$var(x) = \"default\"; mct_flush($var(x)); $var(rc) = $rc;",
            &["$var(rc)", "$mcst"],
        )
        .start();
    for _ in 0..20 {
        let answer = kamailio.run("run");
        assert_eq!(answer["$mcst"], "refused");
        assert_eq!(answer["$var(rc)"], -3);
        assert_eq!(answer["$var(y)"], 0);
        assert_eq!(kamailio.run("flush")["$var(rc)"], -3);
    }
    assert_eq!((memcached.stat("cmd_get"), memcached.flushes()), (0, 0));
    let lines = kamailio.module_lines();
    let why = "mct_get(\"k\"): refused: the result cannot be assigned; accepted: a variable";
    assert!(lines[0].contains(why), "{lines:?}");
    assert!((2..=20).contains(&lines.len()), "{} lines", lines.len());
}

/// The start ends with one line of ours, which names function and argument.
#[track_caller]
fn assert_stops_the_start(statement: &str, parts: &[&str]) {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached)
        .param(
            "pool",
            format!("name=calls;servers={}", memcached.address()),
        )
        .request_route(&format!("{statement} sl_send_reply(\"200\", \"OK\");"));
    let Err(failure) = builder.try_start() else {
        panic!("{statement} is accepted");
    };
    let ours = failure
        .log
        .lines()
        .filter(|line| line.contains(" memcached ["));
    let [line] = ours.collect::<Vec<_>>()[..] else {
        panic!("{statement}: one line of ours expected:\n{}", failure.log);
    };
    for part in ["ERROR: ", "; accepted: "].iter().chain(parts) {
        assert!(line.contains(part), "{statement}: no {part:?} in {line}");
    }
}

#[test]
fn what_cannot_be_assigned_stops_the_start() {
    for (bad, why) in [
        ("x", "no variable: 'x'"),
        ("", "no variable: ''"),
        ("$ci", "read-only variable: '$ci'"),
        ("$nosuch(x)", "no variable: '$nosuch(x)'"),
        ("$hdr(X)", "read-only variable: '$hdr(X)'"),
        ("$mcst", "read-only variable: '$mcst'"),
        (
            "$(var(x){s.len})",
            "variable with a transformation: '$(var(x){s.len})'",
        ),
        ("$var(x)$var(y)", "not one variable alone: "),
        ("x$var(x)", "not one variable alone: "),
    ] {
        let statement = format!("mct_get(\"k\", \"{bad}\");");
        assert_stops_the_start(&statement, &["mct_get, argument 2: ", why]);
    }
    let statement = "mct_inc(\"k\", 1, \"n\", 1, 60);";
    assert_stops_the_start(statement, &["mct_inc, argument 3: no variable: 'n'"]);
    let statement = "mct_gets(\"k\", \"$var(x)\", 7);";
    assert_stops_the_start(statement, &["mct_gets, argument 3: no variable: '7'"]);
}

#[test]
fn a_key_that_names_no_item_stops_the_start() {
    for (bad, why) in [
        ("k=>60", "unknown pool 'k' in 'k=>60'"),
        ("cals=>k", "unknown pool 'cals' in 'cals=>k'"),
        ("calls=>k=>60", "too many '=>' in 'calls=>k=>60'"),
        ("calls=>", "no key in 'calls=>'"),
        ("", "no key in ''"),
    ] {
        let parts = ["mct_del, argument 1: ", why];
        assert_stops_the_start(&format!("mct_del(\"{bad}\");"), &parts);
    }
}

#[test]
fn a_list_with_a_key_that_names_no_item_stops_the_start() {
    for (bad, why) in [
        ("", "no key in ''"),
        ("a,,b", "no key in 'a,,b'"),
        ("a,", "no key in 'a,'"),
        ("a,b=>60", "unknown pool 'b' in 'b=>60'"),
        ("a,calls=>k=>60", "too many '=>' in 'calls=>k=>60'"),
        ("calls=>,a", "no key in 'calls=>'"),
    ] {
        for function in ["mct_mget", "mct_prefetch"] {
            let parts = [&format!("{function}, argument 1: "), why];
            assert_stops_the_start(&format!("{function}(\"{bad}\");"), &parts);
        }
    }
}

#[test]
fn a_pool_that_is_not_declared_stops_the_start() {
    for bad in ["cals", "call", "$var(x)", "", "calls "] {
        let parts = ["mct_flush, argument 1: unknown pool ", bad];
        assert_stops_the_start(&format!("mct_flush(\"{bad}\");"), &parts);
    }
}
