//! A session within TLS and a server by the same library, byte by byte, without sockets.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls::{RootCertStore, SupportedProtocolVersion};
use support::{Allocations, CountingAllocator};

use super::super::tests::{LIMIT, key};
use super::*;
use crate::server::Address;
use crate::wire::access::Access;
use crate::wire::protocol::Request;
use crate::wire::tls::{Certificates, Options, Terms};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

mod behind;
mod pieces;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tls/ca.pem");
const SERVER: &[u8] = include_bytes!("../../../../tests/vectors/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../../../tests/vectors/tls/server.key");

const REQUEST: &[u8] = b"get k\r\n";
const VALUE: &[u8] = b"the value that there is";
const REPLY: &[u8] = b"VALUE k 0 23\r\nthe value that there is\r\nEND\r\n";

/// A server that has one item.
struct Peer {
    tls: ServerConnection,
    /// What it answers.
    reply: Vec<u8>,
    /// What it does then.
    and_then: fn(&mut ServerConnection),
}

impl Peer {
    fn new(version: &'static SupportedProtocolVersion) -> Self {
        let certificate = CertificateDer::from_pem_slice(SERVER).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        tls.set_buffer_limit(None);
        Self {
            tls,
            reply: REPLY.to_vec(),
            and_then: |_| (),
        }
    }

    /// Takes what the client has sent. Returns what it sends, with the answer to each request.
    fn take(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            // An alert of a client that has had enough.
            if self.tls.process_new_packets().is_err() {
                break;
            }
        }
        let mut asked = [0; 1024];
        if let Ok(count @ 1..) = self.tls.reader().read(&mut asked) {
            assert_eq!(&asked[..count], REQUEST);
            self.tls.writer().write_all(&self.reply).unwrap();
            (self.and_then)(&mut self.tls);
        }
        let mut sent = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut sent).unwrap();
        }
        sent
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn access() -> Access {
    let options = Options {
        is_on: true,
        ca: Some(Certificates::read(AUTHORITY).unwrap()),
        ..Options::default()
    };
    let address = Address::Tcp {
        host: "localhost".into(),
        port: 11211,
    };
    Access::new(None, Terms::new(&options)).at(&address)
}

/// What arrives of what the server sends, as a whole.
#[derive(Clone, Copy)]
enum Way {
    /// All of it, in pieces of this length.
    Pieces(usize),
    /// So many bytes, and then the end.
    Cut(usize),
    /// All of it, but for one bit of the byte there.
    Flip(usize),
}

/// What has come of a `get`.
#[derive(Debug)]
enum Outcome {
    Read(Vec<u8>),
    Failed(Error),
    /// Both sides wait.
    Stalled,
}

struct Client {
    session: Session,
    peer: Peer,
    value: Vec<u8>,
    /// How many bytes the server has sent.
    at: usize,
    way: Way,
}

impl Client {
    fn new(version: &'static SupportedProtocolVersion, access: &Access, way: Way) -> Self {
        Self {
            session: Session::on(LIMIT, access).unwrap(),
            peer: Peer::new(version),
            value: Vec::new(),
            at: 0,
            way,
        }
    }

    fn get(&mut self) -> Outcome {
        self.try_get().unwrap_or_else(Outcome::Failed)
    }

    fn try_get(&mut self) -> Result<Outcome, Error> {
        self.session.request(&Request::Get { key: &key() })?;
        loop {
            let sent = self.send()?;
            let mut answer = self.peer.take(&sent);
            if sent.is_empty() && answer.is_empty() {
                return Ok(Outcome::Stalled);
            }
            let end = self.at + answer.len();
            let mut size = answer.len().max(1);
            let mut ends = false;
            match self.way {
                Way::Pieces(pieces) => size = pieces,
                Way::Cut(at) if at < end => {
                    answer.truncate(at - self.at);
                    ends = true;
                }
                Way::Flip(at) if (self.at..end).contains(&at) => {
                    answer[at - self.at] ^= 1 << (at % 8);
                }
                Way::Cut(_) | Way::Flip(_) => {}
            }
            self.at = end;
            for piece in answer.chunks(size) {
                if self.receive(piece)? {
                    return Ok(Outcome::Read(self.value.clone()));
                }
            }
            if ends {
                return Err(self.session.closed());
            }
        }
    }

    /// What the session has to send.
    fn send(&mut self) -> Result<Vec<u8>, Error> {
        let tls = self.session.sealed()?.expect("there is TLS");
        let bytes = tls.unsent().to_vec();
        tls.note_sent(bytes.len());
        Ok(bytes)
    }

