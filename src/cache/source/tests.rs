use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::super::call::tests::{read_request, serve};
use super::*;
use crate::cache::{Answer, Read, Verb};
use crate::clock::Moment;
use crate::config::{Given, Parameters};
use crate::health::{Health, State};
use crate::item::value::Value;
use crate::pool::Member;
use crate::shared::Shared;
use crate::status::Status;
use crate::wire::protocol::Way;

mod copies;
mod large;
mod lost;
mod stopped;

const ALWAYS: i32 = -1;

/// A cache on two servers that give these replies, one after the other. The first one owns the key `k`.
struct Pair {
    cache: Cache,
    servers: [JoinHandle<Vec<String>>; 2],
}

impl Pair {
    fn new(
        miss_failover: i32,
        owner: &'static [&'static str],
        stand_in: &'static [&'static str],
    ) -> Self {
        let numbers = [("failover", 1), ("miss_failover", miss_failover)];
        Self::with(&numbers, owner, stand_in)
    }

    fn with(
        numbers: &[(&str, i32)],
        owner: &'static [&'static str],
        stand_in: &'static [&'static str],
    ) -> Self {
        let (cache, listeners) = cache_on_two(numbers, "keep", "classic");
        let mut replies = [owner, stand_in].into_iter();
        let servers = listeners.map(|listener| {
            let replies = replies.next().unwrap();
            thread::spawn(move || match replies {
                [] => Vec::new(),
                replies => serve(&listener, replies),
            })
        });
        Self { cache, servers }
    }

    fn key(&self) -> Key {
        self.cache.key(0, b"k", b"").unwrap()
    }

    fn get(&mut self) -> Read {
        self.cache.get(&self.key(), &mut Vec::new()).unwrap()
    }

    fn call(&mut self, verb: Verb, operands: &[Value<'_>]) -> Answer {
        let operands: Vec<_> = operands.iter().copied().map(Some).collect();
        let key = self.key();
        let called = self.cache.call(verb, &key, &operands, &mut Vec::new());
        called.unwrap()
    }

    fn owner(&self) -> &'static Health {
        owner_of(&self.cache)
    }

    fn repaired(&self) -> u64 {
        self.cache.pools()[0].stats().repaired.value()
    }

    /// What the owner and the stand-in have got.
    fn said(self) -> [Vec<String>; 2] {
        drop(self.cache);
        self.servers.map(|server| server.join().unwrap())
    }
}

/// A cache on two servers: first the one that owns the key `k`, then its stand-in.
fn cache_on_two(
    numbers: &[(&str, i32)],
    rejoin: &str,
    protocol: &str,
) -> (Cache, [TcpListener; 2]) {
    let mut listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|it| it.local_addr().unwrap());
    let mut parameters = Parameters::default();
    let list = addresses.map(|address| address.to_string()).join(",");
    let texts = [
        ("servers", &*list),
        ("protocol", protocol),
        ("rejoin", rejoin),
    ];
    for (name, text) in texts {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    for (name, number) in numbers {
        parameters.set(name, Given::Number(*number)).unwrap();
    }
    let cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
    let key = cache.key(0, b"k", b"").unwrap();
    let owner = cache.pools()[0].owner_of(&key.wire).unwrap().to_string();
    if owner != addresses[0].to_string() {
        listeners.reverse();
    }
    (cache, listeners)
}

/// The health of the server that owns the key `k`.
fn owner_of(cache: &Cache) -> &'static Health {
    let pool = &cache.pools()[0];
    let key = cache.key(0, b"k", b"").unwrap();
    let address = pool.owner_of(&key.wire).unwrap();
    let mut members = pool.members().iter();
    let member = members.find(|it| it.spec().address == *address).unwrap();
    member.health()
}

const MISS: &str = "END\r\n";
const VALUE: &str = "VALUE k 1 1\r\nv\r\nEND\r\n";
const NUMBER: &str = "VALUE k 0 1\r\n5\r\nEND\r\n";
const MISSING: &str = "NOT_FOUND\r\n";
const STORED: &str = "STORED\r\n";

#[test]
fn a_miss_is_asked_for_at_the_stand_in_and_what_is_found_is_added_at_the_owner() {
    let mut pair = Pair::new(ALWAYS, &[MISS, STORED], &[VALUE, VALUE]);
    assert_eq!(pair.get(), Read::Hit(Found::Text));
    assert_eq!(pair.repaired(), 1);
    let stats = pair.cache.pools()[0].stats();
    let [hits, misses, failovers] = [&stats.hits, &stats.misses, &stats.failovers];
    assert_eq!([hits.value(), misses.value(), failovers.value()], [1, 0, 0]);
    let [owner, stand_in] = pair.said();
    assert_eq!(owner, ["get k|", "add k 1 10800 1|v|"]);
    assert_eq!(stand_in, ["get k|", "get k|"]);
}

