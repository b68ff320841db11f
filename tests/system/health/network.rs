//! A network that drops packets, and a machine that loses its power: nothing is refused, nothing is
//! closed, nothing comes back. Where no network can be made (that needs root and `ip`), these tests
//! say so and pass; a full backlog in `stall.rs` shows the connecting half of it everywhere.

use std::time::Duration;

use kamailio_memcached::internals::{Distribution, Placement, parse_list};
use support::{Builder, Kamailio, Memcached, Network, Request};

use super::watch::{Bystanders, SLACK, lines, micros_per_read, row, timed, wait_for_state};

const TIMEOUT: Duration = Duration::from_millis(1000);
const STALL_LIMIT: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(300);

fn builder(servers: &str, workers: usize) -> Builder {
    let builder = Kamailio::builder()
        .param("servers", servers)
        .param("retry_interval", 300)
        .param("failover", 1)
        .rpc()
        .children(workers)
        .script("set", "$mct($hdr(X-Key)) = 1;", &["$mcst", "$pp"])
        .script("count", "$mcinc($hdr(X-Key)) = 1;", &["$mcst", "$pp"]);
    timed(builder)
}

/// Four workers with time enough to begin, all of them, before the first one is overdue, and for a
/// stand-in after that, on a busy machine, too.
fn four(servers: &str) -> Kamailio {
    builder(servers, 4)
        .param("timeout", 2000)
        .param("stall_limit", 1000)
        .start()
}

/// A network, unless this machine has none to give.
fn network() -> Option<Network> {
    let network = Network::start();
    if network.is_none() {
        eprintln!("skipped: no network namespaces here");
    }
    network
}

#[test]
fn dropped_packets_hold_one_worker_until_its_deadline() {
    let Some(network) = network() else { return };
    for (workers, connected) in [(1, true), (4, true), (8, false)] {
        let kamailio = builder(&network.address(), workers)
            .param("timeout", 1000)
            .start();
        if connected {
            kamailio.run_on_every_worker("set", &Request::about("k"));
        }
        network.cut();
        let bystanders = Bystanders::start(&kamailio);
        let answers = kamailio.run_at_once("set", workers, &Request::about("k"));
        let held = answers.iter().filter(|answer| answer.elapsed() >= TIMEOUT);
        assert_eq!(held.count(), 1, "{workers} workers");
        for answer in &answers {
            assert_eq!(answer["$mcst"], "timeout", "{workers} workers");
            assert!(answer.elapsed() < TIMEOUT + SLACK);
        }
        let longest = bystanders.longest_wait();
        let most = if workers == 1 { TIMEOUT } else { STALL_LIMIT };
        assert!(longest < most + SLACK, "{workers} workers: {longest:?}");
        let (micros, word) = micros_per_read(&kamailio);
        assert_eq!(word, "down");
        assert!(micros <= 50, "{micros} µs");
        network.mend();
        let took = wait_for_state(&kamailio, &network.address(), "active");
        // A probe that was under way when the network came back has to fail first.
        assert!(
            took < RETRY + Duration::from_millis(500) + SLACK,
            "{took:?}"
        );
        for answer in kamailio.run_at_once("set", 3 * workers, &Request::about("k")) {
            assert_eq!(answer["$mcst"], "stored", "{workers} workers");
        }
        assert!(lines(&kamailio).len() <= 5, "{:#?}", lines(&kamailio));
    }
}

#[test]
fn half_open_connections_are_replaced() {
    let Some(mut network) = network() else { return };
    let kamailio = four(&network.address());
    for _ in 0..2 {
        for answer in kamailio.run_on_every_worker("set", &Request::about("k")) {
            assert_eq!(answer["$mcst"], "stored");
        }
        // The new one answers by a reset whatever comes over connections to the old one.
        network.restart();
        let answers = kamailio.run_at_once("set", 12, &Request::about("k"));
        let stored = answers.iter().filter(|answer| answer["$mcst"] == "stored");
        assert_eq!(stored.count(), 12);
        assert_eq!(row(&kamailio, &network.address()).state, "active");
    }
}

#[test]
fn a_server_behind_a_broken_network_is_stood_in_for() {
    let Some(network) = network() else { return };
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