    /// These bytes arrive. True once the reply is whole.
    fn receive(&mut self, mut bytes: &[u8]) -> Result<bool, Error> {
        while !bytes.is_empty() {
            let tls = self.session.tls().expect("there is TLS");
            let room = tls.room();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            tls.received(len);
            tls.advance()?;
            bytes = &bytes[len..];
            if !self.session.is_opening() && self.session.secured_reply(&mut self.value)?.is_some()
            {
                assert!(bytes.is_empty(), "something follows the reply");
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How many bytes a server sends until the first reply is whole.
fn length(version: &'static SupportedProtocolVersion, access: &Access) -> usize {
    let mut client = Client::new(version, access, Way::Pieces(usize::MAX));
    assert!(matches!(client.get(), Outcome::Read(value) if value == VALUE));
    client.at
}

#[test]
fn any_split_of_the_bytes_gives_the_same_reply() {
    for version in VERSIONS {
        for size in [1, 3, 5, 6, 64, 100, 512, 1000] {
            let mut client = Client::new(version, &access(), Way::Pieces(size));
            // Long answers have several records.
            let most = if size < 100 { 20_000 } else { 100_000 };
            for len in [23, 16_384, most] {
                let value = vec![b'v'; len];
                let head = format!("VALUE k 0 {len}\r\n").into_bytes();
                client.peer.reply = [&head[..], &value, b"\r\nEND\r\n"].concat();
                let outcome = client.get();
                assert!(
                    matches!(&outcome, Outcome::Read(read) if *read == value),
                    "{version:?} in pieces of {size}: {outcome:?}"
                );
                assert!(client.session.is_idle());
            }
        }
    }
}

#[test]
fn what_is_cut_after_any_byte_is_no_value() {
    let access = access();
    for version in VERSIONS {
        let length = length(version, &access);
        for at in 0..length {
            let outcome = Client::new(version, &access, Way::Cut(at)).get();
            assert!(
                matches!(&outcome, Outcome::Failed(error) if error.is_hangup()),
                "{version:?}, cut after {at} of {length} bytes: {outcome:?}"
            );
        }
    }
}

#[test]
fn what_was_changed_at_any_byte_is_no_value() {
    let access = access();
    for version in VERSIONS {
        let length = length(version, &access);
        let mut ignored = Vec::new();
        for at in 0..length {
            match Client::new(version, &access, Way::Flip(at)).get() {
                Outcome::Read(value) => {
                    assert_eq!(value, VALUE, "{version:?}, byte {at}");
                    ignored.push(at);
                }
                Outcome::Failed(Error::Denied(_) | Error::Garbled(_) | Error::Down(_)) => {}
                // The record has become longer than what arrives.
                Outcome::Stalled => {}
                Outcome::Failed(other) => panic!("{version:?}, byte {at}: {other}"),
            }
        }
        // The version in the head of a record has no meaning, nor has what only says that another side
        // of the protocol is spoken.
        assert!(ignored.len() <= 16, "{version:?}: {ignored:?} of {length}");
    }
}

#[test]
fn a_server_at_its_limit_of_connections_says_so_before_there_is_any_tls() {
    let answer = |bytes: &[u8]| {
        let mut client = Client::new(&TLS13, &access(), Way::Pieces(usize::MAX));
        client.send().unwrap();
        client.receive(bytes).unwrap_err()
    };
    let error = answer(b"ERROR Too many open connections\r\n");
    assert!(error.is_farewell(), "{error}");
    for other in [&b"ERROR Too many"[..], b"ERROR\r\n", b"VALUE k 0 1\r\n"] {
        let error = answer(other);
        assert!(matches!(error, Error::Garbled(_)), "{error}");
    }
}

#[test]
fn steady_use_allocates_nothing_beyond_what_the_library_does() {
    for version in VERSIONS {
        let mut client = Client::new(version, &access(), Way::Pieces(usize::MAX));
        for _ in 0..100 {
            client.get();
        }
        let before = Allocations::now();
        let mut ours = 0;
        let rounds = 100;
        for _ in 0..rounds {
            let begun = Allocations::now().calls;
            client
                .session
                .request(&Request::Get { key: &key() })
                .unwrap();
            let tls = client.session.sealed().unwrap().unwrap();
            let len = tls.unsent().len();
            ours += Allocations::now().calls - begun;
            let sent = tls.unsent().to_vec();
            tls.note_sent(len);
            let answer = client.peer.take(&sent);
            let begun = Allocations::now().calls;
            assert!(client.receive(&answer).unwrap());
            ours += Allocations::now().calls - begun;
        }
        assert_eq!(client.value, VALUE);
        let grown = Allocations::now().bytes - before.bytes;
        assert!(grown <= 0, "{version:?}: {grown} bytes after {rounds} gets");
        let bare = bare(version, rounds);
        assert!(
            ours <= bare,
            "{version:?}: {ours}, the library alone {bare}"
        );
    }
}

/// How often the library alone allocates for so many of the same exchanges.
fn bare(version: &'static SupportedProtocolVersion, rounds: usize) -> usize {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(AUTHORITY).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut peer = Peer::new(version);
    let (mut output, mut plain) = (Vec::with_capacity(1 << 16), [0; 1024]);
    let mut calls = 0;
    for round in 0..100 + rounds {
        let begun = Allocations::now().calls;
        client.writer().write_all(REQUEST).unwrap();
        let mut own = Allocations::now().calls - begun;
        let mut received = 0;
        while received < REPLY.len() {
            let begun = Allocations::now().calls;
            output.clear();
            while client.wants_write() {
                client.write_tls(&mut output).unwrap();
            }
            own += Allocations::now().calls - begun;
            let answer = peer.take(&output);
            let begun = Allocations::now().calls;
            let mut rest = &answer[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
            while let Ok(count @ 1..) = client.reader().read(&mut plain[received..]) {
                received += count;
            }
            own += Allocations::now().calls - begun;
        }
        assert_eq!(&plain[..received], REPLY);
        calls += if round < 100 { 0 } else { own };
    }
    calls
}

/// How much more memory a worker may need for a connection because it has TLS, in bytes.
const MOST: isize = 150 * 1024;

#[test]
fn a_connection_has_its_memory_within_bounds() {
    for version in VERSIONS {
        let access = access();
        // What the process has for all connections of a pool is made with the first one.
        for _ in 0..2 {
            let before = Allocations::now().bytes;
            let mut client = Client::new(version, &access, Way::Pieces(usize::MAX));
            for _ in 0..10 {
                assert!(matches!(client.get(), Outcome::Read(_)));
            }
            drop(client.peer);
            let held = (client.session, client.value);
            let bytes = Allocations::now().bytes - before;
            drop(held);
            assert!((1..MOST).contains(&bytes), "{version:?}: {bytes} bytes");
        }
    }
}
