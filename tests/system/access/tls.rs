//! TLS to a real memcached: who is accepted and who is not, in which words, with which versions, and what
//! the configuration may not say.

use std::fs;
use std::path::Path;

use support::{
    Authority, Builder, Host, Issued, Kamailio, Memcached, Port, Request, Scratch, wait,
};

use crate::health::watch::{assert_all, row, wait_for_state};

const WORKERS: usize = 4;

const NAMES: &str = "IP:127.0.0.1,DNS:localhost";

fn inside(path: &Path) -> String {
    Host::current().inside(path).display().to_string()
}

/// A memcached with this certificate, and more values of its option `-o`.
fn server(issued: &Issued, more: &str) -> Memcached {
    let (chain, key) = (issued.chain.display(), issued.key.display());
    Memcached::secured(&format!("ssl_chain_cert={chain},ssl_key={key}{more}"))
}

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("tls", 1)
        .param("retry_interval", 100)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst", "$pp"])
        .script("set", "$mct(k) = \"v\";", &["$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"])
}

/// The server's certificate is refused in these words, and nothing is ever asked.
#[track_caller]
fn assert_denied(memcached: &Memcached, builder: Builder, words: &str) {
    let kamailio = builder.start();
    kamailio.run("get");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    assert_eq!(row(&kamailio, memcached.address()).reason, "denied");
    kamailio.wait_for_log(words, wait::WAIT_LIMIT);
    assert_eq!(memcached.stat("cmd_get"), 0);
}

#[test]
fn all_processes_speak_tls_of_either_version() {
    let authority = Authority::new();
    let issued = authority.issue("server", NAMES);
    for versions in [
        "",
        ",ssl_min_version=3",
        ",ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256",
    ] {
        let memcached = server(&issued, versions);
        memcached.put("n", 0, 0, "0");
        let kamailio = builder(memcached.address())
            .param("tls_ca", inside(&authority.file()))
            .param("ping_interval", 1)
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
fn certificates_with_something_wrong_are_not_accepted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let past = ["20200101000000Z", "20210101000000Z"];
    let future = ["20400101000000Z", "20410101000000Z"];
    for (issued, words) in [
        (
            authority.issue_until("old", NAMES, past[0], past[1]),
            "it has expired",
        ),
        (
            authority.issue_until("new", NAMES, future[0], future[1]),
            "it is not valid yet",
        ),
        (
            authority.issue("name", "DNS:localhost"),
            "it is not for '127.0.0.1'",
        ),
        (
            authority.issue("ip", "IP:127.0.0.2"),
            "it is not for '127.0.0.1'",
        ),
        (
            other.issue("foreign", NAMES),
            "it comes from no authority of tls_ca",
        ),
    ] {
        let memcached = server(&issued, "");
        let with = || builder(memcached.address()).param("tls_ca", inside(&authority.file()));
        let line = format!("denied: TLS with the server: its certificate is not accepted: {words}");
        assert_denied(&memcached, with(), &line);
        let blind = with().param("tls_verify", 0).start();
        assert_eq!(blind.run("set")["$mcst"], "stored", "{words}");
        blind.wait_for_log(
            "pool 'default': 'tls_verify' is 0: anybody",
            wait::WAIT_LIMIT,
        );
    }
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

#[test]
fn a_server_may_demand_a_certificate() {
    let authority = Authority::new();
    let ca = authority.file().display().to_string();
    let demands = format!(",ssl_verify_mode=2,ssl_ca_cert={ca}");
    let memcached = server(&authority.issue("server", NAMES), &demands);
    let with = || builder(memcached.address()).param("tls_ca", inside(&authority.file()));
    let client = authority.issue("client", "DNS:client");
    let kamailio = with()
        .param("tls_cert", inside(&client.chain))
        .param("tls_key", inside(&client.key))
        .start();
    assert_eq!(kamailio.run("set")["$mcst"], "stored");
    drop(kamailio);
    let kamailio = with().start();
    kamailio.run("get");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    let reason = row(&kamailio, memcached.address()).reason;
    assert!(reason == "denied" || reason == "down", "{reason}");
}

#[test]
fn who_speaks_no_tls_is_told_so() {
    let memcached = Memcached::start();
    let authority = Authority::new();
    let kamailio = builder(memcached.address())
        .param("timeout", 1000)
        .param("tls_ca", inside(&authority.file()))
        .start();
    kamailio.run("get");
    kamailio.wait_for_log("TLS", wait::WAIT_LIMIT);
    let secured = server(&authority.issue("server", NAMES), "");
    let plain = builder(secured.address())
        .param("timeout", 1000)
        .param("tls", 0)
        .start();
    // memcached closes the connection, without a word.
    assert_eq!(plain.run("get")["$mcst"], "down");
}

#[test]
fn a_server_that_stops_in_the_middle_holds_one_worker() {
    let authority = Authority::new();
    let memcached = server(&authority.issue("server", NAMES), "");
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&authority.file()))
        .param("timeout", 1000)
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

#[test]
fn new_authorities_are_trusted_from_a_reload_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let memcached = server(&new.issue("server", NAMES), "");
    let scratch = Host::current().scratch();
    let trusted = scratch.write("ca.pem", fs::read(old.file()).expect("a certificate"));
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&trusted))
        .start();
    kamailio.run("get");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    fs::write(&trusted, "no certificate").expect("writable");
    let fault = kamailio.try_rpc("memcached.reload", &[]).unwrap_err();
    assert!(
        fault.starts_with("error: 400 - nothing changed: pool 'default': file '"),
        "{fault}"
    );
    fs::write(&trusted, fs::read(new.file()).expect("a certificate")).expect("writable");
    kamailio.rpc("memcached.reload", &[]);
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_all(&kamailio, "miss");
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let authority = Authority::new();
    let soon = authority.issue_until("soon", NAMES, "20200101000000Z", "20210101000000Z");
    let kamailio = builder(&Port::free().v4().to_string())
        .param("tls_ca", inside(&authority.file()))
        .param("tls_cert", inside(&soon.chain))
        .param("tls_key", inside(&soon.key))
        .start();
    let line = format!(
        "pool 'default': a certificate in '{}' has expired",
        inside(&soon.chain)
    );
    kamailio.wait_for_log(&line, wait::WAIT_LIMIT);
    assert_eq!(kamailio.log_lines("a certificate in ").len(), 1);
}

