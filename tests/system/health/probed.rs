//! What the prober asks, so that a server of any kind is found again, and what it tells an operator of one
//! that stays out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Builder, FaultyServer, Kamailio, Memcached, Store, wait};

use super::callers::{assert_all_are, call, read_during, scripts, write};
use super::watch::{row, wait_for_state};

fn builder(server: &str) -> Builder {
    scripts(Kamailio::builder())
        .param("servers", server)
        .param("timeout", 1000)
        .param("retry_interval", 200)
        .rpc()
}

/// A server that deals with `version` in its own way, and hangs up at everything while it is away.
struct Odd {
    server: FaultyServer,
    away: Arc<AtomicBool>,
}

/// How it deals with it: an answer, or a hang-up after some time.
#[derive(Debug, Clone, Copy)]
enum AtVersion {
    Says(&'static str),
    HangsUp(Duration),
    SaysNothing,
}

use AtVersion::{HangsUp, Says, SaysNothing};

impl Odd {
    fn start(at_version: AtVersion) -> Odd {
        let away = Arc::new(AtomicBool::new(false));
        let is_away = Arc::clone(&away);
        let server = FaultyServer::storing(Store::new(), move |connection, request| {
            match (is_away.load(Ordering::SeqCst), request, at_version) {
                (true, ..) => connection.hang_up()?,
                (_, b"version\r\n", Says(line)) => connection.send(line)?,
                (_, b"version\r\n", HangsUp(after)) => {
                    connection.wait(after)?;
                    connection.hang_up()?;
                }
                (_, b"version\r\n", SaysNothing) => connection.silence()?,
                _ => return Ok(false),
            }
            Ok(true)
        });
        Odd { server, away }
    }

    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Waits until two probes have ended while it is in service: each begins with `version`, on a connection of its
    /// own, and the third one when nobody waits for the second one any more.
    fn wait_for_two_probes(&self) {
        let begins = |stream: &&Vec<u8>| stream.starts_with(b"version\r\n");
        wait::until("a third probe", wait::WAIT_LIMIT, || {
            self.server.received().iter().filter(begins).count() >= 3
        });
    }
}

/// twemproxy before 0.5.0 hangs up, kumofs says `ERROR`; twemproxy 0.5.0 forwards `version` to one server
/// behind it, which may be dead.
const ODD: [AtVersion; 7] = [
    HangsUp(Duration::ZERO),
    HangsUp(Duration::from_millis(300)),
    SaysNothing,
    Says("ERROR\r\n"),
    Says("CLIENT_ERROR what?\r\n"),
    Says("SERVER_ERROR Connection refused\r\n"),
    Says("VERSION 1.6.18\r\n"),
];

fn for_each_at_once(test: impl Fn(AtVersion) + Sync) {
    std::thread::scope(|scope| {
        let test = &test;
        for at_version in ODD {
            scope.spawn(move || test(at_version));
        }
    });
}

#[test]
fn a_server_is_found_again_whatever_it_makes_of_version() {
    for_each_at_once(|at_version| {
        let odd = Odd::start(at_version);
        let kamailio = builder(&odd.server.address()).start();
        assert_eq!(write(&kamailio, "a", "one").word, "stored");
        odd.set_away(true);
        wait::until("the outage", wait::WAIT_LIMIT, || {
            call(&kamailio, "get", "a").word == "down"
                && row(&kamailio, &odd.server.address()).state == "inactive"
        });
        odd.set_away(false);
        let back = wait_for_state(&kamailio, &odd.server.address(), "active");
        assert!(
            back < Duration::from_millis(2500),
            "{at_version:?}: {back:?}"
        );
        assert_eq!(call(&kamailio, "get", "a").word, "hit", "{at_version:?}");
    });
}

#[test]
fn a_server_in_service_stays_so_whatever_it_makes_of_version() {
    for_each_at_once(|at_version| {
        let odd = Odd::start(at_version);
        let kamailio = builder(&odd.server.address())
            .param("ping_interval", 1)
            .start();
        write(&kamailio, "a", "one");
        let two_probes = || odd.wait_for_two_probes();
        let ((), calls) = read_during(&kamailio, 1, &["a".into()], two_probes);
        assert_all_are(&calls, "hit");
        assert!(
            kamailio.log_lines(" is inactive").is_empty(),
            "{at_version:?}"
        );
    });
}

/// Without callers nobody else vouches for the server; the probe alone has to get it right.
#[test]
fn a_server_that_nobody_asks_stays_in_service_whatever_it_makes_of_version() {
    for_each_at_once(|at_version| {
        let odd = Odd::start(at_version);
        let kamailio = builder(&odd.server.address())
            .param("ping_interval", 1)
            .start();
        odd.wait_for_two_probes();
        let state = row(&kamailio, &odd.server.address()).state;
        assert_eq!(state, "active", "{at_version:?}");
        assert!(
            kamailio.log_lines(" is inactive").is_empty(),
            "{at_version:?}"
        );
    });
}

#[test]
fn what_keeps_a_server_out_is_told_in_its_own_words() {
    let memcached = Memcached::with(&["-F"]);
    let kamailio = builder(memcached.address())
        .param("timeout", 300)
        .param("rejoin", "flush")
        .start();
    assert_eq!(write(&kamailio, "a", "one").word, "stored");
    memcached.pause();
    assert_eq!(call(&kamailio, "get", "a").word, "timeout");
    memcached.resume();
    let words = "CLIENT_ERROR flush_all not allowed";
    let line = kamailio.wait_for_log(words, wait::WAIT_LIMIT);
    assert!(line.contains("stays inactive"), "{line}");
    let listed = kamailio.rpc("memcached.list", &[]);
    assert!(listed.contains(words), "{listed}");
    let pinged = kamailio.rpc("memcached.ping", &[]);
    assert!(
        pinged.contains("answer: ok") && pinged.contains(words),
        "{pinged}"
    );
    // Each look at the number is a connection, too.
    let connections = || memcached.stat("total_connections");
    let (before, mut looks) = (connections(), 0);
    wait::until("three more probes", wait::WAIT_LIMIT, || {
        assert_eq!(call(&kamailio, "get", "a").word, "down", "it stays out");
        looks += 1;
        connections() >= before + looks + 3
    });
    let said = kamailio.log_lines(words).len();
    assert_eq!(said, 1, "once: {}", kamailio.log());
}

/// A server that answers in 600 ms works with a timeout of 3 s, and comes back after an outage.
#[test]
fn a_probe_has_the_time_of_an_operation() {
    let memcached = Memcached::start();
    let slow = FaultyServer::relay(memcached.address(), Duration::from_millis(600));
    let kamailio = builder(&slow.address())
        .param("timeout", 3000)
        .param("ping_interval", 1)
        .start();
    assert_eq!(write(&kamailio, "a", "one").word, "stored");
    kamailio.rpc("memcached.set_state", &["disabled", &slow.address()]);
    kamailio.rpc("memcached.set_state", &["active", &slow.address()]);
    memcached.kill();
    assert_eq!(call(&kamailio, "get", "a").word, "down");
    memcached.restart();
    wait_for_state(&kamailio, &slow.address(), "active");
    assert_eq!(call(&kamailio, "get", "a").word, "miss");
    // The third one begins when the second one has ended.
    let before = slow.connections();
    wait::until("three more probes", wait::WAIT_LIMIT, || {
        slow.connections() >= before + 3
    });
    assert_eq!(row(&kamailio, &slow.address()).state, "active");
    assert_eq!(
        kamailio.log_lines(" is inactive").len(),
        1,
        "{}",
        kamailio.log()
    );
}