#[test]
fn a_hit_asks_nobody_else_and_a_miss_only_while_the_return_is_recent() {
    let mut pair = Pair::new(60, &[VALUE, MISS], &[]);
    assert_eq!(pair.get(), Read::Hit(Found::Text));
    assert_eq!(pair.get(), Read::Miss, "it was never out of service");
    let key = pair.key();
    assert_eq!(pair.cache.asked_after_miss(&key), None);
    pair.owner().set(Moment::now(), State::Disabled);
    assert_eq!(pair.cache.asked_after_miss(&key), None, "it is asked first");
    let wanted = (&key.wire, None);
    let pool = &mut pair.cache.pools[0];
    assert!(
        pool.may_be_at_stand_in(wanted, Aim::Remove),
        "it may be back"
    );
    pair.owner().set(Moment::now(), State::Active);
    assert!(pair.cache.asked_after_miss(&key).is_some());
    for (ago, aims) in [(59, [true, true]), (61, [false, true]), (70, [false; 2])] {
        let then = Moment::now() - Duration::from_secs(ago);
        for state in [State::Disabled, State::Active] {
            pair.owner().set(then, state);
        }
        let pool = &mut pair.cache.pools[0];
        let may_be = [Aim::Find, Aim::Remove].map(|aim| pool.may_be_at_stand_in(wanted, aim));
        assert_eq!(may_be, aims, "{ago} s ago");
    }
    pair.owner().divert(Moment::now());
    let asked = pair.cache.asked_after_miss(&key);
    assert!(asked.is_some(), "the owner may have missed it just before");
    pair.said();
}

/// While the next server was out, the third one has got what was written then. It does not know what was deleted later.
#[test]
fn only_the_next_server_is_asked_or_with_copies_only_these() {
    for (numbers, asked) in [
        (&[("failover", 1)][..], [Some(1), None]),
        (&[("failover", 1), ("replicas", 2)], [Some(1), None]),
        (&[("failover", 0), ("replicas", 3)], [Some(1), Some(2)]),
    ] {
        let mut parameters = Parameters::default();
        let list = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3";
        parameters.set("servers", Given::Text(list)).unwrap();
        for (name, number) in [("miss_failover", ALWAYS)].iter().chain(numbers) {
            parameters.set(name, Given::Number(*number)).unwrap();
        }
        let mut cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
        let key = cache.key(0, b"k", b"").unwrap();
        let location = cache.pools[0].locate(key.wire.as_bytes()).unwrap();
        let order: Vec<_> = location.order.into_iter().cloned().collect();
        let labels = asked.map(|at: Option<usize>| at.map(|at| order[at].label()));
        assert_eq!(cache.asked_after_miss(&key), labels[0], "{numbers:?}");
        let mut members = cache.pools[0].members().iter();
        let next = members.find(|it| *it.spec() == order[1]).unwrap();
        next.health().set(Moment::now(), State::Disabled);
        assert_eq!(cache.asked_after_miss(&key), labels[1], "{numbers:?}");
    }
}

#[test]
fn a_delete_asks_nobody_in_place_of_a_stand_in_that_is_out() {
    let mut pair = Pair::new(ALWAYS, &["DELETED\r\n"], &[]);
    let key = pair.key();
    let owner = pair.owner();
    let mut others = pair.cache.pools[0].members().iter().map(Member::health);
    let stand_in = others.find(|it| !std::ptr::eq(*it, owner)).unwrap();
    stand_in.set(Moment::now(), State::Disabled);
    assert_eq!(pair.cache.delete(&key).unwrap(), Status::Deleted);
    let [owner, _] = pair.said();
    assert_eq!(owner, ["delete k|"]);
}

