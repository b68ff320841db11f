//! Measures what TLS costs: a small get beside a bare loop on the same rustls, and beside a plain connection;
//! the memory of a connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Authority, Builder, Host, Kamailio, Memcached};

use crate::candidate::Candidate;
use crate::memory;
use crate::operation::{Operation, UNROLLED};
use crate::rounds::spread;

/// Times of a small get, in µs, and ratios.
pub struct Sealed {
    /// The time of ours by TLS 1.3.
    pub ours: f64,
    /// The time of the bare loop by TLS 1.3.
    pub bare: f64,
    /// The time of ours without TLS.
    pub plain: f64,
    /// The first by the second.
    pub ratio: f64,
}

const REQUEST: &[u8] = b"get get-16\r\n";
const REPLY: &[u8] = b"VALUE get-16 1 16\r\n0123456789abcdef\r\nEND\r\n";

/// Measures in so many rounds.
pub fn measure(rounds: usize, turns: u32) -> Sealed {
    let authority = Authority::new();
    let memcached = secured(&authority);
    let plain = Memcached::start();
    for memcached in [&memcached, &plain] {
        Operation::Get16.store(memcached);
    }
    let ca = Host::current().inside(&authority.file());
    let builder = Kamailio::on(&memcached)
        .param("tls", 1)
        .param("tls_ca", ca.display().to_string())
        .param(
            "pool",
            format!("name=plain;servers={};tls=0", plain.address()),
        );
    let value = "$var(v) = \"0123456789abcdef\";";
    let scripts = [
        ("tls", value, "$var(x) = $mct(get-16);"),
        ("plain", value, "$var(x) = $mct(plain=>get-16);"),
        ("assign", value, "$var(x) = $var(v);"),
    ];
    let candidate = Candidate::with_scripts(&[], builder, &scripts);
    let mut bare = connect(&memcached, &authority);
    let mut columns: [Vec<f64>; 4] = Default::default();
    for round in 0..=rounds {
        let [tls, plain, assign] =
            scripts.map(|(script, ..)| candidate.run(script, turns).as_secs_f64());
        let bare = loop_of(&mut bare, turns * UNROLLED);
        // The first round opens connections.
        if round > 0 {
            let each = 1e6 / f64::from(turns * UNROLLED);
            let (ours, bare) = ((tls - assign) * each, bare * each);
            let row = [ours, bare, (plain - assign) * each, ours / bare];
            for (column, figure) in columns.iter_mut().zip(row) {
                column.push(figure);
            }
        }
    }
    let [ours, bare, plain, ratio] =
        columns.map(|column| spread(&column).expect("a round at least").median);
    Sealed {
        ours,
        bare,
        plain,
        ratio,
    }
}

fn secured(authority: &Authority) -> Memcached {
    let issued = authority.issue("server", "IP:127.0.0.1");
    let (chain, key) = (issued.chain.display(), issued.key.display());
    Memcached::secured(&format!(
        "ssl_chain_cert={chain},ssl_key={key},ssl_min_version=3"
    ))
}

/// By how much a worker's own memory grows with each connection, in KiB.
pub struct Memory {
    /// With one by TLS 1.3.
    pub sealed: f64,
    /// With one without TLS.
    pub plain: f64,
}

/// So many connections are opened besides the first one.
const CONNECTIONS: usize = 32;

/// Measures the mean of so many workers.
pub fn memory(workers: u32) -> Memory {
    let authority = Authority::new();
    let (memcached, plain) = (secured(&authority), Memcached::start());
    for memcached in [&memcached, &plain] {
        Operation::Get16.store(memcached);
    }
    let ca = Host::current().inside(&authority.file());
    let sealed = Kamailio::on(&memcached)
        .param("tls", 1)
        .param("tls_ca", ca.display().to_string());
    let plain = (Kamailio::on(&plain), plain.address());
    let mean = |builder: &Builder, address: &str| {
        let all = (0..workers).map(|_| per_connection(builder.clone(), address));
        all.sum::<f64>() / f64::from(workers)
    };
    Memory {
        sealed: mean(&sealed, memcached.address()),
        plain: mean(&plain.0, plain.1),
    }
}

/// Pools have connections of their own: as many of one server are opened.
fn per_connection(builder: Builder, address: &str) -> f64 {
    let pools = 0..CONNECTIONS;
    let builder = pools.clone().fold(builder, |builder, at| {
        builder.param("pool", format!("name=p{at};servers={address}"))
    });
    let first = "$var(x) = $mct(get-16);".repeat(20);
    let read = |at| format!("$var(x) = $mct(p{at}=>get-16);").repeat(20);
    let kamailio = builder
        .script("first", &first, &["$mcst"])
        .script("all", &pools.map(read).collect::<String>(), &["$mcst"])
        .start();
    let worker = kamailio.workers()[0];
    let own = |script| {
        assert_eq!(kamailio.run(script)["$mcst"], "hit");
        memory::of(worker).own as f64
    };
    let before = own("first");
    (own("all") - before) / CONNECTIONS as f64
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(memcached: &Memcached, authority: &Authority) -> Stream {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority.file()).expect("a certificate");
    roots.add(certificate).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(memcached.address()).expect("it listens");
    socket.set_nodelay(true).expect("TCP");
    Stream::new(connection, socket)
}

/// The time of so many exchanges, in seconds.
fn loop_of(stream: &mut Stream, count: u32) -> f64 {
    let begun = Instant::now();
    let mut reply = [0; REPLY.len()];
    for _ in 0..count {
        stream.write_all(REQUEST).expect("it takes a request");
        stream.read_exact(&mut reply).expect("it answers");
    }
    assert_eq!(reply, *REPLY);
    begun.elapsed().as_secs_f64()
}
