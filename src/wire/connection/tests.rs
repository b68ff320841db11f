use super::*;
use crate::clock::Deadline;
use crate::item::key::WireKey;
use crate::wire::access::Access;
use crate::wire::net::{Stream, Target};
use crate::wire::protocol::{Store, Way};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

mod looks;
mod stage;
mod unfit;

/// What a server does on one of its connections: answers a line with each text, then closes.
type Script = &'static [&'static str];

/// A server that follows one script a connection and tells each line it was sent.
struct Server {
    target: Target,
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
                    // Who has given up a request resets its connection.
                    let mut line = String::new();
                    let _ = stream.read_line(&mut line);
                    tell.send(line).unwrap();
                    let _ = stream.get_mut().write_all(answer.as_bytes());
                }
            }
        });
        let target = Target::Tcp(([127, 0, 0, 1], port).into());
        Self { target, lines }
    }

    fn lines(self) -> Vec<String> {
        self.lines.into_iter().collect()
    }
}

/// A connection with the road to its server.
struct Client {
    connection: Connection,
    road: Road,
}

/// The way to a server, and what was done on it.
struct Road {
    target: Target,
    /// Where the second look goes; `None` = this process has no descriptor left.
    fresh: Option<Target>,
    questions: Cell<u32>,
    /// How many questions had no answer.
    silences: Cell<u32>,
    answers: Cell<u32>,
    prepared: Cell<u32>,
    /// Told of each answer to a question.
    tell: Option<Sender<()>>,
    access: Access,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self::to(&server.target)
    }

    fn to(target: &Target) -> Self {
        let road = Road {
            target: target.clone(),
            fresh: Some(target.clone()),
            questions: Cell::new(0),
            silences: Cell::new(0),
            answers: Cell::new(0),
            prepared: Cell::new(0),
            tell: None,
            access: Access::default(),
        };
        Self {
            connection: Connection::new(1 << 20, Box::leak(Box::default())),
            road,
        }
    }
}

impl Dial for Road {
    fn connect(&self, budget: &WaitBudget<'_>) -> Result<Stream, Error> {
        Ok(Stream::connect(&[&self.target], budget)?.0)
    }

    fn begin(&self) -> Result<Polled, Error> {
        let shortage = || Error::of_connecting(io::Error::from_raw_os_error(libc::EMFILE).into());
        Polled::connect(
            self.fresh.as_ref().ok_or_else(shortage)?,
            1 << 20,
            &self.access,
        )
    }

    fn access(&self) -> &Access {
        &self.access
    }

    /// `q1`; after a silence `q2`, and so on.
    fn question(&self) -> WireKey {
        self.questions.set(self.questions.get() + 1);
        let text = format!("q{}", self.silences.get() + 1);
        WireKey::new(b"", text.as_bytes()).unwrap()
    }

    fn note_certificates(&self, _: i64) {
        panic!("there is no TLS");
    }

    fn prepare(&self, _: &mut Stream) {
        self.prepared.set(self.prepared.get() + 1);
    }

    fn note_answer(&self) {
        self.answers.set(self.answers.get() + 1);
        self.tell.iter().for_each(|tell| tell.send(()).unwrap());
    }

    fn note_silence(&self) {
        self.silences.set(self.silences.get() + 1);
    }
}

fn key() -> WireKey {
    WireKey::new(b"", b"k").unwrap()
}

/// Exchanges `request` in two seconds.
fn ask(client: &mut Client, request: Request<'_>) -> Result<Reply, Error> {
    ask_within(
        client,
        request,
        Deadline::new(Moment::now(), Duration::from_secs(2)),
    )
}

fn ask_within(
    client: &mut Client,
    request: Request<'_>,
    deadline: Deadline,
) -> Result<Reply, Error> {
    let budget = WaitBudget::until(&deadline);
    let reply = client
        .connection
        .exchange(&request, &mut Vec::new(), &budget, &client.road);
    reply.map_err(|failure| failure.error)
}

fn count(client: &mut Client) -> Result<Reply, Error> {
    ask(
        client,
        Request::Count {
            way: Way::Up,
            key: &key(),
            by: 1,
        },
    )
}

/// Waits until the server's end of the connection is seen.
fn wait_for_hangup(client: &Client) {
    let open = client.connection.open.as_ref().expect("an open connection");
    while open.stream.is_idle() {
        thread::yield_now();
    }
}