#[test]
fn what_was_removed_or_changed_at_the_stand_in_meanwhile_or_may_be_is_removed_again() {
    for (now, read) in [
        (MISS, Read::Miss),
        ("VALUE k 1 1\r\nw\r\nEND\r\n", Read::Hit(Found::Text)),
        ("SERVER_ERROR busy\r\n", Read::Hit(Found::Text)),
    ] {
        let stand_in: &'static [&'static str] = vec![VALUE, now].leak();
        const THERE: &str = "VALUE k 1 1 9\r\nv\r\nEND\r\n";
        let mut pair = Pair::new(ALWAYS, &[MISS, STORED, THERE, STORED], stand_in);
        assert_eq!(pair.get(), read, "{now}");
        let [owner, _] = pair.said();
        assert_eq!(owner[2..], ["gets k|", "cas k 0 2592001 0 9||"], "{now}");
    }
}

/// Its own time may be over as well, if the process was stopped.
#[test]
fn what_cannot_be_removed_again_now_is_removed_before_the_server_is_asked_again() {
    let owner = &[MISS, STORED, "SERVER_ERROR busy\r\n"];
    let mut pair = Pair::new(ALWAYS, owner, &[VALUE, MISS]);
    assert_eq!(pair.get(), Read::Miss);
    assert_eq!(pair.owner().diverted(), 1);
    pair.said();
    for (rejoin, reply, missed) in [("flush", Ok(Reply::Miss), 1), ("keep", Err(()), 0)] {
        let numbers = [("failover", 1), ("miss_failover", ALWAYS)];
        let (mut cache, _listeners) = cache_on_two(&numbers, rejoin, "classic");
        let key = cache.key(0, b"k", b"").unwrap();
        let owner = owner_of(&cache);
        let pool = &mut cache.pools[0];
        let removed = pool.delete_at_stand_in(None, (&key.wire, None));
        assert_eq!(removed.map_err(drop), reply, "{rejoin}");
        let mut others = pool.members().iter().map(Member::health);
        let stand_in = others.find(|it| !std::ptr::eq(*it, owner)).unwrap();
        assert_eq!(stand_in.diverted(), missed, "{rejoin}");
    }
}

#[test]
fn a_removal_begins_at_the_stand_in() {
    for (owner, stand_in, status) in [
        ("DELETED\r\n", "NOT_FOUND\r\n", Status::Deleted),
        ("NOT_FOUND\r\n", "DELETED\r\n", Status::Deleted),
        ("NOT_FOUND\r\n", "NOT_FOUND\r\n", Status::Miss),
    ] {
        // A server without meta commands deletes what is out of date.
        for (verb, operands) in [
            (Verb::Delete, &[][..]),
            (Verb::Invalidate, &[Value::Integer(60)]),
        ] {
            let mut pair = Pair::new(ALWAYS, vec![owner].leak(), vec![stand_in].leak());
            assert_eq!(pair.call(verb, operands).status, status);
            assert_eq!(pair.said(), [["delete k|"], ["delete k|"]]);
        }
    }
    let mut pair = Pair::new(ALWAYS, &["DELETED\r\n"], &["SERVER_ERROR busy\r\n"]);
    let key = pair.key();
    let removed = pair.cache.delete(&key);
    assert!(matches!(removed, Err(Error::ServerError(_))), "{removed:?}");
    pair.said();
}

#[test]
fn what_is_written_takes_the_place_of_what_the_stand_in_has() {
    let value = Value::Text(b"v");
    let time = Value::Integer(60);
    for (verb, operands, reply, status) in [
        (Verb::Set, &[value][..], STORED, Status::Stored),
        (Verb::Replace, &[value], STORED, Status::Stored),
        (Verb::Append, &[value], STORED, Status::Stored),
        (
            Verb::Cas,
            &[value, Value::Integer(9)],
            STORED,
            Status::Stored,
        ),
        (Verb::Touch, &[time], "TOUCHED\r\n", Status::Touched),
    ] {
        let mut pair = Pair::new(ALWAYS, vec![reply].leak(), &["SERVER_ERROR busy\r\n"]);
        assert_eq!(pair.call(verb, operands).status, status, "{verb:?}");
        let [_, stand_in] = pair.said();
        assert_eq!(stand_in, ["delete k|"], "{verb:?}");
    }
}

#[test]
fn what_the_holder_of_a_lease_stores_takes_the_place_of_what_the_stand_in_has() {
    let placeholder = "VALUE k 0 0 9\r\n\r\nEND\r\n";
    let owner = vec![MISS, STORED, placeholder, STORED].leak();
    let mut pair = Pair::new(ALWAYS, owner, &[MISS, "DELETED\r\n"]);
    assert_eq!(pair.call(Verb::Lease, &[]).status, Status::Lease);
    let stored = pair.call(Verb::Set, &[Value::Text(b"v")]);
    assert_eq!(stored.status, Status::Stored);
    let [owner, stand_in] = pair.said();
    assert_eq!(owner[3..], ["cas k 1 10800 1 9|v|"]);
    assert_eq!(stand_in, ["get k|", "delete k|"]);
}

