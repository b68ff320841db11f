//! The arguments of functions: what is text of the script, and what is data.
//!
//! In quotes the module evaluates variables, and `=>` has its meaning. What stands outside of quotes
//! the host evaluates, and whatever comes out is data.

use support::{Answer, Builder, Kamailio, Memcached, Request, hex};

/// Runs `statements` with a request that has this header `X`, byte for byte in `$var(x)`.
fn run(builder: Builder, statements: &str, header: impl AsRef<[u8]>) -> Answer {
    let statements = format!("$var(x) = $(hdr(X){{s.decode.hexa}}); {statements}");
    let kamailio = builder
        .script("run", &statements, &["$mcst", "$rc"])
        .start();
    kamailio.run_with("run", Request::options().header("X", hex(header.as_ref())))
}

/// `mct_set("k", value)`: what memcached holds then.
#[track_caller]
fn assert_stores(memcached: &Memcached, value: &str, header: &[u8], flags: u32, held: &[u8]) {
    memcached.remove("k");
    let statement = format!("$var(i) = 7; $avp(s) = \"7\"; mct_set(\"k\", {value});");
    let answer = run(Kamailio::on(memcached), &statement, header);
    assert_eq!(answer["$mcst"], "stored", "{value}");
    memcached.assert_holds("k", flags, held);
}

#[test]
fn a_literal_integer_in_its_shortest_form_is_stored_as_integer() {
    let memcached = Memcached::start();
    for value in ["5", "\"5\"", "-5", "\"-5\"", "0"] {
        let held = value.replace('"', "");
        assert_stores(&memcached, value, b"", 0, held.as_bytes());
    }
    for value in ["05", "+5", " 5", "5 ", "1.5", "-0", "abc", "", "0x5"] {
        assert_stores(
            &memcached,
            &format!("\"{value}\""),
            b"",
            1,
            value.as_bytes(),
        );
    }
}

#[test]
fn a_variable_alone_in_quotes_keeps_its_type_and_every_byte() {
    let memcached = Memcached::start();
    assert_stores(&memcached, "\"$var(i)\"", b"", 0, b"7");
    assert_stores(&memcached, "\"$avp(s)\"", b"", 1, b"7");
    assert_stores(&memcached, "\"$(avp(s){s.len})\"", b"", 0, b"1");
    assert_stores(&memcached, "\"$(avp(s){s.int})\"", b"", 0, b"7");
    for bytes in [
        &b"a\0b"[..],
        b"\r\nEND\r\n",
        b"$rU=>$var(i)",
        b"\"quoted\"",
        b"\xff",
    ] {
        assert_stores(&memcached, "\"$var(x)\"", bytes, 1, bytes);
    }
    // In hexadecimal digits, a message of Kamailio 6 has room for this.
    let large = vec![b'x'; 15_000];
    assert_stores(&memcached, "\"$var(x)\"", &large, 1, &large);
}

#[test]
fn a_null_variable_in_quotes_deletes() {
    let memcached = Memcached::start();
    for value in ["$null", "$avp(none)", "$hdr(None)"] {
        memcached.put("k", 1, 0, "x");
        let statement = format!("mct_set(\"k\", \"{value}\");");
        let answer = run(Kamailio::on(&memcached), &statement, "");
        assert_eq!(answer["$mcst"], "deleted", "{value}");
        assert_eq!(memcached.item("k"), None);
    }
}

#[test]
fn a_text_with_variables_is_a_string() {
    let memcached = Memcached::start();
    assert_stores(&memcached, "\"<$var(i)>\"", b"", 1, b"<7>");
    assert_stores(&memcached, "\"$var(i)$var(i)\"", b"", 1, b"77");
    assert_stores(&memcached, "\"$var(i) \"", b"", 1, b"7 ");
    assert_stores(&memcached, "\"$avp(none).\"", b"", 1, b"<null>.");
    assert_stores(&memcached, "\"a$$b\"", b"", 1, b"a$b");
    assert_stores(&memcached, "\"[$var(x)]\"", b"$rU", 1, b"[$rU]");
}