#[test]
fn files_with_a_mistake_stop_the_start() {
    let authority = Authority::new();
    let (one, two) = (authority.issue("one", NAMES), authority.issue("two", NAMES));
    let scratch: Scratch = Host::current().scratch();
    let text = inside(&scratch.write("text", "Hush\n"));
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let broken = inside(&scratch.write("broken", broken));
    let missing = inside(&scratch.join("missing"));
    for (name, path, words) in [
        (
            "tls_ca",
            &text,
            "there is no certificate; accepted: certificates in PEM form",
        ),
        (
            "tls_cert",
            &text,
            "there is no certificate; accepted: certificates in PEM form",
        ),
        (
            "tls_key",
            &text,
            "there is no private key; accepted: a key in PEM form",
        ),
        (
            "tls_ca",
            &broken,
            "a certificate is broken; accepted: certificates in PEM form",
        ),
        ("tls_ca", &missing, "No such file"),
        ("tls_key", &missing, "No such file"),
    ] {
        let check = Kamailio::builder().param(name, path.as_str()).check();
        check.assert_refused(&[&format!("parameter '{name}': "), words]);
    }
    let check = Kamailio::builder()
        .param("tls_cert", inside(&one.chain))
        .param("tls_key", inside(&two.key))
        .check();
    check.assert_refused(&[
        "parameter 'tls_key': files ",
        "; accepted: a certificate and its own key",
    ]);
    let check = Kamailio::builder()
        .param("servers", "/run/mc.sock")
        .param("tls", 1)
        .check();
    check.assert_refused(&[
        "parameter 'tls': 'tls' is 1, and '/run/mc.sock' is a unix socket; accepted: ",
    ]);
    let pool = format!(
        "name=p;servers=a,/run/mc.sock;tls=1;tls_ca={}",
        inside(&authority.file())
    );
    Kamailio::builder()
        .param("pool", pool)
        .check()
        .assert_refused(&["pool 'p': 'tls' is 1, and "]);
}
