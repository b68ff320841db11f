use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::under_way::errand;
use super::*;
use crate::config::{Given, Parameters, Settings};
use crate::error::{Down, Error};
use crate::health::diverted::Missed;
use crate::health::{Judgement, Origin};
use crate::item::key::WireKey;
use crate::item::value::Numbers;
use crate::pool::SharedServer;
use crate::prober::rejoin::{Errand, Finding};
use crate::server::parse_list;
use crate::shared::Shared;
use crate::status::Status;

/// A pool of the server `a:1`, whose name has no address, with `rejoin=flush`.
fn pool() -> Pool {
    Pool::new(declared("a:1").settle().remove(0), &Shared::private(1)[0])
}

fn declared(servers: &str) -> Parameters {
    let mut parameters = Parameters::default();
    for (name, text) in [("servers", servers), ("rejoin", "flush")] {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    parameters
}

fn fail(server: &SharedServer, settings: &Settings) -> Judgement {
    let (now, health) = (Moment::now(), server.health());
    let by = Origin {
        process: 99,
        generation: health.generation(),
        began: now,
        is_kept_out: false,
        ends: now,
    };
    health.failed(now, by, Status::Down, settings.rules)
}

fn key(text: &str) -> WireKey {
    WireKey::new(b"", text.as_bytes()).unwrap()
}

fn missed(keys: &[&str]) -> Missed {
    Missed::Keys(keys.iter().map(|key| key.as_bytes().to_vec()).collect())
}

/// A probe that begins now.
fn begin(pool: &Pool) -> ProbeUnderWay {
    let server = pool.members()[0].server();
    ProbeUnderWay::begin(0, pool, server, Moment::now(), 0, &Clocks::default())
}

/// The probe is over, with this result.
fn end(pool: &Pool, asked: ProbeUnderWay, result: Result<Finding, Error>) {
    let ProbeUnderWay { probe, .. } = asked;
    let probe = probe.with_result(result);
    let server = pool.members()[0].server();
    conclude(server, ProbeUnderWay { probe, ..asked }, pool.settings());
}

fn refused() -> Result<Finding, Error> {
    Err(Error::Rejected("ERROR".into()))
}

#[test]
fn only_what_was_emptied_in_this_outage_returns() {
    let pool = pool();
    let (server, settings) = (pool.members()[0].server(), pool.settings());
    let state = |finding, asked| {
        end(&pool, asked, Ok(finding));
        server.health().state()
    };
    let early = begin(&pool);
    assert!(matches!(fail(server, settings), Judgement::Changed(_)));
    let [first, late] = [begin(&pool), begin(&pool)];
    assert!(matches!(
        errand(server, settings, Moment::now(), &Clocks::default()),
        Errand::Empty(_)
    ));
    // Begun when it was still in service.
    assert_eq!(state(Finding::Present, early), State::Inactive);
    assert_eq!(state(Finding::Emptied, first), State::Active);
    assert!(matches!(fail(server, settings), Judgement::Changed(_)));
    assert_eq!(state(Finding::Emptied, late), State::Inactive);
    let second = begin(&pool);
    assert_eq!(state(Finding::Restarted, second), State::Active);
    assert!(matches!(
        errand(server, settings, Moment::now(), &Clocks::default()),
        Errand::Ping
    ));
}

#[test]
fn a_server_makes_up_for_the_writes_that_it_has_missed() {
    let pool = pool();
    let (server, health) = (pool.members()[0].server(), pool.members()[0].health());
    server.divert(&key("one"));
    let asked = begin(&pool);
    assert_eq!(server.take_missed(), missed(&[]), "the probe has them");
    end(&pool, asked, refused());
    let asked = begin(&pool);
    end(&pool, asked, refused());
    assert_eq!(health.diverted(), 1);
    assert_eq!(server.take_missed(), missed(&["one"]), "and puts them back");
    server.divert(&key("two"));
    health.set(Moment::now(), State::Active);
    let asked = begin(&pool);
    end(&pool, asked, Ok(Finding::Settled));
    assert!(health.may_be_asked());
}

/// What has made up for some writes has missed others while it was out of service.
#[test]
fn a_server_that_has_failed_while_it_settled_is_emptied_first() {
    let pool = pool();
    let (server, health) = (pool.members()[0].server(), pool.members()[0].health());
    server.divert(&key("one"));
    let asked = begin(&pool);
    assert!(matches!(
        fail(server, pool.settings()),
        Judgement::Changed(_)
    ));
    end(&pool, asked, Ok(Finding::Settled));
    assert_eq!(health.state(), State::Inactive);
    let asked = begin(&pool);
    end(&pool, asked, Ok(Finding::Emptied));
    assert!(health.may_be_asked());
}

#[test]
fn a_write_that_is_missed_while_others_are_made_up_for_is_not_forgotten() {
    // After 63 of them the number is the same again.
    for more in [1, 62, 63, 64] {
        let pool = pool();
        let (server, health) = (pool.members()[0].server(), pool.members()[0].health());
        server.divert(&key("one"));
        let asked = begin(&pool);
        (0..more).for_each(|_| server.divert(&key("two")));
        end(&pool, asked, Ok(Finding::Settled));
        assert!(!health.may_be_asked(), "{more} more");
        assert_ne!(server.take_missed(), missed(&[]));
    }
}

/// The process was stopped: the server may have restarted meanwhile, and forgotten the connection.
#[test]
fn a_probe_that_nobody_has_listened_to_for_long_condemns_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    let mut cache = Cache::new(
        declared(&servers).settle(),
        Numbers::Bits64,
        Shared::private(1),
    );
    let mut prober = Prober::default();
    cache.pools()[0].members()[0].server().divert(&key("one"));
    prober.tick(&mut cache, |_| true);
    prober.looked = prober.looked.map(|_| Moment::from_nanos(0));
    prober.tick(&mut cache, |_| true);
    drop(silent.accept().unwrap());
    while prober.under_way.len() == 1 && cache.pools()[0].members()[0].server().last_probe() == "" {
        prober.tick(&mut cache, |_| true);
    }
    let server = cache.pools()[0].members()[0].server();
    assert_eq!(server.health().state(), State::Active);
}

