//! `memcached.get`, `.set`, `.delete` and `.touch` where they cannot be done: typed wrong, or the server does
//! not do its part.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use support::{FaultyServer, Kamailio, Memcached, Port};

use super::items::builder;
use crate::health::watch::SLACK;

/// The call fails in these words, by both ways.
#[track_caller]
pub fn assert_fault(kamailio: &Kamailio, command: &str, arguments: &[&str], words: &str) {
    let command = format!("memcached.{command}");
    let fault = kamailio.try_rpc(&command, arguments).expect_err("a fault");
    assert!(fault.starts_with(&format!("error: {words}")), "{fault}");
    let text = kamailio.jsonrpc(&command, &json!(arguments).to_string());
    let response: Json = serde_json::from_str(&text).expect("JSON");
    let message = response["error"]["message"].as_str().expect("a fault");
    assert_eq!(
        fault,
        format!("error: {} - {message}", response["error"]["code"])
    );
}

#[test]
fn what_is_typed_wrong_is_a_fault_with_words() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "v");
    let kamailio = builder(memcached.address()).start();
    let missing = |name: &str| format!("400 - missing argument: {name}");
    for (command, arguments, name) in [
        ("get", &[][..], "key"),
        ("set", &[], "key"),
        ("set", &["k"], "value"),
        ("delete", &[], "key"),
        ("touch", &[], "key"),
        ("touch", &["k"], "expire"),
    ] {
        assert_fault(&kamailio, command, arguments, &missing(name));
    }
    let unknown = "400 - unknown pool 'nix'; accepted: default";
    let lifetime = "400 - refused: invalid lifetime; accepted: decimal seconds, 0 or more";
    for (command, arguments, words) in [
        ("get", &["k", "nix"][..], unknown),
        ("set", &["k", "v", "60", "nix"], unknown),
        ("delete", &["k", "nix"], unknown),
        ("touch", &["k", "60", "nix"], unknown),
        ("set", &["k", "v", "60s"], lifetime),
        ("touch", &["k", "soon"], lifetime),
        (
            "get",
            &["k", "default", "x"],
            "400 - unexpected argument 'x'; accepted: key [pool]",
        ),
    ] {
        assert_fault(&kamailio, command, arguments, words);
    }
    let empty = kamailio
        .try_rpc("memcached.get", &["s:"])
        .expect_err("a fault");
    assert!(
        empty.contains("the key is empty; accepted: 1 byte or more"),
        "{empty}"
    );
    assert_eq!(memcached.keys(), [b"text"]);
}

/// What JSON has besides text and numbers is none of them, and is not left out either.
/// kamcmd takes all of these for such numbers.
#[test]
fn a_number_with_a_fraction_is_refused_wherever_it_stands_unless_it_is_marked_as_text() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = builder(memcached.address()).start();
    for number in ["1.5", "1e3", "inf"] {
        for (command, arguments, name) in [
            ("get", &[number][..], "key"),
            ("set", &["k", number], "value"),
            ("set", &["k", "5", number], "expire"),
            ("set", &["k", "w", "60", number], "pool"),
            ("delete", &["k", number], "pool"),
            ("reload", &[number], "pool"),
        ] {
            let command = format!("memcached.{command}");
            let fault = kamailio.try_rpc(&command, arguments).expect_err("a fault");
            let words =
                format!("error: 400 - invalid argument {name}; accepted: text or a whole number");
            assert!(
                fault.starts_with(&words),
                "{command} {arguments:?}: {fault}"
            );
        }
        let surplus = &["k", "default", number][..];
        let fault = kamailio
            .try_rpc("memcached.get", surplus)
            .expect_err("a fault");
        let words = "error: 400 - unexpected argument; accepted: key [pool]";
        assert!(fault.starts_with(words), "{fault}");
    }
    memcached.assert_holds("k", 1, "v");
    kamailio
        .try_rpc("memcached.set", &["k", "s:1.5"])
        .expect("an answer");
    memcached.assert_holds("k", 1, "1.5");
}

