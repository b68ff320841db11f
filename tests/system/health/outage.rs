//! A memcached that is gone, or answers nonsense: after some failures in a row it is out for all
//! workers, operations fail in microseconds and nobody connects. The log has a few lines on it.

use std::io;
use std::time::Duration;

use support::{
    Answer, Builder, Connection, FaultyServer, Host, Kamailio, Memcached, Port, Request,
    is_second_look, wait,
};

use super::watch::{Bystanders, SLACK, assert_no_read_waits, reads, row, wait_for_state};

/// What the server does about one request.
type Fault = fn(&mut Connection) -> io::Result<()>;

/// How a server can fail, with the word for it.
const FAULTS: [(&str, Fault); 5] = [
    ("down", Connection::hang_up),
    ("down", Connection::reset),
    ("garbled", |connection| {
        connection.send("HTTP/1.1 400 Bad Request\r\n")
    }),
    ("garbled", |connection| {
        connection.send("VALUE bad 1 100\r\nhalf")?;
        connection.hang_up()
    }),
    ("timeout", Connection::silence),
];

/// How many connections an operation makes until it believes that.
const TRIES: usize = 2;

fn builder(servers: &str) -> Builder {
    let builder = Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 300)
        .rpc()
        .script("get", "", &["$mct($hdr(X-Key))", "$mcst"]);
    reads(builder)
}

fn get(kamailio: &Kamailio, key: &str) -> Answer {
    kamailio.run_with("get", Request::about(key))
}

/// A server that has `fault` happen to reads of `bad`, and to the second look that follows, and
/// answers all else.
fn serve(fault: Fault) -> FaultyServer {
    FaultyServer::start(move |connection| {
        loop {
            let request = connection.request()?;
            match &request[..] {
                b"get bad\r\n" => fault(connection)?,
                question if is_second_look(question) => fault(connection)?,
                b"version\r\n" => connection.send("VERSION 1.6\r\n")?,
                _ => connection.send("END\r\n")?,
            }
        }
    })
}

#[test]
fn failures_in_a_row_take_a_server_out_for_everybody() {
    for (workers, threshold) in [(1, 1), (4, 1), (4, 3)] {
        for (number, (word, fault)) in FAULTS.into_iter().enumerate() {
            let what = format!("fault {number}, {workers} workers, threshold {threshold}");
            let server = serve(fault);
            let kamailio = builder(&server.address())
                .param("inactive_threshold", threshold)
                .param("retry_interval", -1)
                .children(workers)
                .start();
            let state = || row(&kamailio, &server.address()).state;
            for _ in 1..threshold {
                assert_eq!(get(&kamailio, "bad")["$mcst"], word, "{what}");
                assert_eq!(state(), "active", "{what}");
            }
            assert_eq!(
                get(&kamailio, "good")["$mcst"],
                "miss",
                "{what}: ends the row"
            );
            for failed in 1..=threshold {
                assert_eq!(state(), "active", "{what}, {failed}");
                assert_eq!(get(&kamailio, "bad")["$mcst"], word, "{what}");
            }
            let out = row(&kamailio, &server.address());
            assert_eq!(
                (&out.state[..], &out.reason[..]),
                ("inactive", word),
                "{what}"
            );
            let failures = u64::try_from(2 * threshold - 1).expect("positive");
            assert_eq!(out.failures, failures, "{what}");
            let connections = server.connections();
            let most = usize::try_from(failures).expect("small") * TRIES + 1;
            assert!(connections <= most, "{what}: {connections} connections");
            assert_left_alone(&kamailio, workers);
            assert_eq!(server.connections(), connections, "{what}: nobody connects");
            let after = row(&kamailio, &server.address());
            assert_eq!(after.operations, out.operations, "{what}: nobody asks");
        }
    }
}

/// Every worker learns at once, and without asking, that the server is out.
#[track_caller]
fn assert_left_alone(kamailio: &Kamailio, workers: usize) {
    for answer in kamailio.run_at_once("get", 4 * workers, &Request::about("good")) {
        assert_eq!(answer["$mcst"], "down");
    }
    assert_no_read_waits(kamailio, "down");
}

