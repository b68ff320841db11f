//! Many requests under way in one session, and requests about a server.

use super::tests::{LIMIT, garbled, key, read};
use super::*;
use crate::item::key::WireKey;
use crate::wire::protocol::Item;

/// Gives the session all of `bytes`; the replies that it then has, and why it has no more.
fn replies(session: &mut Session, bytes: &[u8]) -> (Vec<Reply>, Option<Error>) {
    let mut value = Vec::new();
    session.room(&mut value)[..bytes.len()].copy_from_slice(bytes);
    session.received(bytes.len(), &mut value);
    let mut replies = Vec::new();
    while !session.is_idle() {
        match session.reply(&mut value) {
            Ok(Some(reply)) => replies.push(reply),
            Ok(None) => break,
            Err(error) => return (replies, Some(error)),
        }
    }
    (replies, None)
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let (key, other) = (&key(), &WireKey::new(b"", b"other").unwrap());
    let mut session = Session::new(LIMIT).unwrap();
    session.request(&Request::Get { key }).unwrap();
    session
        .request(&Request::Touch { key, lifetime: 1 })
        .unwrap();
    session.request(&Request::Get { key: other }).unwrap();
    session.request(&Request::Delete { key }).unwrap();
    assert_eq!(
        session.unsent(),
        b"get k\r\ntouch k 1\r\nget other\r\ndelete k\r\n"
    );
    session.note_sent(10);
    assert_eq!(session.unsent(), b"ch k 1\r\nget other\r\ndelete k\r\n");
    let (first, error) = replies(
        &mut session,
        b"END\r\nTOUCHED\r\nVALUE other 7 1\r\nx\r\nEND\r\nNOT_",
    );
    assert_eq!(
        first,
        [Reply::Miss, Reply::Touched, Reply::Item(Item { flags: 7 })]
    );
    assert!(error.is_none() && !session.is_idle());
    let (last, error) = replies(&mut session, b"FOUND\r\n");
    assert_eq!(last, [Reply::Miss]);
    assert!(error.is_none() && session.is_idle());
}

#[test]
fn a_reply_to_a_later_request_is_no_reply_to_an_earlier_one() {
    let (key, other) = (&key(), &WireKey::new(b"", b"other").unwrap());
    let mut session = Session::new(LIMIT).unwrap();
    session.request(&Request::Get { key }).unwrap();
    session.request(&Request::Get { key: other }).unwrap();
    let (none, error) = replies(&mut session, b"VALUE other 0 1\r\nx\r\nEND\r\n");
    assert!(none.is_empty());
    assert!(matches!(
        error,
        Some(Error::Garbled("the value belongs to another key"))
    ));
    assert!(!session.is_idle(), "it is fit for nothing more");
}

#[test]
fn what_follows_the_last_reply_is_noticed() {
    let key = &key();
    let mut session = Session::new(LIMIT).unwrap();
    session.request(&Request::Get { key }).unwrap();
    session.request(&Request::Get { key }).unwrap();
    let (one, error) = replies(&mut session, b"END\r\nEND\r\nEND\r\n");
    assert_eq!(one, [Reply::Miss]);
    assert!(matches!(
        error,
        Some(Error::Garbled("there are bytes after the end of the reply"))
    ));
    assert!(!session.is_idle());
}

#[test]
fn requests_about_a_server_need_no_key() {
    let answer = |request: Request<'_>, bytes: &[u8]| read(&request, bytes, &[]);
    let text = |text: &str| ("Ok(Text)".to_owned(), text.as_bytes().to_vec());
    assert_eq!(
        answer(Request::Version, b"VERSION 1.6.18\r\n"),
        text("1.6.18")
    );
    let stats = b"STAT pid 7\r\nSTAT uptime 12\r\nEND\r\n";
    assert_eq!(answer(Request::Stats, stats), text("pid 7\nuptime 12\n"));
    assert_eq!(answer(Request::Stats, b"END\r\n"), text(""));
    assert_eq!(answer(Request::FlushAll, b"OK\r\n").0, "Ok(Flushed)");
    let strange = garbled("not a reply of memcached to this request");
    for (request, bytes) in [
        (Request::Version, &b"VERSIONS 1\r\n"[..]),
        (Request::Version, b"OK\r\n"),
        (Request::Stats, b"OK\r\n"),
        (Request::Stats, b"STAT pid 7\r\nOK\r\n"),
        (Request::FlushAll, b"OK OK\r\n"),
        (Request::Get { key: &key() }, b"OK\r\n"),
    ] {
        assert_eq!(answer(request, bytes).0, strange, "{request:?}");
    }
    let endless = b"STAT a b\r\n".repeat(100_000);
    assert_eq!(
        answer(Request::Stats, &endless).0,
        garbled("the statistics have no end")
    );
    let refused = b"SERVER_ERROR not now\r\n";
    let error = "Err(ServerError(\"not now\"))";
    assert_eq!(answer(Request::Version, refused).0, error);
    assert_eq!(answer(Request::Stats, refused).0, error);
}
