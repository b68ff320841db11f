//! What arrives behind a reply: its end, or something that nobody has asked for.

use super::*;

#[test]
fn a_reply_with_the_end_behind_it_is_read() {
    for version in VERSIONS {
        let mut client = Client::new(version, &access(), Way::Pieces(usize::MAX));
        client.peer.and_then = |tls| tls.send_close_notify();
        let outcome = client.get();
        assert!(
            matches!(&outcome, Outcome::Read(value) if value == VALUE),
            "{version:?}: {outcome:?}"
        );
        let request = Request::Get { key: &key() };
        client.session.request(&request).unwrap();
        let next = client.session.secured_reply(&mut client.value);
        assert!(next.unwrap_err().is_hangup(), "{version:?}");
    }
}

/// The library takes no more than 4 KiB at once, so the surplus lies behind that.
#[test]
fn what_follows_a_reply_in_a_record_of_its_own_is_noticed() {
    for version in VERSIONS {
        for reply in [REPLY, b"END\r\n", b"SERVER_ERROR not now\r\n"] {
            let mut client = Client::new(version, &access(), Way::Pieces(usize::MAX));
            client.peer.reply = reply.to_vec();
            client.peer.and_then = |tls| tls.writer().write_all(&[b'x'; 8192]).unwrap();
            let outcome = client.get();
            assert!(
                matches!(&outcome, Outcome::Failed(Error::Garbled(_))),
                "{version:?}: {outcome:?}"
            );
            assert!(client.session.is_broken());
        }
    }
}
