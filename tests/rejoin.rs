//! What a server still holds when it returns from an outage: everything, or nothing.

use support::{Kamailio, Memcached, wait};

/// A Kamailio that notices and forgives within some ten milliseconds.
fn kamailio(memcached: &Memcached, rejoin: &str) -> Kamailio {
    Kamailio::builder()
        .memcached(memcached)
        .param("timeout", 100)
        .param("retry_interval", 20)
        .param("rejoin", rejoin)
        .script("read", "$var(x) = 0;", &["$mct(k)", "$mcst"])
        .start()
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
    wait::poll(wait::PATIENCE, used).expect("the server is used again")
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
    // Long enough up to be told from one that was restarted during the outage.
    wait::until("memcached is a second old", wait::PATIENCE, || {
        memcached.stat("uptime") > 0
    });
    freeze_and_thaw(&memcached, &kamailio);
    assert_eq!(read_after_return(&kamailio), "miss");
    assert_eq!(memcached.flushes(), 1);
    kamailio.wait_for_log("was emptied before its return", wait::PATIENCE);
}
