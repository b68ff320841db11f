//! Somebody stands between the module and a memcached with TLS, and cuts the connection, or changes a byte. An
//! operation then fails, and never delivers a value that is not there. (The unit tests of secured sessions try
//! each byte.)

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{Authority, FaultyServer, Host, Kamailio, Memcached, Request};

use crate::health::watch::wait_for_state;

/// What is done to the answers of the server.
#[derive(Clone, Copy)]
enum Evil {
    Cut,
    Flip,
}

/// A relay to the server at `address`, and the place of the byte that it spoils on each connection.
fn relay(address: &str, evil: Evil) -> (FaultyServer, Arc<AtomicUsize>) {
    let (address, place) = (address.to_owned(), Arc::new(AtomicUsize::new(usize::MAX)));
    let shared = Arc::clone(&place);
    let server = FaultyServer::start(move |connection| {
        let at = shared.load(Ordering::Relaxed);
        let server = TcpStream::connect(&address)?;
        server.set_nodelay(true)?;
        let (mut back, mut answers) = (connection.twin(), server.try_clone()?);
        let backward = thread::spawn(move || {
            let (mut part, mut passed) = ([0; 16384], 0);
            while let Ok(size @ 1..) = answers.read(&mut part) {
                let bytes = &mut part[..size];
                if let Some(here) = at.checked_sub(passed).filter(|&here| here < size) {
                    match evil {
                        Evil::Flip => bytes[here] ^= 0x40,
                        Evil::Cut => {
                            let _ = back.send(&bytes[..here]);
                            break;
                        }
                    }
                }
                passed += size;
                if back.send(&*bytes).is_err() {
                    break;
                }
            }
            let _ = back.hang_up();
        });
        while let Ok(bytes) = connection.some() {
            if (&server).write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
        drop(backward.join());
        Ok(())
    });
    (server, place)
}

/// From byte to byte: a prime number, so that it meets each part of a record.
const STEP: usize = 23;

fn all_along(evil: Evil) {
    let authority = Authority::new();
    let issued = authority.issue("server", "IP:127.0.0.1");
    let (chain, key) = (issued.chain.display(), issued.key.display());
    let memcached = Memcached::secured(&format!("ssl_chain_cert={chain},ssl_key={key}"));
    memcached.put("k", 1, 0, "the value");
    let (relay, place) = relay(memcached.address(), evil);
    let kamailio = Kamailio::builder()
        .param("servers", relay.address())
        .param("tls", 1)
        .param(
            "tls_ca",
            Host::current()
                .inside(&authority.file())
                .display()
                .to_string(),
        )
        .param("timeout", 1000)
        .param("stall_limit", 100)
        .param("inactive_threshold", 1)
        .param("retry_interval", -1)
        .rpc()
        .script("get", "", &["$mct(k)", "$mcst"])
        .script("ahead", "mct_prefetch(\"k\");", &["$mct(k)", "$mcst"])
        .start();
    assert_eq!(kamailio.run("get")["$mct(k)"], "the value");
    let len = relay.sent().first().expect("a connection").len();
    assert!(len > 500, "{len}");
    let renew = || {
        for state in ["disabled", "active"] {
            kamailio.rpc("memcached.set_state", &[state, &relay.address()]);
        }
        wait_for_state(&kamailio, &relay.address(), "active");
    };
    let (mut failed, mut ignored) = (0, 0);
    let scripts = ["get", "ahead"].into_iter().cycle();
    for (at, script) in (0..len).step_by(STEP).zip(scripts) {
        place.store(at, Ordering::Relaxed);
        renew();
        let answer = kamailio.run_with(script, Request::options());
        match answer["$mcst"].bytes().expect("a word") {
            b"hit" => {
                assert_eq!(answer["$mct(k)"], "the value", "byte {at}");
                // With a ticket the server sends less: then nothing was spoiled.
                let sent = relay.sent().last().expect("a connection").len();
                ignored += usize::from(sent > at);
            }
            _ => {
                assert!(answer["$mct(k)"].bytes().is_none(), "byte {at}");
                failed += 1;
            }
        }
    }
    // The version in the head of a record has no meaning.
    assert!(ignored <= 2, "{ignored} bytes");
    let tried = len.div_ceil(STEP);
    assert!(2 * failed > tried, "{failed} of {tried} bytes");
    place.store(usize::MAX, Ordering::Relaxed);
    renew();
    assert_eq!(kamailio.run("get")["$mct(k)"], "the value");
}

#[test]
fn a_connection_may_end_anywhere() {
    all_along(Evil::Cut);
}

#[test]
fn a_byte_may_be_changed_anywhere() {
    all_along(Evil::Flip);
}
