//! Certificates and keys that change while all is running, and those that end soon.

use std::fs;
use std::path::PathBuf;

use support::{Authority, Host, Issued, Kamailio, Memcached, Port, Request, Scratch, wait};

use super::tls::{NAMES, builder, inside, options, server};
use crate::health::watch::{assert_all, row, wait_for_state};

/// Files whose content changes.
struct Files {
    scratch: Scratch,
}

impl Files {
    fn new() -> Files {
        Files {
            scratch: Host::current().scratch(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Makes it the certificates of these authorities.
    fn trust(&self, name: &str, authorities: &[&Authority]) -> PathBuf {
        let read = |it: &&Authority| fs::read(it.file()).expect("a certificate");
        let all: Vec<_> = authorities.iter().map(read).collect();
        self.scratch.write(name, all.concat())
    }

    /// Makes them certificate and key of somebody.
    fn take(&self, issued: &Issued) -> Issued {
        let copy = |from: &PathBuf, name: &str| {
            fs::copy(from, self.path(name)).expect("the scratch folder is writable");
            self.path(name)
        };
        Issued {
            chain: copy(&issued.chain, "chain.pem"),
            key: copy(&issued.key, "key.pem"),
        }
    }
}

/// All connections from now on are new.
fn renew(kamailio: &Kamailio, memcached: &Memcached) {
    for state in ["disabled", "active"] {
        kamailio.rpc("memcached.set_state", &[state, memcached.address()]);
    }
}

#[test]
fn new_authorities_are_trusted_from_a_reload_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let memcached = server(&new.issue("server", NAMES), "");
    let files = Files::new();
    let trusted = files.trust("ca.pem", &[&old]);
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
    files.trust("ca.pem", &[&new]);
    kamailio.rpc("memcached.reload", &[]);
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_all(&kamailio, "miss");
}

#[test]
fn server_and_authority_change_without_an_interruption() {
    let (old, new) = (Authority::new(), Authority::new());
    let (servers, trusted) = (Files::new(), Files::new());
    let issued = servers.take(&old.issue("server", NAMES));
    let memcached = server(&issued, "");
    memcached.put("k", 1, 0, "v");
    let ca = trusted.trust("ca.pem", &[&old]);
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&ca))
        .start();
    let all_is_well = || {
        renew(&kamailio, &memcached);
        assert_all(&kamailio, "hit");
    };
    all_is_well();
    trusted.trust("ca.pem", &[&old, &new]);
    kamailio.rpc("memcached.reload", &[]);
    all_is_well();
    servers.take(&new.issue("server", NAMES));
    assert_eq!(memcached.command("refresh_certs\r\n"), b"OK\r\n");
    all_is_well();
    trusted.trust("ca.pem", &[&new]);
    kamailio.rpc("memcached.reload", &[]);
    all_is_well();
    assert!(kamailio.log_lines("ERROR: memcached [").is_empty());
    // It was the new certificate that was accepted.
    trusted.trust("ca.pem", &[&old]);
    kamailio.rpc("memcached.reload", &[]);
    renew(&kamailio, &memcached);
    kamailio.run("get");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    assert_eq!(row(&kamailio, memcached.address()).reason, "denied");
}

#[test]
fn the_prober_finds_out_when_a_server_is_accepted_again() {
    let authority = Authority::new();
    let servers = Files::new();
    let old = authority.issue_until("old", NAMES, "20200101000000Z", "20210101000000Z");
    let memcached = server(&servers.take(&old), "");
    let note = "xlog(\"L_ERR\", \"EVENT $mcev(state) $mcev(reason).\\n\");";
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&authority.file()))
        .routes(&format!("event_route[memcached:server-down] {{ {note} }}"))
        .routes(&format!("event_route[memcached:server-up] {{ {note} }}"))
        .start();
    kamailio.run("get");
    kamailio.wait_for_log("EVENT inactive denied.", wait::WAIT_LIMIT);
    servers.take(&authority.issue("new", NAMES));
    assert_eq!(memcached.command("refresh_certs\r\n"), b"OK\r\n");
    kamailio.wait_for_log("EVENT active ", wait::WAIT_LIMIT);
    assert_all(&kamailio, "miss");
}

