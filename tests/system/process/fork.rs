//! Every process has a connection of its own, whatever was done before the fork, and reads
//! nobody's answers but its own.

use std::collections::HashSet;
use std::time::Duration;

use support::{Builder, FaultyServer, Kamailio, Memcached, Pid, Request, Run, Value, wait};

/// Uses memcached before there is any other process.
const BEFORE: &str = r#"
event_route[htable:mod-init] {
    $mct(before) = "main";
    $mct(status) = $mcst;
    $mct(read) = $mct(before);
    $mcinc(total) = 1;
}
"#;

/// Reads three items and writes one that belong to the number in the request.
const MIXED: &str = r#"
    $var(n) = $hdr(X-Number);
    $mct(written-$var(n)) = "by " + $var(n);
    $avp(a) = $mct(a-$var(n));
    $mcinc(total) = 1;
    $avp(b) = $mct(b-$var(n));
    $avp(w) = $mct(written-$var(n));
"#;

const READ: [&str; 4] = ["$avp(a)", "$avp(b)", "$avp(w)", "$pp"];

/// Every worker is to meet every failure itself, and nothing else.
fn builder(address: &str) -> Builder {
    Kamailio::builder()
        .param("servers", address)
        .without_verdicts()
        .children(4)
        .script("mixed", MIXED, &READ)
}

fn fill(memcached: &Memcached, numbers: std::ops::Range<usize>) {
    memcached.put("total", 0, 0, "0");
    let items = numbers.flat_map(|number| ["a", "b"].map(|letter| (letter, number)));
    let commands = items.map(|(letter, number)| {
        let value = format!("{letter} of {number}");
        format!("set {letter}-{number} 1 0 {}\r\n{value}\r\n", value.len())
    });
    let stored = memcached.command(commands.collect::<String>());
    assert!(stored.starts_with(b"STORED\r\n"));
}

/// Many requests at a time; every answer must be the one to its own question. Tells which
/// processes have answered.
fn load(kamailio: &Kamailio, numbers: std::ops::Range<usize>) -> HashSet<Pid> {
    let mut seen = HashSet::new();
    let numbers: Vec<usize> = numbers.collect();
    for batch in numbers.chunks(16) {
        let launch = |number: &usize| {
            let request = Request::options().header("X-Number", number.to_string());
            kamailio.launch("mixed", request)
        };
        let runs: Vec<Run> = batch.iter().map(launch).collect();
        for (run, number) in runs.into_iter().zip(batch) {
            let answer = run.wait();
            assert_eq!(answer["$avp(a)"], format!("a of {number}"));
            assert_eq!(answer["$avp(b)"], format!("b of {number}"));
            assert_eq!(answer["$avp(w)"], format!("by {number}"));
            seen.insert(answer.process());
        }
    }
    seen
}

#[test]
fn used_before_the_fork_it_gives_every_worker_its_own_connection() {
    let memcached = Memcached::start();
    fill(&memcached, 0..400);
    // Held back a little, answers to several processes are under way at any time.
    let relay = FaultyServer::relay(memcached.address(), Duration::from_millis(1));
    let kamailio = builder(&relay.address())
        .module("htable")
        .routes(BEFORE)
        .start();
    assert_eq!(memcached.text("before").unwrap(), "main");
    assert_eq!(memcached.text("status").unwrap(), "stored");
    assert_eq!(memcached.text("read").unwrap(), "main");
    assert_eq!(relay.connections(), 1);
    let of_main = relay.received();

    let seen = load(&kamailio, 0..400);
    assert_eq!(seen, kamailio.workers().into_iter().collect());
    assert_eq!(memcached.text("total").unwrap(), "401");
    assert_eq!(relay.connections(), 1 + 4);
    let received = relay.received();
    assert_eq!(received[0], of_main[0], "nobody wrote to main's connection");
    for stream in &received[1..] {
        let text = String::from_utf8_lossy(stream);
        let count = |verb| text.matches(verb).count();
        assert!(count("incr total ") > 0);
        assert_eq!(count("incr total "), count("set written-"));
    }
    assert!(kamailio.stop().success());
}

#[test]
fn an_answer_that_main_has_not_read_is_not_found_by_the_workers() {
    // Main gives up; its answer comes when the workers are at work.
    let server = FaultyServer::start(|connection| {
        loop {
            let request = connection.request()?;
            if request.starts_with(b"get slow") {
                connection.wait(Duration::from_millis(400))?;
            }
            let key = String::from_utf8_lossy(&request[4..request.len() - 2]).into_owned();
            let value = format!("of {key}");
            connection.send(format!(
                "VALUE {key} 1 {}\r\n{value}\r\nEND\r\n",
                value.len()
            ))?;
        }
    });
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .param("timeout", 200)
        .without_verdicts()
        .module("htable")
        .routes("event_route[htable:mod-init] { $var(none) = $mct(slow); }")
        .script("read", "", &["$mct($hdr(X-Key))"])
        .children(2)
        .start();
    for number in 0..50 {
        let key = format!("key-{number}");
        let answer = kamailio.run_with("read", Request::about(&key));
        assert_eq!(answer["$mct($hdr(X-Key))"], format!("of {key}"));
    }
}

