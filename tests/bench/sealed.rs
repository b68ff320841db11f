//! Measures what TLS costs: a small get beside a bare loop on the same rustls, and beside a plain connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Authority, Host, Kamailio, Memcached};

use crate::candidate::Candidate;
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
    let issued = authority.issue("server", "IP:127.0.0.1");
    let (chain, key) = (issued.chain.display(), issued.key.display());
    let memcached = Memcached::secured(&format!(
        "ssl_chain_cert={chain},ssl_key={key},ssl_min_version=3"
    ));
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
