//! Replies that come later than the timeout: no later operation takes one for its own (CVE-2023-27478 of
//! libmemcached).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{FaultyServer, Kamailio, wait};

use crate::health::callers::{Call, call, scripts, words};

use super::operation::value;

#[test]
fn no_get_reads_the_late_answer_to_another_key() {
    for (timeout, stall_limit) in [(120, 60), (120, 500), (400, 60)] {
        let asked = AtomicUsize::new(0);
        let server = FaultyServer::start(move |connection| {
            loop {
                let request = connection.request()?;
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some(key) = text.trim_end().strip_prefix("get ") else {
                    connection.send("VERSION 1.6.18\r\n")?;
                    continue;
                };
                // Three in ten are late.
                if asked.fetch_add(7, Ordering::Relaxed) % 10 < 3 {
                    connection.wait(Duration::from_millis(250))?;
                }
                let value = value(key);
                let size = value.len();
                connection.send(format!("VALUE {key} 1 {size}\r\n{value}\r\nEND\r\n"))?;
            }
        });
        let kamailio = scripts(Kamailio::builder())
            .param("servers", server.address())
            .param("timeout", timeout)
            .param("stall_limit", stall_limit)
            .param("retry_interval", 20)
            .children(2)
            .start();
        let mut calls: Vec<Call> = Vec::new();
        wait::until("hits", wait::WAIT_LIMIT, || {
            calls.push(call(&kamailio, "get", &format!("k{}", calls.len())));
            words(&calls).get("hit").is_some_and(|hits| *hits >= 40)
        });
        for read in calls.iter().filter(|call| call.word == "hit") {
            assert_eq!(read.value, Some(value(&read.key)));
        }
        // Within the timeout there is time to ask again.
        let late = calls.iter().any(|call| call.word == "timeout");
        assert!(late || stall_limit < timeout, "stall_limit={stall_limit}");
    }
}
