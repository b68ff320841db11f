//! TLS to a real memcached, of either version, and to servers that speak none.

use std::path::Path;
use std::time::Duration;

use support::{Authority, Builder, FaultyServer, Host, Issued, Kamailio, Memcached, Request, wait};

use crate::health::watch::{assert_all, wait_for_state};

const WORKERS: usize = 4;

pub const NAMES: &str = "IP:127.0.0.1,DNS:localhost";

pub fn inside(path: &Path) -> String {
    Host::current().inside(path).display().to_string()
}

/// A memcached with this certificate, and more values of its option `-o`.
pub fn server(issued: &Issued, more: &str) -> Memcached {
    Memcached::secured(&options(issued, more))
}

/// The value of its option `-o`.
pub fn options(issued: &Issued, more: &str) -> String {
    let (chain, key) = (issued.chain.display(), issued.key.display());
    format!("ssl_chain_cert={chain},ssl_key={key}{more}")
}

pub fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("tls", 1)
        .param("retry_interval", 100)
        // A busy machine may take its time to agree.
        .param("stall_limit", 3000)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst", "$pp"])
        .script("set", "$mct(k) = \"v\";", &["$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"])
}

#[test]
fn all_processes_speak_tls_of_either_version() {
    let authority = Authority::new();
    let issued = authority.issue("server", NAMES);
    for memcached in [
        server(&issued, ""),
        server(&issued, ",ssl_min_version=3"),
        Memcached::secured_by_1_2(&options(&issued, "")),
    ] {
        memcached.put("n", 0, 0, "0");
        let kamailio = builder(memcached.address())
            .param("tls_ca", inside(&authority.file()))
            .param("ping_interval", 1)
            .children(8)
            .start();
        assert_eq!(kamailio.run("set")["$mcst"], "stored");
        kamailio.run_on_every_worker("get", &Request::options());
        for answer in kamailio.run_at_once("count", 20, &Request::options()) {
            assert_eq!(answer["$mcst"], "counted");
        }
        assert_eq!(memcached.text("n").as_deref(), Some("20"));
        assert!(kamailio.rpc("memcached.ping", &[]).contains("answer: ok"));
        assert!(kamailio.rpc("memcached.list", &[]).contains("tls: on"));
        kamailio.assert_nothing_logged();
    }
}

#[test]
fn a_connection_goes_on_with_what_the_one_before_has_agreed_on() {
    let authority = Authority::new();
    let issued = authority.issue("server", NAMES);
    for (memcached, shows_certificate) in [
        (server(&issued, ""), false),
        (Memcached::secured_by_1_2(&options(&issued, "")), true),
    ] {
        let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
        let kamailio = builder(&relay.address())
            .param("tls_ca", inside(&authority.file()))
            .param("retry_interval", -1)
            .children(1)
            .start();
        assert_eq!(kamailio.run("set")["$mcst"], "stored");
        for state in ["disabled", "active"] {
            kamailio.rpc("memcached.set_state", &[state, &relay.address()]);
        }
        assert_eq!(kamailio.run("get")["$mcst"], "hit");
        let [first, second] = &relay.sent()[..] else {
            panic!("{} connections", relay.connections());
        };
        // TLS 1.2 shows the server's certificate to everybody on the way.
        let has_name = |sent: &[u8]| sent.windows(9).any(|bytes| bytes == b"localhost");
        assert_eq!(has_name(first), shows_certificate);
        assert!(
            second.len() + 400 < first.len(),
            "{} bytes after {}",
            second.len(),
            first.len()
        );
    }
}

#[test]
fn a_process_goes_on_with_nothing_that_another_one_has_agreed_on() {
    let authority = Authority::new();
    let memcached = server(&authority.issue("server", NAMES), "");
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let kamailio = builder(&relay.address())
        .param("tls_ca", inside(&authority.file()))
        .param("retry_interval", -1)
        .module("htable")
        .routes("event_route[htable:mod-init] { $mct(k) = \"v\"; }")
        .start();
    kamailio.run_on_every_worker("get", &Request::options());
    let sent = relay.sent();
    assert_eq!(sent.len(), 1 + WORKERS);
    let whole = sent[0].len();
    for (number, sent) in sent.iter().enumerate() {
        // Who goes on with a ticket is not shown the certificate, which has some 400 bytes.
        assert!(
            sent.len() + 200 > whole,
            "connection {number}: {}",
            sent.len()
        );
    }
}

#[test]
fn large_values_are_whole() {
    let authority = Authority::new();
    let memcached = server(&authority.issue("server", NAMES), "");
    let large: String = (0..900_000)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    memcached.put("large", 1, 0, &large);
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&authority.file()))
        .script("copy", "$mct(copy) = $mct(large);", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("copy")["$mcst"], "stored");
    assert!(memcached.text("copy").is_some_and(|copy| copy == large));
    kamailio.assert_nothing_logged();
}

