//! Tests that each fault arrives at a client as it was ordered.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{DeafServer, FaultyServer, Memcached, wait};

fn connect(server: &FaultyServer) -> TcpStream {
    TcpStream::connect(server.address()).unwrap()
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_same_answer_to_every_request() {
    let server = FaultyServer::answering("END\r\n");
    let mut client = connect(&server);
    let requests = b"get a\r\nset b 0 0 3\r\n\r\n!\r\nms c 1 T0\r\nx\r\n";
    client.write_all(requests).unwrap();
    assert_eq!(read(&mut client, 15), b"END\r\nEND\r\nEND\r\n");
    assert_eq!(server.received(), [requests]);
    assert_eq!(server.sent(), [b"END\r\nEND\r\nEND\r\n"]);
    assert_eq!((server.connections(), server.open()), (1, 1));
}

#[test]
fn an_answer_cut_in_the_middle() {
    let server = FaultyServer::start(|connection| {
        connection.line()?;
        connection.send("VALUE a 0 5\r\nhe")
    });
    let mut client = connect(&server);
    // This is more than the server reads, but the connection must still end in the normal way.
    client.write_all(b"get a\r\nget b\r\n").unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"VALUE a 0 5\r\nhe");
    wait::until("the server's side", wait::WAIT_LIMIT, || server.open() == 0);
}

#[test]
fn a_reset() {
    let server = FaultyServer::start(|connection| {
        connection.line()?;
        connection.reset()
    });
    let mut client = connect(&server);
    client.write_all(b"get a\r\n").unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn one_byte_at_a_time() {
    let pause = Duration::from_millis(5);
    let server = FaultyServer::start(move |connection| {
        connection.line()?;
        connection.drip("END\r\n", pause)
    });
    let mut client = connect(&server);
    let begun = Instant::now();
    client.write_all(b"get a\r\n").unwrap();
    assert_eq!(read(&mut client, 5), b"END\r\n");
    assert!(begun.elapsed() >= 5 * pause);
}

#[test]
fn silence_and_everything_is_recorded() {
    let server = FaultyServer::silent();
    let mut client = connect(&server);
    client.write_all(b"get a\r\nget").unwrap();
    wait::until("the bytes", wait::WAIT_LIMIT, || {
        server.received() == [b"get a\r\nget"]
    });
    let limit = Some(Duration::from_millis(20));
    client.set_read_timeout(limit).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn connections_are_told_apart() {
    let server = FaultyServer::start(|connection| {
        let number = connection.number();
        connection.send(format!("{number}\n"))?;
        connection.silence()
    });
    let (mut first, mut second) = (connect(&server), connect(&server));
    let mut seen = [read(&mut first, 2), read(&mut second, 2)];
    seen.sort();
    assert_eq!(seen, [b"0\n", b"1\n"]);
    assert_eq!(server.connections(), 2);
}

#[test]
fn the_drop_ends_every_connection_at_once() {
    let server = FaultyServer::start(|connection| connection.wait(Duration::from_secs(60)));
    let mut client = connect(&server);
    wait::until("a connection", wait::WAIT_LIMIT, || {
        server.connections() == 1
    });
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_relay_shows_the_exchange() {
    let memcached = Memcached::start();
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let mut client = connect(&relay);
    client.write_all(b"set a 0 0 1\r\nx\r\n").unwrap();
    assert_eq!(read(&mut client, 8), b"STORED\r\n");
    assert_eq!(memcached.text("a").as_deref(), Some("x"));
    assert_eq!(relay.received(), [b"set a 0 0 1\r\nx\r\n"]);
    assert_eq!(relay.sent(), [b"STORED\r\n"]);
    memcached.kill();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_slow_relay_takes_its_time() {
    let memcached = Memcached::start();
    let delay = Duration::from_millis(30);
    let relay = FaultyServer::relay(memcached.address(), delay);
    let mut client = connect(&relay);
    let begun = Instant::now();
    client.write_all(b"mn\r\n").unwrap();
    assert_eq!(read(&mut client, 4), b"MN\r\n");
    assert!(begun.elapsed() >= delay);
}

#[test]
fn a_deaf_port_neither_accepts_nor_refuses() {
    let deaf = DeafServer::start();
    let address = deaf.address().parse().unwrap();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
