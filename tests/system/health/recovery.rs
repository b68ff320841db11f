//! A memcached that comes back: the prober finds out, within its interval and without a call's help,
//! and the first operation succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::{Answer, Builder, FaultyServer, Kamailio, Memcached, Request, wait};

use super::watch::{Bystanders, SLACK, assert_all, row, wait_for_state};

/// A server that is slow on a busy machine has not failed.
fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 1000)
        .param("stall_limit", 1000)
        .rpc()
        .script("get", "", &["$mct($hdr(X-Key))", "$mcst"])
}

fn get(kamailio: &Kamailio, key: &str) -> Answer {
    kamailio.run_with("get", Request::about(key))
}

/// One read after the other until one is a hit; how long that took.
#[track_caller]
fn wait_for_hit(kamailio: &Kamailio, key: &str) -> Duration {
    let begun = Instant::now();
    wait::until("a hit", wait::WAIT_LIMIT, || {
        get(kamailio, key)["$mcst"] == "hit"
    });
    begun.elapsed()
}

#[test]
fn the_prober_brings_a_server_back() {
    for (workers, threshold, retry) in [(1, 1, 300), (8, 1, 300), (4, 3, 200)] {
        for memcached in [Memcached::start(), Memcached::unix()] {
            let kamailio = builder(memcached.address())
                .param("retry_interval", retry)
                .param("probing_threshold", threshold)
                .children(workers)
                .start();
            let mut fastest = Duration::MAX;
            for round in 0..2 {
                let what = format!("{workers} workers, threshold {threshold}, round {round}");
                memcached.put("k", 1, 0, "v");
                assert_eq!(get(&kamailio, "k")["$mcst"], "hit", "{what}");
                memcached.kill();
                assert_eq!(get(&kamailio, "k")["$mcst"], "down", "{what}");
                assert_eq!(row(&kamailio, memcached.address()).state, "inactive");
                memcached.restart();
                memcached.put("k", 1, 0, "v");
                fastest = fastest.min(wait_for_hit(&kamailio, "k"));
                let back = row(&kamailio, memcached.address());
                assert_eq!(back.state, "active", "{what}");
            }
            let interval = Duration::from_millis(u64::try_from(retry * threshold).unwrap());
            assert!(
                fastest <= interval + SLACK,
                "threshold {threshold}: {fastest:?}"
            );
            let changes = if threshold == 1 { 2 } else { 3 };
            let lines = kamailio.module_lines();
            assert!(lines.len() <= 2 * changes.min(5), "{lines:#?}");
        }
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_costs_callers_nothing() {
    const RETRY: Duration = Duration::from_millis(300);
    let memcached = Memcached::start();
    for workers in [1, 8] {
        let kamailio = builder(memcached.address())
            .param("retry_interval", 300)
            .param("stall_limit", 200)
            .children(workers)
            .start();
        let bystanders = Bystanders::start(&kamailio);
        for number in 0..4 {
            assert_all(&kamailio, "miss");
            memcached.kill();
            // The refusal comes at once, also to those who are the first to notice.
            for _ in 0..2 {
                let begun = Instant::now();
                assert_all(&kamailio, "down");
                let all = begun.elapsed();
                assert!(all < SLACK, "{workers} workers: {all:?}");
            }
            memcached.restart();
            let back = wait_for_state(&kamailio, memcached.address(), "active");
            assert!(back < RETRY + SLACK, "{workers} workers: {back:?}");
            if number == 0 {
                let said = kamailio.module_lines();
                assert!((2..=5).contains(&said.len()), "{said:#?}");
            }
        }
        assert_all(&kamailio, "miss");
        let longest = bystanders.longest_wait();
        assert!(longest < SLACK, "{workers} workers: {longest:?}");
        let said = kamailio.module_lines();
        assert!(said.len() <= 5, "{said:#?}");
    }
}

#[test]
fn it_comes_back_empty_and_the_first_operation_succeeds() {
    for workers in [1, 4] {
        let memcached = Memcached::start();
        let kamailio = builder(memcached.address()).children(workers).start();
        for _ in 0..3 {
            memcached.put("k", 1, 0, "v");
            assert_eq!(get(&kamailio, "k")["$mcst"], "hit");
            // Nobody asks while it is away, so nobody takes it for dead.
            memcached.restart();
            for _ in 0..workers {
                assert_eq!(get(&kamailio, "k")["$mcst"], "miss");
            }
        }
        let row = row(&kamailio, memcached.address());
        assert_eq!((&row.state[..], row.failures), ("active", 0));
        kamailio.assert_nothing_logged();
    }
}

/// Each connection of a probe to the silent server lasts half a second; a prober that waits for its
/// end never finds the other one before that. On a busy machine it may take more rounds to see that
/// ours does.
#[test]
fn a_dead_server_does_not_delay_the_return_of_another() {
    let (memcached, silent) = (Memcached::start(), FaultyServer::silent());
    let pool = format!("name=silent;servers={};retry_interval=10", silent.address());
    let kamailio = builder(memcached.address())
        .param("pool", pool)
        .param("retry_interval", 100)
        .script("silent", "", &["$mct(silent=>k)"])
        .start();
    kamailio.run("silent");
    assert_eq!(row(&kamailio, &silent.address()).state, "inactive");
    let (mut rounds, mut in_time) = (0, 0);
    while in_time < 4 {
        rounds += 1;
        assert!(rounds <= 40, "only {in_time} returns during a probe");
        memcached.kill();
        assert_eq!(get(&kamailio, "k")["$mcst"], "down");
        let ended = silent.connections();
        wait::until("a probe", wait::WAIT_LIMIT, || silent.connections() > ended);
        let probe = silent.connections();
        memcached.restart();
        wait_for_state(&kamailio, memcached.address(), "active");
        let goes_on = silent.open() > 0 && silent.connections() == probe;
        in_time += usize::from(goes_on);
    }
}

#[test]
fn a_server_that_stays_out_is_probed_more_and_more_seldom() {
    let start = || {
        FaultyServer::start(|connection| {
            connection.request()?;
            connection.send("NONSENSE\r\n")
        })
    };
    let (often, seldom) = (start(), start());
    let pool = format!("name=often;servers={};retry_max=0", often.address());
    let kamailio = builder(&seldom.address())
        .param("retry_interval", 100)
        .param("retry_max", 60_000)
        .param("pool", pool)
        .script("both", "$mct(a) = 1; $mct(often=>a) = 1;", &["$mcst"])
        .start();
    kamailio.run("both");
    for server in [&often, &seldom] {
        assert_eq!(row(&kamailio, &server.address()).state, "inactive");
    }
    let probes_of = |server: &FaultyServer, count| {
        let before = server.connections();
        wait::until("the probes", wait::WAIT_LIMIT, || {
            server.connections() >= before + count
        });
    };
    let before = seldom.connections();
    probes_of(&often, 30);
    // In the time of 30 waits of 100 ms there are 8 that grow by half each time.
    let grown = seldom.connections() - before;
    assert!((4..=14).contains(&grown), "{grown}");
    // 10 more of those would take minutes.
    kamailio.rpc("cfg.set_now_int", &["memcached", "retry_max", "0"]);
    probes_of(&seldom, 10);
}

#[test]
fn without_retries_only_an_operator_brings_it_back() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("retry_interval", -1)
        .start();
    memcached.kill();
    assert_eq!(get(&kamailio, "k")["$mcst"], "down");
    memcached.restart();
    memcached.put("k", 1, 0, "v");
    let connections = memcached.stat("total_connections");
    let wait_limit = Duration::from_millis(1500);
    let asked = wait::poll(wait_limit, || {
        (get(&kamailio, "k")["$mcst"] == "hit").then_some(())
    });
    assert_eq!(asked, None);
    // One for each look of ours.
    assert_eq!(memcached.stat("total_connections"), connections + 1);
    kamailio.rpc("memcached.set_state", &["active", memcached.address()]);
    assert_eq!(get(&kamailio, "k")["$mcst"], "hit");
}

#[test]
fn pings_find_an_idle_server_dead_before_a_call_does() {
    let (killed, stopped) = (Memcached::start(), Memcached::start());
    let servers = format!("{},{}", killed.address(), stopped.address());
    let kamailio = builder(&servers).param("ping_interval", 1).start();
    killed.kill();
    stopped.pause();
    for (memcached, reason) in [(&killed, "down"), (&stopped, "timeout")] {
        let took = wait_for_state(&kamailio, memcached.address(), "inactive");
        assert!(took < Duration::from_millis(1500) + SLACK, "{took:?}");
        let row = row(&kamailio, memcached.address());
        assert_eq!((&row.reason[..], row.operations), (reason, 0));
    }
    killed.restart();
    stopped.resume();
    wait_for_state(&kamailio, killed.address(), "active");
    wait_for_state(&kamailio, stopped.address(), "active");
    assert_eq!(kamailio.module_lines().len(), 4);
}

#[test]
fn an_idle_server_is_not_asked_without_pings() {
    let server = FaultyServer::silent();
    let kamailio = builder(&server.address())
        .param("retry_interval", 10)
        .start();
    let asked = wait::poll(Duration::from_millis(500), || {
        (server.connections() > 0).then_some(())
    });
    assert_eq!(asked, None, "{}", kamailio.log());
}

#[test]
fn a_server_that_fails_its_probes_stays_out() {
    let lies = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&lies);
    let server = FaultyServer::start(move |connection| {
        loop {
            let request = connection.request()?;
            let good = request == b"version\r\n" && !told.load(Ordering::Relaxed);
            connection.send(if good {
                "VERSION 1.6\r\n"
            } else {
                "NONSENSE\r\n"
            })?;
        }
    });
    let kamailio = builder(&server.address())
        .param("retry_interval", 10)
        .start();
    assert_eq!(get(&kamailio, "k")["$mcst"], "garbled");
    wait::until("ten probes", wait::WAIT_LIMIT, || server.connections() > 10);
    assert_eq!(row(&kamailio, &server.address()).state, "inactive");
    lies.store(false, Ordering::Relaxed);
    wait_for_state(&kamailio, &server.address(), "active");
    assert_eq!(kamailio.module_lines().len(), 2);
}
