use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::super::call::tests::serve;
use super::*;
use crate::cache::Read;
use crate::config::{Given, Parameters};
use crate::item::value::{Found, Numbers};
use crate::shared::Shared;

/// A cache whose default pool warms from another one, on two servers that give these replies, one after the
/// other.
struct Pair {
    cache: Cache,
    servers: [JoinHandle<Vec<String>>; 2],
}

impl Pair {
    fn new(here: &'static [&'static str], source: &'static [&'static str]) -> Self {
        let [here, source] = [here, source].map(|replies| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            (address, thread::spawn(move || serve(&listener, replies)))
        });
        let mut parameters = Parameters::default();
        let old = format!("name=old;servers={}", source.0);
        for (name, text) in [
            ("servers", &*here.0),
            ("protocol", "classic"),
            ("pool", &*old),
            ("warm_from", "old"),
        ] {
            parameters.set(name, Given::Text(text)).unwrap();
        }
        let shared = Shared::private(2);
        Self {
            cache: Cache::new(parameters.settle(), Numbers::Bits64, shared),
            servers: [here.1, source.1],
        }
    }

    fn key(&self) -> Key {
        self.cache.key(0, b"k", b"").unwrap()
    }

    /// What the two servers have got.
    fn said(self) -> [Vec<String>; 2] {
        drop(self.cache);
        self.servers.map(|server| server.join().unwrap())
    }
}

const VALUE: &str = "VALUE k 1 1\r\nv\r\nEND\r\n";

#[test]
fn what_comes_over_is_looked_for_at_its_source_once_more() {
    let mut pair = Pair::new(&["END\r\n", "STORED\r\n"], &[VALUE, VALUE]);
    let mut text = Vec::new();
    let read = pair.cache.get(&pair.key(), &mut text).unwrap();
    assert_eq!((read, &*text), (Read::Hit(Found::Text), &b"v"[..]));
    assert_eq!(pair.cache.pools()[0].stats().warmed.value(), 1);
    let [here, source] = pair.said();
    assert_eq!(here, ["get k|", "add k 1 10800 1|v|"]);
    assert_eq!(source, ["get k|", "get k|"]);
}

#[test]
fn what_was_removed_meanwhile_is_removed_again() {
    let mut pair = Pair::new(
        &[
            "END\r\n",
            "STORED\r\n",
            "VALUE k 1 1 9\r\nv\r\nEND\r\n",
            "STORED\r\n",
        ],
        &[VALUE, "END\r\n"],
    );
    let read = pair.cache.get(&pair.key(), &mut Vec::new());
    assert_eq!(read.unwrap(), Read::Miss);
    assert_eq!(pair.cache.pools()[0].stats().misses.value(), 1);
    let [here, _] = pair.said();
    assert_eq!(here[2..], ["gets k|", "cas k 0 2592001 0 9||"]);
}

#[test]
fn what_the_source_does_not_tell_any_more_is_removed_again() {
    let mut pair = Pair::new(
        &[
            "END\r\n",
            "STORED\r\n",
            "VALUE k 1 1 9\r\nv\r\nEND\r\n",
            "STORED\r\n",
        ],
        &[VALUE, "SERVER_ERROR busy\r\n"],
    );
    let read = pair.cache.get(&pair.key(), &mut Vec::new());
    assert_eq!(read.unwrap(), Read::Hit(Found::Text));
    let [here, _] = pair.said();
    assert_eq!(here[2..], ["gets k|", "cas k 0 2592001 0 9||"]);
}

#[test]
fn what_was_written_meanwhile_stays() {
    for newer in [
        "VALUE k 1 1 9\r\nw\r\nEND\r\n",
        "VALUE k 0 1 9\r\nv\r\nEND\r\n",
        "END\r\n",
    ] {
        let here: &'static [&'static str] = vec!["END\r\n", "STORED\r\n", newer].leak();
        let mut pair = Pair::new(here, &[VALUE, "END\r\n"]);
        let read = pair.cache.get(&pair.key(), &mut Vec::new());
        assert_eq!(read.unwrap(), Read::Miss);
        let [here, _] = pair.said();
        assert_eq!(here.len(), 3, "{here:?}");
    }
    // It was written before what would come over.
    let mut pair = Pair::new(&["END\r\n", "NOT_STORED\r\n"], &[VALUE]);
    let read = pair.cache.get(&pair.key(), &mut Vec::new()).unwrap();
    assert_eq!(read, Read::Hit(Found::Text));
    assert_eq!(pair.cache.pools()[0].stats().warmed.value(), 0);
    pair.said();
}

#[test]
fn a_removal_has_failed_if_it_has_failed_at_the_source_and_is_done_here_nevertheless() {
    for here in ["DELETED\r\n", "NOT_FOUND\r\n"] {
        let replies: &'static [&'static str] = vec![here].leak();
        let mut pair = Pair::new(replies, &["SERVER_ERROR busy\r\n"]);
        let removed = pair.cache.delete(&pair.key());
        assert!(matches!(removed, Err(Error::ServerError(_))), "{removed:?}");
        // And there it is done before the server is asked again.
        let source = pair.cache.pools()[1].members()[0].health();
        assert!(!source.may_be_asked());
        let [here, source] = pair.said();
        assert_eq!(
            (here, source),
            (vec!["delete k|".into()], vec!["delete k|".into()])
        );
    }
}

#[test]
fn a_removal_is_done_if_the_item_was_in_either_pool() {
    for (here, source, was_there) in [
        ("DELETED\r\n", "NOT_FOUND\r\n", true),
        ("NOT_FOUND\r\n", "DELETED\r\n", true),
        ("NOT_FOUND\r\n", "NOT_FOUND\r\n", false),
    ] {
        let mut pair = Pair::new(vec![here].leak(), vec![source].leak());
        let removed = pair.cache.delete(&pair.key()).unwrap();
        assert_eq!(removed == Status::Deleted, was_there);
        assert_eq!(removed == Status::Miss, !was_there);
        assert_eq!(pair.cache.pools()[0].stats().deletes.value(), 1);
        pair.said();
    }
}
