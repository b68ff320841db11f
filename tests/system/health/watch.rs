//! Servers' health as an operator sees it, and what callers notice of it who do not use the cache.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Answer, Builder, Kamailio, Pending, Request, wait};

/// By how much a busy machine may be late.
pub const SLACK: Duration = Duration::from_millis(300);

/// How often a request is sent that has nothing to do with the cache.
const EVERY: Duration = Duration::from_millis(20);

/// A row of `memcached.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub address: String,
    pub state: String,
    pub reason: String,
    pub since: u64,
    pub in_flight: u64,
    pub operations: u64,
    pub failures: u64,
}

impl Row {
    fn read(row: &Value) -> Row {
        let text = |name: &str| match &row[name] {
            Value::String(text) => text.clone(),
            other => panic!("{name} is {other} in {row}"),
        };
        let number = |name: &str| match &row[name] {
            Value::Number(number) => number.as_u64().expect("not negative"),
            _ => text(name).parse().expect("a number"),
        };
        Row {
            address: text("address"),
            state: text("state"),
            reason: text("reason"),
            since: number("since"),
            in_flight: number("in_flight"),
            operations: number("operations"),
            failures: number("failures"),
        }
    }
}

/// All rows of an answer to an RPC command that lists servers.
#[track_caller]
pub fn rows(kamailio: &Kamailio, method: &str, params: &str) -> Vec<Row> {
    let text = kamailio.jsonrpc(method, params);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let result = answer["result"].as_array();
    let rows = result.unwrap_or_else(|| kamailio.fail(&format!("{method} {params}: {text}")));
    rows.iter().map(Row::read).collect()
}

/// The row of the server at `address`.
#[track_caller]
pub fn row(kamailio: &Kamailio, address: &str) -> Row {
    let all = rows(kamailio, "memcached.list", "[]");
    let found = all.into_iter().find(|row| row.address == address);
    found.unwrap_or_else(|| kamailio.fail(&format!("{address} is not listed")))
}

/// Waits until the server at `address` is `state`; tells how long that took.
#[track_caller]
pub fn wait_for_state(kamailio: &Kamailio, address: &str, state: &str) -> Duration {
    let begun = Instant::now();
    let reached = wait::poll(wait::WAIT_LIMIT, || {
        (row(kamailio, address).state == state).then_some(())
    });
    if reached.is_none() {
        kamailio.fail(&format!(
            "{:?} does not get {state}",
            row(kamailio, address)
        ));
    }
    begun.elapsed()
}

/// Many runs of the script `get` about the key `k`, by all workers.
pub fn on_all_workers(kamailio: &Kamailio) -> Vec<Answer> {
    kamailio.run_at_once("get", 5 * kamailio.workers().len(), &Request::about("k"))
}

/// All workers' `get` ends with this word.
#[track_caller]
pub fn assert_all(kamailio: &Kamailio, word: &str) {
    for answer in on_all_workers(kamailio) {
        assert_eq!(answer["$mcst"], word);
    }
}

/// Adds a script `timed` that reads the key `k` 200 times; see [`micros_per_read`].
pub fn timed(builder: Builder) -> Builder {
    builder.script("timed", TIMED, &["$var(t)", "$mcst"])
}

/// What one read costs, in the best of a few rounds, and the word it ends with.
pub fn micros_per_read(kamailio: &Kamailio) -> (i64, support::Value) {
    let rounds = (0..5).map(|_| {
        let answer = kamailio.run("timed");
        let micros = answer["$var(t)"].int().expect("microseconds");
        (micros / 200, answer["$mcst"].clone())
    });
    rounds.min_by_key(|(micros, _)| *micros).expect("a round")
}

/// `$TV(un)` are the microseconds to the seconds that `$TV(sn)` has just told.
const TIMED: &str = "
    $var(s) = $TV(sn);
    $var(u) = $TV(un);
    $var(i) = 0;
    while ($var(i) < 200) {
        $var(x) = $mct(k);
        $var(i) = $var(i) + 1;
    }
    $var(t) = ($TV(sn) - $var(s)) * 1000000;
    $var(t) = $var(t) + $TV(un) - $var(u);";

/// Callers who send requests that do not touch the cache, one after the other.
pub struct Bystanders {
    end: Sender<()>,
    thread: JoinHandle<Vec<Pending>>,
}

impl Bystanders {
    /// Sends such requests from now on.
    pub fn start(kamailio: &Kamailio) -> Bystanders {
        let (address, (end, ended)) = (kamailio.address(), mpsc::channel());
        let send = move || {
            let mut sent = vec![Request::options().send(address)];
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                sent.push(Request::options().send(address));
            }
            sent
        };
        let thread = thread::spawn(send);
        Bystanders { end, thread }
    }

    /// Sends no more; the longest that one of them has waited.
    pub fn longest_wait(self) -> Duration {
        drop(self.end);
        let sent = self.thread.join().expect("no panic");
        let waits = sent.into_iter().map(|pending| {
            let response = pending.wait().expect("a response");
            assert_eq!(response.code, 200);
            response.elapsed
        });
        waits.max().expect("one or more")
    }
}