#[test]
fn an_item_that_cannot_be_read_does_not_take_the_place_of_a_lease() {
    let (placeholder, broken) = (
        "VALUE k 0 0 9\r\n\r\nEND\r\n",
        "VALUE k 17 1\r\nv\r\nEND\r\n",
    );
    let owner = vec![MISS, STORED, placeholder, STORED].leak();
    let mut pair = Pair::new(ALWAYS, owner, vec![broken, "DELETED\r\n"].leak());
    assert_eq!(pair.call(Verb::Lease, &[]).status, Status::Lease);
    let stored = pair.call(Verb::Set, &[Value::Text(b"v")]);
    assert_eq!(stored.status, Status::Stored);
    let stats = pair.cache.pools()[0].stats();
    let counts = [&stats.hits, &stats.misses, &stats.failed_gets];
    assert_eq!(counts.map(|it| it.value()), [0, 1, 0]);
    let [owner, _] = pair.said();
    assert_eq!(owner[3..], ["cas k 1 10800 1 9|v|"]);
}

#[test]
fn what_a_stand_in_has_stored_for_the_owner_is_not_removed_there() {
    let mut pair = Pair::new(ALWAYS, &[], &[STORED]);
    pair.owner().set(Moment::now(), State::Disabled);
    let stored = pair.call(Verb::Set, &[Value::Text(b"v")]);
    assert_eq!(stored.status, Status::Stored);
    let [_, stand_in] = pair.said();
    assert_eq!(stand_in, ["set k 1 10800 1|v|"]);
}

/// Another process may have had it come over before it was changed at the stand-in.
#[test]
fn an_owner_that_returns_before_the_stand_in_has_done_a_write_makes_up_for_it_once_more() {
    for (window, missed) in [(ALWAYS, 1), (0, 0)] {
        let numbers = [("failover", 1), ("miss_failover", window)];
        let (mut cache, [_owner, stand_in]) = cache_on_two(&numbers, "flush", "classic");
        let key = cache.key(0, b"k", b"").unwrap();
        let owner = owner_of(&cache);
        // It must make up for another write already.
        owner.divert(Moment::now());
        let writer = thread::spawn(move || {
            let value = [Some(Value::Text(b"v"))];
            let stored = cache.call(Verb::Set, &key, &value, &mut Vec::new());
            stored.unwrap().status
        });
        let mut stand_in = BufReader::new(stand_in.accept().unwrap().0);
        read_request(&mut stand_in, &mut Vec::new());
        let noted = owner.diverted();
        assert!(owner.settle(Moment::now(), owner.generation(), noted));
        assert!(owner.may_be_asked(), "it is back");
        stand_in.get_mut().write_all(STORED.as_bytes()).unwrap();
        assert_eq!(writer.join().unwrap(), Status::Stored);
        assert_eq!(owner.diverted(), missed, "{window}");
    }
}

#[test]
fn a_counter_goes_on_from_what_the_stand_in_has_counted() {
    let mut pair = Pair::new(ALWAYS, &[MISSING, STORED, "8\r\n"], &[NUMBER, NUMBER]);
    let counted = pair.call(Verb::Inc, &[Value::Integer(3)]);
    assert_eq!(counted.value, Some(Found::Integer(8)));
    let [owner, stand_in] = pair.said();
    assert_eq!(owner, ["incr k 3|", "add k 0 10800 1|5|", "incr k 3|"]);
    assert_eq!(stand_in, ["get k|", "get k|"]);
    // Another process may have brought it over between the two questions.
    let mut pair = Pair::new(ALWAYS, &[MISSING, "8\r\n"], &[MISS]);
    let counted = pair.call(Verb::Inc, &[Value::Integer(3)]);
    assert_eq!(counted.value, Some(Found::Integer(8)));
    pair.said();
}

#[test]
fn a_lock_that_a_stand_in_has_given_is_held() {
    let mut pair = Pair::new(ALWAYS, &[STORED], &[VALUE, VALUE]);
    let added = pair.call(Verb::Add, &[Value::Text(b"w")]);
    assert_eq!(added.status, Status::NotStored);
    let [owner, _] = pair.said();
    assert_eq!(owner, ["add k 1 10800 1|v|"]);
}
