use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::thread;

use support::model::{ClientSession, Memcached, Options};

use super::super::call::Verb;
use super::super::call::tests::{number, text};
use super::*;
use crate::config::{Given, Parameters};
use crate::item::value::{Numbers, Value};
use crate::shared::Shared;
use crate::status::Status;

/// What the server's clock shows.
const NOW: u64 = 1_000_000_000;

/// The longest value that is stored in one item.
const LEN: usize = 1_000_000;

/// A memcached for one process. Whenever that has marked an item as out of date, somebody else stores something
/// under the same key, if `newer` says so: for ever.
fn serve(listener: &TcpListener, newer: Option<Vec<u8>>) {
    let mut memcached = Memcached::new(Options::default());
    let (mut session, mut other) = (ClientSession::default(), ClientSession::default());
    let (mut stream, mut part) = (listener.accept().unwrap().0, vec![0; 1 << 16]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        let reply = memcached.input(&mut session, &part[..count], NOW);
        if let (true, Some(value)) = (part.starts_with(b"md k I T30 C"), &newer) {
            let line = format!("set k 1 0 {}\r\n", value.len());
            let set = [line.as_bytes(), value, b"\r\n"].concat();
            memcached.input(&mut other, &set, NOW);
        }
        stream.write_all(&reply.bytes).unwrap();
    }
}

/// Extends a value of [`LEN`] bytes that is out of date, and lasts for 30 seconds. Returns what is stored then, and
/// how long it lasts.
fn extend_what_is_out_of_date(newer: Option<Vec<u8>>) -> (Vec<u8>, u32) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || serve(&listener, newer));
    let mut parameters = Parameters::default();
    for (name, text) in [("servers", &*address), ("protocol", "meta")] {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    for (name, number) in [("large_values", 1), ("timeout", 10_000)] {
        parameters.set(name, Given::Number(number)).unwrap();
    }
    let mut cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
    let key = cache.key(0, b"k", b"").unwrap();
    let value = Some(Value::Text(&[b'a'; LEN]));
    for (verb, operand, status) in [
        (Verb::Set, value, Status::Stored),
        (Verb::Invalidate, number(30), Status::Touched),
        (Verb::Append, text("xy"), Status::Stored),
    ] {
        let done = cache.call(verb, &key, &[operand], &mut Vec::new());
        assert_eq!(done.unwrap().status, status, "{verb:?}");
    }
    let mut text = Vec::new();
    let found = cache.inspect(&key, &mut text).unwrap().unwrap();
    (text, found.usage.unwrap().left)
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn an_item_whose_lease_is_given_back_is_extended() {
    let (value, left) = extend_what_is_out_of_date(None);
    assert!(value == [&[b'a'; LEN][..], b"xy"].concat());
    assert_eq!(left, 30);
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn an_item_that_is_stored_meanwhile_keeps_its_own_lifetime() {
    let (value, left) = extend_what_is_out_of_date(Some(vec![b'b'; LEN]));
    assert!(value == [&[b'b'; LEN][..], b"xy"].concat());
    assert_eq!(left, Usage::FOR_EVER);
}