#[test]
fn a_refused_port_is_tried_by_one_operation_alone() {
    let closed = Port::free();
    let address = closed.v4().to_string();
    let kamailio = builder(&address)
        .param("retry_interval", -1)
        .children(4)
        .start();
    for _ in 0..20 {
        assert_eq!(get(&kamailio, "k")["$mcst"], "down");
    }
    let out = row(&kamailio, &address);
    assert_eq!((out.operations, out.failures), (1, 1));
    assert_eq!((&out.state[..], &out.reason[..]), ("inactive", "down"));
    assert_eq!(kamailio.module_lines().len(), 1);
}

/// How a server goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Stopped,
}

#[test]
fn an_outage_is_a_line_at_either_end_however_many_operations_fail() {
    for ends in [[End::Killed; 2], [End::Killed, End::Stopped]] {
        let memcached = Memcached::start();
        let store = "$var(i) = 0; while ($var(i) < 50) { $var(i) = $var(i) + 1; $mct(k) = 5; }";
        let kamailio = builder(memcached.address())
            .param("retry_interval", 100)
            .script("store", store, &["$mcst"])
            .children(8)
            .start();
        for (number, end) in (1..).zip(ends) {
            let before = kamailio.module_lines().len();
            assert_stores_and_reads(&kamailio, &memcached);
            let bystanders = Bystanders::start(&kamailio);
            match end {
                End::Killed => memcached.kill(),
                End::Stopped => memcached.pause(),
            }
            assert_fails_many_times(&kamailio, end);
            let longest = bystanders.longest_wait();
            // How long something takes is not asked of an emulator.
            let stall_limit = Duration::from_millis(200);
            assert!(
                Host::current().is_emulated() || longest < stall_limit + SLACK,
                "{longest:?}"
            );
            match end {
                End::Killed => memcached.restart(),
                End::Stopped => memcached.resume(),
            }
            wait_for_state(&kamailio, memcached.address(), "active");
            let back = format!("server {} is active: it has ", memcached.address());
            wait::until(&back, wait::WAIT_LIMIT, || {
                kamailio.log_lines(&back).len() == number
            });
            assert_stores_and_reads(&kamailio, &memcached);
            // Thousands of operations were refused; none of them is worth a line.
            let new = kamailio.module_lines().split_off(before);
            match end {
                End::Killed => assert_both_ends(&new, memcached.address()),
                End::Stopped => assert!((2..=5).contains(&new.len()), "{new:#?}"),
            }
        }
    }
}

#[track_caller]
fn assert_stores_and_reads(kamailio: &Kamailio, memcached: &Memcached) {
    for answer in kamailio.run_at_once("store", 12, &Request::options()) {
        assert_eq!(answer["$mcst"], "stored");
    }
    memcached.put("k", 1, 0, "v");
    assert_eq!(get(kamailio, "k")["$mcst"], "hit");
}

/// No operation succeeds; all of them learn at once that a server was killed.
#[track_caller]
fn assert_fails_many_times(kamailio: &Kamailio, end: End) {
    for _ in 0..2 {
        for answer in kamailio.run_at_once("store", 12, &Request::options()) {
            let word = &answer["$mcst"];
            assert!(*word == "down" || end == End::Stopped && *word != "stored");
        }
    }
    for answer in kamailio.run_at_once("get", 100, &Request::about("k")) {
        assert_ne!(answer["$mcst"], "hit");
    }
}

/// One line on the fall and one on the return, with reasons and durations.
#[track_caller]
fn assert_both_ends(lines: &[String], address: &str) {
    let [fell, back] = lines else {
        panic!("{lines:#?}");
    };
    for (line, state, reason) in [
        (
            fell,
            "inactive: down: ",
            " (set of key 'k'); it was active for ",
        ),
        (
            back,
            "active: it has answered a probe; ",
            "; it was inactive for ",
        ),
    ] {
        assert!(line.contains("WARNING: memcached ["), "{line}");
        assert!(
            line.contains(&format!("server {address} is {state}")),
            "{line}"
        );
        assert!(line.contains(reason) && line.ends_with(" s"), "{line}");
    }
}

