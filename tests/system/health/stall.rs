//! A memcached that is there and does not answer: one worker waits for it, the others give up at
//! the stall limit, nobody else even begins, and callers who do not use the cache notice little.

use std::time::{Duration, Instant};

use support::{Builder, DeafServer, FaultyServer, Kamailio, Memcached, Request, wait};

use super::silence::{Asking, Silence};
use super::watch::{Bystanders, SLACK, assert_all, row, wait_for_state};

/// Of one operation.
const TIMEOUT: Duration = Duration::from_millis(1500);

fn builder(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 1500)
        .rpc()
        .script("get", "$avp(got) = $mct(k);", &["$avp(got)", "$mcst"])
        .script("ten", &"$var(x) = $mct(k);\n".repeat(10), &["$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"])
}

#[test]
fn a_stopped_server_holds_one_worker() {
    let memcached = Memcached::start();
    let silence = Silence {
        address: memcached.address(),
        begin: &|| memcached.pause(),
        end: Some(&|| memcached.resume()),
    };
    for (workers, connected) in [(1, true), (2, false), (4, false), (8, true)] {
        silence.assert_costs_little(Asking::reading(workers, connected));
    }
}

#[test]
fn a_port_that_swallows_connections_holds_one_worker() {
    let deaf = DeafServer::start();
    let silence = Silence {
        address: &deaf.address(),
        begin: &|| {},
        end: None,
    };
    silence.assert_costs_little(Asking::reading(4, false));
}

#[test]
fn the_only_worker_waits_once() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address()).start();
    memcached.pause();
    let ten = kamailio.run("ten");
    assert_eq!(ten["$mcst"], "down");
    assert!(ten.elapsed() >= TIMEOUT, "{:?}", ten.elapsed());
    assert!(ten.elapsed() < TIMEOUT + SLACK, "{:?}", ten.elapsed());
    let bystanders = Bystanders::start(&kamailio);
    assert!(kamailio.run("ten").elapsed() < SLACK);
    assert!(bystanders.longest_wait() < SLACK);
}

#[test]
fn the_late_answer_clears_the_mark() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "late");
    let kamailio = builder(memcached.address()).children(2).start();
    for number in 1..=2 {
        memcached.pause();
        let run = kamailio.launch("get", Request::options());
        wait_for_state(&kamailio, memcached.address(), "trying");
        assert_eq!(kamailio.run("get")["$mcst"], "busy");
        assert_eq!(row(&kamailio, memcached.address()).in_flight, 1);
        memcached.resume();
        let answer = run.wait();
        assert_eq!(answer["$avp(got)"], "late", "nothing is lost to who waited");
        assert_eq!(row(&kamailio, memcached.address()).state, "active");
        assert_eq!(kamailio.run("get")["$mcst"], "hit");
        let said = kamailio.log_lines("is active: it has answered; it was trying for ");
        assert_eq!(said.len(), number, "{said:?}");
    }
    let counted = row(&kamailio, memcached.address());
    assert_eq!((counted.failures, counted.in_flight), (0, 0));
    assert_eq!(kamailio.module_lines().len(), 4);
}

#[test]
fn an_answer_that_is_long_in_coming_is_two_lines_that_tell_how_long() {
    let memcached = Memcached::start();
    let slow = FaultyServer::relay(memcached.address(), Duration::from_millis(900));
    let kamailio = builder(&slow.address()).start();
    assert_eq!(kamailio.run("get")["$mcst"], "miss");
    let server = format!("server {}", slow.address());
    let trying = format!("{server} is trying: no answer for 200ms; it was active for ");
    assert_eq!(kamailio.log_lines(&trying).len(), 1, "{}", kamailio.log());
    let active = format!("{server} is active: it has answered; it was trying for ");
    let lines = kamailio.log_lines(&active);
    let [line] = &lines[..] else {
        kamailio.fail("one line for the answer expected");
    };
    let (_, seconds) = line.split_once("it was trying for ").expect("a duration");
    let seconds: f32 = seconds.trim_end_matches(" s").parse().expect("seconds");
    // The delay without the stall limit is 0.7 s.
    assert!((0.6..1.1).contains(&seconds), "{line}");
}

