//! One kind of fault after the other, from its beginning to its end, with one worker and with eight,
//! while callers who do not use the cache go on calling: what the fault costs them and the others,
//! that all is well again afterwards, and that the log stays short.

use std::time::{Duration, Instant};

use support::{FaultyServer, Kamailio, Memcached, Network, Request, wait};

use super::watch::{Bystanders, SLACK, assert_all, lines, on_all_workers, row, wait_for_state};

const WORKERS: [usize; 2] = [1, 8];
const TIMEOUT: Duration = Duration::from_millis(1000);
const STALL_LIMIT: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(300);

/// The longest that a probe may take which was under way when the server came back.
const PROBE: Duration = Duration::from_millis(500);

fn start(workers: usize, address: &str) -> Kamailio {
    Kamailio::builder()
        .param("servers", address)
        .param("timeout", 1000)
        .param("retry_interval", 300)
        .children(workers)
        .rpc()
        .script("get", "", &["$mct(k)", "$mcst"])
        .start()
}

/// What a fault is like for who asks the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing comes back: one worker waits until its deadline.
    Silence,
    /// The refusal comes at once.
    Refusal,
}

/// From the beginning of a fault to its end; all workers have used the server before.
#[track_caller]
fn assert_bearable(kind: Kind, address: &str, begin: impl Fn(), end: impl Fn()) {
    for workers in WORKERS {
        let kamailio = start(workers, address);
        assert_all(&kamailio, "miss");
        let bystanders = Bystanders::start(&kamailio);
        begin();
        let begun = Instant::now();
        for answer in on_all_workers(&kamailio) {
            let word = answer["$mcst"].bytes().expect("a word");
            let words: [&[u8]; 3] = [b"timeout", b"busy", b"down"];
            assert!(words.contains(&word), "{}", word.escape_ascii());
        }
        let all = begun.elapsed();
        // With eight workers one is held until its deadline, and the others never as long.
        let (whole, bystander) = match (kind, workers) {
            (Kind::Refusal, _) => (Duration::ZERO, Duration::ZERO),
            (Kind::Silence, 1) => (TIMEOUT, TIMEOUT),
            (Kind::Silence, _) => (TIMEOUT, STALL_LIMIT),
        };
        assert!(all < whole + SLACK, "{workers} workers: {all:?}");
        let begun = Instant::now();
        assert_all(&kamailio, "down");
        let later = begun.elapsed();
        assert!(later < SLACK, "{workers} workers: {later:?}");
        let longest = bystanders.longest_wait();
        assert!(
            longest < bystander + SLACK,
            "{workers} workers: a bystander waited {longest:?}"
        );
        end();
        let back = wait_for_state(&kamailio, address, "active");
        assert!(
            back < RETRY + PROBE + SLACK,
            "{workers} workers: back after {back:?}"
        );
        assert_all(&kamailio, "miss");
        let said = lines(&kamailio);
        assert!((2..=5).contains(&said.len()), "{said:#?}");
    }
}

#[test]
fn a_stopped_server() {
    let memcached = Memcached::start();
    let (stop, go_on) = (|| memcached.pause(), || memcached.resume());
    assert_bearable(Kind::Silence, memcached.address(), stop, go_on);
}

#[test]
fn a_killed_server_that_is_started_again() {
    let memcached = Memcached::start();
    let (kill, restart) = (|| memcached.kill(), || memcached.restart());
    assert_bearable(Kind::Refusal, memcached.address(), kill, restart);
}

#[test]
fn packets_that_are_dropped() {
    let Some(network) = Network::start() else {
        eprintln!("skipped: no network namespaces here");
        return;
    };
    let (cut, mend) = (|| network.cut(), || network.mend());
    assert_bearable(Kind::Silence, &network.address(), cut, mend);
}

#[test]
fn connections_that_the_other_side_has_forgotten() {
    for workers in WORKERS {
        let Some(mut network) = Network::start() else {
            eprintln!("skipped: no network namespaces here");
            return;
        };
        let kamailio = start(workers, &network.address());
        assert_all(&kamailio, "miss");
        network.restart();
        let bystanders = Bystanders::start(&kamailio);
        assert_all(&kamailio, "miss");
        let longest = bystanders.longest_wait();
        assert!(longest < SLACK, "{workers} workers: {longest:?}");
        assert!(lines(&kamailio).is_empty(), "{:#?}", lines(&kamailio));
    }
}

#[test]
fn answers_that_are_slow() {
    let memcached = Memcached::start();
    let slow = FaultyServer::relay(memcached.address(), Duration::from_millis(50));
    for workers in WORKERS {
        let kamailio = start(workers, &slow.address());
        let bystanders = Bystanders::start(&kamailio);
        assert_all(&kamailio, "miss");
        // Five reads wait for each worker; a caller may come behind them.
        let longest = bystanders.longest_wait();
        let most = Duration::from_millis(5 * 50) + SLACK;
        assert!(longest < most, "{workers} workers: {longest:?}");
        assert_eq!(row(&kamailio, &slow.address()).state, "active");
        assert!(lines(&kamailio).is_empty(), "{:#?}", lines(&kamailio));
    }
}

#[test]
fn a_server_that_comes_and_goes() {
    let memcached = Memcached::start();
    for workers in WORKERS {
        let kamailio = start(workers, memcached.address());
        let bystanders = Bystanders::start(&kamailio);
        for _ in 0..4 {
            assert_all(&kamailio, "miss");
            memcached.kill();
            assert_all(&kamailio, "down");
            memcached.restart();
            let back = wait_for_state(&kamailio, memcached.address(), "active");
            assert!(back < RETRY + SLACK, "{workers} workers: {back:?}");
        }
        assert_all(&kamailio, "miss");
        let longest = bystanders.longest_wait();
        assert!(longest < SLACK, "{workers} workers: {longest:?}");
        let said = lines(&kamailio);
        assert!(said.len() <= 5, "{said:#?}");
    }
}

/// Kamailio does not go on without one of its processes, whoever killed it. It must not hang on the
/// way out because others wait for the same server, and nothing may be left for the next start.
#[test]
fn a_worker_that_is_killed_while_it_waits_on() {
    let memcached = Memcached::start();
    for workers in WORKERS {
        let kamailio = start(workers, memcached.address());
        assert_all(&kamailio, "miss");
        memcached.pause();
        let runs: Vec<_> = (0..workers)
            .map(|_| kamailio.launch("get", Request::options()))
            .collect();
        // ` 3(4711) WARNING: memcached […]: server … is trying: …`
        let line = kamailio.wait_for_log("is trying", wait::WAIT_LIMIT);
        let holder = line.split(['(', ')']).nth(1).expect("a process id");
        let all = kamailio.workers();
        let holder = all.iter().find(|worker| worker.to_string() == holder);
        holder.expect("one of the workers").kill();
        let begun = Instant::now();
        wait::until("Kamailio to end", wait::WAIT_LIMIT, || !kamailio.alive());
        let took = begun.elapsed();
        assert!(took < TIMEOUT + SLACK, "{workers} workers: {took:?}");
        for worker in all {
            wait::until("its workers to end", wait::WAIT_LIMIT, || !worker.alive());
        }
        drop(runs);
        memcached.resume();
        let again = start(workers, memcached.address());
        assert_all(&again, "miss");
    }
}