#[test]
fn what_main_has_deferred_is_owed_to_main_alone() {
    let memcached = Memcached::start();
    for key in ["a", "b"] {
        memcached.put(key, 1, 0, format!("of {key}"));
    }
    let before = r#"
        event_route[htable:mod-init] { $mct(x) = "1"; $mct(x) = "2"; }
    "#;
    // Two requests ahead, so that each answer could be taken for the other one's.
    let ahead = r#"
        mct_prefetch("a");
        mct_prefetch("b");
    "#;
    let kamailio = Kamailio::builder()
        .param("servers", memcached.address())
        .param("deferred_writes", 1)
        .module("htable")
        .routes(before)
        .script("ahead", ahead, &["$mct(a)", "$mct(b)"])
        .children(2)
        .rpc()
        .start();
    assert_eq!(memcached.text("x").unwrap(), "2");
    for _ in 0..8 {
        let answer = kamailio.run("ahead");
        assert_eq!(answer["$mct(a)"], "of a");
        assert_eq!(answer["$mct(b)"], "of b");
    }
    assert_eq!(kamailio.statistic("lost"), 0);
}

#[test]
fn what_main_holds_has_read_and_has_not_counted_yet_is_not_the_workers() {
    let memcached = Memcached::start();
    memcached.put("near", 1, 0, "v");
    let before = r#"
        event_route[htable:mod-init] {
            mct_lease("leased", "$var(none)");
            $var(i) = 0;
            while ($var(i) < 10) {
                $var(v) = $mct(near);
                $var(i) = $var(i) + 1;
            }
        }
    "#;
    let set = r#"
        $avp(before) = $mcst;
        $avp(rc) = -9;
        mct_set("leased", "$pp");
        $avp(rc) = $rc;
        $var(done) = $mcst;
    "#;
    let kamailio = Kamailio::builder()
        .param("servers", memcached.address())
        .param("near_size", 100)
        .module("htable")
        .routes(before)
        .script(
            "set",
            set,
            &["$avp(before)", "$avp(rc)", "$var(done)", "$pp"],
        )
        .children(3)
        .rpc()
        .start();
    let (mut seen, mut first) = (HashSet::new(), Vec::new());
    wait::until("all workers have written", wait::WAIT_LIMIT, || {
        let runs: Vec<Run> = (0..8)
            .map(|_| kamailio.launch("set", Request::options()))
            .collect();
        for run in runs {
            let answer = run.wait();
            seen.insert(answer.process());
            if answer["$avp(before)"] == Value::Null {
                first.push(answer.process());
            }
            assert_eq!(answer["$avp(rc)"], 1);
            assert_eq!(answer["$var(done)"], "stored");
        }
        seen.len() == 3
    });
    assert_eq!(first.len(), 3, "one operation of each is its first");
    assert_eq!(HashSet::from_iter(first), seen);
    assert!(kamailio.statistic("near_hits") < 10);
    assert!(kamailio.module_lines().is_empty());
}

#[test]
fn descriptors_do_not_pile_up() {
    let memcached = Memcached::start();
    fill(&memcached, 0..800);
    let builder = || builder(memcached.address()).module("htable");
    let plain = builder().start();
    let before = builder().routes(BEFORE).start();
    let open = |kamailio: &Kamailio| -> Vec<usize> {
        let workers = kamailio.workers();
        workers.into_iter().map(Pid::descriptors).collect()
    };
    load(&plain, 0..200);
    load(&before, 0..200);
    let once = open(&plain);
    assert_eq!(open(&before), once, "the inherited connection is closed");
    for round in 1..4 {
        memcached.restart();
        let numbers = round * 200..(round + 1) * 200;
        fill(&memcached, numbers.clone());
        load(&plain, numbers.clone());
        load(&before, numbers);
        assert_eq!(open(&plain), once, "after {round} restarts");
        assert_eq!(open(&before), once, "after {round} restarts");
    }
    // Failures leave nothing behind either.
    memcached.kill();
    let down = |kamailio: &Kamailio| {
        for _ in 0..40 {
            let request = Request::options().header("X-Number", "1");
            assert!(kamailio.run_with("mixed", request)["$avp(a)"].is_null());
        }
    };
    down(&plain);
    down(&before);
    memcached.restart();
    fill(&memcached, 0..200);
    load(&plain, 0..200);
    load(&before, 0..200);
    assert_eq!(open(&plain), once);
    assert_eq!(open(&before), once);
}
