//! A large value takes its time to arrive: what is arriving is no stall.

use std::time::{Duration, Instant};

use support::{FaultyServer, Kamailio, Memcached, Request, wait};

use super::callers::{assert_all_are, read_during, scripts};
use super::watch::row;

/// Of the value.
const SIZE: usize = 3_000_000;

/// For each piece of at most 16 KiB.
const PAUSE: Duration = Duration::from_millis(5);

/// Adds up to a second: five times the stall limit.
const PIECES: u32 = 190;

#[test]
fn a_large_value_that_arrives_slowly_is_read_whole_and_stalls_nobody() {
    let memcached = Memcached::with(&["-I", "8m"]);
    memcached.put("large", 1, 0, "x".repeat(SIZE));
    memcached.put("a", 1, 0, "one");
    let slow = FaultyServer::relay(memcached.address(), PAUSE);
    let kamailio = scripts(Kamailio::builder())
        .param("servers", slow.address())
        .param("timeout", 4000)
        .script(
            "large",
            "$var(n) = $(mct(large){s.len});",
            &["$var(n)", "$mcst"],
        )
        .children(4)
        .arg("-M")
        .arg("32")
        .rpc()
        .start();
    kamailio.run_on_every_worker("get", &Request::about("a"));
    for round in 0..3 {
        let begun = Instant::now();
        let (states, calls) = read_during(&kamailio, 2, &["a".into()], || {
            let run = kamailio.launch("large", Request::options());
            let mut states = vec![];
            wait::until("the value", wait::WAIT_LIMIT, || {
                states.push(row(&kamailio, &slow.address()).state);
                begun.elapsed() > PAUSE * PIECES
            });
            let answer = run.wait();
            assert_eq!(answer["$mcst"], "hit", "round {round}");
            assert_eq!(answer["$var(n)"], i64::try_from(SIZE).expect("fits"));
            assert!(answer.elapsed() > PAUSE * PIECES / 2, "it was slow");
            states
        });
        assert!(states.iter().all(|state| state == "active"), "{states:?}");
        assert_all_are(&calls, "hit");
        assert!(calls.len() > 20, "{} reads beside it", calls.len());
    }
    kamailio.assert_nothing_logged();
}

/// The same with the only worker, and a value that comes in drops, each within the stall limit.
#[test]
fn drops_within_the_stall_limit_are_progress() {
    let drip = FaultyServer::start(|connection| {
        loop {
            let request = connection.request()?;
            match request.starts_with(b"get drops") {
                true => connection.drip(
                    "VALUE drops 1 3\r\none\r\nEND\r\n",
                    Duration::from_millis(60),
                )?,
                false => connection.send("END\r\n")?,
            }
        }
    });
    let kamailio = scripts(Kamailio::builder())
        .param("servers", drip.address())
        .param("timeout", 4000)
        .rpc()
        .start();
    for _ in 0..2 {
        let read = super::callers::call(&kamailio, "get", "drops");
        assert_eq!(
            (&read.word[..], read.value.as_deref()),
            ("hit", Some("one"))
        );
        assert!(read.took > Duration::from_millis(1200));
    }
    assert_eq!(drip.connections(), 1);
    kamailio.assert_nothing_logged();
}
