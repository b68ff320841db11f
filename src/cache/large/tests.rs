use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::super::call::Verb;
use super::super::call::tests::serve;
use super::*;
use crate::config::{Given, Parameters};
use crate::item::value::{Numbers, Value};
use crate::shared::Shared;
use crate::status::Status;

/// The replies of a server, one after the other.
type Replies = &'static [&'static str];

/// A cache with large values on a server. If there is another one, its pool warms from that.
struct Site {
    cache: Cache,
    servers: Vec<JoinHandle<Vec<String>>>,
}

impl Site {
    fn new(protocol: &str, here: Replies, source: Option<Replies>) -> Self {
        let start = |replies: Replies| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            (address, thread::spawn(move || serve(&listener, replies)))
        };
        let (here, source) = (start(here), source.map(start));
        let mut parameters = Parameters::default();
        let mut set = |name, text: &str| parameters.set(name, Given::Text(text)).unwrap();
        set("servers", &here.0);
        set("protocol", protocol);
        if let Some((address, _)) = &source {
            set("pool", &format!("name=old;servers={address}"));
            set("warm_from", "old");
        }
        for (name, number) in [("large_values", 1), ("timeout", 10_000)] {
            parameters.set(name, Given::Number(number)).unwrap();
        }
        let servers = [Some(here), source].into_iter().flatten();
        Self {
            cache: Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(2)),
            servers: servers.map(|(_, server)| server).collect(),
        }
    }

    fn call(&mut self, verb: Verb, value: &[u8]) -> Status {
        let key = self.cache.key(0, b"k", b"").unwrap();
        let operands = [Some(Value::Text(value))];
        let answer = self.cache.call(verb, &key, &operands, &mut Vec::new());
        answer.unwrap().status
    }

    /// What the servers have got: the beginning of each request, without flags and versions of values.
    fn said(self) -> Vec<Vec<String>> {
        drop(self.cache);
        let begin = |line: String| {
            let words = line.split([' ', '|']).take(2);
            words.collect::<Vec<_>>().join(" ")
        };
        let heard = |server: JoinHandle<Vec<String>>| server.join().unwrap();
        let all = self.servers.into_iter().map(heard);
        all.map(|lines| lines.into_iter().map(begin).collect())
            .collect()
    }
}