#[test]
fn what_is_neither_text_nor_a_number_is_refused_wherever_it_stands() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let calls = format!("name=calls;servers={};key_prefix=c:", memcached.address());
    let kamailio = builder(memcached.address()).param("pool", calls).start();
    let refused = |command: &str, arguments: Json, words: &str| {
        let text = kamailio.jsonrpc(&format!("memcached.{command}"), &arguments.to_string());
        let response: Json = serde_json::from_str(&text).expect("JSON");
        let error = &response["error"];
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(400), &json!(words)),
            "{command} {arguments}"
        );
    };
    for other in [
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!(["calls"]),
        json!({"pool": "calls"}),
    ] {
        for (command, arguments, name) in [
            ("get", json!([other]), "key"),
            ("get", json!(["k", other]), "pool"),
            ("set", json!([other, "w"]), "key"),
            ("set", json!(["k", other]), "value"),
            ("set", json!(["k", other, 60]), "value"),
            ("set", json!(["k", "w", other]), "expire"),
            ("set", json!(["k", "w", other, "calls"]), "expire"),
            ("set", json!(["k", 5, 60, other]), "pool"),
            ("delete", json!(["k", other]), "pool"),
            ("touch", json!(["k", other]), "expire"),
            ("touch", json!(["k", 60, other]), "pool"),
            ("flush", json!([other]), "pool|server"),
            ("reload", json!([other]), "pool"),
        ] {
            let words = format!("invalid argument {name}; accepted: text or a whole number");
            refused(command, arguments, &words);
        }
        refused(
            "get",
            json!(["k", "default", other]),
            "unexpected argument; accepted: key [pool]",
        );
    }
    assert_eq!(memcached.keys(), [b"k"]);
    assert_eq!(memcached.text("k").as_deref(), Some("v"));

    // Left out or empty, it means what the manual says.
    for arguments in [json!(["k", "w"]), json!(["k", "w", "", "default"])] {
        let text = kamailio.jsonrpc("memcached.set", &arguments.to_string());
        assert!(text.contains("stored"), "{text}");
    }
}

#[test]
fn a_server_that_cannot_do_it_is_told_from_a_miss() {
    let closed = Port::free();
    let kamailio = builder(&closed.v4().to_string()).start();
    let first = "500 - down: cannot connect: Connection refused";
    let fault = kamailio
        .try_rpc("memcached.get", &["k"])
        .expect_err("a fault");
    assert!(fault.starts_with(&format!("error: {first}")), "{fault}");
    let later = "500 - down: the server is out of service";
    for (command, arguments) in [
        ("get", &["k"][..]),
        ("set", &["k", "v"]),
        ("delete", &["k"]),
        ("touch", &["k", "60"]),
    ] {
        assert_fault(&kamailio, command, arguments, later);
    }
    let full = FaultyServer::answering("SERVER_ERROR object too large for cache\r\n");
    let kamailio = builder(&full.address()).start();
    let words = "400 - too_large: the value is larger than the server accepts";
    assert_fault(&kamailio, "set", &["k", "v"], words);
}

/// Within the timeout, however the server is.
#[test]
fn a_silent_or_lying_server_costs_a_fault_in_time() {
    let silent = FaultyServer::silent();
    let liar = FaultyServer::answering("HTTP/1.1 400 Bad\r\n");
    let refusing = FaultyServer::answering("SERVER_ERROR out of memory\r\n");
    for (server, words) in [
        (
            &silent,
            "500 - timeout: no complete reply within the timeout",
        ),
        (&liar, "500 - garbled: "),
        (
            &refusing,
            "500 - server_error: the server says: out of memory",
        ),
    ] {
        let kamailio = builder(&server.address())
            .param("timeout", 400)
            .param("protocol", "classic")
            .param("inactive_threshold", 1000)
            .start();
        for (command, arguments) in [
            ("get", &["k"][..]),
            ("set", &["k", "v"]),
            ("delete", &["k"]),
            ("touch", &["k", "60"]),
        ] {
            // The machine may be busy once, but not each time.
            let times = [(); 3].map(|()| {
                let begun = Instant::now();
                assert_fault(&kamailio, command, arguments, words);
                begun.elapsed()
            });
            let took = times.into_iter().min().expect("three");
            assert!(took < 2 * (Duration::from_millis(400) + SLACK), "{took:?}");
        }
    }
}
