//! Tests that a forwarder forgets what it is told to forget, and nothing else.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::{Forwarder, Memcached};

const ASKED: &[u8] = b"mn\r\n";
const ANSWER: &[u8] = b"MN\r\n";

fn connect(forwarder: &Forwarder) -> TcpStream {
    TcpStream::connect(forwarder.address()).unwrap()
}

fn assert_answered(client: &mut TcpStream) {
    client.write_all(ASKED).unwrap();
    let mut answer = [0; ANSWER.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
}

#[test]
fn nothing_passes_on_a_forgotten_connection_and_all_on_a_new_one() {
    let memcached = Memcached::start();
    let forwarder = Forwarder::to(memcached.address());
    let mut old = connect(&forwarder);
    assert_answered(&mut old);
    forwarder.forget();
    old.write_all(ASKED).unwrap();
    let limit = Some(Duration::from_millis(100));
    old.set_read_timeout(limit).unwrap();
    let error = old.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_answered(&mut connect(&forwarder));
}

#[test]
fn connections_are_refused_until_they_are_accepted_again() {
    let memcached = Memcached::start();
    let forwarder = Forwarder::to(memcached.address());
    for _ in 0..3 {
        let mut client = connect(&forwarder);
        assert_answered(&mut client);
        forwarder.refuse();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
        let error = TcpStream::connect(forwarder.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        forwarder.accept();
    }
    assert_answered(&mut connect(&forwarder));
}
