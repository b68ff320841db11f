//! Parameters that are changed while Kamailio runs: for all processes at once, within the ranges of
//! the configuration.

use std::time::{Duration, Instant};

use support::{Builder, FaultyServer, Kamailio, Memcached, Request, wait};

/// A Kamailio whose server never answers and never counts as out.
fn on_a_silent_server(silent: &FaultyServer) -> Builder {
    Kamailio::builder()
        .param("servers", silent.address())
        .param("inactive_threshold", 1000)
        .rpc()
}

/// How long a script takes.
fn time(kamailio: &Kamailio, script: &str, request: Request) -> Duration {
    let begun = Instant::now();
    kamailio.run_with(script, request);
    begun.elapsed()
}

fn get(kamailio: &Kamailio, name: &str) -> String {
    kamailio.rpc("cfg.get", &["memcached", name]).trim().into()
}

fn set(kamailio: &Kamailio, name: &str, value: &str) {
    kamailio.rpc("cfg.set_now_int", &["memcached", name, value]);
}

#[test]
fn the_values_are_those_of_the_configuration() {
    let kamailio = Kamailio::builder()
        .param("timeout", 700)
        .param("retry_interval", -1)
        .rpc()
        .start();
    let values = [
        ("timeout", "700"),
        ("connect_timeout", "0"),
        ("expire", "10800"),
        ("stall_limit", "200"),
        ("latency_limit", "0"),
        ("near_expire", "1000"),
        ("near_stale", "0"),
        ("miss_failover", "0"),
        ("retry_interval", "-1"),
        ("retry_max", "0"),
        ("ping_interval", "0"),
    ];
    let list = kamailio.rpc("cfg.list", &["memcached"]);
    for (name, value) in values {
        assert_eq!(get(&kamailio, name), value, "{name}");
        assert!(list.contains(&format!("memcached: {name}")), "{list}");
    }
    let help = kamailio.rpc("cfg.help", &["memcached", "expire"]);
    assert!(help.contains("default lifetime of items"), "{help}");
}

#[test]
fn a_timeout_holds_at_once_in_every_process() {
    let silent = FaultyServer::silent();
    let pool = |name: &str, own: &str| format!("name={name};servers={};{own}", silent.address());
    let kamailio = on_a_silent_server(&silent)
        .param("timeout", 3000)
        .param("stall_limit", 5000)
        .param("pool", pool("heir", ""))
        .param("pool", pool("own", "timeout=400"))
        .tcp()
        .script("plain", "", &["$mct(k)", "$mcst"])
        .script("heir", "", &["$mct(heir=>k)"])
        .script("own", "", &["$mct(own=>k)"])
        .start();
    set(&kamailio, "timeout", "50");
    assert_eq!(get(&kamailio, "timeout"), "50");
    // Half of what it was: more than enough for the new one, on a busy machine, too.
    let short = Duration::from_millis(1500);
    assert!(time(&kamailio, "plain", Request::options()) < short);
    assert!(time(&kamailio, "plain", Request::options().tcp()) < short);
    assert!(time(&kamailio, "heir", Request::options()) < short);
    let own = time(&kamailio, "own", Request::options());
    assert!(own >= Duration::from_millis(400), "{own:?}");
    // A change of something else does not undo the first one.
    set(&kamailio, "expire", "60");
    assert!(time(&kamailio, "plain", Request::options()) < short);
}

#[test]
fn a_lifetime_holds_from_the_next_store_on() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .script("store", "$mct(k) = 1; $mct(own=>30) = 1;", &["$mcst"])
        .start();
    kamailio.run("store");
    memcached.assert_expires_in("k", 10_800);
    set(&kamailio, "expire", "60");
    kamailio.run("store");
    memcached.assert_expires_in("k", 60);
    memcached.assert_expires_in("own", 30);
}

#[test]
fn the_prober_follows_too() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("retry_interval", -1)
        .rpc()
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    memcached.kill();
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    memcached.restart();
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    set(&kamailio, "retry_interval", "0");
    wait::until("the server to be back", wait::WAIT_LIMIT, || {
        kamailio.run("read")["$mcst"] == "miss"
    });
}

#[test]
fn a_stall_limit_holds_for_the_next_operation() {
    let silent = FaultyServer::silent();
    let kamailio = on_a_silent_server(&silent)
        .param("timeout", 600)
        .param("stall_limit", 600)
        .children(2)
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    set(&kamailio, "stall_limit", "20");
    let first = kamailio.launch("read", Request::options());
    let state = || kamailio.rpc("memcached.list", &[]);
    wait::until("the server to be trying", wait::WAIT_LIMIT, || {
        state().contains("trying")
    });
    assert_eq!(kamailio.run("read")["$mcst"], "busy");
    first.wait();
}

#[test]
fn what_the_configuration_would_not_take_is_refused() {
    let kamailio = Kamailio::builder().rpc().start();
    for (name, value) in [
        ("timeout", "0"),
        ("connect_timeout", "-1"),
        ("expire", "-1"),
        ("stall_limit", "0"),
        ("latency_limit", "-1"),
        ("near_expire", "0"),
        ("near_stale", "-1"),
        ("miss_failover", "-2"),
        ("retry_interval", "-2"),
        ("retry_max", "-1"),
        ("ping_interval", "-5"),
    ] {
        let before = get(&kamailio, name);
        let refused = kamailio.try_rpc("cfg.set_now_int", &["memcached", name, value]);
        assert!(refused.is_err(), "{name}");
        assert_eq!(get(&kamailio, name), before, "{name}");
        let help = kamailio.rpc("cfg.help", &["memcached", name]);
        assert!(help.contains("accepted: "), "{help}");
    }
}

#[test]
fn a_delayed_change_holds_once_it_is_committed() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .script("store", "$mct(k) = 1;", &["$mcst"])
        .start();
    let delay = |value| kamailio.rpc("cfg.set_delayed_int", &["memcached", "expire", value]);
    delay("60");
    kamailio.run("store");
    memcached.assert_expires_in("k", 10_800);
    kamailio.rpc("cfg.rollback", &[]);
    delay("90");
    kamailio.rpc("cfg.commit", &[]);
    kamailio.run("store");
    memcached.assert_expires_in("k", 90);
}

#[test]
fn a_group_made_by_the_configuration_is_a_clear_error() {
    let failure = Kamailio::builder()
        .global("memcached.timeout = 100 desc \"by hand\"\n")
        .try_start()
        .unwrap_err();
    let ours = "Kamailio does not accept the parameters; accepted: modparam() in place of";
    assert!(failure.log.contains(ours), "{}", failure.log);
}
