//! A memcached that ends and comes back: no process loses its first operation to that, no count
//! is lost or made twice, and while it is away everything fails fast.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::{Answer, FaultyServer, Host, Kamailio, Memcached, Request, is_second_look, wait};

use crate::hostile::operation::{Operation, assert_next_is_answered, scripts, value};

const WORKERS: usize = 3;

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Properly,
}

/// Ends it and starts it again, with an item for every operation.
fn restart(memcached: &Memcached, end: End) {
    if let End::Properly = end {
        let pid = memcached.pid();
        pid.terminate();
        wait::until("its end", wait::WAIT_LIMIT, || !pid.alive());
    }
    memcached.restart();
    fill(memcached);
}

fn fill(memcached: &Memcached) {
    memcached.put("next", 1, 0, value("next"));
    for operation in Operation::ALL {
        let key = operation.verb();
        match operation {
            Operation::Incr => memcached.put(key, 0, 0, "0"),
            _ => memcached.put(key, 1, 0, value(key)),
        }
    }
}

/// Has every worker do `operation` as the first thing after some idle time; all answers, one or
/// more from each.
fn on_every_worker(kamailio: &Kamailio, operation: Operation) -> Vec<Answer> {
    kamailio.run_on_every_worker(operation.verb(), &Request::about(operation.verb()))
}

/// Waits until a server that was found to be away is asked again; tells how long that took.
#[track_caller]
fn wait_for_return(kamailio: &Kamailio) -> Duration {
    let begun = Instant::now();
    wait::until("its return", wait::WAIT_LIMIT, || {
        let answer = Operation::Get.launch(kamailio, "next").wait();
        answer["$var(word)"] != "down"
    });
    begun.elapsed()
}

/// How long something takes is not asked of an emulator.
#[track_caller]
fn assert_in_time(elapsed: Duration, limit: Duration) {
    assert!(
        Host::current().is_emulated() || elapsed < limit,
        "{elapsed:?}"
    );
}

fn start(address: &str) -> Kamailio {
    let builder = Kamailio::builder().param("servers", address);
    scripts(builder).children(WORKERS).start()
}

fn assert_survives_restarts(memcached: &Memcached) {
    let kamailio = start(memcached.address());
    fill(memcached);
    on_every_worker(&kamailio, Operation::Get);
    for end in [End::Killed, End::Properly] {
        for operation in Operation::ALL {
            restart(memcached, end);
            let answers = on_every_worker(&kamailio, operation);
            let mut misses = 0;
            for answer in &answers {
                let what = format!("{} after it was {end:?}", operation.verb());
                let word = &answer["$var(word)"];
                // Only one of them finds something to delete.
                let deleted_before = operation == Operation::Delete && *word == "miss";
                assert!(
                    *word == operation.word() || deleted_before,
                    "{what}: {word:?}"
                );
                misses += usize::from(deleted_before);
                assert_next_is_answered(answer, &what);
            }
            match operation {
                Operation::Incr => {
                    let count = memcached.text("incr").unwrap();
                    assert_eq!(count, answers.len().to_string(), "each once, {end:?}");
                }
                Operation::Delete => assert_eq!(misses, answers.len() - 1),
                _ => {}
            }
        }
    }
}

#[test]
fn the_first_operation_of_every_process_succeeds_over_tcp() {
    assert_survives_restarts(&Memcached::start());
}

#[test]
fn the_first_operation_of_every_process_succeeds_over_a_unix_socket() {
    assert_survives_restarts(&Memcached::unix());
}

#[test]
fn while_it_is_away_all_is_down_at_once_and_soon_after_all_is_well() {
    for memcached in [Memcached::start(), Memcached::unix()] {
        let kamailio = start(memcached.address());
        fill(&memcached);
        on_every_worker(&kamailio, Operation::Get);
        let mut fastest = Duration::MAX;
        for _ in 0..2 {
            memcached.kill();
            for operation in Operation::ALL {
                for answer in on_every_worker(&kamailio, operation) {
                    assert_eq!(answer["$var(word)"], "down");
                    assert_eq!(answer["$mcst"], "down");
                    // Of a timeout of 5 s.
                    assert_in_time(answer.elapsed(), Duration::from_secs(2));
                }
            }
            memcached.restart();
            fastest = fastest.min(wait_for_return(&kamailio));
            fill(&memcached);
            for operation in [Operation::Incr, Operation::Set, Operation::Get] {
                for answer in on_every_worker(&kamailio, operation) {
                    assert_eq!(answer["$var(word)"], operation.word());
                    assert_next_is_answered(&answer, "its return");
                }
            }
        }
        // `retry_interval` and a little more.
        assert_in_time(fastest, Duration::from_millis(1300));
    }
}

#[test]
fn it_may_also_be_away_at_the_start() {
    let memcached = Memcached::start();
    memcached.kill();
    let kamailio = start(memcached.address());
    let answer = Operation::Incr.launch(&kamailio, "incr").wait();
    assert_eq!(answer["$var(word)"], "down");
    let unaware = start(memcached.address());
    restart(&memcached, End::Killed);
    let answer = Operation::Incr.launch(&unaware, "incr").wait();
    assert_eq!(answer["$var(word)"], "counted", "nobody had noticed");
    wait_for_return(&kamailio);
    let answer = Operation::Incr.launch(&kamailio, "incr").wait();
    assert_eq!(answer["$var(word)"], "counted");
    assert_eq!(memcached.text("incr").unwrap(), "2");
}

