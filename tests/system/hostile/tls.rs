//! Servers that break the rules of TLS: in the middle of agreeing on it, or later. An operation then ends
//! within its deadline and without a value, and the process goes on.

use std::io;
use std::time::Duration;

use support::{Authority, Connection, Kamailio, wait};

use super::tls_relay::{Act, Evil, Relay, builder, each_version};
use crate::health::watch::row;

/// What the operation may come to.
type Words = &'static [&'static str];

/// The types of records.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// A record with this content.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[kind, 3, 3][..], &len, content].concat()
}

/// Sends it again and again, until the client has had enough.
fn endlessly(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    let many = bytes.repeat(1 + 16_384 / bytes.len());
    loop {
        connection.send(&many)?;
    }
}

/// Sends it and waits for the client.
fn once(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    connection.send(bytes)?;
    connection.silence()
}

/// A `ServerHello` with this version, key share left out, and this random.
fn server_hello(version: [u8; 2], random: [u8; 32]) -> Vec<u8> {
    let body = [&version[..], &random, &[0, 0x13, 0x01, 0, 0, 0]].concat();
    let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    record(HANDSHAKE, &message)
}

/// The random that makes a `ServerHello` a request for another `ClientHello`.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x67, 0xab, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

const GARBLED: Words = &["garbled"];
const DENIED: Words = &["denied"];
const TIMEOUT: Words = &["timeout"];

/// In answer to the client's first message.
const OPENINGS: &[(&str, Evil, Words)] = &[
    ("silence", |it| it.silence(), TIMEOUT),
    ("an end", |it| it.hang_up(), &["down"]),
    ("a reset", |it| it.reset(), &["down"]),
    ("another protocol", |it| once(it, b"ERROR\r\n"), GARBLED),
    ("no letters", |it| endlessly(it, b"\0"), GARBLED),
    ("half a head", |it| once(it, &[HANDSHAKE, 3]), TIMEOUT),
    (
        "an unknown type",
        |it| once(it, &record(99, b"what")),
        GARBLED,
    ),
    (
        "a record that is too long",
        |it| endlessly(it, &[HANDSHAKE, 3, 3, 0xff, 0xff]),
        GARBLED,
    ),
    (
        "empty records",
        |it| endlessly(it, &record(HANDSHAKE, b"")),
        GARBLED,
    ),
    (
        "a message without an end",
        |it| {
            it.send(record(HANDSHAKE, &[2, 0xff, 0xff, 0xff]))?;
            endlessly(it, &record(HANDSHAKE, &[0; 10_000]))
        },
        GARBLED,
    ),
    (
        "a message in ever so small pieces",
        |it| {
            for byte in server_hello([3, 3], [7; 32])[5..].repeat(1000) {
                it.drip(record(HANDSHAKE, &[byte]), Duration::from_millis(20))?;
            }
            it.silence()
        },
        &["timeout", "garbled", "denied"],
    ),
    (
        "a byte now and then",
        |it| {
            it.drip(
                record(HANDSHAKE, &[2, 0, 0x30, 0]).repeat(1000),
                Duration::from_millis(90),
            )
        },
        TIMEOUT,
    ),
    (
        "warnings",
        |it| endlessly(it, &record(ALERT, &[1, 90])),
        GARBLED,
    ),
    (
        "changes of ciphers",
        |it| endlessly(it, &record(CHANGE_CIPHER_SPEC, &[1])),
        GARBLED,
    ),
    ("a refusal", |it| once(it, &record(ALERT, &[2, 40])), DENIED),
    (
        "an alert that nobody knows",
        |it| once(it, &record(ALERT, &[2, 255])),
        GARBLED,
    ),
    (
        "data before all is agreed on",
        |it| once(it, &record(DATA, b"VALUE k 1 4\r\nevil\r\nEND\r\n")),
        GARBLED,
    ),
    (
        "a request to begin anew",
        |it| once(it, &record(HANDSHAKE, &[0, 0, 0, 0])),
        GARBLED,
    ),
    (
        "TLS 1.0",
        |it| once(it, &server_hello([3, 1], [7; 32])),
        &["garbled", "denied"],
    ),
    (
        "a version from the future",
        |it| once(it, &server_hello([3, 9], [7; 32])),
        &["garbled", "denied"],
    ),
    (
        "requests for another beginning",
        |it| endlessly(it, &server_hello([3, 3], RETRY)),
        &["garbled", "denied"],
    ),
];

/// In answer to a request, on a connection on which all is agreed on.
const LATER: &[(&str, Evil, Words)] = &[
    ("silence", |it| it.silence(), TIMEOUT),
    ("plain text", |it| once(it, b"END\r\n"), GARBLED),
    (
        "an unknown type",
        |it| once(it, &record(99, b"what")),
        GARBLED,
    ),
    (
        "a record that is too long",
        |it| endlessly(it, &[DATA, 3, 3, 0x48, 0x01]),
        GARBLED,
    ),
    (
        "a record that nobody has encrypted",
        |it| once(it, &record(DATA, &[7; 64])),
        GARBLED,
    ),
    (
        "records that nobody has encrypted",
        |it| endlessly(it, &record(DATA, &[7; 16_384])),
        GARBLED,
    ),
    (
        "empty records",
        |it| endlessly(it, &record(DATA, b"")),
        GARBLED,
    ),
    (
        "plain warnings",
        |it| endlessly(it, &record(ALERT, &[1, 0])),
        GARBLED,
    ),
    (
        "a plain request to begin anew",
        |it| once(it, &record(HANDSHAKE, &[0, 0, 0, 0])),
        GARBLED,
    ),
    (
        "changes of ciphers",
        |it| endlessly(it, &record(CHANGE_CIPHER_SPEC, &[1])),
        GARBLED,
    ),
    (
        "a heartbeat",
        |it| once(it, &record(24, &[1, 0xff, 0xff])),
        GARBLED,
    ),
    (
        "a byte now and then",
        |it| it.drip([DATA, 3, 3, 0x40].repeat(100), Duration::from_millis(90)),
        &["timeout", "garbled"],
    ),
    (
        "a record without its end",
        |it| once(it, &record(DATA, &[7; 64])[..40]),
        TIMEOUT,
    ),
];

