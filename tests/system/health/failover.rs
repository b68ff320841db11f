//! Who serves the keys of servers that are out, with five servers that fail one by one and all
//! together: nobody (`failover=0`), the next one on the ring (1), a ring without them (2). And what
//! is lost when one is killed while callers keep all workers busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Answer, FaultyServer, Kamailio, Memcached, Request, during, wait};

use super::cluster::{Cluster, DISTRIBUTIONS, TIMEOUT, assert_at_once, keys, run};
use super::watch::{SLACK, row, wait_for_state};

#[test]
fn without_failover_keys_of_a_dead_server_fail_at_once_and_others_do_not_notice() {
    for distribution in DISTRIBUTIONS {
        let cluster = Cluster::start(distribution);
        let kamailio = cluster.builder(0).param("retry_interval", -1).start();
        let (keys, mut dead) = (keys(40), Vec::new());
        let (mut of_dead, mut of_others) = (Vec::new(), Vec::new());
        for key in &keys {
            assert_eq!(run(&kamailio, "set", key)["$mcst"], "stored");
        }
        for server in [3, 0, 4, 1, 2] {
            cluster.kill(&kamailio, server);
            dead.push(server);
            for key in &keys {
                let answer = run(&kamailio, "get", key);
                let lost = dead.contains(&cluster.owner(key));
                assert_eq!(answer["$mcst"], if lost { "down" } else { "hit" }, "{key}");
                let times = if lost { &mut of_dead } else { &mut of_others };
                times.push(answer.elapsed());
            }
            cluster.assert_placed(&dead, &living(&cluster, &keys, &dead), |key| {
                cluster.owner(key)
            });
        }
        assert_at_once(of_dead);
        assert_at_once(of_others);
    }
}

/// Those keys whose servers live.
fn living(cluster: &Cluster, keys: &[String], dead: &[usize]) -> Vec<String> {
    let lives = |key: &&String| !dead.contains(&cluster.owner(key));
    keys.iter().filter(lives).cloned().collect()
}

/// Kills four of five, one by one; each time all keys are written and must lie where `place` says
/// that they do without the dead.
fn assert_served(failover: i64, place: fn(&Cluster, &str, &[usize]) -> usize) {
    for distribution in DISTRIBUTIONS {
        let cluster = Cluster::start(distribution);
        let kamailio = cluster
            .builder(failover)
            .param("retry_interval", -1)
            .start();
        let (keys, mut dead, mut times) = (keys(40), Vec::new(), Vec::new());
        for server in [2, 4, 0, 3] {
            cluster.kill(&kamailio, server);
            dead.push(server);
            cluster
                .memcacheds
                .iter()
                .enumerate()
                .for_each(|(at, memcached)| {
                    if !dead.contains(&at) {
                        memcached.command("flush_all\r\n");
                    }
                });
            for key in &keys {
                assert_eq!(run(&kamailio, "get", key)["$mcst"], "miss", "{key}");
                assert_eq!(run(&kamailio, "set", key)["$mcst"], "stored", "{key}");
                let answer = run(&kamailio, "get", key);
                assert_eq!(answer["$mct($hdr(X-Key))"], *key);
                times.push(answer.elapsed());
            }
            cluster.assert_placed(&dead, &keys, |key| place(&cluster, key, &dead));
        }
        assert_at_once(times);
        cluster.kill(&kamailio, 1);
        let without = ["get", "set", "count"].map(|script| {
            let answer = run(&kamailio, script, &keys[0]);
            assert_eq!(answer["$mcst"], "down");
            answer.elapsed()
        });
        assert_at_once(without.into());
    }
}

#[test]
fn the_next_live_server_on_the_ring_stands_in_and_no_other_key_moves() {
    assert_served(1, |cluster, key, dead| {
        let place = cluster.stand_in(key, dead);
        let owner = cluster.owner(key);
        assert!(dead.contains(&owner) || place == owner, "{key} has moved");
        place
    });
}

#[test]
fn a_new_ring_is_one_that_never_had_the_dead_servers() {
    assert_served(2, Cluster::owner_without);
}

