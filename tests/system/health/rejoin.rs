//! What a server still holds when it returns from an outage: everything, or nothing.

use std::time::Duration;

use support::{Builder, FaultyServer, Kamailio, Memcached, Request, wait};

use super::watch::{SLACK, row, wait_for_state};

/// A Kamailio that notices and forgives within some ten milliseconds. After the stall limit there is
/// time for a look on a fresh connection: without one, silence proves nothing against a server.
fn builder(memcached: &Memcached, rejoin: &str) -> Builder {
    Kamailio::on(memcached)
        .param("timeout", 100)
        .param("stall_limit", 40)
        .param("retry_interval", 20)
        .param("rejoin", rejoin)
        .rpc()
        .script("read", "$var(x) = 0;", &["$mct(k)", "$mcst"])
}

fn kamailio(memcached: &Memcached, rejoin: &str) -> Kamailio {
    builder(memcached, rejoin).start()
}

/// Waits until nobody can take it for one that was restarted during an outage.
fn grow_old(memcached: &Memcached) {
    wait::until("memcached is a second old", wait::WAIT_LIMIT, || {
        memcached.stat("uptime") > 0
    });
}

/// Reads until the server is used again.
fn read_after_return(kamailio: &Kamailio) -> String {
    let used = || {
        let answer = kamailio.run("read");
        let word = ["hit", "miss"]
            .into_iter()
            .find(|word| answer["$mcst"] == *word);
        word.map(str::to_owned)
    };
    wait::poll(wait::WAIT_LIMIT, used).expect("the server is used again")
}

fn freeze_and_thaw(memcached: &Memcached, kamailio: &Kamailio) {
    memcached.pause();
    assert_eq!(kamailio.run("read")["$mcst"], "timeout");
    memcached.resume();
}

#[test]
fn a_server_keeps_what_it_holds_by_default() {
    let memcached = Memcached::start();
    let kamailio = kamailio(&memcached, "keep");
    memcached.put("k", 1, 0, "old");
    freeze_and_thaw(&memcached, &kamailio);
    assert_eq!(read_after_return(&kamailio), "hit");
    assert_eq!(memcached.flushes(), 0);
}

#[test]
fn a_server_is_emptied_before_anybody_may_use_it_again() {
    let memcached = Memcached::start();
    let kamailio = kamailio(&memcached, "flush");
    memcached.put("k", 1, 0, "old");
    grow_old(&memcached);
    freeze_and_thaw(&memcached, &kamailio);
    assert_eq!(read_after_return(&kamailio), "miss");
    assert_eq!(memcached.flushes(), 1);
    kamailio.wait_for_log("was emptied before its return", wait::WAIT_LIMIT);
}

#[test]
fn nobody_ever_reads_what_it_held_before() {
    for threshold in [1, 3] {
        let memcached = Memcached::start();
        let kamailio = builder(&memcached, "flush")
            .param("probing_threshold", threshold)
            .children(4)
            .start();
        grow_old(&memcached);
        for _ in 0..5 {
            memcached.put("k", 1, 0, "old");
            assert_eq!(kamailio.run("read")["$mcst"], "hit");
            memcached.pause();
            assert_eq!(kamailio.run("read")["$mcst"], "timeout");
            memcached.resume();
            wait::until("its return", wait::WAIT_LIMIT, || {
                let answers = kamailio.run_at_once("read", 8, &Request::options());
                let words: Vec<_> = answers.iter().map(|answer| &answer["$mcst"]).collect();
                assert!(words.iter().all(|&word| *word != "hit"), "{words:?}");
                words.iter().all(|&word| *word == "miss")
            });
        }
    }
}

#[test]
fn a_server_that_was_restarted_keeps_what_others_have_stored_since() {
    let memcached = Memcached::start();
    let kamailio = builder(&memcached, "flush")
        .param("retry_interval", 1000)
        .start();
    memcached.kill();
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    // memcached counts its age from two seconds before its start.
    wait::until("an outage of some seconds", wait::WAIT_LIMIT, || {
        row(&kamailio, memcached.address()).since >= 4
    });
    memcached.restart();
    memcached.put("k", 1, 0, "new");
    assert_eq!(read_after_return(&kamailio), "hit");
    assert_eq!(memcached.flushes(), 0);
    assert!(kamailio.log_lines("was emptied").is_empty());
}

#[test]
fn a_server_that_cannot_be_emptied_stays_out_and_delays_nobody() {
    let (silent, unwilling) = (answering(None), answering(Some("ERROR\r\n")));
    let memcached = Memcached::start();
    let kamailio = builder(&memcached, "flush")
        .param("pool", format!("name=silent;servers={}", silent.address()))
        .param(
            "pool",
            format!("name=other;servers={}", unwilling.address()),
        )
        .script("others", "", &["$mct(silent=>k)", "$mct(other=>k)"])
        .start();
    kamailio.run("others");
    let out = |server: &FaultyServer| row(&kamailio, &server.address()).state == "inactive";
    assert!(out(&silent) && out(&unwilling));
    let asked = silent.connections();
    for _ in 0..4 {
        memcached.put("k", 1, 0, "old");
        memcached.kill();
        assert_eq!(kamailio.run("read")["$mcst"], "down");
        memcached.restart();
        let took = wait_for_state(&kamailio, memcached.address(), "active");
        assert!(took < Duration::from_millis(20) + SLACK, "{took:?}");
    }
    wait::until("more attempts", wait::WAIT_LIMIT, || {
        silent.connections() > asked + 1
    });
    assert!(out(&silent) && out(&unwilling));
}

/// A server that fails at everything but probes, and answers `stats` like this.
fn answering(stats: Option<&'static str>) -> FaultyServer {
    FaultyServer::start(move |connection| {
        loop {
            match (&connection.request()?[..], stats) {
                (b"version\r\n", _) => connection.send("VERSION 1.6\r\n")?,
                (b"stats\r\n", None) => connection.silence()?,
                (b"stats\r\n", Some(answer)) => connection.send(answer)?,
                _ => connection.send("NONSENSE\r\n")?,
            }
        }
    })
}