#[test]
fn what_stands_outside_of_quotes_is_a_string_up_to_its_first_nul() {
    let memcached = Memcached::start();
    assert_stores(&memcached, "$var(i)", b"", 1, b"7");
    assert_stores(
        &memcached,
        "$var(x)",
        b"$rU=>$(var(i))",
        1,
        b"$rU=>$(var(i))",
    );
    assert_stores(&memcached, "$var(x)", b"a\0b", 1, b"a");
    assert_stores(&memcached, "$avp(none)", b"", 1, b"");
    assert_stores(
        &memcached,
        "\"<\" + $var(x) + \">\"",
        b"$rU\r\n",
        1,
        b"<$rU\r\n>",
    );
    assert_stores(&memcached, "1 + $var(i)", b"", 1, b"8");
}

/// What a caller may send where the script takes a key from it.
const KEYS: [&[u8]; 12] = [
    b"plain",
    b"calls=>k",
    b"calls=>k=>60",
    b"a,b, c",
    b"$rU",
    b"$(var(i){s.len})",
    b"'single' \"double\"",
    b"k 0 0 1\r\nx\r\nflush_all",
    b"\r\n",
    b"k\tk",
    b"(((",
    b"\xff\x80",
];

/// The key of these bytes that is sent.
fn sent(key: &[u8]) -> Vec<u8> {
    match key.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        true => format!("{:x}", md5::compute(key)).into_bytes(),
        false => key.to_vec(),
    }
}

/// `mct_set(key, "v")` in the default pool for each of [`KEYS`], with another pool beside it.
#[track_caller]
fn assert_writes_as_a_whole(key: &str, expected: impl Fn(&[u8]) -> Vec<u8>) {
    let (memcached, calls) = (Memcached::start(), Memcached::start());
    let pool = format!("name=calls;servers={}", calls.address());
    let statements = format!(
        "$var(x) = $(hdr(X){{s.decode.hexa}}); $var(i) = 7; mct_set({key}, \"v\"); $var(rc) = $rc;"
    );
    let kamailio = Kamailio::on(&memcached)
        .param("pool", pool)
        .script("run", &statements, &["$mcst", "$var(rc)"])
        .start();
    for bytes in KEYS.into_iter().chain([&b"nul\0nul"[..]]) {
        let request = Request::options().header("X", hex(bytes));
        let answer = kamailio.run_with("run", request);
        let shown = bytes.escape_ascii();
        assert_eq!(answer["$mcst"], "stored", "{shown}");
        assert_eq!(answer["$var(rc)"], 1, "{shown}");
        let key = expected(bytes);
        assert_eq!(memcached.keys(), std::slice::from_ref(&key), "{shown}");
        memcached.assert_holds(&key, 1, "v");
        memcached.assert_expires_in(&key, 10_800);
        assert!(memcached.remove(&key), "{shown}");
    }
    assert!(calls.is_empty());
    assert_eq!((memcached.flushes(), calls.flushes()), (0, 0));
    kamailio.assert_nothing_logged();
}

#[test]
fn a_key_of_a_caller_is_data_in_quotes() {
    assert_writes_as_a_whole("\"$var(x)\"", sent);
    assert_writes_as_a_whole("\"k:$var(x)\"", |bytes| sent(&[b"k:", bytes].concat()));
}

