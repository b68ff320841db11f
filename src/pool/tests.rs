use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use super::*;
use crate::clock::{Deadline, Moment};
use crate::config::{Given, Parameters};
use crate::error::{Down, Error};
use crate::health::State;
use crate::server;
use crate::wire::protocol::{Reply, Request};

fn pool(servers: &str, failover: i32) -> Pool {
    let mut parameters = Parameters::default();
    parameters.set("servers", Given::Text(servers)).unwrap();
    parameters.set("failover", Given::Number(failover)).unwrap();
    parameters.set("rejoin", Given::Text("flush")).unwrap();
    let declared = parameters.settle().remove(0);
    Pool::new(declared, &Shared::private(1)[0])
}

fn labels(pool: &Pool) -> Vec<String> {
    pool.members()
        .iter()
        .map(|member| member.spec().label())
        .collect()
}

fn publish(pool: &Pool, servers: &str) {
    let servers = server::parse_list(servers).unwrap();
    pool.publish(pool.list_version(), &servers).unwrap();
}

#[test]
fn a_published_list_is_followed() {
    let mut pool = pool("a:1, b:2 bee", 0);
    assert_eq!(labels(&pool), ["a:1", "bee"]);
    publish(&pool, "b:2:5, c:3");
    assert_eq!(
        labels(&pool),
        ["a:1", "bee"],
        "not before the next operation"
    );
    pool.refresh();
    assert_eq!(labels(&pool), ["b:2", "c:3"]);
}

