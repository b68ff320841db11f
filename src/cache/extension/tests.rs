use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::thread;

use support::model::{ClientSession, Memcached, Options};

use super::super::call::tests::{number, serve as say, text};
use super::super::call::{Operand, Verb};
use super::*;
use crate::config::{Given, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::status::Status;

/// What the server's clock shows.
const NOW: u64 = 1_000_000_000;

/// The longest value that is stored in one item.
const LEN: usize = 1_000_000;

/// A memcached for one process that has one item, made by this request. Whenever the process has marked it as out of
/// date, somebody else stores something under the same key, if `newer` says so: for ever.
fn serve(listener: &TcpListener, stored: &[u8], newer: Option<Vec<u8>>) {
    let mut memcached = Memcached::new(Options::default());
    let (mut session, mut other) = (ClientSession::default(), ClientSession::default());
    memcached.input(&mut other, stored, NOW);
    let (mut stream, mut part) = (listener.accept().unwrap().0, vec![0; 1 << 16]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        let reply = memcached.input(&mut session, &part[..count], NOW);
        if let (true, Some(value)) = (part.starts_with(b"md k I T30 C"), &newer) {
            memcached.input(&mut other, &set(1, value), NOW);
        }
        stream.write_all(&reply.bytes).unwrap();
    }
}

fn set(flags: u32, value: &[u8]) -> Vec<u8> {
    let line = format!("set k {flags} 0 {}\r\n", value.len());
    [line.as_bytes(), value, b"\r\n"].concat()
}

/// A cache on that server, whose large values are stored in parts.
fn cache(listener: &TcpListener, protocol: &str, values: &str) -> Cache {
    let address = listener.local_addr().unwrap().to_string();
    let mut parameters = Parameters::default();
    for (name, text) in [
        ("servers", &*address),
        ("protocol", protocol),
        ("values", values),
    ] {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    for (name, number) in [("large_values", 1), ("timeout", 10_000)] {
        parameters.set(name, Given::Number(number)).unwrap();
    }
    Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1))
}

/// A cache on a memcached whose item `k` has these flags and this value.
fn with_item(flags: u32, value: &[u8], newer: Option<Vec<u8>>, values: &str) -> Cache {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = cache(&listener, "meta", values);
    let stored = set(flags, value);
    thread::spawn(move || serve(&listener, &stored, newer));
    cache
}

/// Makes the call.
fn call(cache: &mut Cache, verb: Verb, operand: Operand<'_>) -> Result<Status, Error> {
    let key = cache.key(0, b"k", b"").unwrap();
    let done = cache.call(verb, &key, &[operand], &mut Vec::new());
    done.map(|answer| answer.status)
}

/// What is stored, and how long it lasts.
fn found(cache: &mut Cache) -> (Vec<u8>, u32) {
    let (key, mut text) = (cache.key(0, b"k", b"").unwrap(), Vec::new());
    let found = cache.inspect(&key, &mut text).unwrap().unwrap();
    (text, found.usage.unwrap().left)
}

/// Extends a value of [`LEN`] bytes that is out of date, and lasts for 30 seconds. Returns what is stored then, and
/// how long it lasts.
fn extend_what_is_out_of_date(newer: Option<Vec<u8>>) -> (Vec<u8>, u32) {
    let mut cache = with_item(1, &[b'a'; LEN], newer, "kamailio");
    for (verb, operand, status) in [
        (Verb::Invalidate, number(30), Status::Touched),
        (Verb::Append, text("xy"), Status::Stored),
    ] {
        assert_eq!(call(&mut cache, verb, operand).unwrap(), status, "{verb:?}");
    }
    found(&mut cache)
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

/// Its value begins with its length, so that would be wrong then.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn what_only_another_program_can_extend_stays_as_it_is() {
    let marshalled = b"u\x15\0\0\0sip:bob@10.0.0.7:5060";
    let mut cache = with_item(32, marshalled, None, "libmc");
    for verb in [Verb::Append, Verb::Prepend] {
        let done = call(&mut cache, verb, text("x"));
        assert!(matches!(done, Err(Error::Foreign(_))), "{verb:?}: {done:?}");
    }
    assert_eq!(found(&mut cache).0, b"sip:bob@10.0.0.7:5060");
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_value_whose_flags_are_not_all_ours_can_become_too_long_for_one_item() {
    let mut cache = with_item(0x1_0001, &[b'a'; LEN - 1], None, "kamailio");
    let done = call(&mut cache, Verb::Append, text("xy"));
    assert_eq!(done.unwrap(), Status::Stored);
    assert!(found(&mut cache).0 == [&[b'a'; LEN - 1][..], b"xy"].concat());
}

/// memcached with its option `-C` gives each item the version 0, and no write has that.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_server_without_versions_is_not_asked_again_and_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut cache = cache(&listener, "auto", "kamailio");
    let index = ["VALUE k 4097 1 0\r\n2\r\nEND\r\n"];
    let server = thread::spawn(move || say(&listener, &index));
    let done = call(&mut cache, Verb::Append, text("x"));
    assert!(matches!(done, Err(Error::ServerError(_))), "{done:?}");
    drop(cache);
    assert_eq!(server.join().unwrap(), ["gets k|"]);
}
