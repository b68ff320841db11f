//! Files of certificates and keys with a mistake, and parameters that do not belong together.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use support::{Authority, Builder, Host, Kamailio, Scratch};

use super::tls::{NAMES, inside};

#[test]
fn a_file_with_a_mistake_is_refused_when_it_is_named() {
    let authority = Authority::new();
    let (one, two) = (authority.issue("one", NAMES), authority.issue("two", NAMES));
    let scratch: Scratch = Host::current().scratch();
    let text = inside(&scratch.write("text", "Hush\n"));
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let broken = inside(&scratch.write("broken", broken));
    let missing = inside(&scratch.join("missing"));
    let folder = inside(scratch.path());
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
            "tls_ca",
            &broken,
            "a certificate is broken; accepted: certificates in PEM form",
        ),
        ("tls_ca", &missing, "No such file"),
        ("tls_cert", &missing, "No such file"),
        ("tls_key", &missing, "No such file"),
        ("tls_ca", &folder, "it is a directory"),
        ("tls_key", &folder, "it is a directory"),
    ] {
        let check = Kamailio::builder().param(name, path.as_str()).check();
        check.assert_refused(&[&format!("parameter '{name}': "), words]);
    }
    for path in [&scratch.join("text"), &one.chain] {
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
        let check = Kamailio::builder().param("tls_key", inside(path)).check();
        check.assert_refused(&[
            "parameter 'tls_key': file '",
            "there is no private key; accepted: a key in PEM form",
        ]);
        assert!(!check.output.contains("Hush"));
    }
    for names in [["tls_cert", "tls_key"], ["tls_key", "tls_cert"]] {
        let file = |name| {
            inside(if name == "tls_cert" {
                &one.chain
            } else {
                &two.key
            })
        };
        let [first, second] = names;
        let check = Kamailio::builder()
            .param(first, file(first))
            .param(second, file(second))
            .check();
        check.assert_refused(&[
            &format!("parameter '{second}': files "),
            "; accepted: a certificate and its own key",
        ]);
    }
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let authority = Authority::new();
    let issued = authority.issue("one", NAMES);
    let permit = |mode| {
        fs::set_permissions(&issued.key, Permissions::from_mode(mode)).expect("it is ours");
    };
    let (chain, key) = (inside(&issued.chain), inside(&issued.key));
    let plain = || {
        Kamailio::builder()
            .param("tls_cert", &*chain)
            .param("tls_key", &*key)
    };
    let pool = format!("name=p;servers=a;tls_cert={chain};tls_key={key}");
    let pool = || Kamailio::builder().param("pool", &*pool);
    for mode in [0o644, 0o604, 0o602, 0o601] {
        permit(mode);
        let words = format!("others may read it (its mode is {mode:04o}); accepted: ");
        plain()
            .check()
            .assert_refused(&["parameter 'tls_key': ", &words]);
        pool()
            .check()
            .assert_refused(&["'tls_key' of pool 'p': ", &words]);
    }
    for mode in [0o600, 0o400, 0o640, 0o440] {
        permit(mode);
        for builder in [plain(), pool()] {
            let check = builder.check();
            assert!(check.ok, "{mode:o}: {}", check.output);
        }
    }
}

#[test]
fn tls_is_for_tcp_alone() {
    let check = Kamailio::builder()
        .param("servers", "/run/mc.sock")
        .param("tls", 1)
        .check();
    check.assert_refused(&[
        "parameter 'tls': 'tls' is 1, and '/run/mc.sock' is a unix socket; accepted: ",
    ]);
    let check = Kamailio::builder()
        .param("tls", 1)
        .param("servers", "/run/mc.sock")
        .check();
    check.assert_refused(&["parameter 'servers': 'tls' is 1, and "]);
    let authority = Authority::new();
    let pool = format!(
        "name=p;servers=a,/run/mc.sock;tls=1;tls_ca={}",
        inside(&authority.file())
    );
    Kamailio::builder()
        .param("pool", pool)
        .check()
        .assert_refused(&["pool 'p': 'tls' is 1, and "]);
}

/// Configurations from which something is missing, and the words for that.
fn lacking(authority: &Authority) -> Vec<(Builder, &'static str)> {
    let issued = authority.issue("lacking", NAMES);
    let (chain, key) = (inside(&issued.chain), inside(&issued.key));
    let pool = format!("name=p;servers=a;tls_cert={chain}");
    let empty = Kamailio::builder;
    vec![
        (
            empty().param("tls_cert", &*chain),
            "pool 'default': 'tls_cert' needs 'tls_key'; accepted: both or none",
        ),
        (
            empty().param("tls_key", &*key),
            "pool 'default': 'tls_key' needs 'tls_cert'; accepted: both or none",
        ),
        (
            empty().param("pool", pool),
            "pool 'p': 'tls_cert' needs 'tls_key'; accepted: both or none",
        ),
        (
            empty().param("tls", 1),
            "pool 'default': 'tls' is 1, and nobody is trusted; accepted: 'tls_ca', the file of an authority, or \
             'tls_verify' = 0",
        ),
        (
            empty().param("pool", "name=p;servers=a;tls=1"),
            "pool 'p': 'tls' is 1, and nobody is trusted; accepted: 'tls_ca'",
        ),
    ]
}

#[test]
fn what_is_missing_is_noticed_when_the_configuration_has_been_read() {
    let authority = Authority::new();
    for (builder, words) in lacking(&authority) {
        for statement in ["$mct(k) = 1;", "mct_get(\"k\", \"$var(x)\");"] {
            let check = builder.clone().script("get", statement, &[]).check();
            check.assert_refused(&[words]);
        }
        let check = builder.clone().check();
        check.assert_refused(&[words]);
        assert!(check.output.contains("config file ok"), "{}", check.output);
        let failure = builder.try_start().expect_err(words);
        assert!(failure.log.contains(words), "{}", failure.log);
    }
}

#[test]
fn nothing_is_missing_that_a_plain_parameter_gives_later() {
    let authority = Authority::new();
    let issued = authority.issue("one", NAMES);
    let check = Kamailio::builder()
        .param("tls", 1)
        .param("pool", "name=p;servers=a;tls=1")
        .param("tls_key", inside(&issued.key))
        .param("tls_cert", inside(&issued.chain))
        .param("tls_ca", inside(&authority.file()))
        .script("get", "$mct(k) = 1;", &[])
        .check();
    assert!(check.ok, "{}", check.output);
}