#[test]
fn with_the_servers_all_keys_come_back() {
    for failover in 0..=2 {
        let cluster = Cluster::start(DISTRIBUTIONS[0]);
        let kamailio = cluster
            .builder(failover)
            .param("retry_interval", 50)
            .children(4)
            .start();
        let keys = keys(40);
        // All together, and not one by one.
        cluster.memcacheds.iter().for_each(Memcached::kill);
        for server in 0..5 {
            run(&kamailio, "get", &cluster.key_of(server));
        }
        for key in &keys {
            assert_eq!(
                run(&kamailio, "get", key)["$mcst"],
                "down",
                "failover={failover}"
            );
        }
        cluster.memcacheds.iter().for_each(Memcached::restart);
        for memcached in &cluster.memcacheds {
            wait_for_state(&kamailio, memcached.address(), "active");
        }
        for key in &keys {
            assert_eq!(
                run(&kamailio, "set", key)["$mcst"],
                "stored",
                "failover={failover}"
            );
        }
        cluster.assert_placed(&[], &keys, |key| cluster.owner(key));
    }
}

#[test]
fn a_stalled_server_is_stood_in_for_within_the_same_deadline() {
    let cluster = Cluster::start(DISTRIBUTIONS[0]);
    let kamailio = cluster.builder(1).children(4).start();
    cluster.memcacheds[0].pause();
    let key = cluster.key_of(0);
    let answers = kamailio.run_at_once("set", 12, &Request::about(&key));
    let stored = answers
        .iter()
        .filter(|answer| answer["$mcst"] == "stored")
        .count();
    assert_eq!(stored, 11, "all but the one that waits on");
    let late = answers.iter().filter(|answer| answer["$mcst"] == "timeout");
    for answer in late {
        assert!(answer.elapsed() >= TIMEOUT);
        assert!(answer.elapsed() < TIMEOUT + SLACK);
    }
    let stand_in = cluster.stand_in(&key, &[0]);
    assert_eq!(cluster.memcacheds[stand_in].text(&key), Some(key));
    let stopped = cluster.memcacheds[0].address();
    for line in kamailio.module_lines() {
        assert!(line.contains(stopped), "no other is to blame: {line}");
    }
}

/// The first server to be asked for `slow` spends most of the time on nonsense, the second one says
/// nothing; both have answered before.
#[test]
fn a_stand_in_has_what_is_left_of_the_deadline_and_no_more() {
    let (nonsense, limit) = (Duration::from_millis(700), Duration::from_millis(2000));
    let asked = Arc::new(AtomicUsize::new(0));
    let server = || {
        let asked = Arc::clone(&asked);
        FaultyServer::start(move |connection| {
            loop {
                if connection.request()? != b"get slow\r\n" {
                    connection.send("END\r\n")?;
                } else if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                    connection.wait(nonsense)?;
                    connection.send("NONSENSE\r\n")?;
                } else {
                    connection.silence()?;
                }
            }
        })
    };
    let servers = [server(), server()];
    let addresses = servers.each_ref().map(FaultyServer::address);
    let kamailio = Kamailio::builder()
        .param("servers", addresses.join(","))
        .param("failover", 1)
        .param("timeout", 2000)
        .param("stall_limit", 5000)
        .script("get", "$var(x) = $mct($hdr(X-Key));", &["$mcst"])
        .start();
    for key in keys(20) {
        assert_eq!(run(&kamailio, "get", &key)["$mcst"], "miss");
    }
    let answer = run(&kamailio, "get", "slow");
    assert_eq!(answer["$mcst"], "timeout");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let elapsed = answer.elapsed();
    assert!(elapsed >= limit, "{elapsed:?}");
    assert!(elapsed < nonsense + limit, "a time of its own: {elapsed:?}");
}

