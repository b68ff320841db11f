//! A network that drops packets, and a machine that loses its power: nothing is refused, nothing is
//! closed, nothing comes back. Where no network can be made (that needs root and `ip`), these tests
//! say so and pass; a full backlog in `stall.rs` shows the connecting half of it everywhere.

use std::time::Duration;

use kamailio_memcached::internals::{Distribution, Placement, parse_list};
use support::{Builder, Kamailio, Memcached, Network, Request, wait};

use super::callers::pass;
use super::silence::{Asking, Silence};
use super::watch::{Bystanders, SLACK, row};

/// The kernel sends what is not acknowledged again after 0.2, 0.6, 1.4, 3.0 and 6.2 s. Here it has sent it for
/// the fourth time.
const BETWEEN_TWO: Duration = Duration::from_millis(3300);

/// Longer than it waits until it sends it for the fifth time.
const LIMIT: Duration = Duration::from_secs(20);

fn builder(servers: &str, workers: usize) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("retry_interval", 300)
        .param("failover", 1)
        .rpc()
        .children(workers)
        .script("set", "$mct($hdr(X-Key)) = 1;", &["$mcst", "$pp"])
        .script("count", "$mcinc($hdr(X-Key)) = 1;", &["$mcst", "$pp"])
        .script("get", "$var(x) = $mct($hdr(X-Key));", &["$mcst", "$pp"])
}

/// Four workers with time enough to begin, all of them, before the first one is overdue, and for a
/// stand-in after that, on a busy machine, too.
fn four(servers: &str) -> Kamailio {
    builder(servers, 4)
        .param("timeout", 2000)
        .param("stall_limit", 1000)
        .start()
}

#[test]
fn dropped_packets_hold_one_worker_until_its_deadline() {
    let Some(network) = Network::start() else {
        return;
    };
    let silence = Silence {
        address: &network.address(),
        begin: &|| network.cut(),
        end: Some(&|| network.mend()),
    };
    for asking in [
        Asking::reading(1, true),
        Asking::reading(8, true),
        Asking::writing(4, true),
        Asking::writing(8, false),
    ] {
        silence.assert_costs_little(asking);
    }
}

#[test]
fn half_open_connections_are_replaced() {
    let Some(mut network) = Network::start() else {
        return;
    };
    let reading = |workers| {
        builder(&network.address(), workers)
            .param("timeout", 1000)
            .start()
    };
    for (kamailio, script, word) in [
        (reading(1), "get", "miss"),
        (four(&network.address()), "set", "stored"),
        (reading(8), "get", "miss"),
    ] {
        let request = Request::about(script);
        for _ in 0..2 {
            for answer in kamailio.run_on_every_worker(script, &request) {
                assert_eq!(answer["$mcst"], word);
            }
            // The new one answers by a reset whatever comes over connections to the old one.
            network.restart();
            let bystanders = Bystanders::start(&kamailio);
            for answer in kamailio.run_at_once(script, 40, &request) {
                assert_eq!(answer["$mcst"], word);
            }
            let longest = bystanders.longest_wait();
            assert!(longest < SLACK, "{script}: {longest:?}");
            assert_eq!(row(&kamailio, &network.address()).state, "active");
        }
        kamailio.assert_nothing_logged();
    }
}

#[test]
fn a_server_behind_a_broken_network_is_stood_in_for() {
    let Some(network) = Network::start() else {
        return;
    };
    let memcached = Memcached::start();
    let servers = format!("{},{}", network.address(), memcached.address());
    let key = key_of_first(&servers);
    // What was sent may have been counted; what was not even connected cannot have been.
    for (connected, moved) in [(true, 8), (false, 11)] {
        memcached.put(&key, 0, 0, "0");
        let kamailio = four(&servers);
        if connected {
            let answers = kamailio.run_on_every_worker("count", &Request::about(&key));
            assert!(answers.iter().all(|answer| answer["$mcst"] == "miss"));
        }
        network.cut();
        let answers = kamailio.run_at_once("count", 12, &Request::about(&key));
        let word = |word| {
            answers
                .iter()
                .filter(|answer| answer["$mcst"] == word)
                .count()
        };
        assert_eq!((word("counted"), word("timeout")), (moved, 12 - moved));
        let counted = memcached.text(&key);
        assert_eq!(counted, Some(moved.to_string()), "each once");
        network.mend();
    }
}

/// A key that belongs to the first of two servers.
fn key_of_first(servers: &str) -> String {
    let placement = Placement::new(Distribution::Ketama);
    let specs = parse_list(servers).expect("a list");
    let ring = placement.ring(&specs, |_| true).expect("two servers");
    let mut keys = (0..).map(|number| format!("key-{number}"));
    let found = keys.find(|key| placement.owner(&ring, key.as_bytes()) == 0);
    found.expect("endless")
}

/// The kernel would send it again for a quarter of an hour, although nobody waits for it.
#[test]
fn a_write_that_was_given_up_does_not_arrive_after_a_newer_one() {
    let Some(network) = Network::start() else {
        return;
    };
    let kamailio = Kamailio::builder()
        .param("servers", network.address())
        .param("timeout", 300)
        .param("retry_interval", 100)
        .script("set", "$mct(k) = $hdr(X-Key);", &["$mcst"])
        .script("get", "", &["$mct(k)"])
        .start();
    let set = |value: &str| kamailio.run_with("set", Request::options().header("X-Key", value));
    assert_eq!(set("first")["$mcst"], "stored");
    let connected = network.connections();
    network.lead_astray();
    assert_eq!(set("given up")["$mcst"], "timeout");
    pass(BETWEEN_TWO);
    network.lead_back();
    wait::until("the newer one is stored", wait::WAIT_LIMIT, || {
        set("newer")["$mcst"] == "stored"
    });
    wait::until("the old connections are gone", LIMIT, || {
        network.connections() <= connected
    });
    assert_eq!(kamailio.run("get")["$mct(k)"], "newer");
}
