//! A worker process that is stopped in the middle of an operation, by a debugger or because its virtual
//! processor is taken away: its own pause is no evidence against the server.

use std::time::{Duration, Instant};

use support::{Builder, Connection, FaultyServer, Kamailio, Memcached, Pid, Request, Store, wait};

use super::callers::{assert_all_are, call, pass, read_during, scripts};
use super::watch::{SLACK, assert_never_out, row, wait_for_state};

const TIMEOUT: Duration = Duration::from_millis(1000);

/// How long a mark lasts beyond the deadline of the worker that holds it.
const MARK: Duration = Duration::from_millis(100);

fn builder(servers: &str, workers: usize) -> Builder {
    scripts(Kamailio::builder())
        .param("servers", servers)
        .param(
            "timeout",
            i64::try_from(TIMEOUT.as_millis()).expect("short"),
        )
        .children(workers)
        .rpc()
}

/// Continues a process when it is dropped, so that Kamailio can end.
struct Paused(Pid);

impl Paused {
    fn now(process: Pid) -> Paused {
        process.pause();
        Paused(process)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.resume();
    }
}

#[test]
fn a_stopped_worker_keeps_the_mark_until_its_deadline_and_no_longer() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(memcached.address(), 3).start();
    kamailio.run_on_every_worker("get", &Request::about("a"));
    memcached.pause();
    let begun = Instant::now();
    let run = kamailio.launch("get", Request::about("a"));
    // ` 3(4711) WARNING: memcached […]: server … is trying: …`
    let line = kamailio.wait_for_log("is trying", wait::WAIT_LIMIT);
    let holder = line.split(['(', ')']).nth(1).expect("a process id");
    let mut workers = kamailio.workers().into_iter();
    let holder = workers.find(|worker| worker.to_string() == holder);
    let paused = Paused::now(holder.expect("a worker"));
    memcached.resume();
    assert_eq!(row(&kamailio, memcached.address()).state, "trying");
    wait_for_state(&kamailio, memcached.address(), "active");
    let took = begun.elapsed();
    assert!(took < TIMEOUT + MARK + SLACK, "{took:?}");
    // The stopped worker takes requests from nobody: each has a queue of its own in the kernel.
    assert_eq!(row(&kamailio, memcached.address()).failures, 0);
    pass(TIMEOUT);
    drop(paused);
    let answer = run.wait();
    assert_eq!(answer["$mcst"], "hit", "the answer lay in the socket");
    assert_eq!(row(&kamailio, memcached.address()).state, "active");
    assert_never_out(&kamailio);
}

/// A server that answers `slow` a moment later, when the worker is stopped already.
fn slow_server(connection: &mut Connection, request: &[u8]) -> std::io::Result<bool> {
    if request.starts_with(b"get slow") {
        connection.wait(Duration::from_millis(100))?;
    }
    Ok(false)
}

#[test]
fn a_worker_that_wakes_behind_its_deadline_takes_the_answer_that_is_there() {
    for workers in [1, 4] {
        let store = Store::new();
        store.put("slow", "one");
        store.put("a", "one");
        let server = FaultyServer::storing(store, slow_server);
        let kamailio = builder(&server.address(), workers).start();
        let first = call(&kamailio, "get", "slow").process;
        let asked = || {
            server
                .received()
                .concat()
                .windows(8)
                .filter(|it| it == b"get slow")
                .count()
        };
        let (mut last, mut rounds) = (first, 0);
        for _ in 0..3 {
            let before = asked();
            let run = kamailio.launch("get", Request::about("slow"));
            wait::until("the request", wait::WAIT_LIMIT, || asked() > before);
            // Whichever worker has it: all are stopped.
            let paused: Vec<Paused> = kamailio.workers().into_iter().map(Paused::now).collect();
            pass(TIMEOUT * 3 / 2);
            drop(paused);
            let answer = run.wait();
            assert_eq!(answer["$mcst"], "hit", "{workers} workers, round {rounds}");
            assert_eq!(answer["$avp(got)"], "one");
            last = answer.process();
            rounds += 1;
            assert_eq!(row(&kamailio, &server.address()).state, "active");
        }
        assert!(last.alive());
        assert_eq!(
            row(&kamailio, &server.address()).failures,
            0,
            "{}",
            kamailio.log()
        );
        assert!(kamailio.module_lines().is_empty(), "{}", kamailio.log());
    }
}

/// All of Kamailio stands still, as a virtual machine does that is moved to another host.
#[test]
fn a_pause_of_the_whole_node_is_no_outage() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(memcached.address(), 4)
        .param("ping_interval", 1)
        .start();
    let ((), calls) = read_during(&kamailio, 4, &["a".into()], || {
        for _ in 0..3 {
            pass(Duration::from_millis(300));
            let paused: Vec<Paused> = kamailio.processes().into_iter().map(Paused::now).collect();
            pass(TIMEOUT + Duration::from_millis(200));
            drop(paused);
        }
    });
    assert_all_are(&calls, "hit");
    assert_never_out(&kamailio);
    assert!(
        kamailio.log_lines(" is trying").is_empty(),
        "{}",
        kamailio.log()
    );
}
