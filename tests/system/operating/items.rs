//! `memcached.get`, `.set`, `.delete` and `.touch` by kamcmd and JSON-RPC: what an operator sees and does is
//! what a script would see and do.

use std::time::Duration;

use serde_json::{Value as Json, json};
use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Store, Twemproxy};

pub fn builder(servers: &str) -> Builder {
    Kamailio::builder().param("servers", servers).rpc()
}

/// The result of a call that must succeed.
#[track_caller]
fn result(kamailio: &Kamailio, command: &str, params: Json) -> Json {
    let text = kamailio.jsonrpc(&format!("memcached.{command}"), &params.to_string());
    let response: Json = serde_json::from_str(&text).expect("JSON");
    assert!(response["error"].is_null(), "{text}");
    response["result"].clone()
}

/// What kamcmd shows of a call that must succeed.
#[track_caller]
fn shown(kamailio: &Kamailio, command: &str, arguments: &[&str]) -> String {
    kamailio.rpc(&format!("memcached.{command}"), arguments)
}

#[test]
fn an_item_is_shown_with_all_that_the_server_tells() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 600, "jürgen");
    memcached.put("number", 0, 0, "-5");
    memcached.put("zeros", 0, 0, "0049301234");
    let kamailio = builder(memcached.address()).start();
    let get = |key: &str| result(&kamailio, "get", json!([key]));
    let text = get("text");
    let left: u64 = text["expires_in"].as_str().unwrap().parse().unwrap();
    assert!((590..=600).contains(&left), "{text}");
    let unused: u64 = text["unused_for"].as_str().unwrap().parse().unwrap();
    assert!(unused < 10, "{text}");
    for (name, value) in [
        ("pool", "default"),
        ("key", "text"),
        ("answer", "hit"),
        ("type", "string"),
        ("flags", "1"),
        ("size", "7"),
        ("escaped", "no"),
        ("value", "jürgen"),
    ] {
        assert_eq!(text[name], value, "{name}");
    }
    let number = get("number");
    for (name, value) in [
        ("type", "integer"),
        ("value", "-5"),
        ("expires_in", "never"),
    ] {
        assert_eq!(number[name], value, "{name}");
    }
    assert_eq!(get("zeros")["type"], "string");
    let miss = json!({"pool": "default", "key": "none", "answer": "miss"});
    assert_eq!(get("none"), miss);

    let by_kamcmd = shown(&kamailio, "get", &["text"]);
    for line in ["\tanswer: hit\n", "\tvalue: jürgen\n", "\ttype: string\n"] {
        assert!(by_kamcmd.contains(line), "{by_kamcmd}");
    }
    let by_kamcmd = shown(&kamailio, "get", &["none"]);
    assert!(by_kamcmd.contains("\tanswer: miss\n"), "{by_kamcmd}");
    kamailio.assert_nothing_logged();
}

/// To look is no use: the item is not kept longer for it.
#[test]
fn to_look_at_an_item_does_not_use_it() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = builder(memcached.address()).start();
    let told = || -> u64 {
        let shown = result(&kamailio, "get", json!(["k"]));
        shown["unused_for"].as_str().unwrap().parse().unwrap()
    };
    // memcached's clock has seconds.
    support::wait::until("two seconds to pass", Duration::from_secs(20), || {
        told() >= 2
    });
}

#[test]
fn a_value_that_is_no_text_is_shown_escaped_and_marked() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    for (value, shown_as) in [
        (&b"a\0b"[..], "a\\u{0}b"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"line\r\nanswer: forged", "line\\r\\nanswer: forged"),
        (b"\x1b[2J\\", "\\u{1b}[2J\\\\"),
    ] {
        memcached.put("k", 1, 0, value);
        let item = result(&kamailio, "get", json!(["k"]));
        assert_eq!(
            (&item["escaped"], &item["value"]),
            (&json!("yes"), &json!(shown_as))
        );
        assert_eq!(item["size"], value.len().to_string());
        let by_kamcmd = shown(&kamailio, "get", &["k"]);
        assert!(
            by_kamcmd.contains(&format!("\tvalue: {shown_as}\n")),
            "{by_kamcmd}"
        );
        assert!(by_kamcmd.contains("\tescaped: yes\n"), "{by_kamcmd}");
    }
    memcached.put("k", 1, 0, "C:\\");
    let item = result(&kamailio, "get", json!(["k"]));
    assert_eq!(
        (&item["escaped"], &item["value"]),
        (&json!("no"), &json!("C:\\"))
    );
}

