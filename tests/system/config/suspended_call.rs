//! `kamailio-cfg/async.cfg`: calls that wait for a slow memcached hold no worker.

use std::path::PathBuf;
use std::time::Duration;

use support::{Callers, FaultyServer, Kamailio, Memcached};

#[test]
fn a_slow_answer_costs_no_retransmission() {
    let memcached = Memcached::start();
    memcached.put("plan:alice", 1, 0, "gold");
    let slow = FaultyServer::relay(memcached.address(), Duration::from_millis(300));
    let kamailio = Kamailio::builder()
        .file(PathBuf::from("kamailio-cfg/async.cfg"))
        .define("MEMCACHED", &format!("\"{}\"", slow.address()))
        .start();
    let callers = Callers {
        method: "INVITE",
        // `404 Not Found` would be another answer than ours.
        response: 302,
        rate: 200,
        seconds: 5,
    };
    let counted = callers.call(&kamailio);
    assert_eq!((counted.successful, counted.retransmissions), (1000, 0));
    assert_eq!(memcached.stat("get_hits"), 1000);
}