#[test]
fn stopped_it_costs_the_timeout_and_its_late_answers_reach_nobody() {
    let timeout = Duration::from_millis(400);
    let memcached = Memcached::start();
    fill(&memcached);
    let builder = Kamailio::builder()
        .memcached(&memcached)
        .param("timeout", 400)
        .without_verdicts();
    let kamailio = scripts(builder).children(Operation::ALL.len()).start();
    let mut unanswered = 0;
    // Over connections that exist, then over new ones that nobody accepts.
    memcached.pause();
    for _ in 0..2 {
        let launch = |operation: Operation| operation.launch(&kamailio, operation.verb());
        for (run, operation) in Operation::ALL.map(launch).into_iter().zip(Operation::ALL) {
            let answer = run.wait();
            assert_eq!(answer["$var(word)"], "timeout", "{operation:?}");
            assert_eq!(answer["$mcst"], "timeout", "{operation:?}");
            // One for the operation, one for the next.
            let elapsed = answer.elapsed();
            assert!(elapsed >= 2 * timeout, "{operation:?} took {elapsed:?}");
            assert!(elapsed < 4 * timeout, "{operation:?} took {elapsed:?}");
            unanswered += u64::from(operation == Operation::Incr);
        }
    }
    memcached.resume();
    // All that it was sent it now works off, before anything new.
    let count: u64 = memcached.text("incr").unwrap().parse().unwrap();
    assert!(count <= unanswered, "{count} of {unanswered} counts");
    fill(&memcached);
    for number in 0..200 {
        let key = format!("key-{number}");
        memcached.put(&key, 1, 0, value(&key));
        let answer = Operation::Get.launch(&kamailio, &key).wait();
        assert_eq!(answer["$avp(got)"], value(&key));
        assert_next_is_answered(&answer, "its return");
    }
    assert_eq!(memcached.text("incr").unwrap(), "0", "nothing came later");
}

/// A server that hangs up over the first request for every key but `warm` and `next`, after it
/// has read it, and answers the second, and the question whether it lives.
fn forgetful(pause: Duration) -> FaultyServer {
    let known = Mutex::new(HashSet::from(["warm".to_owned(), "next".to_owned()]));
    FaultyServer::start(move |connection| {
        loop {
            let request = connection.request()?;
            let (operation, key) = Operation::read(&request);
            let is_new = !is_second_look(&request) && known.lock().unwrap().insert(key.clone());
            if is_new {
                connection.wait(pause)?;
                return connection.hang_up();
            }
            connection.send(operation.reply(&key))?;
        }
    })
}

#[test]
fn what_may_be_repeated_is_repeated_once_and_a_count_never() {
    for mode in [0, 1] {
        let server = forgetful(Duration::ZERO);
        let builder = Kamailio::builder().param("servers", server.address());
        let builder = builder.param("mode", mode).without_verdicts();
        let kamailio = scripts(builder).start();
        Operation::Get.launch(&kamailio, "warm").wait();
        for operation in Operation::ALL {
            let key = format!("key-of-{}", operation.verb());
            let answer = operation.launch(&kamailio, &key).wait();
            let is_add = operation == Operation::Set && mode == 1;
            let repeated = operation != Operation::Incr && !is_add;
            let word = if repeated { operation.word() } else { "down" };
            assert_eq!(answer["$var(word)"], word, "{operation:?}, mode {mode}");
            assert_next_is_answered(&answer, &key);
            let (asked, _) = operation.requests(&server, &key);
            assert_eq!(asked, if repeated { 2 } else { 1 }, "{operation:?}");
        }
    }
}

#[test]
fn repeating_does_not_move_the_deadline() {
    let server = FaultyServer::start(|connection| {
        loop {
            let (operation, key) = Operation::read(&connection.request()?);
            match &key[..] {
                "warm" | "next" => connection.send(operation.reply(&key))?,
                _ if connection.number() == 0 => {
                    connection.wait(Duration::from_millis(700))?;
                    return connection.hang_up();
                }
                _ => connection.silence()?,
            }
        }
    });
    let builder = Kamailio::builder().param("servers", server.address());
    let builder = builder.param("timeout", 1000).without_verdicts();
    let kamailio = scripts(builder).start();
    Operation::Get.launch(&kamailio, "warm").wait();
    let answer = Operation::Get.launch(&kamailio, "k").wait();
    assert_eq!(answer["$var(word)"], "timeout");
    assert_next_is_answered(&answer, "the repetition");
    let elapsed = answer.elapsed();
    assert!(elapsed >= Duration::from_millis(1000), "{elapsed:?}");
    // The time of the first attempt has been spent: 1.7 s would be a second deadline.
    assert_in_time(elapsed, Duration::from_millis(1600));
    assert_eq!(server.connections(), 3);
}

#[test]
fn an_answer_that_says_the_add_came_first_is_never_our_own_echo() {
    let memcached = Memcached::start();
    let builder = Kamailio::builder().memcached(&memcached).param("mode", 1);
    let kamailio = builder
        .script("add", "$mct($hdr(X-Key)) = $hdr(X-Key);", &["$mcst"])
        .start();
    for end in [End::Killed, End::Properly] {
        for key in ["a", "b"] {
            restart(&memcached, end);
            let add = || kamailio.run_with("add", Request::about(key));
            assert_eq!(add()["$mcst"], "stored");
            assert_eq!(add()["$mcst"], "not_stored");
        }
    }
}