#[test]
fn one_connection_serves_many_exchanges() {
    let server = Server::with(&[&["1\r\n", "NOT_FOUND\r\n", "END\r\n"]]);
    let mut client = Client::of(&server);
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(1));
    assert_eq!(count(&mut client).unwrap(), Reply::Miss);
    assert_eq!(
        ask(&mut client, Request::Get { key: &key() }).unwrap(),
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
    let mut client = Client::of(&server);
    count(&mut client).unwrap();
    wait_for_hangup(&client);
    let request = Request::Count {
        way: Way::Up,
        key: &key(),
        by: 1,
    };
    let later = Deadline::new(Moment::now() + IDLE, Duration::from_secs(2));
    let reply = ask_within(&mut client, request, later);
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
        // The question of the second look comes first.
        let second = match repeated {
            true => vec!["END\r\n", answer],
            false => vec!["END\r\n"],
        };
        let scripts: &'static [Script] = vec![first, second.leak()].leak();
        let server = Server::with(scripts);
        let mut client = Client::of(&server);
        count(&mut client).unwrap();
        let reply = ask(&mut client, request);
        if repeated {
            assert!(reply.is_ok(), "{request:?}: {reply:?}");
            let lines = server.lines();
            assert_eq!((&*lines[2], &lines[3]), ("get q1\r\n", &lines[1]));
        } else {
            assert!(reply.is_err_and(|error| error.is_hangup()), "{request:?}");
            assert!(client.connection.open.is_some(), "the fresh one is kept");
            assert_eq!(server.lines().len(), 3, "{request:?}");
        }
        assert_eq!(client.road.answers.get(), 1);
    }
}

/// The question is refused, and so would be the request: but that may have been done before.
#[test]
fn what_may_have_been_done_was_not_refused() {
    for answer in ["ERROR\r\n", "ERROR Too many open connections\r\n"] {
        let first: Script = &["1\r\n", "what?\r\n"];
        let server = Server::with(vec![first, vec![answer].leak()].leak());
        let mut client = Client::of(&server);
        count(&mut client).unwrap();
        let reply = count(&mut client);
        assert!(
            matches!(reply, Err(Error::Garbled(_))),
            "{answer}: {reply:?}"
        );
    }
}

#[test]
fn an_unexpected_reply_closes_the_connection() {
    let server = Server::with(&[&["what?\r\n"], &["END\r\n", "7\r\n"]]);
    let mut client = Client::of(&server);
    assert!(matches!(count(&mut client), Err(Error::Garbled(_))));
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(7));
}

#[test]
fn a_servers_refusal_keeps_it() {
    let text = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    let server = Server::with(vec![&*vec![text, "7\r\n"].leak()].leak());
    let mut client = Client::of(&server);
    assert!(matches!(count(&mut client), Err(Error::NotANumber)));
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(7));
}

#[test]
fn a_late_reply_never_reaches_the_next_caller() {
    let server = Server::with(&[&["0\r\n", "", "1\r\n"], &["2\r\n"]]);
    let mut client = Client::of(&server);
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(0));
    let deadline = Deadline::new(Moment::now(), Duration::from_millis(20));
    let request = Request::Count {
        way: Way::Up,
        key: &key(),
        by: 1,
    };
    let late = ask_within(&mut client, request, deadline);
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(2));
}

#[test]
fn another_process_opens_its_own() {
    let server = Server::with(&[&["1\r\n"], &["2\r\n"]]);
    let mut client = Client::of(&server);
    count(&mut client).unwrap();
    let open = client.connection.open.as_mut().unwrap();
    open.process = open.process.wrapping_sub(1);
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(2));
}

#[test]
fn many_requests_may_be_under_way() {
    let server = Server::with(&[&["1\r\n", "", "END\r\nDELETED\r\n", "2\r\n"]]);
    let mut client = Client::of(&server);
    count(&mut client).unwrap();
    let deadline = Deadline::new(Moment::now(), Duration::from_secs(2));
    let (budget, key) = (WaitBudget::until(&deadline), &key());
    let Client { connection, .. } = &mut client;
    connection.send(&Request::Get { key }, &budget).unwrap();
    connection.send(&Request::Delete { key }, &budget).unwrap();
    let mut receive = || connection.receive(&mut Vec::new(), &budget).unwrap();
    assert_eq!([receive(), receive()], [Reply::Miss, Reply::Deleted]);
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(2));
    assert_eq!(server.lines().len(), 4);
}

/// A panic between sending and receiving leaves such a connection behind.
#[test]
fn a_connection_that_owes_a_reply_is_replaced() {
    let server = Server::with(&[&["1\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n"], &["2\r\n"]]);
    let mut client = Client::of(&server);
    count(&mut client).unwrap();
    let deadline = Deadline::new(Moment::now(), Duration::from_secs(2));
    let budget = WaitBudget::until(&deadline);
    let get = Request::Get { key: &key() };
    client.connection.send(&get, &budget).unwrap();
    assert_eq!(count(&mut client).unwrap(), Reply::Counted(2));
}