#[test]
fn an_item_is_written_as_a_script_would_write_it() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("expire", 500)
        .param("mode", 1)
        .param("key_prefix", "p:")
        .script("read", "", &["$mct(k)"])
        .start();
    let stored = json!({"pool": "default", "key": "p:k", "answer": "stored"});
    let set = |params: Json| assert_eq!(result(&kamailio, "set", params), stored);
    set(json!(["k", "v"]));
    memcached.assert_holds("p:k", 1, "v");
    memcached.assert_expires_in("p:k", 500);
    // Over what is there, with `mode=1`, too.
    set(json!(["k", "a b=>c, $(x)", "60"]));
    memcached.assert_holds("p:k", 1, "a b=>c, $(x)");
    memcached.assert_expires_in("p:k", 60);
    set(json!(["k", 42, 0]));
    memcached.assert_holds("p:k", 0, "42");
    assert_eq!(kamailio.run("read")["$mct(k)"], 42);
    set(json!(["k", "0042", ""]));
    memcached.assert_holds("p:k", 1, "0042");
    memcached.assert_expires_in("p:k", 500);
    set(json!(["k", "", "", "default"]));
    memcached.assert_holds("p:k", 1, "");
    kamailio.assert_nothing_logged();
}

/// A telephone number is text, and stays text.
#[test]
fn what_is_given_as_text_is_stored_as_text_and_a_number_as_integer() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    for (value, flags, held) in [
        (json!("5"), 1, "5"),
        (json!(5), 0, "5"),
        (json!("-5"), 1, "-5"),
        (json!(-5), 0, "-5"),
        (json!("49301234567"), 1, "49301234567"),
        (json!(49_301_234_567_u64), 0, "49301234567"),
    ] {
        let set = result(&kamailio, "set", json!(["k", value]));
        assert_eq!(set["answer"], "stored");
        memcached.assert_holds("k", flags, held);
    }
    for (value, flags, held) in [
        ("5", 0, "5"),
        ("s:5", 1, "5"),
        ("s:-5", 1, "-5"),
        ("s:49301234567", 1, "49301234567"),
        ("5a", 1, "5a"),
    ] {
        shown(&kamailio, "set", &["k", value]);
        memcached.assert_holds("k", flags, held);
    }
    kamailio.assert_nothing_logged();
}

#[test]
fn kamcmd_takes_digits_for_numbers_unless_they_are_marked_as_text() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("key_prefix", "p:")
        .start();
    let by_kamcmd = shown(&kamailio, "set", &["k", "s:0049301234567", "90"]);
    assert!(by_kamcmd.contains("\tanswer: stored\n"), "{by_kamcmd}");
    memcached.assert_holds("p:k", 1, "0049301234567");
    memcached.assert_expires_in("p:k", 90);
    shown(&kamailio, "set", &["s:0042", "7"]);
    memcached.assert_holds("p:0042", 0, "7");
    kamailio.assert_nothing_logged();
}

#[test]
fn an_item_is_removed_and_prolonged() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = builder(memcached.address()).start();
    let answer = |command: &str, params: Json| result(&kamailio, command, params)["answer"].clone();
    assert_eq!(answer("touch", json!(["k", 77])), "touched");
    memcached.assert_expires_in("k", 77);
    assert_eq!(answer("touch", json!(["none", 77])), "miss");
    assert_eq!(answer("delete", json!(["k"])), "deleted");
    assert_eq!(answer("delete", json!(["k"])), "miss");
    assert!(memcached.item("k").is_none());
    memcached.put("k", 1, 0, "v");
    for (command, arguments, line) in [
        ("touch", &["k", "88"][..], "\tanswer: touched\n"),
        ("touch", &["none", "88"], "\tanswer: miss\n"),
        ("delete", &["k"], "\tanswer: deleted\n"),
        ("delete", &["k"], "\tanswer: miss\n"),
    ] {
        let said = shown(&kamailio, command, arguments);
        assert!(said.contains(line), "{command}: {said}");
    }
}

