//! `connect_timeout`: a server that does not even accept is given less time than one that has.

use std::time::Duration;

use support::{Builder, DeafServer, FaultyServer, Kamailio, Memcached, Network, Request};

use super::watch::{SLACK, row};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);

/// Nobody gives up before that for any other reason.
fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 5000)
        .param("stall_limit", 60_000)
        .param("connect_timeout", 400)
        .param("retry_interval", -1)
        .rpc()
        .script("get", "", &["$mct(k)", "$mcst"])
}

/// Reads from a server that cannot be connected.
#[track_caller]
fn assert_gives_up(kamailio: &Kamailio, address: &str) {
    let answer = kamailio.run("get");
    assert_eq!(answer["$mcst"], "timeout");
    let elapsed = answer.elapsed();
    assert!(elapsed >= CONNECT_TIMEOUT, "{elapsed:?}");
    assert!(elapsed < CONNECT_TIMEOUT + SLACK, "{elapsed:?}");
    let out = row(kamailio, address);
    assert_eq!((&out.state[..], &out.reason[..]), ("inactive", "timeout"));
    let said = kamailio.log_lines("no connection within the timeout");
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn a_full_backlog_is_given_up_before_the_timeout() {
    let deaf = DeafServer::start();
    let kamailio = builder(&deaf.address()).start();
    assert_gives_up(&kamailio, &deaf.address());
}

#[test]
fn it_can_be_changed_while_running() {
    let deaf = DeafServer::start();
    let kamailio = builder(&deaf.address()).param("connect_timeout", 0).start();
    let args = ["memcached", "connect_timeout", "400"];
    kamailio.rpc("cfg.set_now_int", &args);
    assert_gives_up(&kamailio, &deaf.address());
}

#[test]
fn dropped_packets_are_given_up_before_the_timeout() {
    let Some(network) = Network::start() else {
        return;
    };
    let kamailio = builder(&network.address()).start();
    network.cut();
    assert_gives_up(&kamailio, &network.address());
}

#[test]
fn a_server_that_accepts_has_the_whole_timeout() {
    let server = FaultyServer::start(|connection| {
        loop {
            connection.request()?;
            connection.wait(2 * CONNECT_TIMEOUT)?;
            connection.send("END\r\n")?;
        }
    });
    let kamailio = builder(&server.address()).start();
    let answer = kamailio.run("get");
    assert_eq!(answer["$mcst"], "miss");
    assert!(answer.elapsed() >= 2 * CONNECT_TIMEOUT);
}

#[test]
fn a_stand_in_has_what_is_left_of_the_timeout() {
    let (deaf, memcached) = (DeafServer::start(), Memcached::start());
    let servers = format!("{},{}", deaf.address(), memcached.address());
    let keys: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
    let kamailio = builder(&servers)
        .param("failover", 1)
        .param("inactive_threshold", 1000)
        .script("key", "", &["$mct($rb)", "$mcst"])
        .start();
    let (mut waited, mut at_once) = (0, 0);
    for key in &keys {
        memcached.put(key, 1, 0, "v");
        let answer = kamailio.run_with("key", Request::options().body("text/plain", key));
        assert_eq!(answer["$mcst"], "hit");
        let elapsed = answer.elapsed();
        assert!(elapsed < CONNECT_TIMEOUT + SLACK, "{elapsed:?}");
        match elapsed >= CONNECT_TIMEOUT {
            true => waited += 1,
            false => at_once += 1,
        }
    }
    assert!(
        waited > 0 && at_once > 0,
        "keys of both: {waited}, {at_once}"
    );
}

#[test]
fn a_pool_may_have_a_limit_of_its_own() {
    let deaf = DeafServer::start();
    let own = format!("name=own;servers={};connect_timeout=100", deaf.address());
    let kamailio = builder("127.0.0.1")
        .param("pool", own)
        .script("own", "", &["$mct(own=>k)", "$mcst"])
        .start();
    let answer = kamailio.run("own");
    assert_eq!(answer["$mcst"], "timeout");
    let elapsed = answer.elapsed();
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    assert!(elapsed < CONNECT_TIMEOUT, "{elapsed:?}");
}
