//! Several processes write and read one large value at the same time. A seed decides whose request the server
//! executes next, and whose connection ends.

use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use support::Random;
use support::model::{ClientSession, Memcached, Options};

use super::PART;
use crate::cache::{Cache, Read};
use crate::config::{Given, Parameters};
use crate::item::value::{Numbers, Value};
use crate::shared::Shared;
use crate::status::Status;

/// A request, and the connection on which it came.
type Asked = (Vec<u8>, TcpStream);

/// What a connection says to the server.
enum Event {
    Request(Asked),
    /// A process has done all its operations.
    Done,
}

/// Executes one request at a time: when all processes wait for an answer, the seed picks one of them.
fn serve(seed: u64, mut processes: usize, events: &Receiver<Event>) {
    let (mut random, mut memcached) = (Random::new(seed), Memcached::new(Options::default()));
    let mut waiting: Vec<Asked> = Vec::new();
    while processes > 0 {
        match events.recv().unwrap() {
            Event::Request(asked) => waiting.push(asked),
            Event::Done => processes -= 1,
        }
        if waiting.len() < processes || waiting.is_empty() {
            continue;
        }
        let (request, mut stream) = waiting.swap_remove(random.index(waiting.len()));
        let is_write = request.starts_with(b"set ");
        let (is_lost, is_executed) = (is_write && random.once_in(12), random.once_in(2));
        let mut session = ClientSession::default();
        let reply = match !is_lost || is_executed {
            true => memcached.input(&mut session, &request, 1_000_000_000).bytes,
            false => Vec::new(),
        };
        if is_lost {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        } else {
            stream.write_all(&reply).unwrap();
        }
    }
}

/// Reads the requests of one connection. Those that come together are executed together.
fn hear(mut stream: TcpStream, events: &Sender<Event>) {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 20]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(&part[..count]);
        if is_complete(&bytes) {
            let twin = stream.try_clone().unwrap();
            let _ = events.send(Event::Request((std::mem::take(&mut bytes), twin)));
        }
    }
}

/// Whether these bytes are complete requests.
fn is_complete(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(2).take(400).position(|pair| pair == b"\r\n") else {
            return false;
        };
        let line = str::from_utf8(&bytes[..end]).unwrap();
        let len = line
            .starts_with("set ")
            .then(|| line.split(' ').nth(4).unwrap());
        let value = len.map_or(0, |len| len.parse::<usize>().unwrap() + 2);
        let Some(rest) = bytes.get(end + 2 + value..) else {
            return false;
        };
        bytes = rest;
    }
    true
}

fn cache(address: &str) -> Cache {
    let mut parameters = Parameters::default();
    for (name, text) in [("servers", address), ("protocol", "classic")] {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    for (name, number) in [
        ("large_values", 1),
        ("timeout", 60_000),
        ("stall_limit", 60_000),
        ("inactive_threshold", 1000),
    ] {
        parameters.set(name, Given::Number(number)).unwrap();
    }
    Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1))
}

/// The value that this writer writes in its turn: in two or three parts.
fn value(writer: usize, turn: usize) -> Vec<u8> {
    let len = PART + 1 + (writer + turn) % 2 * PART;
    let mark = b'a' + (writer * 3 + turn) as u8;
    vec![mark; len]
}

/// Two writers and two readers under this seed. Returns what [`read`] tells, of both readers.
fn race(seed: u64) -> [usize; 4] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (events, incoming) = channel();
    let accepted = events.clone();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let events = accepted.clone();
            thread::spawn(move || hear(stream, &events));
        }
    });
    thread::scope(|scope| {
        scope.spawn(move || serve(seed, 4, &incoming));
        for writer in 0..2 {
            let (address, events) = (&address, events.clone());
            scope.spawn(move || {
                let mut cache = cache(address);
                let key = cache.key(0, b"k", b"").unwrap();
                for turn in 0..3 {
                    // It may be interrupted.
                    let _ = cache.assign(&key, Value::Text(&value(writer, turn)));
                }
                events.send(Event::Done).unwrap();
            });
        }
        let readers = [(); 2].map(|()| {
            let (address, events) = (&address, events.clone());
            scope.spawn(move || {
                let counts = read(address);
                events.send(Event::Done).unwrap();
                counts
            })
        });
        let counts = readers.map(|reader| reader.join().unwrap());
        [0, 1, 2, 3].map(|at| counts.iter().map(|of| of[at]).sum())
    })
}

/// Reads some times. Returns how often there was a whole value, none, a broken one, and anything else.
fn read(address: &str) -> [usize; 4] {
    let mut cache = cache(address);
    let key = cache.key(0, b"k", b"").unwrap();
    let mut counts = [0; 4];
    for _ in 0..6 {
        let mut text = Vec::new();
        let found = cache.get(&key, &mut text);
        let mut all = (0..2).flat_map(|writer| (0..3).map(move |turn| value(writer, turn)));
        let at = match &found {
            Ok(Read::Hit(_)) if all.any(|value| value == text) => 0,
            Ok(Read::Miss) => 1,
            Err(error) if Status::of_error(error) == Status::Garbled => 2,
            _ => 3,
        };
        counts[at] += 1;
    }
    counts
}

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn parts_of_two_writes_are_never_read_as_one_value() {
    for seed in 0..12 {
        let [whole, missing, _, others] = race(seed);
        assert_eq!(others, 0, "seed {seed}: a value that nobody has written");
        assert!(whole + missing > 0, "seed {seed}");
    }
}
