use super::*;
use crate::clock::Deadline;
use crate::key::WireKey;
use crate::protocol::{Store, Way};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What a server does on one of its connections: answers a line with each text, then closes.
type Script = &'static [&'static str];

/// A server that follows one script a connection and tells each line it was sent.
struct Server {
    address: Address,
    lines: Receiver<String>,
}

impl Server {
    fn with(scripts: &'static [Script]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, lines) = channel();
        thread::spawn(move || {
            for script in scripts {
                let stream: TcpStream = listener.accept().unwrap().0;
                let mut stream = BufReader::new(stream);
                for answer in *script {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    tell.send(line).unwrap();
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        let address = Address::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        Self { address, lines }
    }

    fn lines(self) -> Vec<String> {
        self.lines.into_iter().collect()
    }
}

fn key() -> WireKey {
    WireKey::new(b"", b"k").unwrap()
}

/// Exchanges `request` in two seconds.
fn ask(connection: &mut Connection, request: Request<'_>) -> Result<Reply, Error> {
    ask_within(
        connection,
        request,
        Deadline::new(Moment::now(), Duration::from_secs(2)),
    )
}

fn ask_within(
    connection: &mut Connection,
    request: Request<'_>,
    deadline: Deadline,
) -> Result<Reply, Error> {
    connection.exchange(&request, &mut Vec::new(), &Patience::until(deadline))
}

fn count(connection: &mut Connection) -> Result<Reply, Error> {
    ask(
        connection,
        Request::Count {
            way: Way::Up,
            key: &key(),
            by: 1,
        },
    )
}

/// Waits until the server's end of the connection is seen.
fn wait_for_hangup(connection: &Connection) {
    let open = connection.open.as_ref().expect("an open connection");
    while open.stream.is_idle() {
        thread::yield_now();
    }
}

#[test]
fn one_connection_serves_many_exchanges() {
    let server = Server::with(&[&["1\r\n", "NOT_FOUND\r\n", "END\r\n"]]);
    let mut connection = Connection::new(server.address.clone());
    assert_eq!(count(&mut connection).unwrap(), Reply::Counted(1));
    assert_eq!(count(&mut connection).unwrap(), Reply::Miss);
    assert_eq!(
        ask(&mut connection, Request::Get { key: &key() }).unwrap(),
        Reply::Miss
    );
    assert_eq!(
        server.lines(),
        ["incr k 1\r\n", "incr k 1\r\n", "get k\r\n"]
    );
}

#[test]
fn a_connection_closed_while_idle_costs_nothing_and_counts_once() {
    let server = Server::with(&[&["1\r\n"], &["2\r\n"]]);
    let mut connection = Connection::new(server.address.clone());
    count(&mut connection).unwrap();
    wait_for_hangup(&connection);
    let request = Request::Count {
        way: Way::Up,
        key: &key(),
        by: 1,
    };
    let later = Deadline::new(Moment::now() + IDLE, Duration::from_secs(2));
    let reply = ask_within(&mut connection, request, later);
    assert_eq!(reply.unwrap(), Reply::Counted(2));
    assert_eq!(server.lines().len(), 2);
}

/// Closes after having read the request: it may have been done.
#[test]
fn only_what_may_be_repeated_is_asked_again() {
    let key = &key();
    let store = |store| Request::Store {
        store,
        key,
        flags: 0,
        lifetime: 0,
        value: b"",
    };
    let first: Script = &["1\r\n", ""];
    for (request, answer, repeated) in [
        (Request::Get { key }, "END\r\n", true),
        (Request::Delete { key }, "DELETED\r\n", true),
        (Request::Touch { key, lifetime: 1 }, "TOUCHED\r\n", true),
        (
            Request::Count {
                way: Way::Down,
                key,
                by: 1,
            },
            "1\r\n",
            false,
        ),
        (store(Store::Add), "STORED\r\n", false),
    ] {
        let scripts: &'static [Script] = vec![first, &*vec![answer].leak()].leak();
        let server = Server::with(scripts);
        let mut connection = Connection::new(server.address.clone());
        count(&mut connection).unwrap();
        let reply = ask(&mut connection, request);
        if repeated {
            assert!(reply.is_ok(), "{request:?}: {reply:?}");
        } else {
            assert!(reply.is_err_and(|error| error.is_hangup()), "{request:?}");
            assert!(connection.open.is_none());
        }
    }
}

#[test]
fn an_unexpected_reply_closes_the_connection() {
    let server = Server::with(&[&["what?\r\n"], &["7\r\n"]]);
    let mut connection = Connection::new(server.address.clone());
    assert!(matches!(count(&mut connection), Err(Error::Garbled(_))));
    assert!(connection.open.is_none());
    assert_eq!(count(&mut connection).unwrap(), Reply::Counted(7));
}

#[test]
fn a_servers_refusal_keeps_it() {
    let text = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    let server = Server::with(vec![&*vec![text, "7\r\n"].leak()].leak());
    let mut connection = Connection::new(server.address.clone());
    assert!(matches!(count(&mut connection), Err(Error::NotANumber)));
    assert_eq!(count(&mut connection).unwrap(), Reply::Counted(7));
}

#[test]
fn a_late_reply_never_reaches_the_next_caller() {
    let server = Server::with(&[&["", "1\r\n"], &["2\r\n"]]);
    let mut connection = Connection::new(server.address.clone());
    let deadline = Deadline::new(Moment::now(), Duration::from_millis(20));
    let request = Request::Count {
        way: Way::Up,
        key: &key(),
        by: 1,
    };
    let late = ask_within(&mut connection, request, deadline);
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    assert_eq!(count(&mut connection).unwrap(), Reply::Counted(2));
}

#[test]
fn another_process_opens_its_own() {
    let server = Server::with(&[&["1\r\n"], &["2\r\n"]]);
    let mut connection = Connection::new(server.address.clone());
    count(&mut connection).unwrap();
    let open = connection.open.as_mut().unwrap();
    open.process = open.process.wrapping_sub(1);
    assert_eq!(count(&mut connection).unwrap(), Reply::Counted(2));
}