#[test]
fn a_server_that_comes_and_goes_is_a_few_lines_a_minute() {
    let server = serve(|connection| connection.send("NONSENSE\r\n"));
    let kamailio = builder(&server.address())
        .param("retry_interval", 10)
        .start();
    for _ in 0..12 {
        assert_eq!(get(&kamailio, "bad")["$mcst"], "garbled");
        wait_for_state(&kamailio, &server.address(), "active");
        assert_eq!(get(&kamailio, "good")["$mcst"], "miss");
    }
    // The worker that sees it fall and the prober share them.
    assert_eq!(kamailio.log_lines(" is inactive: garbled: ").len(), 3);
    assert_eq!(kamailio.log_lines(" is active: it has ").len(), 2);
    let back = kamailio.log_lines(" is active: it has answered a probe");
    assert_eq!(back.len(), 2);
    assert_eq!(kamailio.module_lines().len(), 5);
}

#[test]
fn what_began_before_an_outage_does_not_bring_another() {
    let server = FaultyServer::start(|connection| {
        loop {
            match &connection.request()?[..] {
                b"get slow\r\n" => connection.silence()?,
                b"get bad\r\n" => connection.send("NONSENSE\r\n")?,
                question if is_second_look(question) => connection.send("NONSENSE\r\n")?,
                b"version\r\n" => connection.send("VERSION 1.6\r\n")?,
                _ => connection.send("END\r\n")?,
            }
        }
    });
    let kamailio = builder(&server.address())
        .param("timeout", 1500)
        .param("stall_limit", 60_000)
        .param("retry_interval", 100)
        .children(2)
        .start();
    let slow = kamailio.launch("get", Request::about("slow"));
    wait::until("it to begin", wait::WAIT_LIMIT, || {
        row(&kamailio, &server.address()).in_flight == 1
    });
    assert_eq!(get(&kamailio, "bad")["$mcst"], "garbled");
    wait_for_state(&kamailio, &server.address(), "active");
    assert_eq!(slow.wait()["$mcst"], "timeout");
    let back = row(&kamailio, &server.address());
    assert_eq!((&back.state[..], back.failures), ("active", 2));
    assert_eq!(get(&kamailio, "good")["$mcst"], "miss");
    assert_eq!(kamailio.log_lines(" is inactive: ").len(), 1);
    assert_eq!(
        kamailio.module_lines().len(),
        3,
        "out, back, and what failed late"
    );
}

/// Behind a proxy the question of the second look may meet the same stuck server as the key.
#[test]
fn a_stuck_key_takes_no_other_key_from_the_worker_that_asks_for_it() {
    let server = serve(Connection::silence);
    let kamailio = builder(&server.address())
        .param("timeout", 1000)
        .script("good", "$var(x) = $mct(good);", &["$mcst", "$pp"])
        .children(2)
        .start();
    let assert_all_are_served = || {
        for answer in kamailio.run_on_every_worker("good", &Request::options()) {
            assert_eq!(answer["$mcst"], "miss");
        }
    };
    assert_all_are_served();
    for _ in 0..3 {
        let stuck = kamailio.launch("get", Request::about("bad"));
        while !stuck.is_done() {
            assert_eq!(get(&kamailio, "good")["$mcst"], "miss");
        }
        assert_eq!(stuck.wait()["$mcst"], "timeout");
        assert_all_are_served();
    }
    assert_eq!(row(&kamailio, &server.address()).state, "active");
}

#[test]
fn a_name_that_does_not_resolve_is_a_server_that_is_out() {
    let memcached = Memcached::start();
    let kamailio = builder("does.not.resolve.invalid")
        .param(
            "pool",
            format!("name=other;servers={}", memcached.address()),
        )
        .param("timeout", 5000)
        .script("other", "$mct(other=>k) = 1;", &["$mcst"])
        .start();
    assert_eq!(get(&kamailio, "k")["$mcst"], "down");
    let out = row(&kamailio, "does.not.resolve.invalid:11211");
    assert_eq!((&out.state[..], &out.reason[..]), ("inactive", "down"));
    assert_no_read_waits(&kamailio, "down");
    assert_eq!(kamailio.run("other")["$mcst"], "stored");
}
