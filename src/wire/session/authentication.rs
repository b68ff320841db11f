//! Credentials go first, once, in one piece with the first request, and are forgotten then.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::tests::{LIMIT, garbled, key};
use super::*;
use crate::error::Denied;
use crate::wire::protocol::Store;

const LOGIN: &str = "set kamailio-memcached:login 0 -1 9\r\nuser pass\r\n";

fn session() -> Session {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("login-{}-{number}", std::process::id()));
    fs::write(&path, "user:pass\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let credentials = Credentials::read(path.to_str().unwrap());
    fs::remove_file(&path).unwrap();
    let credentials = Some(credentials.unwrap());
    Session::on(LIMIT, &Access::new(credentials, None)).unwrap()
}

/// Gives the session these bytes, `size` at a time; its next reply.
fn hears(session: &mut Session, bytes: &str, size: usize) -> Result<Option<Reply>, Error> {
    let mut value = Vec::new();
    for part in bytes.as_bytes().chunks(size) {
        session.room(&mut value)[..part.len()].copy_from_slice(part);
        session.received(part.len(), &mut value);
        if let Some(reply) = session.reply(&mut value)? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

#[test]
fn credentials_go_once_with_the_first_request() {
    for size in [1, 3, 100] {
        let (key, mut session) = (&key(), session());
        session.request(&Request::Get { key }).unwrap();
        let sent = format!("{LOGIN}get k\r\n");
        assert_eq!(session.unsent(), sent.as_bytes());
        session.note_sent(sent.len());
        assert!(matches!(
            hears(&mut session, "STORED\r\nEND\r\n", size),
            Ok(Some(Reply::Miss))
        ));
        assert!(session.is_idle() && !session.has_input());
        session.request(&Request::Delete { key }).unwrap();
        assert_eq!(session.unsent(), b"delete k\r\n");
    }
}

#[test]
fn no_copy_of_the_credentials_is_left() {
    let (key, value) = (&key(), vec![b'x'; 100_000]);
    let set = Request::Store {
        store: Store::Set,
        key,
        flags: 0,
        lifetime: 0,
        value: &value,
    };
    let mut session = session();
    session.request(&Request::Get { key }).unwrap();
    session.request(&set).unwrap();
    assert!(session.output.starts_with(LOGIN.as_bytes()));
    assert!(!format!("{:?}", session.part).contains("pass"));
    assert!(matches!(hears(&mut session, "STORED\r\n", 100), Ok(None)));
    assert!(!session.is_idle());
    assert_eq!(session.output[..LOGIN.len()], vec![0; LOGIN.len()]);
    let replies = "VALUE k 0 1\r\nv\r\nEND\r\nSTORED\r\n";
    assert!(matches!(
        hears(&mut session, replies, 100),
        Ok(Some(Reply::Item(_)))
    ));
    assert!(matches!(
        session.reply(&mut Vec::new()),
        Ok(Some(Reply::Stored))
    ));
    assert!(session.is_idle());
}

#[test]
fn a_session_whose_credentials_are_not_accepted_is_broken() {
    for (line, expected) in [
        ("CLIENT_ERROR authentication failure", "denied"),
        ("CLIENT_ERROR unauthenticated", "denied"),
        ("CLIENT_ERROR bad authentication token format", "denied"),
        ("SERVER_ERROR out of memory", "server_error"),
        ("ERROR Too many open connections", "rejected"),
        ("NOT_STORED", "garbled"),
        ("END", "garbled"),
    ] {
        let (key, mut session) = (&key(), session());
        session.request(&Request::Get { key }).unwrap();
        let error = hears(&mut session, &format!("{line}\r\n"), 100).unwrap_err();
        let status = crate::status::Status::of_error(&error);
        assert_eq!(status.word(), expected, "{line}: {error}");
        assert!(session.is_broken() && !session.is_idle(), "{line}");
    }
}

#[test]
fn a_server_that_requires_credentials_says_so_for_any_request() {
    let (key, value) = (&key(), &b"x"[..]);
    let set = Request::Store {
        store: Store::Set,
        key,
        flags: 0,
        lifetime: 0,
        value,
    };
    for (request, line) in [
        (Request::Get { key }, "unauthenticated"),
        (Request::Version, "unauthenticated"),
        (Request::NoOp, "unauthenticated"),
        (set, "bad authentication token format"),
        (set, "authentication failure"),
    ] {
        let mut session = Session::new(LIMIT).unwrap();
        session.request(&request).unwrap();
        let line = format!("CLIENT_ERROR {line}\r\n");
        let error = hears(&mut session, &line, 100).unwrap_err();
        assert!(
            matches!(error, Error::Denied(Denied::NoCredentials)),
            "{error:?}"
        );
        assert!(error.counts_against_server() && session.is_broken());
    }
}

#[test]
fn bytes_after_the_reply_to_the_credentials_alone_are_noticed() {
    let mut session = session();
    let error = hears(&mut session, "STORED\r\nEND\r\n", 100).unwrap_err();
    let expected = garbled("there are bytes after the end of the reply");
    assert_eq!(format!("Err({error:?})"), expected);
}
