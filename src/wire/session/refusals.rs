//! What a server's refusal costs: always the request, seldom the connection.

use super::tests::{LIMIT, key};
use super::*;
use crate::wire::protocol::{Store, Way};

/// The answer to `request`, whether the session can be used on, and the answer to the next request if so.
fn answered(request: &Request<'_>, line: &str) -> (Error, bool) {
    let (mut session, mut value) = (Session::new(LIMIT).unwrap(), Vec::new());
    session.request(request).unwrap();
    session.note_sent(session.unsent().len());
    let mut arrives = |session: &mut Session, bytes: &[u8]| {
        session.room(&mut value)[..bytes.len()].copy_from_slice(bytes);
        session.received(bytes.len(), &mut value);
        session.reply(&mut value)
    };
    let error = arrives(&mut session, format!("{line}\r\n").as_bytes()).unwrap_err();
    assert_eq!(session.is_idle(), !session.is_broken(), "{line}");
    if session.is_idle() {
        session.request(&Request::Delete { key: &key() }).unwrap();
        let next = arrives(&mut session, b"DELETED\r\n");
        assert!(matches!(next, Ok(Some(Reply::Deleted))), "{line}: {next:?}");
    }
    (error, session.is_broken())
}

fn requests(key: &crate::item::key::WireKey) -> [Request<'_>; 16] {
    let store = |store| Request::Store {
        store,
        key,
        flags: 0,
        lifetime: 0,
        value: b"1",
    };
    let count = |way| Request::Count { way, key, by: 1 };
    [
        Request::Get { key },
        Request::Delete { key },
        Request::Touch { key, lifetime: 1 },
        count(Way::Up),
        count(Way::Down),
        store(Store::Set),
        store(Store::Add),
        store(Store::Append),
        Request::Cas {
            key,
            flags: 0,
            lifetime: 0,
            version: 1,
            value: b"1",
        },
        Request::Gets { key },
        Request::CountOrCreate {
            way: Way::Up,
            key,
            by: 1,
            initial: 1,
            lifetime: 1,
        },
        Request::Inspect { key },
        Request::NoOp,
        Request::Version,
        Request::Settings,
        Request::FlushAll,
    ]
}

#[test]
fn a_refusal_is_an_answer_in_the_servers_words() {
    for request in &requests(&key()) {
        let (is_count, is_store) = (request.kind().counts(), request.kind().has_value());
        for words in [
            "ERROR",
            "ERROR Too many open connections",
            "CLIENT_ERROR",
            "CLIENT_ERROR bad command line format",
            "CLIENT_ERROR not authorized",
        ] {
            let (error, is_broken) = answered(request, words);
            assert!(error.is_refusal() && !error.counts_against_server());
            assert!(!error.allows_stand_in(true), "it was answered");
            match error {
                Error::NotANumber => assert!(is_count && words.starts_with("CLIENT")),
                Error::Rejected(said) => {
                    assert!(!is_count || words.starts_with("ERROR"));
                    assert_eq!(&*said, words);
                }
                error => panic!("{request:?} {words}: {error:?}"),
            }
            let breaks = is_store || words.starts_with("ERROR ");
            assert_eq!(is_broken, breaks, "{request:?} {words}");
        }
    }
}

#[test]
fn a_server_that_has_failed_to_do_it_keeps_the_connection() {
    for request in &requests(&key()) {
        for words in ["SERVER_ERROR", "SERVER_ERROR out of memory"] {
            let (error, is_broken) = answered(request, words);
            assert!(matches!(error, Error::ServerError(_)), "{error:?}");
            assert!(!is_broken, "{request:?} {words}");
        }
    }
}

#[test]
fn a_count_is_refused_in_many_wordings() {
    let key = key();
    let count = &requests(&key)[3];
    for words in [
        "CLIENT_ERROR cannot increment or decrement non-numeric value",
        "CLIENT_ERROR value is not an integer",
        "CLIENT_ERROR",
    ] {
        assert!(matches!(answered(count, words), (Error::NotANumber, false)));
    }
}

#[test]
fn words_are_made_printable_and_kept_short() {
    let key = key();
    let get = &requests(&key)[0];
    let (error, _) = answered(get, "CLIENT_ERROR \x1b[2J");
    assert!(matches!(&error, Error::Rejected(said) if &**said == "CLIENT_ERROR \\x1b[2J"));
    let (error, _) = answered(get, &format!("CLIENT_ERROR {}", "x".repeat(500)));
    assert!(matches!(&error, Error::Rejected(said) if said.len() == 120));
}

/// Many requests are under way, and one of them is refused.
#[test]
fn a_refusal_between_other_replies_is_the_answer_to_its_own_request() {
    let (key, mut session, mut value) = (&key(), Session::new(LIMIT).unwrap(), Vec::new());
    session.request(&Request::Get { key }).unwrap();
    session
        .request(&Request::Touch { key, lifetime: 1 })
        .unwrap();
    session.request(&Request::Get { key }).unwrap();
    let bytes = b"END\r\nERROR\r\nEND\r\n";
    session.room(&mut value)[..bytes.len()].copy_from_slice(bytes);
    session.received(bytes.len(), &mut value);
    let mut next = || session.reply(&mut value);
    assert!(matches!(next(), Ok(Some(Reply::Miss))));
    assert!(matches!(next(), Err(Error::Rejected(_))));
    assert!(matches!(next(), Ok(Some(Reply::Miss))));
    assert!(session.is_idle());
}