#[test]
fn a_server_that_left_and_came_back_unseen_is_found_in_its_new_slot() {
    let mut pool = pool("a:1, b:2", 0);
    for list in ["b:2", "b:2, c:3, a:1"] {
        publish(&pool, list);
    }
    pool.refresh();
    assert_eq!(labels(&pool), ["b:2", "c:3", "a:1"]);
    pool.members()[1].server().set(State::Disabled);
    let states = pool.members().iter().map(|member| member.health().state());
    let expected = [State::Active, State::Disabled, State::Active];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_server_spoke_before_an_outage_says_nothing_of_the_one_that_came_back() {
    let pool = pool("a:1", 0);
    let server = pool.members()[0].server();
    let before = server.health().generation();
    server.note_dialect(Dialect::Classic, before);
    assert_eq!(server.dialect(), Some(Dialect::Classic));
    for state in [State::Disabled, State::Active] {
        server.set(state);
    }
    assert_eq!(server.dialect(), None);
    // A worker that was stopped meanwhile notes what the server had answered before.
    server.note_dialect(Dialect::Classic, before);
    assert_eq!(server.dialect(), None);
    server.note_dialect(Dialect::Meta, server.health().generation());
    assert_eq!(server.dialect(), Some(Dialect::Meta));
}

#[test]
fn a_key_is_located_with_all_its_stand_ins() {
    let pool = pool("a:1, b:2, c:3", 0);
    let location = pool.locate(b"k").unwrap();
    assert_eq!(location.hash, pool.placement().hash(b"k"));
    assert_eq!(location.order.len(), 3);
    let owner = pool.ring.as_ref().unwrap().owner(location.hash);
    assert_eq!(location.order[0], pool.members[owner].spec());
}

#[test]
fn every_server_before_the_one_that_takes_a_write_must_make_up_for_it() {
    let mut parameters = Parameters::default();
    for (name, given) in [
        ("servers", Given::Text("a.invalid, b.invalid, c.invalid")),
        ("failover", Given::Number(1)),
        ("rejoin", Given::Text("flush")),
        ("inactive_threshold", Given::Number(100)),
    ] {
        parameters.set(name, given).unwrap();
    }
    let mut pool = Pool::new(parameters.settle().remove(0), &Shared::private(1)[0]);
    let key = pool.placement().wire_key(b"k").unwrap();
    let order = pool.locate(key.as_bytes()).unwrap().order;
    let order: Vec<_> = order.into_iter().cloned().collect();
    let delete = Request::Delete { key: &key };
    let deadline = pool.begin();
    let reply = pool.route(&deadline, &key, None, &delete, &mut Vec::new());
    assert!(matches!(reply, Err(Error::Down(Down::Unresolved))));
    // The last one was asked, too. Nobody knows whether the write was done there.
    for (server, misses) in order.into_iter().zip([true, true, false]) {
        let mut members = pool.members().iter();
        let member = members.find(|it| *it.spec() == server).unwrap();
        assert_eq!(member.health().diverted() != 0, misses, "{server}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_server_that_had_hardly_any_time_is_not_condemned() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pool = pool(&silent.local_addr().unwrap().to_string(), 0);
    let key = pool.placement().wire_key(b"k").unwrap();
    let get = Request::Get { key: &key };
    for (time, is_condemned) in [(20, false), (1000, true)] {
        let deadline = Deadline::new(Moment::now(), Duration::from_millis(time));
        let reply = pool.route(&deadline, &key, None, &get, &mut Vec::new());
        assert!(
            matches!(reply, Err(Error::Timeout(_) | Error::Busy)),
            "{reply:?}"
        );
        let health = pool.members()[0].health();
        assert_eq!(health.state() != State::Active, is_condemned, "{time} ms");
    }
}

#[test]
fn dead_servers_are_left_out_where_that_is_asked_for() {
    for (failover, left) in [(0, 3), (1, 3), (2, 1)] {
        let mut pool = pool("a:1, b:2, c:3", failover);
        for member in &pool.members()[..2] {
            member.server().set(State::Disabled);
        }
        pool.refresh();
        assert_eq!(
            pool.locate(b"k").unwrap().order.len(),
            left,
            "failover={failover}"
        );
        pool.members()[2].server().set(State::Disabled);
        pool.refresh();
        assert_eq!(pool.locate(b"k").is_none(), failover == 2);
    }
}

#[test]
fn a_copy_that_is_out_makes_up_for_what_it_misses_whatever_it_keeps() {
    for rejoin in ["keep", "flush"] {
        let mut parameters = Parameters::default();
        let servers = "a.invalid, b.invalid, c.invalid";
        for (name, given) in [
            ("servers", Given::Text(servers)),
            ("replicas", Given::Number(2)),
            ("rejoin", Given::Text(rejoin)),
            ("inactive_threshold", Given::Number(100)),
        ] {
            parameters.set(name, given).unwrap();
        }
        let mut pool = Pool::new(parameters.settle().remove(0), &Shared::private(1)[0]);
        let key = pool.placement().wire_key(b"k").unwrap();
        let copies = pool.copies(&key, pool.placement().hash(key.as_bytes()));
        assert_eq!((copies.len(), pool.replicas()), (2, 2));
        pool.members()[copies[1]].server().set(State::Disabled);
        let delete = Request::Delete { key: &key };
        let deadline = pool.begin();
        let reply = pool.route(&deadline, &key, None, &delete, &mut Vec::new());
        assert!(matches!(reply, Err(Error::Down(Down::Unresolved))));
        let misses = |at: usize| pool.members()[at].health().diverted() != 0;
        // The owner has failed, and nobody has done it. After an outage it would be emptied anyway.
        let expected = [false, rejoin == "keep"];
        assert_eq!([misses(copies[0]), misses(copies[1])], expected);
        let others = (0..3).filter(|at| !copies.contains(at));
        assert!(others.map(misses).all(|misses| !misses));
    }
}

/// The address of a server that finds nothing to delete, and answers no second request.
fn answers_once() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let len = stream.read(&mut [0; 64])?;
        stream.write_all(b"NOT_FOUND\r\n")?;
        // Until the client closes.
        io::copy(&mut stream, &mut io::sink()).map(|more| more + len as u64)
    });
    address
}

