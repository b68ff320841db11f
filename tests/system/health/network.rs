//! A network that drops packets, and a machine that loses its power: nothing is refused, nothing is
//! closed, nothing comes back. Where no network can be made (that needs root and `ip`), these tests
//! say so and pass; a full backlog in `stall.rs` shows the connecting half of it everywhere.

use std::collections::HashSet;
use std::time::Duration;

use kamailio_memcached::internals::{Distribution, Placement, parse_list};
use support::{Answer, Builder, Kamailio, Memcached, Network, Request, Run, wait};

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

/// Has every worker run it, so that each has a connection; what came of it.
fn by_all(kamailio: &Kamailio, script: &str, key: &str) -> Vec<Answer> {
    let (mut answers, mut seen) = (Vec::new(), HashSet::new());
    let workers = kamailio.workers().len();
    wait::until("every worker to answer", wait::PATIENCE, || {
        let more = at_once(kamailio, script, 3 * workers, key);
        seen.extend(more.iter().map(|answer| answer["$pp"].clone()));
        answers.extend(more);
        seen.len() == workers
    });
    answers
}

fn at_once(kamailio: &Kamailio, script: &str, count: usize, key: &str) -> Vec<Answer> {
    let launch = |_| kamailio.launch(script, Request::options().header("X-Key", key));
    let runs: Vec<Run> = (0..count).map(launch).collect();
    runs.into_iter().map(Run::wait).collect()
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
            by_all(&kamailio, "set", "k");
        }
        network.cut();
        let bystanders = Bystanders::start(&kamailio);
        let answers = at_once(&kamailio, "set", workers, "k");
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
        for answer in at_once(&kamailio, "set", 3 * workers, "k") {
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
        for answer in by_all(&kamailio, "set", "k") {
            assert_eq!(answer["$mcst"], "stored");
        }
        // The new one answers by a reset whatever comes over connections to the old one.
        network.restart();
        let answers = at_once(&kamailio, "set", 12, "k");
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
            let answers = by_all(&kamailio, "count", &key);
            assert!(answers.iter().all(|answer| answer["$mcst"] == "miss"));
        }
        network.cut();
        let answers = at_once(&kamailio, "count", 12, &key);
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
