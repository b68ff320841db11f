//! Requests that are longer than what is encrypted at once.

use super::*;
use crate::wire::protocol::Store;

/// A value is encrypted piece by piece, whatever the socket takes.
#[test]
fn a_long_request_is_sent_in_pieces() {
    let (key, value) = (&key(), vec![b'v'; 300_000]);
    let request = Request::Store {
        store: Store::Set,
        key,
        flags: 0,
        lifetime: 0,
        value: &value,
    };
    let expected = [b"set k 0 0 300000\r\n", &value[..], b"\r\n"].concat();
    for version in VERSIONS {
        let mut client = Client::new(version, &access(), Way::Pieces(usize::MAX));
        client.get();
        client.session.request(&request).unwrap();
        let (mut got, mut part) = (Vec::new(), vec![0; expected.len()]);
        while client.session.has_to_send() {
            let tls = client.session.sealed().unwrap().expect("there is TLS");
            let sent = tls.unsent().to_vec();
            assert!(
                (1..=2 * PIECE + 100).contains(&sent.len()),
                "{}",
                sent.len()
            );
            let len = sent.len().min(40_000);
            tls.note_sent(len);
            let mut sent = &sent[..len];
            while !sent.is_empty() {
                client.peer.tls.read_tls(&mut sent).unwrap();
                client.peer.tls.process_new_packets().unwrap();
                while let Ok(count @ 1..) = client.peer.tls.reader().read(&mut part) {
                    got.extend_from_slice(&part[..count]);
                }
            }
        }
        assert!(got == expected, "{version:?}");
    }
}