#[test]
fn a_key_of_a_caller_is_data_without_quotes() {
    let to_nul = |bytes: &[u8]| {
        bytes
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    assert_writes_as_a_whole("$var(x)", |bytes| sent(&to_nul(bytes)));
    assert_writes_as_a_whole("\"k:\" + $var(x)", |bytes| {
        sent(&[b"k:", &to_nul(bytes)[..]].concat())
    });
}

/// Routes run before all modules have started.
#[test]
fn a_key_is_data_while_other_modules_start() {
    let (memcached, calls) = (Memcached::start(), Memcached::start());
    let pool = format!("name=calls;servers={}", calls.address());
    Kamailio::on(&memcached)
        .param("pool", pool)
        .module("htable")
        .param_of("htable", "htable", "t=>size=4;")
        .routes(
            "event_route[htable:mod-init] { $var(k) = \"calls=>$rm\"; mct_set($var(k), \"v\"); }",
        )
        .start();
    assert_eq!(memcached.keys(), [b"calls=>$rm"]);
    assert!(calls.is_empty());
}

#[test]
fn a_key_in_quotes_has_a_pool_in_front() {
    let (memcached, calls) = (Memcached::start(), Memcached::start());
    let pool = format!("name=calls;servers={}", calls.address());
    let statements = r#"
        $var(x) = "calls=>y"; $var(i) = 7;
        mct_set("calls=>k", "v"); mct_set(" calls => k:$var(i) ", "v"); mct_set("calls=>$var(x)", "v");
        mct_set("default=>k", "v"); mct_set("calls", "v"); mct_set("$sht(a=>b)", "v");
    "#;
    Kamailio::on(&memcached)
        .param("pool", pool)
        .module("htable")
        .param_of("htable", "htable", "a=>size=4;")
        .eval(statements, "$mcst");
    let keys = |memcached: &Memcached| {
        let keys = memcached.keys().into_iter().map(String::from_utf8);
        keys.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(keys(&calls), ["calls=>y", "k", "k:7"]);
    assert_eq!(keys(&memcached), ["<null>", "calls", "k"]);
}

#[test]
fn numbers_and_lifetimes_come_from_anywhere() {
    let memcached = Memcached::start();
    for (by, expire) in [
        ("5", "60"),
        ("\"5\"", "\"60\""),
        ("\"$var(five)\"", "\"$var(minute)\""),
        ("$var(five)", "$var(minute)"),
        ("\"$avp(five)\"", "\"$avp(minute)\""),
        ("\" $var(five) \"", "\"$(var(minute))\""),
        ("2 + 3", "$var(minute) + 0"),
    ] {
        memcached.remove("k");
        let given = "$var(five) = 5; $var(minute) = 60; $avp(five) = \"5\"; $avp(minute) = \"60\";";
        let call = format!("mct_inc(\"k\", {by}, \"$var(n)\", {by}, {expire});");
        run(
            Kamailio::on(&memcached),
            &format!("{given} {call} {call}"),
            "",
        );
        memcached.assert_holds("k", 0, "10");
        memcached.assert_expires_in("k", 60);
        let call = format!("mct_touch(\"k\", {expire}); mct_dec(\"k\", {by});");
        memcached.command("touch k 0\r\n");
        run(Kamailio::on(&memcached), &format!("{given} {call}"), "");
        memcached.assert_expires_in("k", 60);
        assert_eq!(
            memcached.text("k").as_deref().map(str::trim_end),
            Some("5"),
            "{by}"
        );
    }
}

#[test]
fn a_key_that_comes_out_empty_is_refused() {
    let memcached = Memcached::start();
    for key in ["\"$var(x)\"", "$var(x)", "$var(x) + \"\""] {
        let kamailio = Kamailio::on(&memcached)
            .script(
                "run",
                &format!("$var(x) = \"\"; mct_set({key}, \"v\"); $var(rc) = $rc;"),
                &["$mcst", "$var(rc)"],
            )
            .start();
        let answer = kamailio.run("run");
        assert_eq!(answer["$mcst"], "refused");
        assert_eq!(answer["$var(rc)"], -3);
        let lines = kamailio.module_lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("mct_set(\""), "{lines:?}");
        assert!(
            lines[0].contains("): refused: the key is empty; accepted: "),
            "{lines:?}"
        );
    }
    assert!(memcached.is_empty());
}