#[test]
fn items_are_asked_for_ahead_and_writes_are_deferred_by_tls_too() {
    let authority = Authority::new();
    let issued = authority.issue("server", NAMES);
    let servers = [server(&issued, ""), server(&issued, "")];
    let large = "x".repeat(300_000);
    for memcached in &servers {
        for (key, value) in [("a", "one"), ("b", "two"), ("large", &large)] {
            memcached.put(key, 1, 0, value);
        }
    }
    let list = servers.each_ref().map(Memcached::address).join(",");
    let wanted = [
        "$var(rc)",
        "$mct(a)",
        "$mct(b)",
        "$(mct(large){s.len})",
        "$mct(none)",
    ];
    let kamailio = builder(&list)
        .param("tls_ca", inside(&authority.file()))
        .param("deferred_writes", 1)
        .children(1)
        .script(
            "many",
            "mct_mget(\"a,b,large,none\"); $var(rc) = $rc;",
            &wanted,
        )
        .script(
            "ahead",
            "mct_prefetch(\"a,b,large,none\"); $var(rc) = $rc;",
            &wanted,
        )
        .script(
            "later",
            "$mct(later) = \"v\"; $var(st) = $mcst;",
            &["$var(st)", "$mct(later)"],
        )
        .start();
    let asked = || {
        servers
            .iter()
            .map(|memcached| memcached.stat("cmd_get"))
            .sum::<u64>()
    };
    for (script, code) in [("many", 3), ("ahead", 1), ("many", 3)] {
        let before = asked();
        let answer = kamailio.run(script);
        assert_eq!(answer["$var(rc)"], code, "{script}");
        assert_eq!(answer["$mct(a)"], "one", "{script}");
        assert_eq!(answer["$mct(b)"], "two", "{script}");
        assert_eq!(answer["$(mct(large){s.len})"], 300_000, "{script}");
        assert!(answer["$mct(none)"].is_null(), "{script}");
        assert_eq!(asked() - before, 4, "{script}");
    }
    assert_eq!(
        kamailio.rpc("cnt.get", &["memcached", "prefetched"]).trim(),
        "12"
    );
    kamailio.assert_nothing_logged();
    // A write waits where there is no connection; on a busy machine that may just have been closed.
    wait::until("a deferred write", wait::WAIT_LIMIT, || {
        let answer = kamailio.run("later");
        assert_eq!(answer["$mct(later)"], "v");
        answer["$var(st)"] == "sent"
    });
}

#[test]
fn who_speaks_no_tls_is_told_so() {
    let authority = Authority::new();
    let (silent, answers) = (FaultyServer::silent(), FaultyServer::answering("ERROR\r\n"));
    // memcached waits for the end of the line, or refuses it, as the bytes fall.
    let plain = Memcached::start();
    for (address, words) in [
        (&*silent.address(), "timeout: no TLS within the timeout"),
        (
            &answers.address(),
            "garbled: no TLS is spoken here: the server has answered something else",
        ),
        (plain.address(), ": no TLS "),
    ] {
        let kamailio = builder(address)
            .param("timeout", 500)
            .param("tls_ca", inside(&authority.file()))
            .start();
        assert!(kamailio.run("get")["$mct(k)"].is_null());
        kamailio.wait_for_log(words, wait::WAIT_LIMIT);
    }
    let secured = server(&authority.issue("server", NAMES), "");
    let plain = builder(secured.address())
        .param("timeout", 1000)
        .param("tls", 0)
        .start();
    // memcached closes the connection, without a word.
    assert_eq!(plain.run("get")["$mcst"], "down");
    let words = "down: the server closes a new connection without a word: perhaps it speaks TLS only (tls=1)";
    plain.wait_for_log(words, wait::WAIT_LIMIT);
    let listed = plain.rpc("memcached.list", &[]);
    assert!(listed.contains("perhaps it speaks TLS only"), "{listed}");
}

#[test]
fn a_server_that_stops_in_the_middle_holds_one_worker() {
    let authority = Authority::new();
    let memcached = server(&authority.issue("server", NAMES), "");
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&authority.file()))
        .param("timeout", 1000)
        .param("stall_limit", 200)
        .start();
    memcached.pause();
    let runs: Vec<_> = (0..WORKERS)
        .map(|_| kamailio.launch("get", Request::options()))
        .collect();
    wait_for_state(&kamailio, memcached.address(), "inactive");
    for run in runs {
        let answer = run.wait();
        let word = answer["$mcst"].bytes().expect("a word").to_vec();
        assert!(
            [&b"timeout"[..], b"busy", b"down"].contains(&&word[..]),
            "{word:?}"
        );
    }
    memcached.resume();
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_all(&kamailio, "miss");
}
