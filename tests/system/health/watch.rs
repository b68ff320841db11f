//! Servers' health as an operator sees it, and what callers notice of it who do not use the cache.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Answer, Builder, Kamailio, Pending, Pid, Request, wait};

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

/// No server has been taken out of service so far.
#[track_caller]
pub fn assert_never_out(kamailio: &Kamailio) {
    let lines = kamailio.log_lines(" is inactive");
    assert!(lines.is_empty(), "{lines:#?}\n{}", kamailio.log());
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

/// Reads that one run of the script `reads` makes.
const READS: u64 = 200;

/// Adds a script `reads` that reads the key `k` often; see [`assert_no_read_waits`].
pub fn reads(builder: Builder) -> Builder {
    let script = format!(
        "$var(i) = 0;
        while ($var(i) < {READS}) {{
            $var(x) = $mct(k);
            $var(i) = $var(i) + 1;
        }}"
    );
    builder.script("reads", &script, &["$mcst"])
}

/// A read ends with this word, and no worker goes to sleep for it.
#[track_caller]
pub fn assert_no_read_waits(kamailio: &Kamailio, word: &str) {
    let waits = || kamailio.workers().into_iter().map(Pid::waits).sum::<u64>();
    // The request itself is waited for.
    let before = waits();
    assert_eq!(kamailio.run("reads")["$mcst"], word);
    let waited = waits() - before;
    assert!(waited < READS / 10, "{waited} waits for {READS} reads");
}

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
