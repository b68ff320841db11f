//! Our TLS beside that of Kamailio's module `tls`, which has OpenSSL: both in one process, at the same time.

use std::process::Command;
use std::thread;

use support::process::Process;
use support::{Authority, Host, Kamailio, Memcached, Port, Scratch, skip, wait};

/// Sends a file over TLS. openssl ends with its input, so that stays open for a while.
const SEND: &str = "{ cat \"$1\"; sleep 60; } | openssl s_client -quiet -no_ign_eof -verify_return_error \
    -connect \"$2\" -CAfile \"$3\" 2>/dev/null";

/// Sends a request over TLS, and returns the response.
fn options(port: &Port, authority: &Authority, call: usize) -> String {
    let scratch = Scratch::new();
    let request = format!(
        "OPTIONS sip:all@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK{call}\r\n\
         From: <sip:a@127.0.0.1>;tag={call}\r\nTo: <sip:all@127.0.0.1>\r\nCall-ID: {call}@tls\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    let request = scratch.write("request", request);
    let mut shell = Command::new("sh");
    shell.args(["-c", SEND, "sh"]).arg(request);
    shell.arg(port.v4().to_string()).arg(authority.file());
    let client = Process::spawn(shell, &scratch.join("response"), libc::SIGKILL);
    let whole = || Some(client.log()).filter(|response| response.contains("\r\n\r\n"));
    wait::poll(wait::WAIT_LIMIT, whole).unwrap_or_else(|| client.account())
}

#[test]
fn calls_over_openssl_read_a_cache_over_tls() {
    let host = Host::current();
    if !host.has_module("tls") {
        skip("tls", "Kamailio's module tls is not installed here");
        return;
    }
    let authority = Authority::new();
    let issued = authority.issue("both", "IP:127.0.0.1");
    let inside = |path: &std::path::Path| host.inside(path).display().to_string();
    let (chain, key) = (inside(&issued.chain), inside(&issued.key));
    let memcached = Memcached::secured(&format!(
        "ssl_chain_cert={},ssl_key={}",
        issued.chain.display(),
        issued.key.display()
    ));
    memcached.put("k", 1, 0, "sealed");
    let port = Port::free();
    let kamailio = Kamailio::on(&memcached)
        .tcp()
        .global("enable_tls=yes")
        .global(&format!("listen=tls:{}", port.v4()))
        .module("tls")
        .param_of("tls", "tls_method", "TLSv1.2+")
        .param_of("tls", "certificate", chain)
        .param_of("tls", "private_key", key)
        .param("tls", 1)
        .param("tls_ca", inside(&authority.file()))
        .param("ping_interval", 1)
        .request_route("$mcinc(n) = 1; sl_send_reply(\"200\", \"$mct(k)\"); exit;")
        .script("get", "", &["$mct(k)", "$mcst"])
        .children(2)
        .start();
    memcached.put("n", 0, 0, "0");
    thread::scope(|scope| {
        for caller in 0..4 {
            let (port, authority, kamailio) = (&port, &authority, &kamailio);
            scope.spawn(move || {
                for call in 0..5 {
                    let response = options(port, authority, caller * 5 + call);
                    if !response.starts_with("SIP/2.0 200 sealed\r\n") {
                        kamailio.fail(&response);
                    }
                }
            });
        }
        for _ in 0..20 {
            let answer = kamailio.run("get");
            assert_eq!(answer["$mct(k)"], "sealed");
            assert_eq!(answer["$mcst"], "hit");
        }
    });
    assert_eq!(memcached.text("n").as_deref(), Some("20"));
    kamailio.assert_nothing_logged();
    assert!(kamailio.stop().success(), "{}", kamailio.log());
}
