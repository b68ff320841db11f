//! A clock that jumps: what was noted before the jump neither silences a verdict nor saves a server from
//! being emptied.

use support::{Builder, Faults, Kamailio, Memcached};

use super::callers::{call, scripts, write};
use super::watch::wait_for_state;

const HOUR: i64 = 3600;

fn builder(memcached: &Memcached, faults: &Faults) -> Builder {
    let builder = scripts(Kamailio::on(memcached))
        .param("timeout", 1000)
        .param("retry_interval", 100)
        .rpc();
    faults.obeyed_by(builder)
}

/// As when a machine is restored from an earlier state.
#[test]
fn after_a_jump_back_an_outage_is_found_and_ends() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::start();
    faults.set_clock_ahead(HOUR);
    let kamailio = builder(&memcached, &faults).start();
    write(&kamailio, "a", "one");
    // Moments of an outage, of a mark and of log lines are left behind, too.
    memcached.pause();
    assert_eq!(call(&kamailio, "get", "a").word, "timeout");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    faults.set_clock_ahead(0);
    memcached.resume();
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_eq!(call(&kamailio, "get", "a").word, "hit");
    memcached.pause();
    let words = [(); 2].map(|()| call(&kamailio, "get", "a").word);
    assert_eq!(words[0], "timeout");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    memcached.resume();
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_eq!(call(&kamailio, "get", "a").word, "hit");
}

/// The outage seems to have lasted for longer than the server runs.
#[test]
fn after_a_jump_ahead_a_server_is_emptied_all_the_same() {
    let Some(faults) = Faults::new() else { return };
    let memcached = Memcached::start();
    let kamailio = builder(&memcached, &faults)
        .param("rejoin", "flush")
        .start();
    write(&kamailio, "a", "old");
    memcached.pause();
    assert_eq!(call(&kamailio, "get", "a").word, "timeout");
    wait_for_state(&kamailio, memcached.address(), "inactive");
    faults.set_clock_ahead(HOUR);
    memcached.resume();
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_eq!(call(&kamailio, "get", "a").word, "miss");
    assert_eq!(memcached.flushes(), 1);
}