/// The value that there is, and no other, comes back once the server is sane again.
#[track_caller]
fn assert_served(kamailio: &Kamailio, relay: &Relay) {
    relay.set(Act::Pass);
    for state in ["disabled", "active"] {
        kamailio.rpc("memcached.set_state", &[state, &relay.server.address()]);
    }
    wait::until("the value that there is", wait::WAIT_LIMIT, || {
        let answer = kamailio.run("get");
        let is_read = answer["$mcst"] == "hit";
        assert!(answer["$mct(k)"].is_null() || answer["$mct(k)"] == "the value");
        is_read
    });
}

#[track_caller]
fn assert_ends(kamailio: &Kamailio, what: &str, words: &[&str]) {
    let answer = kamailio.run("get");
    let word = answer["$mcst"].bytes().expect("a word");
    let word = String::from_utf8_lossy(word).into_owned();
    assert!(answer["$mct(k)"].is_null(), "{what}: {word}");
    assert!(words.contains(&&word[..]), "{what}: {word}");
}

#[test]
fn whoever_breaks_the_rules_gives_no_value_and_the_process_goes_on() {
    let authority = Authority::new();
    for memcached in each_version(&authority) {
        memcached.put("k", 1, 0, "the value");
        memcached.put("n", 0, 0, "0");
        let relay = Relay::to(&memcached);
        let kamailio = builder(&relay.server.address(), &authority)
            .param("retry_interval", -1)
            .without_verdicts()
            .start();
        let workers = kamailio.workers();
        for (what, evil, words) in OPENINGS {
            relay.set(Act::Open(*evil));
            kamailio.rpc(
                "memcached.set_state",
                &["disabled", &relay.server.address()],
            );
            kamailio.rpc("memcached.set_state", &["active", &relay.server.address()]);
            assert_ends(&kamailio, what, words);
            assert_served(&kamailio, &relay);
        }
        for (what, evil, words) in LATER {
            relay.set(Act::Answer(*evil));
            // The second look finds the connection closed.
            assert_ends(&kamailio, what, &[words, &["down"][..]].concat());
            assert_served(&kamailio, &relay);
            relay.set(Act::Answer(*evil));
            let answer = kamailio.run("count");
            assert!(answer["$mcst"] != "counted", "{what}");
            assert_served(&kamailio, &relay);
        }
        assert_eq!(memcached.text("n").as_deref(), Some("0"));
        assert_eq!(kamailio.workers(), workers);
        assert!(kamailio.log_lines("panic").is_empty());
    }
}

#[test]
fn a_connection_that_breaks_before_all_is_agreed_on_is_not_the_server() {
    let authority = Authority::new();
    let [memcached, _] = each_version(&authority);
    memcached.put("n", 0, 0, "0");
    let breaks: [Evil; 3] = [
        |it| it.reset(),
        |it| it.hang_up(),
        |it| once(it, &record(99, b"what")),
    ];
    for (count, evil) in (1..).zip(breaks) {
        let relay = Relay::to(&memcached);
        relay.set(Act::OpenFirst(evil));
        let address = relay.server.address();
        let kamailio = builder(&address, &authority)
            .param("timeout", 5000)
            .param("stall_limit", 5000)
            .start();
        assert_eq!(kamailio.run("count")["$mcst"], "counted");
        assert_eq!(memcached.text("n"), Some(count.to_string()));
        assert_eq!(row(&kamailio, &address).state, "active");
        kamailio.assert_nothing_logged();
    }
}

#[test]
fn a_server_at_its_limit_of_connections_is_not_condemned() {
    let authority = Authority::new();
    let [memcached, _] = each_version(&authority);
    memcached.put("k", 1, 0, "the value");
    let relay = Relay::to(&memcached);
    let address = relay.server.address();
    let kamailio = builder(&address, &authority)
        .param("timeout", 5000)
        .param("stall_limit", 5000)
        .start();
    // memcached writes this to the socket itself, and does not begin with TLS.
    relay.set(Act::Open(|it| {
        it.send("ERROR Too many open connections\r\n")?;
        it.hang_up()
    }));
    for _ in 0..3 {
        assert_eq!(kamailio.run("get")["$mcst"], "rejected");
        assert_eq!(row(&kamailio, &address).state, "active");
    }
    assert!(kamailio.rpc("memcached.ping", &[]).contains("answer: ok"));
    relay.set(Act::Pass);
    assert_eq!(kamailio.run("get")["$mct(k)"], "the value");
}