/// A pool that keeps each item on both of these servers, and waits for 2 s.
fn copied([first, second]: [SocketAddr; 2]) -> Pool {
    let mut parameters = Parameters::default();
    for (name, given) in [
        ("servers", Given::Text(&format!("{first}, {second}"))),
        ("replicas", Given::Number(2)),
        ("timeout", Given::Number(2000)),
        ("stall_limit", Given::Number(2000)),
    ] {
        parameters.set(name, given).unwrap();
    }
    Pool::new(parameters.settle().remove(0), &Shared::private(1)[0])
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_write_to_copies_that_begins_late_has_what_is_left_of_its_time() {
    let mut pool = copied([(); 2].map(|()| answers_once()));
    let key = pool.placement().wire_key(b"k").unwrap();
    let delete = Request::Delete { key: &key };
    let deadline = pool.begin();
    let reply = pool.route(&deadline, &key, None, &delete, &mut Vec::new());
    assert_eq!(reply.unwrap(), Reply::Miss, "now both are connected");
    let spent = Duration::from_millis(1900);
    let deadline = Deadline::new(Moment::now() - spent, Duration::from_millis(2000));
    let reply = pool.route(&deadline, &key, None, &delete, &mut Vec::new());
    assert!(matches!(reply, Err(Error::Timeout(_))), "{reply:?}");
    let late = Moment::now().since(deadline.end());
    assert!(late < Duration::from_millis(900), "{late:?}");
}

/// The copy goes out of service and comes back while the first one is waited for.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_write_that_a_copy_was_sent_is_not_sent_again_after_an_outage_of_a_moment() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut pool = copied(listeners.each_ref().map(|it| it.local_addr().unwrap()));
    let key = pool.placement().wire_key(b"k").unwrap();
    let copies = pool.copies(&key, pool.placement().hash(key.as_bytes()));
    let health = pool.members()[copies[1]].health();
    let generation = health.generation();
    let [at_first, at_second] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let is_back = Arc::new(OnceLock::<()>::new());
    for (at, listener) in listeners.into_iter().enumerate() {
        let is_first = at == copies[0];
        let requests = Arc::clone(if is_first { &at_first } else { &at_second });
        let is_back = Arc::clone(&is_back);
        // What it does before it answers: nothing when the connections are opened.
        serve(listener, move || {
            match requests.fetch_add(1, Ordering::Relaxed) {
                0 => {}
                _ if is_first => {
                    for state in [State::Disabled, State::Active] {
                        health.set(Moment::now(), state);
                    }
                    is_back.get_or_init(|| ());
                }
                // The pool waits for that no longer than 2 s.
                _ => {
                    is_back.wait();
                }
            }
        });
    }
    let delete = Request::Delete { key: &key };
    for writes in 1..=2 {
        let deadline = pool.begin();
        let reply = pool.route(&deadline, &key, None, &delete, &mut Vec::new());
        assert_eq!(reply.unwrap(), Reply::Miss);
        let requests = [&at_first, &at_second].map(|it| it.load(Ordering::Relaxed));
        assert_eq!(requests, [writes; 2]);
    }
    assert_ne!(
        health.generation(),
        generation,
        "it was out and has come back"
    );
}

/// A server that finds nothing to delete, and does that before each answer.
fn serve(listener: TcpListener, before: impl Fn() + Send + Sync + 'static) {
    let before = Arc::new(before);
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let before = Arc::clone(&before);
            thread::spawn(move || {
                while stream.read(&mut [0; 64]).is_ok_and(|len| len > 0) {
                    before();
                    if stream.write_all(b"NOT_FOUND\r\n").is_err() {
                        break;
                    }
                }
            });
        }
    });
}

#[test]
fn an_item_has_no_more_copies_than_there_are_servers() {
    let mut parameters = Parameters::default();
    parameters.set("replicas", Given::Number(3)).unwrap();
    let pool = Pool::new(parameters.settle().remove(0), &Shared::private(1)[0]);
    assert_eq!(pool.replicas(), 1);
    assert_eq!(pool.locate(b"k").unwrap().copies, 1);
}
