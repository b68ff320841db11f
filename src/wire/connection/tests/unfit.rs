//! Requests that get stuck half sent, and connections that a second look must not keep.

use super::stage::Step::{Accept, Await, Hear, Say};
use super::stage::{Play, get, incr};
use super::*;

/// Sixteen megabytes do not fit into the buffers between a client and a server that does not read.
fn large_set() -> Play {
    static VALUE: [u8; 16 << 20] = [b'x'; 16 << 20];
    let request = Request::Store {
        store: Store::Set,
        key: Box::leak(Box::new(key())),
        flags: 0,
        lifetime: 0,
        value: &VALUE,
    };
    Play { request, ..get() }
}

#[test]
fn a_request_that_gets_stuck_is_sent_on_a_fresh_connection() {
    let end = large_set().run(&[
        Accept,
        Accept,
        Hear(1),
        Hear(1),
        Hear(1),
        Say(1, "END\r\nSTORED\r\n"),
    ]);
    assert_eq!(end.reply.unwrap(), Reply::Stored);
}

/// The server would take the next request for the rest of this one.
#[test]
fn a_connection_with_a_request_that_is_refused_half_sent_is_not_used_again() {
    let mut end = large_set().run(&[
        Accept,
        Accept,
        Hear(1),
        Hear(1),
        Say(1, "END\r\nSERVER_ERROR object too large for cache\r\n"),
        Accept,
        Hear(2),
        Say(2, "5\r\n"),
    ]);
    assert!(
        end.reply
            .as_ref()
            .is_err_and(|failure| failure.error.is_refusal())
    );
    assert_eq!(count(&mut end.client).unwrap(), Reply::Counted(5));
}

#[test]
fn what_comes_unasked_on_the_fresh_connection_is_no_answer_to_the_next_request() {
    let mut end = incr().run(&[
        Accept,
        Hear(0),
        Accept,
        Hear(1),
        Say(1, "END\r\n"),
        Await,
        Say(1, "9\r\n"),
        Accept,
        Hear(2),
        Say(2, "5\r\n"),
    ]);
    assert!(
        end.reply
            .as_ref()
            .is_err_and(|failure| !failure.is_evidence)
    );
    assert_eq!(count(&mut end.client).unwrap(), Reply::Counted(5));
}