/// An operator takes a server out and brings it back while it is making up for a write.
#[test]
fn a_probe_that_is_given_up_forgets_no_missed_write() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    let declared = declared(&servers).settle();
    let mut cache = Cache::new(declared, Numbers::Bits64, Shared::private(1));
    let mut prober = Prober::default();
    cache.pools()[0].members()[0].server().divert(&key("one"));
    prober.tick(&mut cache, |_| true);
    assert_eq!(prober.under_way.len(), 1, "it is making up for the write");
    for state in [State::Disabled, State::Active] {
        cache.pools()[0].members()[0].server().set(state);
    }
    prober.tick(&mut cache, |_| true);
    assert_eq!(prober.under_way.len(), 0, "a probe of the last generation");
    let server = cache.pools()[0].members()[0].server();
    assert!(!server.health().may_be_asked());
    assert_eq!(server.take_missed(), missed(&["one"]));
}

/// A firewall forgets the flow of the probe, or the server closes it: the server itself has just answered.
#[test]
fn a_server_that_breaks_off_while_it_settles_stays_in_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        stream.read_line(&mut String::new()).unwrap();
        stream.get_mut().write_all(b"VERSION 1\r\n").unwrap();
        listener
    });
    let declared = declared(&servers).settle();
    let mut cache = Cache::new(declared, Numbers::Bits64, Shared::private(1));
    let mut prober = Prober::default();
    cache.pools()[0].members()[0].server().divert(&key("one"));
    prober.tick(&mut cache, |_| true);
    let _listener = answers.join().unwrap();
    while prober.under_way.len() == 1 && cache.pools()[0].members()[0].server().last_probe() == "" {
        prober.tick(&mut cache, |_| true);
    }
    let server = cache.pools()[0].members()[0].server();
    // It is a reset if the next request has come first.
    let word = server.last_probe();
    assert!(word.starts_with("down: connection "), "{word}");
    assert_eq!(server.health().state(), State::Active);
}

