//! Behind a proxy one of many servers is stuck: operations on its keys are late, and nothing else is.

use std::time::Duration;

use support::{Builder, FaultyServer, Kamailio, Store};

use super::callers::{Call, longest, read_until, scripts, words};
use super::watch::{Bystanders, SLACK, row};

/// Twice the usual one, and so are the times beside it: a look has its answer on a busy machine, too.
const STALL_LIMIT: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_millis(800);

/// What becomes of a get of a stuck key.
#[derive(Debug, Clone, Copy)]
enum Stuck {
    /// `SERVER_ERROR` after so long.
    Says(Duration),
    /// The proxy hangs up after so long.
    HangsUp(Duration),
    /// Nothing, for ever.
    Silent,
}

fn proxy(stuck: Stuck) -> FaultyServer {
    let store = Store::new();
    for number in 0..10 {
        store.put(&format!("good-{number}"), "good");
    }
    FaultyServer::storing(store, move |connection, request| {
        if !request.starts_with(b"get stuck") {
            return Ok(false);
        }
        match stuck {
            Stuck::Says(after) => {
                connection.wait(after)?;
                connection.send("SERVER_ERROR Connection timed out\r\n")?;
            }
            Stuck::HangsUp(after) => {
                connection.wait(after)?;
                connection.hang_up()?;
            }
            Stuck::Silent => connection.silence()?,
        }
        Ok(true)
    })
}

fn builder(server: &FaultyServer, workers: usize) -> Builder {
    scripts(Kamailio::builder())
        .param("servers", server.address())
        .param("timeout", 2000)
        .param("stall_limit", STALL_LIMIT.as_millis() as i64)
        .children(workers)
        .rpc()
}

/// One key in ten is stuck.
fn keys() -> Vec<String> {
    let good = (0..9).map(|number| format!("good-{number}"));
    good.chain(["stuck".into()]).collect()
}

fn assert_others_go_on(stuck: Stuck, workers: usize) {
    let proxy = proxy(stuck);
    let kamailio = builder(&proxy, workers).start();
    // The rarest caller of all: while all workers wait, he waits, too.
    let bystanders = Bystanders::start(&kamailio);
    let callers = workers - 1;
    let calls = read_until(&kamailio, callers, &keys(), |calls| {
        calls.iter().filter(|call| call.key == "stuck").count() >= 3 * callers
    });
    let waited = bystanders.longest_wait();
    let (late, good): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| call.key == "stuck");
    let (late_words, good_words) = (words(&late), words(&good));
    let what = format!("{stuck:?}, {workers} workers: good {good_words:?}, stuck {late_words:?}");
    let hits = good_words.get("hit").copied().unwrap_or(0);
    assert_eq!(hits, good.len(), "{what}");
    // An operation on a stuck key ends after the stall limit and the look, not at its deadline.
    let most = STALL_LIMIT * 3 / 2;
    assert!(
        longest(&late) < most + SLACK,
        "{what}: {:?}",
        longest(&late)
    );
    assert!(
        waited < most + SLACK,
        "{what}: a bystander waited {waited:?}"
    );
    assert_eq!(row(&kamailio, &proxy.address()).state, "active", "{what}");
    let log = kamailio.log();
    assert!(
        kamailio.log_lines(" is inactive").is_empty(),
        "{what}\n{log}"
    );
    assert!(kamailio.log_lines(" is trying").is_empty(), "{what}\n{log}");
}

#[test]
fn nine_keys_in_ten_are_served_while_the_tenth_is_stuck() {
    std::thread::scope(|scope| {
        for stuck in [Stuck::Says(LATE), Stuck::HangsUp(LATE), Stuck::Silent] {
            for workers in [2, 4] {
                scope.spawn(move || assert_others_go_on(stuck, workers));
            }
        }
    });
}

/// The only worker asks for stuck keys alone, and nobody has been answered since it began.
#[test]
fn a_stuck_key_that_is_asked_for_alone_is_no_evidence_against_the_proxy() {
    for stuck in [Stuck::Says(LATE), Stuck::Silent] {
        let proxy = proxy(stuck);
        let kamailio = builder(&proxy, 1).start();
        for number in 0..4 {
            let read = super::callers::call(&kamailio, "get", &format!("stuck-{number}"));
            assert_eq!(read.word, "timeout", "{stuck:?}");
            assert!(read.took < STALL_LIMIT * 3 / 2 + SLACK, "{:?}", read.took);
            assert_eq!(row(&kamailio, &proxy.address()).state, "active");
            let good = super::callers::call(&kamailio, "get", "good-1");
            assert_eq!(good.word, "hit");
        }
        assert!(
            kamailio.log_lines(" is trying").is_empty(),
            "{}",
            kamailio.log()
        );
    }
}
