//! A memcached at its limit of connections (`-c`): workers that have one are served, the others fail without
//! taking anything from them, and when connections are free again, everybody is served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Pid, Request, wait};

use super::callers::{
    Call, assert_all_are, call, has_each_answered, read_during, read_until, scripts, words, write,
};
use super::watch::{assert_never_out, row};

/// The smallest limit that memcached keeps; some of its descriptors are for itself.
const LIMIT: &str = "64";

const TIMEOUT: Duration = Duration::from_millis(600);

/// What memcached does at the limit: it says so and hangs up, or it does not accept until one is free.
const SAYS_SO: &[&str] = &["-c", LIMIT];
const LETS_WAIT: &[&str] = &["-c", LIMIT, "-o", "no_maxconns_fast"];

fn builder(memcached: &Memcached, workers: usize) -> Builder {
    scripts(Kamailio::on(memcached))
        .param(
            "timeout",
            i64::try_from(TIMEOUT.as_millis()).expect("short"),
        )
        .param("retry_interval", 200)
        .children(workers)
        .rpc()
}

/// Takes all connections that are left.
fn take_all(memcached: &Memcached) -> Vec<TcpStream> {
    let mut taken = Vec::new();
    let more = || {
        let mut stream = TcpStream::connect(memcached.address()).ok()?;
        let limit = Some(Duration::from_millis(200));
        stream.set_read_timeout(limit).expect("a socket");
        stream.write_all(b"version\r\n").ok()?;
        let mut part = [0; 7];
        let answered = stream.read_exact(&mut part).is_ok() && &part == b"VERSION";
        answered.then_some(stream)
    };
    while let Some(stream) = more() {
        taken.push(stream);
    }
    assert!(!taken.is_empty(), "no connection was free");
    taken
}

/// How many connections memcached has turned away, as it tells on one that it has.
fn turned_away(stream: &mut TcpStream) -> u64 {
    let limit = Some(wait::WAIT_LIMIT);
    stream.set_read_timeout(limit).expect("a socket");
    stream.write_all(b"stats\r\n").expect("a connection");
    // Before that comes the rest of the version.
    let (mut told, mut part) = (Vec::<u8>::new(), [0; 4096]);
    while !told.ends_with(b"END\r\n") {
        let len = stream.read(&mut part).expect("statistics");
        assert!(len > 0, "the connection is closed");
        told.extend_from_slice(&part[..len]);
    }
    let told = String::from_utf8_lossy(&told);
    let mut lines = told.lines();
    let number = lines.find_map(|line| line.strip_prefix("STAT rejected_connections "));
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {told}"))
}

/// One worker has a connection, two have none.
fn assert_connected_are_served(args: &[&str]) {
    let memcached = Memcached::with(args);
    let kamailio = builder(&memcached, 3).start();
    let connected: Pid = write(&kamailio, "a", "one").process;
    let taken = take_all(&memcached);
    let calls = read_until(&kamailio, 6, &["a".into()], |calls| {
        has_each_answered(&kamailio, calls, 10)
    });
    let (of_connected, of_others): (Vec<Call>, Vec<Call>) = calls
        .into_iter()
        .partition(|call| call.process == connected);
    let (served, turned_away) = (words(&of_connected), words(&of_others));
    assert!(
        served.keys().eq([&"hit"]),
        "{args:?}: {served:?}, others {turned_away:?}"
    );
    let few = of_others
        .iter()
        .filter(|call| call.took > TIMEOUT + Duration::from_millis(300));
    assert_eq!(
        few.count(),
        0,
        "{args:?}: nobody waits longer than the timeout"
    );
    assert!(
        !turned_away.contains_key("hit"),
        "{args:?}: {turned_away:?}"
    );
    let state = row(&kamailio, memcached.address()).state;
    assert_eq!(state, "active", "{args:?}");
    assert_never_out(&kamailio);
    drop(taken);
    assert_everybody_is_served(&kamailio);
}

#[track_caller]
fn assert_everybody_is_served(kamailio: &Kamailio) {
    wait::until("everybody to be served", Duration::from_secs(5), || {
        let answers = kamailio.run_on_every_worker("get", &Request::about("a"));
        answers.iter().all(|answer| answer["$mcst"] == "hit")
    });
}

#[test]
fn workers_with_a_connection_are_served_while_others_are_turned_away() {
    assert_connected_are_served(SAYS_SO);
}

#[test]
fn workers_with_a_connection_are_served_while_others_wait_to_be_accepted() {
    assert_connected_are_served(LETS_WAIT);
}

/// Nobody else is answered while a worker is kept waiting.
#[test]
fn on_a_quiet_node_who_is_turned_away_takes_nothing_from_the_others() {
    std::thread::scope(|scope| {
        for args in [SAYS_SO, LETS_WAIT] {
            scope.spawn(move || {
                let memcached = Memcached::with(args);
                let kamailio = builder(&memcached, 3).start();
                let connected: Pid = write(&kamailio, "a", "one").process;
                let _taken = take_all(&memcached);
                let calls: Vec<Call> = (0..60).map(|_| call(&kamailio, "get", "a")).collect();
                let (served, others): (Vec<Call>, Vec<Call>) = calls
                    .into_iter()
                    .partition(|call| call.process == connected);
                assert!(!served.is_empty() && !others.is_empty());
                assert!(words(&served).keys().eq([&"hit"]), "{served:?}");
                assert!(!words(&others).contains_key("hit"), "{others:?}");
                let changes = [" is trying", " is inactive"];
                let changes = changes.map(|text| kamailio.log_lines(text).len());
                assert_eq!(changes, [0, 0], "{}", kamailio.log());
            });
        }
    });
}

#[test]
fn probes_that_are_turned_away_take_nothing_from_workers_that_are_connected() {
    std::thread::scope(|scope| {
        for args in [SAYS_SO, LETS_WAIT] {
            scope.spawn(move || {
                let memcached = Memcached::with(args);
                let kamailio = builder(&memcached, 3).param("ping_interval", 1).start();
                write(&kamailio, "a", "one");
                kamailio.run_on_every_worker("get", &Request::about("a"));
                let mut taken = take_all(&memcached);
                let before = (args == SAYS_SO).then(|| turned_away(&mut taken[0]));
                let are_turned_away = || match before {
                    // A probe that is hung up on may connect once more.
                    Some(before) => turned_away(&mut taken[0]) >= before + 3,
                    // memcached knows nothing of those that it lets wait.
                    None => {
                        let listed = kamailio.rpc("memcached.list", &[]);
                        listed.contains("last_probe: timeout")
                    }
                };
                let ((), calls) = read_during(&kamailio, 2, &["a".into()], || {
                    wait::until("probes in vain", wait::WAIT_LIMIT, are_turned_away);
                });
                assert_all_are(&calls, "hit");
                assert_never_out(&kamailio);
            });
        }
    });
}

/// As long as nobody is served, the server is out; it comes back by itself.
#[test]
fn when_nobody_has_a_connection_all_are_told_at_once_and_served_again_later() {
    let memcached = Memcached::with(SAYS_SO);
    memcached.put("a", 1, 0, "one");
    let kamailio = builder(&memcached, 3).start();
    let taken = take_all(&memcached);
    let calls: Vec<Call> = (0..12).map(|_| call(&kamailio, "get", "a")).collect();
    assert!(
        calls.iter().all(|call| call.word != "hit"),
        "{:?}",
        words(&calls)
    );
    let slow = calls
        .iter()
        .filter(|call| call.took > Duration::from_millis(100));
    assert!(slow.count() <= 1, "{calls:?}");
    drop(taken);
    assert_everybody_is_served(&kamailio);
}
