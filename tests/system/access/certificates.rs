//! Whose certificate is accepted, and whose is not, in which words.

use support::authority::AUTHORITY;
use support::{Authority, Builder, Issued, Memcached, wait};

use super::tls::{NAMES, builder, inside, server};
use crate::health::watch::{row, wait_for_state};

/// The server's certificate is refused in these words, and nothing is ever asked.
#[track_caller]
fn assert_denied(memcached: &Memcached, builder: Builder, words: &str) {
    let kamailio = builder.start();
    kamailio.run("get");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    assert_eq!(row(&kamailio, memcached.address()).reason, "denied");
    let line = format!("denied: TLS with the server: its certificate is not accepted: {words}");
    kamailio.wait_for_log(&line, wait::WAIT_LIMIT);
    assert!(kamailio.rpc("memcached.list", &[]).contains(&line));
    assert_eq!(memcached.stat("cmd_get"), 0);
}

/// The same with each of these certificates; without verification each of them is good.
fn assert_all_denied(authority: &Authority, all: Vec<(Issued, &str)>) {
    for (issued, words) in all {
        let memcached = server(&issued, "");
        let with = || builder(memcached.address()).param("tls_ca", inside(&authority.file()));
        assert_denied(&memcached, with(), words);
        let blind = with().param("tls_verify", 0).start();
        assert_eq!(blind.run("set")["$mcst"], "stored", "{words}");
        blind.wait_for_log(
            "pool 'default': 'tls_verify' is 0: anybody",
            wait::WAIT_LIMIT,
        );
    }
}

const PAST: [&str; 2] = ["20200101000000Z", "20210101000000Z"];
const FUTURE: [&str; 2] = ["20400101000000Z", "20410101000000Z"];

#[test]
fn certificates_with_something_wrong_are_not_accepted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let until = |name, [start, end]: [&str; 2]| authority.issue_until(name, NAMES, start, end);
    let all = vec![
        (until("old", PAST), "it has expired"),
        (until("new", FUTURE), "it is not valid yet"),
        (
            authority.issue("name", "DNS:localhost"),
            "it is not for '127.0.0.1'",
        ),
        (
            authority.issue("ip", "IP:127.0.0.2"),
            "it is not for '127.0.0.1'",
        ),
        (
            // The address as a name is none, and neither is the common name.
            authority.issue("127.0.0.1", "DNS:127.0.0.1"),
            "it is not for '127.0.0.1'",
        ),
        (
            authority.issue_with(
                "client",
                &format!("subjectAltName={NAMES}\nextendedKeyUsage=clientAuth\n"),
            ),
            "it is not for a server",
        ),
        (
            other.issue("foreign", NAMES),
            "it comes from no authority of tls_ca",
        ),
    ];
    assert_all_denied(&authority, all);
}

#[test]
fn chains_with_something_wrong_are_not_accepted() {
    let authority = Authority::new();
    let below = |name, extensions: &str, [start, end]: [&str; 2]| {
        let validity = ["-startdate", start, "-enddate", end];
        authority.issue_below_with(name, NAMES, extensions, &validity)
    };
    let now = ["20200101000000Z", "20410101000000Z"];
    let alone = below("alone", AUTHORITY, now);
    alone.keep_first();
    let forged = authority.issue("forged", NAMES);
    forged.spoil_signature();
    let all = vec![
        (below("old", AUTHORITY, PAST), "it has expired"),
        (alone, "it comes from no authority of tls_ca"),
        (
            below("none", "basicConstraints=CA:false\n", now),
            "it was issued by one that is no authority",
        ),
        (
            below(
                "narrow",
                &format!("{AUTHORITY}nameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0\n"),
                now,
            ),
            "its authority may not issue it for this name",
        ),
        (forged, "its signature is wrong"),
    ];
    assert_all_denied(&authority, all);
}

#[test]
fn names_and_chains_are_followed() {
    let authority = Authority::new();
    for (issued, name) in [
        (
            authority.issue("one", "DNS:cache.example.com"),
            Some("cache.example.com"),
        ),
        (
            authority.issue("two", "DNS:*.example.com"),
            Some("mc7.example.com"),
        ),
        (authority.issue_below("three", NAMES), None),
    ] {
        let memcached = server(&issued, "");
        let mut builder = builder(memcached.address()).param("tls_ca", inside(&authority.file()));
        if let Some(name) = name {
            builder = builder.param("tls_name", name);
        }
        let kamailio = builder.start();
        assert_eq!(kamailio.run("set")["$mcst"], "stored");
    }
}

/// A memcached that demands a certificate of this authority.
fn demanding(authority: &Authority) -> Memcached {
    let ca = authority.file().display().to_string();
    let demands = format!(",ssl_verify_mode=2,ssl_ca_cert={ca}");
    server(&authority.issue("server", NAMES), &demands)
}

fn showing(memcached: &Memcached, authority: &Authority, client: &Issued) -> Builder {
    builder(memcached.address())
        .param("tls_ca", inside(&authority.file()))
        .param("tls_cert", inside(&client.chain))
        .param("tls_key", inside(&client.key))
}

#[test]
fn a_server_may_demand_a_certificate() {
    let authority = Authority::new();
    let memcached = demanding(&authority);
    for client in [
        authority.issue("client", "DNS:client"),
        authority.issue_below("below", "DNS:client"),
    ] {
        let kamailio = showing(&memcached, &authority, &client).start();
        assert_eq!(kamailio.run("set")["$mcst"], "stored");
        // A new connection may go on with what the one before has agreed on.
        for state in ["disabled", "active"] {
            kamailio.rpc("memcached.set_state", &[state, memcached.address()]);
        }
        assert_eq!(kamailio.run("get")["$mct(k)"], "v");
        assert_eq!(kamailio.run("get")["$mcst"], "hit");
        let errors = kamailio.log_lines("ERROR: memcached [");
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn a_server_does_not_accept_every_certificate_of_ours() {
    let (authority, other) = (Authority::new(), Authority::new());
    let memcached = demanding(&authority);
    let [start, end] = PAST;
    let none = builder(memcached.address()).param("tls_ca", inside(&authority.file()));
    let old = authority.issue_until("old", "DNS:client", start, end);
    let foreign = other.issue("foreign", "DNS:client");
    for builder in [
        none,
        showing(&memcached, &authority, &old),
        showing(&memcached, &authority, &foreign),
    ] {
        let kamailio = builder.start();
        kamailio.run("get");
        wait_for_state(&kamailio, memcached.address(), "inactive");
        let reason = row(&kamailio, memcached.address()).reason;
        // Its alert may be lost with the connection.
        assert!(reason == "denied" || reason == "down", "{reason}");
        assert_eq!(memcached.stat("cmd_get"), 0);
    }
}