/// As a proxy does that knows no `flush_all`.
#[test]
fn a_server_that_always_breaks_off_while_it_settles_is_taken_out_of_service() {
    const LOOKS: usize = 4;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = listener.local_addr().unwrap().to_string();
    let mut declared = declared(&servers);
    declared.set("retry_interval", Given::Number(60)).unwrap();
    let mut cache = Cache::new(declared.settle(), Numbers::Bits64, Shared::private(1));
    let mut prober = Prober::default();
    cache.pools()[0].members()[0].server().divert(&key("one"));
    let health = cache.pools()[0].members()[0].health();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let answers = std::thread::spawn(move || {
        for _ in 0..LOOKS {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            count.fetch_add(1, Ordering::SeqCst);
            stream.read_line(&mut String::new()).unwrap();
            stream.get_mut().write_all(b"VERSION 1\r\n").unwrap();
        }
    });
    while !answers.is_finished() {
        // The last connection may be over before the thread is. So the state is read first.
        let state = health.state();
        if accepted.load(Ordering::SeqCst) < LOOKS {
            assert_eq!(state, State::Active);
        }
        prober.tick(&mut cache, |_| true);
    }
    while health.state() == State::Active {
        prober.tick(&mut cache, |_| true);
    }
    answers.join().unwrap();
    assert_eq!(health.state(), State::Inactive);
}

/// An operator takes a server out of service and of the list while it is making up for a write.
#[test]
fn what_a_server_has_missed_that_leaves_the_list_is_not_forgotten() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = silent.local_addr().unwrap().to_string();
    let shared = Shared::private(1);
    let mut cache = Cache::new(declared(&servers).settle(), Numbers::Bits64, shared);
    let mut prober = Prober::default();
    let server = cache.pools()[0].members()[0].server();
    server.divert(&key("one"));
    prober.tick(&mut cache, |_| true);
    cache.pools()[0].members()[0].server().set(State::Disabled);
    let list = |servers: &str| {
        let servers = parse_list(servers).unwrap();
        let published = shared[0].publish(shared[0].version(), &servers, Moment::now());
        published.unwrap();
    };
    list("other:1");
    prober.tick(&mut cache, |_| true);
    list(&servers);
    prober.tick(&mut cache, |_| true);
    let server = cache.pools()[0].members()[0].server();
    assert_eq!(server.take_missed(), missed(&["one"]));
}

#[test]
fn a_probe_tells_what_it_has_found() {
    let pool = pool();
    let server = pool.members()[0].server();
    assert_eq!((server.last_probe(), server.why()), ("".into(), "".into()));
    fail(server, pool.settings());
    let asked = begin(&pool);
    end(&pool, asked, refused());
    assert_eq!(server.last_probe(), "rejected: the server says: ERROR");
    assert_eq!(server.why(), "", "its state has not changed");
    let asked = begin(&pool);
    end(&pool, asked, Ok(Finding::Emptied));
    assert_eq!(server.last_probe(), "ok");
    assert_eq!(server.why(), "it has answered a probe");
    let asked = begin(&pool);
    end(&pool, asked, Err(Error::Down(Down::Closed)));
    let words = "down: connection closed by the server";
    assert_eq!(server.last_probe(), words);
    assert_eq!(server.why(), format!("{words} (probe)"));
}

/// The worker that has found an outage has changed the state, and is about to log it.
#[test]
fn what_a_probe_finds_is_no_news_before_the_outage_is_told() {
    let pool = pool();
    let server = pool.members()[0].server();
    let Judgement::Changed(change) = fail(server, pool.settings()) else {
        panic!("one failure is an outage");
    };
    assert!(!server.note_probe("down: refused"));
    server.note(change, &"down: refused (get of key 'k')");
    assert!(!server.note_probe("down: refused"));
    assert!(server.note_probe("timeout: no reply"));
    assert!(!server.note_probe("timeout: no reply"));
}
