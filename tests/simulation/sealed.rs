//! Sealed: the TLS of the servers, in some of the runs.
//!
//! Keys, and what is encrypted with them, are others in each run: the library gets them from the real system.
//! They decide nothing. What does decide are lengths, and these are always the same: signatures are by Ed25519,
//! keys are agreed on by X25519, tickets are numbers. So a replay is the same but for bytes that nobody can read.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

/// The file with the authority that has issued the servers' certificate.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tls/ca.pem");

/// The name in that.
pub const NAME: &str = "localhost";

const CERTIFICATE: &[u8] = include_bytes!("../vectors/tls/server.pem");
const KEY: &[u8] = include_bytes!("../vectors/tls/server.key");

/// What the servers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// What a server's process has made of that: it knows the sessions since its start.
pub fn config(version: Version) -> Arc<ServerConfig> {
    let version = match version {
        Version::Tls12 => &rustls::version::TLS12,
        Version::Tls13 => &rustls::version::TLS13,
    };
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version that it has")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("a certificate and its key"))
}

/// The server's side of one connection.
pub struct Sealed {
    tls: ServerConnection,
    /// What has arrived and was not read.
    unread: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes sealed", self.unread.len())
    }
}

/// What a server has read.
pub struct Opened {
    /// The client's bytes.
    pub plain: Vec<u8>,
    /// What is to be sent, before any answer.
    pub output: Vec<u8>,
    /// Whether the client breaks the rules, or has had enough.
    pub ends: bool,
}

impl Sealed {
    /// One that has just been accepted.
    pub fn new(config: &Arc<ServerConfig>) -> Self {
        let mut tls = ServerConnection::new(Arc::clone(config)).expect("a configuration");
        tls.set_buffer_limit(None);
        Self {
            tls,
            unread: Vec::new(),
        }
    }

    /// Bytes have arrived.
    pub fn arrived(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Whether both sides have agreed, as far as the server knows.
    pub fn has_agreed(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Whether there are bytes to be read.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads what has arrived.
    pub fn open(&mut self) -> Opened {
        let unread = std::mem::take(&mut self.unread);
        let (mut rest, mut plain, mut ends) = (&unread[..], Vec::new(), false);
        while !rest.is_empty() && !ends {
            self.tls.read_tls(&mut rest).expect("it takes all");
            ends = self.tls.process_new_packets().is_err();
            // An error says that there is no more now, or never again.
            let _ = self.tls.reader().read_to_end(&mut plain);
        }
        Opened {
            plain,
            output: self.output(),
            ends,
        }
    }

    /// The bytes to be sent for these.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(plain).expect("it takes all");
        self.output()
    }

    fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut output).expect("a vector takes all");
        }
        output
    }
}
