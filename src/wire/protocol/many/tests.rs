use super::*;
use crate::wire::protocol::{Item, Request};
use crate::wire::session::Session;

/// What a server says to a request for `a`, `b` and `ab`: each item, its value, and how it ends.
fn read(bytes: &str) -> (Vec<(Reply, String)>, Option<Error>) {
    let keys = ["a", "b", "ab"].map(|key| WireKey::new(b"", key.as_bytes()).unwrap());
    let mut session = Session::new(1024).unwrap();
    let keys: Vec<_> = keys.iter().collect();
    let request = Request::GetMany { keys: &keys };
    session.request(&request).unwrap();
    assert_eq!(session.unsent(), b"get a b ab\r\n");
    session.note_sent(session.unsent().len());
    let (mut read, mut value) = (Vec::new(), Vec::new());
    for byte in bytes.bytes() {
        session.room(&mut value)[0] = byte;
        session.received(1, &mut value);
        match session.reply(&mut value) {
            Ok(None) => {}
            Ok(Some(reply)) => {
                read.push((reply, String::from_utf8_lossy(&value).into()));
                value.clear();
            }
            Err(error) => return (read, Some(error)),
        }
    }
    assert_eq!(session.is_idle(), bytes.ends_with("END\r\n"));
    (read, None)
}

fn one(flags: u32, place: usize, value: &str) -> (Reply, String) {
    (Reply::OneOf(Item { flags }, place), value.to_owned())
}

const END: (Reply, String) = (Reply::Miss, String::new());

#[test]
fn items_are_told_by_their_keys_in_whatever_order_they_come() {
    let (read, error) = read(
        "VALUE ab 7 2\r\n\r\n\r\nVALUE a 1 0\r\n\r\nVALUE b 4294967295 9 12\r\nEND\r\nVALU\r\nEND\r\n",
    );
    let items = [
        one(7, 2, "\r\n"),
        one(1, 0, ""),
        one(u32::MAX, 1, "END\r\nVALU"),
    ];
    assert_eq!(read[..3], items);
    assert_eq!(read[3..], [END]);
    assert!(error.is_none());
}

#[test]
fn what_was_not_found_is_not_told() {
    assert_eq!(read("END\r\n").0, [END]);
    assert_eq!(read("VALUE b 0 1\r\nx\r\nEND\r\n").0, [one(0, 1, "x"), END]);
    assert_eq!(
        read("VALUE b 0 1\r\nx\r\n").0,
        [one(0, 1, "x")],
        "not the end"
    );
}

#[test]
fn what_is_no_reply_to_the_request_is_garbled() {
    for (bytes, what) in [
        ("VALUE c 0 1\r\n", "the value belongs to another key"),
        ("VALUE  0 1\r\n", "the value belongs to another key"),
        ("VALUE a 0\r\n", "the VALUE line is malformed"),
        ("VALUE a 0 1 x\r\n", "the VALUE line is malformed"),
        ("VALUE a 4294967296 1\r\n", "the VALUE line is malformed"),
        (
            "VALUE a 0 1\r\nxy\r\n",
            "the value is longer than announced",
        ),
        ("STORED\r\n", "not a reply of memcached to this request"),
        ("\r\n", "not a reply of memcached to this request"),
    ] {
        let (read, error) = read(bytes);
        assert!(read.is_empty(), "{bytes:?}");
        assert!(
            matches!(&error, Some(Error::Garbled(why)) if *why == what),
            "{bytes:?}: {error:?}"
        );
    }
}

#[test]
fn a_refusal_may_come_after_some_items() {
    let (read, error) = read("VALUE b 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n");
    assert_eq!(read, [one(0, 1, "x")]);
    assert!(matches!(error, Some(Error::ServerError(_))), "{error:?}");
}