/// The index of a value of two parts.
const INDEX: &str = "VALUE k 462849 1\r\n2\r\nEND\r\n";
const DELETED: &str = "DELETED\r\n";
const STORED: &str = "STORED\r\n";
const MISS: &str = "END\r\n";
const SMALL: &str = "VALUE k 1 1\r\nv\r\nEND\r\n";
const LARGE: &[u8] = &[b'v'; PART + 1];

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_part_that_belongs_to_another_write_is_not_removed() {
    for (protocol, own, removed, others, [look, remove]) in [
        (
            "meta",
            "HD f458753 c5 k~1k/0\r\n",
            "HD\r\n",
            "HD f393217 c6 k~1k/1\r\n",
            ["mg", "md"],
        ),
        (
            "classic",
            "VALUE ~1k/0 458753 1 5\r\nv\r\nEND\r\n",
            STORED,
            "VALUE ~1k/1 393217 1 6\r\nv\r\nEND\r\n",
            ["gets", "cas"],
        ),
    ] {
        let replies = vec![INDEX, DELETED, own, removed, others].leak();
        let mut site = Site::new(protocol, replies, None);
        assert_eq!(site.call(Verb::Delete, b""), Status::Deleted);
        let of_parts = [(look, 0), (remove, 0), (look, 1)];
        let of_parts = of_parts.map(|(verb, part)| format!("{verb} ~1k/{part}"));
        let sent = [&["get k", "delete k"].map(String::from)[..], &of_parts].concat();
        assert_eq!(site.said(), [sent]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_part_that_is_overwritten_after_the_look_is_not_removed() {
    let replies = &[
        INDEX,
        DELETED,
        "HD f458753 c5 k~1k/0\r\n",
        "EX\r\n",
        "EN\r\n",
    ];
    let mut site = Site::new("meta", replies, None);
    assert_eq!(site.call(Verb::Delete, b""), Status::Deleted);
    site.said();
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_large_value_is_added_in_parts_where_nothing_may_come_over() {
    let here = &[MISS, STORED, STORED, STORED];
    let mut site = Site::new("classic", here, Some(&[MISS]));
    assert_eq!(site.call(Verb::Add, LARGE), Status::Stored);
    let stats = site.cache.pools()[0].stats();
    assert_eq!(stats.sets.value(), 1);
    let sent = ["get k", "set ~1k/0", "set ~1k/1", "add k"];
    assert_eq!(site.said(), [&sent[..], &["get k"]]);
    let mut site = Site::new("classic", &[STORED], Some(&[SMALL, SMALL]));
    assert_eq!(site.call(Verb::Add, LARGE), Status::NotStored);
    assert_eq!(site.said()[0], ["add k"]);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_large_value_replaces_what_comes_over() {
    let here = &[MISS, STORED, SMALL, STORED, STORED, STORED];
    let mut site = Site::new("classic", here, Some(&[SMALL, SMALL]));
    assert_eq!(site.call(Verb::Replace, LARGE), Status::Stored);
    let sent = [
        "get k",
        "add k",
        "get k",
        "set ~1k/0",
        "set ~1k/1",
        "replace k",
    ];
    assert_eq!(site.said()[0], sent);
    let mut site = Site::new("classic", &[MISS], Some(&[MISS]));
    assert_eq!(site.call(Verb::Replace, LARGE), Status::NotStored);
    site.said();
}

/// Else nobody could add it, or get its lease, until the index ends.
mod a_lost_part {
    use super::*;

    const VERSIONED: &str = "VALUE k 462849 1 5\r\n2\r\nEND\r\n";
    /// Of another value.
    const NEWER: &str = "VALUE k 528385 1 6\r\n2\r\nEND\r\n";
    const PLACEHOLDER: &str = "VALUE k 0 0 9\r\n\r\nEND\r\n";
    const NOT_STORED: &str = "NOT_STORED\r\n";

    #[test]
    #[cfg_attr(miri, ignore = "uses sockets")]
    fn takes_its_index_with_it_for_who_asks_for_the_lease() {
        let replies = &[
            VERSIONED,
            MISS,
            VERSIONED,
            STORED,
            MISS,
            STORED,
            PLACEHOLDER,
        ];
        let mut site = Site::new("classic", replies, None);
        assert_eq!(site.call(Verb::Lease, b""), Status::Lease);
        let sent = [
            "gets k",
            "get ~1k/0",
            "gets k",
            "cas k",
            "gets k",
            "add k",
            "gets k",
        ];
        assert_eq!(site.said(), [sent]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses sockets")]
    fn is_a_miss_for_who_asks_for_the_lease_while_somebody_writes() {
        let replies = &[VERSIONED, MISS, NEWER];
        let mut site = Site::new("classic", replies, None);
        assert_eq!(site.call(Verb::Lease, b""), Status::Miss);
        assert_eq!(site.said(), [["gets k", "get ~1k/0", "gets k"]]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses sockets")]
    fn takes_its_index_with_it_for_who_adds_a_value() {
        let replies = &[NOT_STORED, INDEX, MISS, VERSIONED, STORED, STORED];
        let mut site = Site::new("classic", replies, None);
        assert_eq!(site.call(Verb::Add, b"v"), Status::Stored);
        let sent = ["add k", "get k", "get ~1k/0", "gets k", "cas k", "add k"];
        assert_eq!(site.said(), [sent]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses sockets")]
    fn takes_its_index_with_it_for_who_adds_a_large_value() {
        let replies = &[INDEX, MISS, VERSIONED, STORED, STORED, STORED, STORED];
        let mut site = Site::new("classic", replies, None);
        assert_eq!(site.call(Verb::Add, LARGE), Status::Stored);
        let sent = [
            "get k",
            "get ~1k/0",
            "gets k",
            "cas k",
            "set ~1k/0",
            "set ~1k/1",
            "add k",
        ];
        assert_eq!(site.said(), [sent]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses sockets")]
    fn is_none_where_another_item_is_in_the_way() {
        let mut site = Site::new("classic", &[NOT_STORED, SMALL], None);
        assert_eq!(site.call(Verb::Add, b"v"), Status::NotStored);
        assert_eq!(site.said(), [["add k", "get k"]]);
    }
}