#[test]
fn answers_that_are_slow_but_in_time_mark_nobody() {
    let memcached = Memcached::start();
    for (workers, millis) in [(1, 50), (4, 80), (8, 50)] {
        let delay = Duration::from_millis(millis);
        let slow = FaultyServer::relay(memcached.address(), delay);
        let kamailio = builder(&slow.address()).children(workers).start();
        let bystanders = Bystanders::start(&kamailio);
        assert_all(&kamailio, "miss");
        // Five reads wait for each worker; a caller may come behind them.
        let longest = bystanders.longest_wait();
        assert!(
            longest < 5 * delay + SLACK,
            "{workers} workers: {longest:?}"
        );
        let row = row(&kamailio, &slow.address());
        assert_eq!((&row.state[..], row.failures), ("active", 0));
        assert_eq!(row.operations, 5 * workers as u64);
        kamailio.assert_nothing_logged();
    }
}

#[test]
fn a_limit_beyond_the_timeout_is_none() {
    let memcached = Memcached::start();
    let kamailio = builder(memcached.address())
        .param("timeout", 400)
        .param("stall_limit", 5000)
        .children(4)
        .start();
    memcached.pause();
    for answer in kamailio.run_at_once("get", 4, &Request::options()) {
        assert_eq!(answer["$mcst"], "timeout");
        assert!(answer.elapsed() >= Duration::from_millis(400));
    }
    assert_eq!(row(&kamailio, memcached.address()).state, "inactive");
    assert_eq!(kamailio.module_lines().len(), 1);
}

#[test]
fn a_stalled_server_is_no_matter_for_another_one() {
    let (stopped, healthy) = (Memcached::start(), Memcached::start());
    let kamailio = builder(stopped.address())
        .param("pool", format!("name=other;servers={}", healthy.address()))
        .script("other", "$mct(other=>k) = 1;", &["$mcst"])
        .children(2)
        .start();
    stopped.pause();
    let run = kamailio.launch("get", Request::options());
    wait_for_state(&kamailio, stopped.address(), "trying");
    for _ in 0..20 {
        let answer = kamailio.run("other");
        assert_eq!(answer["$mcst"], "stored");
        assert!(answer.elapsed() < SLACK);
    }
    assert_eq!(row(&kamailio, healthy.address()).state, "active");
    assert_eq!(run.wait()["$mcst"], "timeout");
}

#[test]
fn counts_that_nobody_waited_for_are_never_repeated() {
    const WORKERS: usize = 4;
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "0");
    // All workers can begin before the first one is overdue, on a busy machine, too.
    let kamailio = builder(memcached.address())
        .param("timeout", 3000)
        .param("stall_limit", 1000)
        .children(WORKERS)
        .start();
    memcached.pause();
    let answers = kamailio.run_at_once("count", 3 * WORKERS, &Request::options());
    let asked = answers
        .iter()
        .filter(|answer| answer["$mcst"] == "timeout")
        .count();
    assert_eq!(asked, WORKERS);
    memcached.resume();
    wait_for_state(&kamailio, memcached.address(), "active");
    assert_eq!(kamailio.run("count")["$mcst"], "counted");
    let count: usize = memcached
        .text("n")
        .expect("a count")
        .parse()
        .expect("a number");
    assert!((1..=WORKERS + 1).contains(&count), "{count}");
}

/// Kamailio does not go on without one of its processes, whoever killed it. It must not hang on the
/// way out because others wait for the same server, and nothing may be left for the next start.
#[test]
fn a_worker_that_is_killed_while_it_waits_on() {
    let memcached = Memcached::start();
    for workers in [1, 8] {
        let start = || builder(memcached.address()).children(workers).start();
        let kamailio = start();
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
        let again = start();
        assert_all(&again, "miss");
    }
}
