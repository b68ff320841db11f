//! The promise to callers who do not use the cache: one server that is wholly silent costs them at most a
//! stall limit and a little, and later operations cost nothing.

use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Request};

use super::watch::{Bystanders, SLACK, assert_no_read_waits, reads, row, wait_for_state};

const TIMEOUT: Duration = Duration::from_millis(1000);
/// The default.
const STALL_LIMIT: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(1000);

fn builder(memcached: &Memcached) -> Builder {
    let builder = Kamailio::on(memcached)
        .param("timeout", 1000)
        .children(4)
        .rpc()
        .script("get", "$var(x) = $mct(k);", &["$mcst", "$pp"])
        .script("ten", &"$var(x) = $mct(k);\n".repeat(10), &["$mcst"]);
    reads(builder)
}

#[test]
fn twelve_reads_at_once_of_a_silent_server_delay_others_by_a_stall_limit() {
    for is_connected in [true, false] {
        let memcached = Memcached::start();
        let kamailio = builder(&memcached).start();
        if is_connected {
            kamailio.run_on_every_worker("get", &Request::options());
        }
        memcached.pause();
        let bystanders = Bystanders::start(&kamailio);
        let answers = kamailio.run_at_once("get", 12, &Request::options());
        let waited = bystanders.longest_wait();
        assert!(answers.iter().all(|answer| answer["$mcst"] != "miss"));
        // At most one worker waits longer than the stall limit and the look.
        let held = answers
            .iter()
            .filter(|answer| answer.elapsed() > TIMEOUT * 9 / 10);
        assert_eq!(held.count(), 1, "connected: {is_connected}");
        assert!(
            waited < STALL_LIMIT * 3 / 2 + SLACK,
            "connected: {is_connected}: {waited:?}"
        );
        assert_eq!(row(&kamailio, memcached.address()).state, "inactive");
        assert_no_read_waits(&kamailio, "down");
        memcached.resume();
        let back = wait_for_state(&kamailio, memcached.address(), "active");
        assert!(back < RETRY + SLACK, "{back:?}");
    }
}

#[test]
fn ten_reads_in_one_request_cost_one_timeout() {
    let memcached = Memcached::start();
    let kamailio = builder(&memcached).start();
    kamailio.run_on_every_worker("get", &Request::options());
    memcached.pause();
    let ten = kamailio.run("ten");
    assert_eq!(ten["$mcst"], "down");
    assert!(ten.elapsed() >= TIMEOUT, "{:?}", ten.elapsed());
    assert!(ten.elapsed() < TIMEOUT + SLACK, "{:?}", ten.elapsed());
}