/// Servers that do what they are asked and then hang up instead of answering.
#[test]
fn a_count_that_may_have_been_made_is_made_nowhere_else() {
    let hangs_up = || {
        FaultyServer::start(|connection| {
            connection.request()?;
            connection.hang_up()
        })
    };
    let servers = [hangs_up(), hangs_up(), hangs_up()];
    let addresses: Vec<String> = servers.iter().map(FaultyServer::address).collect();
    let kamailio = Kamailio::builder()
        .param("servers", addresses.join(","))
        .param("failover", 1)
        .param("retry_interval", -1)
        .script("count", "$mcinc($hdr(X-Key)) = 1;", &["$mcst"])
        .script("get", "$var(x) = $mct($hdr(X-Key));", &["$mcst"])
        .start();
    let asked = |verb: &str| {
        let streams = servers.iter().flat_map(FaultyServer::received);
        streams
            .filter(|stream| stream.starts_with(verb.as_bytes()))
            .count()
    };
    assert_eq!(run(&kamailio, "count", "n")["$mcst"], "down");
    assert_eq!(asked("incr n"), 1);
    // A read may be repeated: once at each of the two that are left.
    assert_eq!(run(&kamailio, "get", "n")["$mcst"], "down");
    assert_eq!(asked("get n"), 2);
}

#[test]
fn a_count_that_was_not_made_is_made_once_by_the_stand_in() {
    let cluster = Cluster::start(DISTRIBUTIONS[0]);
    for server in 0..2 {
        // One that has no connection yet: over an open one the count could have arrived.
        let kamailio = cluster.builder(1).start();
        let key = cluster.key_of(server);
        let dead: Vec<usize> = (0..=server).collect();
        let stand_in = &cluster.memcacheds[cluster.stand_in(&key, &dead)];
        stand_in.put(&key, 0, 0, "0");
        cluster.memcacheds[server].kill();
        // The first one finds the port closed, the second one asks no more.
        for count in ["1", "2"] {
            assert_eq!(run(&kamailio, "count", &key)["$mcst"], "counted");
            assert_eq!(stand_in.text(&key).as_deref(), Some(count));
        }
    }
}

#[test]
fn one_of_five_killed_under_load_costs_no_request_anything() {
    for (failover, workers) in [(1, 1), (1, 8), (2, 8)] {
        let cluster = Cluster::start(DISTRIBUTIONS[0]);
        let memcacheds = &cluster.memcacheds;
        let script = "
            $var(x) = $mct($hdr(X-Key));
            $var(first) = $mcst;
            $var(x) = $mct($hdr(X-Key));
            $var(second) = $mcst;
            $mct($hdr(X-Key)) = 1;";
        let expressions = ["$var(first)", "$var(second)", "$mcst"];
        let kamailio = cluster
            .builder(failover)
            .script("load", script, &expressions)
            .children(workers)
            .start();
        let keys = keys(50);
        let call = |number: usize| run(&kamailio, "load", &keys[number % keys.len()]);
        let ((), answers) = during(8, call, |_| {
            let asked = || row(&kamailio, memcacheds[1].address()).operations;
            wait::until("some load", wait::WAIT_LIMIT, || asked() > 100);
            memcacheds[3].kill();
            let address = memcacheds[3].address();
            wait_for_state(&kamailio, address, "inactive");
            let before = asked();
            wait::until("more load", wait::WAIT_LIMIT, || asked() > before + 100);
        });
        let failed = |answer: &Answer, name: &str| answer[name] != "hit" && answer[name] != "miss";
        let count =
            |lost: &dyn Fn(&Answer) -> bool| answers.iter().filter(|answer| lost(answer)).count();
        let first = count(&|answer| failed(answer, "$var(first)"));
        let second = count(&|answer| failed(answer, "$var(second)"));
        let both = count(&|answer| failed(answer, "$var(first)") && failed(answer, "$var(second)"));
        let what = format!(
            "failover={failover}, {workers} workers, {} requests",
            answers.len()
        );
        assert_eq!(both, 0, "{what}: nothing fails twice");
        // With a new ring those fail that were under way, one for each worker at most.
        let most = if failover == 1 { 0 } else { workers };
        assert!(
            first + second <= most,
            "{what}: {first} and {second} reads failed"
        );
    }
}
