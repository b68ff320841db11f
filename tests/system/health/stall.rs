//! A memcached that is there and does not answer: one worker waits for it, the others give up at
//! the stall limit, nobody else even begins, and callers who do not use the cache notice little.

use std::time::Duration;

use support::{Answer, Builder, DeafServer, FaultyServer, Kamailio, Memcached, Request};

use super::watch::{Bystanders, SLACK, lines, micros_per_read, row, timed, wait_for_state};

const TIMEOUT: Duration = Duration::from_millis(1500);

/// The default.
const STALL_LIMIT: Duration = Duration::from_millis(200);

fn builder(servers: &str) -> Builder {
    let builder = Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 1500)
        .rpc()
        .script("get", "$avp(got) = $mct(k);", &["$avp(got)", "$mcst"])
        .script("ten", &"$var(x) = $mct(k);\n".repeat(10), &["$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"]);
    timed(builder)
}

/// Has so many workers read at the same time; what they came to, the fastest first.
fn at_once(kamailio: &Kamailio, count: usize) -> Vec<Answer> {
    let mut answers = kamailio.run_at_once("get", count, &Request::options());
    answers.sort_by_key(Answer::elapsed);
    answers
}

/// One of them has waited until the deadline, the others no longer than the stall limit.
#[track_caller]
fn assert_one_waits_on(answers: &[Answer]) {
    let (last, others) = answers.split_last().expect("one or more");
    assert_eq!(last["$mcst"], "timeout");
    assert!(last.elapsed() >= TIMEOUT, "{:?}", last.elapsed());
    assert!(last.elapsed() < TIMEOUT + SLACK, "{:?}", last.elapsed());
    for other in others {
        assert_eq!(other["$mcst"], "timeout");
        assert!(other.elapsed() >= STALL_LIMIT, "{:?}", other.elapsed());
        assert!(
            other.elapsed() < STALL_LIMIT + SLACK,
            "{:?}",
            other.elapsed()
        );
    }
}

/// From the first silence to the return, for a server that falls silent by `stall`.
#[track_caller]
fn assert_costs_little(workers: usize, address: &str, stall: impl FnOnce(&Kamailio)) -> Kamailio {
    let kamailio = builder(address).children(workers).start();
    stall(&kamailio);
    let bystanders = Bystanders::start(&kamailio);
    let answers = std::thread::scope(|scope| {
        let answers = scope.spawn(|| at_once(&kamailio, workers));
        wait_for_state(&kamailio, address, "trying");
        let stalled = row(&kamailio, address);
        assert_eq!(stalled.reason, "timeout");
        // Whoever would begin now is told to leave it at once.
        let (micros, word) = micros_per_read(&kamailio);
        assert_eq!(word, "busy");
        assert!(micros <= 50, "{micros} µs");
        assert_eq!(row(&kamailio, address).state, "trying", "all the while");
        answers.join().expect("no panic")
    });
    assert_one_waits_on(&answers);
    let wait = bystanders.longest_wait();
    assert!(wait < STALL_LIMIT + SLACK, "a bystander waited {wait:?}");
    let failed = row(&kamailio, address);
    assert_eq!(
        (&failed.state[..], &failed.reason[..]),
        ("inactive", "timeout")
    );
    assert_eq!((failed.in_flight, failed.failures), (0, 1));
    let (micros, word) = micros_per_read(&kamailio);
    assert_eq!(word, "down");
    assert!(micros <= 50, "{micros} µs");
    kamailio
}

#[test]
fn a_stopped_server_holds_one_worker_of_four() {
    let memcached = Memcached::start();
    let kamailio = assert_costs_little(4, memcached.address(), |_| memcached.pause());
    memcached.resume();
    let took = wait_for_state(&kamailio, memcached.address(), "active");
    assert!(took < Duration::from_millis(1000) + SLACK, "{took:?}");
    assert_eq!(kamailio.run("get")["$mcst"], "miss");
    assert_eq!(lines(&kamailio).len(), 3, "trying, inactive, active");
}

#[test]
fn a_stopped_server_holds_one_worker_of_eight_that_have_used_it() {
    let memcached = Memcached::start();
    assert_costs_little(8, memcached.address(), |kamailio| {
        at_once(kamailio, 24);
        memcached.pause();
    });
}

#[test]
fn a_port_that_swallows_connections_holds_one_worker() {
    let deaf = DeafServer::start();
    let kamailio = assert_costs_little(4, &deaf.address(), |_| {});
    assert_eq!(row(&kamailio, &deaf.address()).state, "inactive");
    assert_eq!(lines(&kamailio).len(), 2, "trying, inactive");
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
fn more_reads_than_workers_keep_callers_waiting_for_the_stall_limit() {
    for workers in [2, 4, 8] {
        let memcached = Memcached::start();
        let kamailio = builder(memcached.address()).children(workers).start();
        memcached.pause();
        let (bystanders, answers) = std::thread::scope(|scope| {
            let answers = scope.spawn(|| at_once(&kamailio, 3 * workers));
            let bystanders = Bystanders::start(&kamailio);
            (bystanders, answers.join().expect("no panic"))
        });
        let wait = bystanders.longest_wait();
        assert!(wait < STALL_LIMIT + SLACK, "{workers} workers: {wait:?}");
        let word = |word: &str| {
            answers
                .iter()
                .filter(|answer| answer["$mcst"] == word)
                .count()
        };
        assert_eq!(word("timeout"), workers, "those that had begun");
        assert_eq!(word("busy"), 2 * workers, "those that had not");
        let held = answers
            .iter()
            .filter(|answer| answer.elapsed() >= TIMEOUT)
            .count();
        assert_eq!(held, 1);
    }
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
    assert_eq!(lines(&kamailio).len(), 4);
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
    let slow = FaultyServer::relay(memcached.address(), Duration::from_millis(80));
    let kamailio = builder(&slow.address()).children(4).start();
    for _ in 0..5 {
        for answer in at_once(&kamailio, 4) {
            assert_eq!(answer["$mcst"], "miss");
        }
    }
    let row = row(&kamailio, &slow.address());
    assert_eq!(
        (&row.state[..], row.failures, row.operations),
        ("active", 0, 20)
    );
    assert_eq!(lines(&kamailio), [""; 0]);
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
    for answer in at_once(&kamailio, 4) {
        assert_eq!(answer["$mcst"], "timeout");
        assert!(answer.elapsed() >= Duration::from_millis(400));
    }
    assert_eq!(row(&kamailio, memcached.address()).state, "inactive");
    assert_eq!(lines(&kamailio).len(), 1);
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
    let kamailio = builder(memcached.address()).children(WORKERS).start();
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