#[test]
fn our_own_certificate_changes_without_an_interruption() {
    let (old, new) = (Authority::new(), Authority::new());
    let (clients, trusted) = (Files::new(), Files::new());
    let both = trusted.trust("clients.pem", &[&old, &new]);
    let demands = format!(",ssl_verify_mode=2,ssl_ca_cert={}", both.display());
    let issued = old.issue("server", NAMES);
    let memcached = Memcached::secured(&options(&issued, &demands));
    memcached.put("k", 1, 0, "v");
    let client = clients.take(&old.issue("client", "DNS:client"));
    let kamailio = builder(memcached.address())
        .param("tls_ca", inside(&old.file()))
        .param("tls_cert", inside(&client.chain))
        .param("tls_key", inside(&client.key))
        .start();
    assert_all(&kamailio, "hit");
    let next = new.issue("client", "DNS:client");
    fs::copy(&next.chain, &client.chain).expect("writable");
    let fault = kamailio.try_rpc("memcached.reload", &[]).unwrap_err();
    assert!(
        fault.contains("nothing changed: pool 'default': files '"),
        "{fault}"
    );
    clients.take(&next);
    kamailio.rpc("memcached.reload", &[]);
    // The server does not accept the old one any more.
    trusted.trust("clients.pem", &[&new]);
    assert_eq!(memcached.command("refresh_certs\r\n"), b"OK\r\n");
    renew(&kamailio, &memcached);
    assert_all(&kamailio, "hit");
}

#[test]
fn a_certificate_in_our_files_that_ends_soon_is_a_warning() {
    let authority = Authority::new();
    let old = authority.issue_until("old", NAMES, "20200101000000Z", "20210101000000Z");
    for (issued, words) in [
        (authority.issue_for("soon", NAMES, 5), Some("expires in ")),
        (old, Some("has expired")),
        (authority.issue_for("later", NAMES, 15), None),
    ] {
        let kamailio = builder(&Port::free().v4().to_string())
            .param("tls_ca", inside(&authority.file()))
            .param("tls_cert", inside(&issued.chain))
            .param("tls_key", inside(&issued.key))
            // The first probe fails after the prober has looked at the files.
            .param("ping_interval", 1)
            .start();
        kamailio.wait_for_log("(probe)", wait::WAIT_LIMIT);
        let path = inside(&issued.chain);
        let line = words.map(|words| format!("pool 'default': a certificate in '{path}' {words}"));
        let told = kamailio.log_lines("a certificate in ");
        assert_eq!(told.len(), usize::from(line.is_some()), "{told:?}");
        for (told, line) in told.iter().zip(line) {
            assert!(told.contains(&line), "{told}");
        }
    }
}

#[test]
fn a_certificate_of_a_server_that_ends_soon_is_a_warning() {
    let authority = Authority::new();
    let servers = [5, 15].map(|days| {
        let issued = authority.issue_for(&format!("in-{days}"), NAMES, days);
        server(&issued, "")
    });
    let [soon, later] = servers.each_ref().map(Memcached::address);
    let kamailio = builder(&format!("{soon} soon"))
        .param("pool", format!("name=p;servers={later} later;tls=1"))
        .param("tls_ca", inside(&authority.file()))
        .script("both", "", &["$mct(k)", "$mct(p=>k)", "$mcst", "$pp"])
        .start();
    for answer in kamailio.run_on_every_worker("both", &Request::options()) {
        assert_eq!(answer["$mcst"], "miss");
    }
    let line = "server soon shows a certificate that expires in ";
    kamailio.wait_for_log(line, wait::WAIT_LIMIT);
    renew(&kamailio, &servers[0]);
    kamailio.run_on_every_worker("both", &Request::options());
    assert!(kamailio.rpc("memcached.ping", &[]).contains("answer: ok"));
    let told = kamailio.log_lines("shows a certificate");
    assert_eq!(told.len(), 1, "{told:#?}");
}