#[test]
fn any_key_is_data_and_goes_to_its_pool() {
    let memcached = [(); 2].map(|()| Memcached::start());
    let kamailio = builder(memcached[0].address())
        .param(
            "pool",
            format!("name=calls;servers={}", memcached[1].address()),
        )
        .start();
    let long = "k".repeat(300);
    for key in [
        "calls=>k",
        "$mct(k)",
        "a\r\nflush_all",
        "jürgen",
        "{a}:b",
        " ",
        &long,
    ] {
        let set = result(&kamailio, "set", json!([key, "v", 0, "calls"]));
        let item = result(&kamailio, "get", json!([key, "calls"]));
        assert_eq!(
            (&set["pool"], &item["pool"]),
            (&json!("calls"), &json!("calls"))
        );
        assert_eq!(
            (&item["answer"], &item["value"]),
            (&json!("hit"), &json!("v"))
        );
        let elsewhere = result(&kamailio, "get", json!([key]));
        assert_eq!(elsewhere["answer"], "miss");
        let wire = result(&kamailio, "hash", json!([key, "calls"]))["key"].clone();
        assert_eq!((&set["key"], &item["key"]), (&wire, &wire));
        shown(&kamailio, "touch", &[key, "60", "calls"]);
        let gone = result(&kamailio, "delete", json!([key, "calls"]));
        assert_eq!(gone["answer"], "deleted");
    }
    assert!(memcached[0].is_empty() && memcached[1].is_empty());
    memcached[1].put(b"\xff\xfek", 1, 0, b"\xff");
    let item = kamailio.rpc_bytes("memcached.get", &[b"\xff\xfek", b"calls"]);
    assert!(item.contains("\tvalue: \\xff\n"), "{item}");
    kamailio.rpc_bytes("memcached.set", &[b"\xfe", b"a\x80", b"60", b"calls"]);
    memcached[1].assert_holds(b"\xfe", 1, b"a\x80");
}

#[test]
fn values_are_whole_as_long_as_the_client_takes_them() {
    let memcached = Memcached::with(&["-I", "2m"]);
    let kamailio = builder(memcached.address())
        .param_of("jsonrpcs", "transport", 5)
        .module("xhttp")
        .tcp()
        .routes("event_route[xhttp:request] { jsonrpc_dispatch(); }")
        .start();
    for size in [1000, 7000] {
        let value = "x".repeat(size);
        memcached.put("k", 1, 0, &value);
        let by_kamcmd = shown(&kamailio, "get", &["k"]);
        assert!(by_kamcmd.contains(&format!("\tvalue: {value}\n")), "{size}");
        let item = result(&kamailio, "get", json!(["k"]));
        assert_eq!(item["value"].as_str().map(str::len), Some(size));
    }
    let value = "x".repeat(1 << 20);
    memcached.put("k", 1, 0, &value);
    let too_long = kamailio.try_rpc("memcached.get", &["k"]).unwrap_err();
    assert!(
        too_long.contains("500 - the answer is too long"),
        "{too_long}"
    );
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"memcached.get","params":["k"]}"#;
    let answer: Json = serde_json::from_str(&super::http::post(&kamailio, body)).expect("JSON");
    assert_eq!(answer["result"]["value"], value);
    let body = body
        .replace(".get", ".set")
        .replace("\"k\"", &format!("\"k\",\"{}\"", "y".repeat(10_000)));
    super::http::post(&kamailio, &body);
    memcached.assert_holds("k", 1, "y".repeat(10_000));
}

#[test]
fn a_server_without_meta_commands_is_asked_in_the_classic_ones() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 600, "v");
    let proxy = Twemproxy::start(&["timeout: 400"], &[&format!("{}:1", memcached.address())]);
    let store = Store::new();
    store.put("k", "v");
    let old = FaultyServer::storing(store, |connection, request| {
        let is_meta = request.starts_with(b"m");
        if is_meta {
            connection.send("ERROR\r\n")?;
        }
        Ok(is_meta)
    });
    for (server, protocol) in [
        (proxy.address(), "auto"),
        (old.address(), "auto"),
        (memcached.address().to_owned(), "classic"),
    ] {
        let kamailio = builder(&server).param("protocol", protocol).start();
        let item = result(&kamailio, "get", json!(["k"]));
        assert_eq!(
            (&item["answer"], &item["value"]),
            (&json!("hit"), &json!("v"))
        );
        assert_eq!(
            (&item["expires_in"], &item["unused_for"]),
            (&json!(""), &json!(""))
        );
        let listed = shown(&kamailio, "list", &[]);
        assert!(listed.contains("\tprotocol: classic\n"), "{listed}");
    }
    let kamailio = builder(memcached.address()).start();
    result(&kamailio, "get", json!(["k"]));
    let listed = shown(&kamailio, "list", &[]);
    assert!(listed.contains("\tprotocol: meta\n"), "{listed}");
}

#[test]
fn a_stand_in_is_asked_where_scripts_would_ask_it() {
    let (memcached, closed) = (Memcached::start(), Port::free());
    let servers = format!("{},{}", memcached.address(), closed.v4());
    let kamailio = builder(&servers)
        .param("failover", 1)
        .param("retry_interval", -1)
        .start();
    for number in 0..20 {
        let key = format!("key-{number}");
        let set = result(&kamailio, "set", json!([key, "v"]));
        let item = result(&kamailio, "get", json!([key]));
        assert_eq!(
            (&set["answer"], &item["answer"]),
            (&json!("stored"), &json!("hit"))
        );
    }
    assert_eq!(memcached.len(), 20);
}
