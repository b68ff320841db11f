//! TLS by rustls, with ring for the arithmetic.
//!
//! rustls knows no socket: bytes go in and come out. Nothing that must differ between processes is made
//! before a fork: each process makes its own configuration, with its own tickets, when it connects first.
//! Randomness comes from the kernel each time.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::Options;
use super::any_server::AnyServer;
pub(crate) use super::files::{Certificates, Key};
use super::validity;
use crate::error::{Denied, Down, Error};
use crate::quoted::quoted;
use crate::sys;
use crate::wire::protocol::printable;

/// How many bytes of a connection are received at once.
const ROOM: usize = 16 * 1024 + 512;

/// A buffer that grew beyond this is given back.
const KEEP: usize = 64 * 1024;

/// For how many servers a process keeps tickets.
const TICKETS: usize = 64;

/// The configuration of a process.
struct Own {
    process: u32,
    config: Arc<ClientConfig>,
}

/// What is agreed on with all servers of a pool.
#[derive(Clone)]
pub(crate) struct Terms {
    options: Arc<Options>,
    /// The configuration of this process, or of one that it was forked from.
    own: Arc<Mutex<Option<Own>>>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl Terms {
    /// The terms that these options make, if there is TLS.
    pub(crate) fn new(options: &Options) -> Option<Self> {
        options.is_on.then(|| Self {
            options: Arc::new(options.clone()),
            own: Arc::default(),
        })
    }

    /// Whether these options can be used.
    ///
    /// # Errors
    /// One line for the operator.
    pub(crate) fn check(options: &Options) -> Result<(), String> {
        match options.ca.is_some() || options.cert.is_some() {
            true => configuration(options).map(drop),
            false => Ok(()),
        }
    }

    /// Begins TLS with the server that is called `host`.
    ///
    /// # Errors
    /// [`Error::Denied`]
    pub(crate) fn begin(&self, host: &str) -> Result<Tls, Error> {
        let config = self.own_configuration().map_err(denied)?;
        let host = self.options.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| denied(format!("no certificate can have the name {}", quoted(host))))?;
        let mut connection =
            ClientConnection::new(config, name).map_err(|error| denied(error.to_string()))?;
        connection.set_buffer_limit(None);
        Ok(Tls {
            connection,
            host: host.into(),
            output: Vec::new(),
            sent: 0,
            input: vec![0; ROOM].into(),
            start: 0,
            end: 0,
        })
    }

    fn own_configuration(&self) -> Result<Arc<ClientConfig>, String> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match &*own {
            Some(own) if own.process == sys::process() => Ok(own.config.clone()),
            _ => {
                let config = Arc::new(configuration(&self.options)?);
                *own = Some(Own {
                    process: sys::process(),
                    config: config.clone(),
                });
                Ok(config)
            }
        }
    }
}

fn denied(why: String) -> Error {
    Error::Denied(Denied::Tls(why.into()))
}

/// True if a certificate can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

fn configuration(options: &Options) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match options.verifies {
        true => {
            let mut roots = RootCertStore::empty();
            if let Some(ca) = &options.ca {
                for certificate in ca.all().iter() {
                    roots.add(certificate.clone()).map_err(|error| {
                        let path = quoted(ca.path());
                        format!("file {path}: {error}; accepted: certificates of authorities")
                    })?;
                }
            }
            builder.with_root_certificates(roots)
        }
        false => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider))),
    };
    let mut config = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(cert.all().to_vec(), key.copy())
            .map_err(|error| {
                let files = [quoted(cert.path()), quoted(key.path())];
                format!(
                    "files {} and {}: {error}; accepted: a certificate and its own key",
                    files[0], files[1]
                )
            })?,
        _ => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(TICKETS);
    Ok(config)
}

/// TLS on one connection.
pub(crate) struct Tls {
    connection: ClientConnection,
    /// The name that the certificate must have.
    host: Box<str>,
    /// What is to be sent, and how much of it was sent.
    output: Vec<u8>,
    sent: usize,
    /// What has arrived and was not taken stands from `start` to `end`.
    input: Box<[u8]>,
    start: usize,
    end: usize,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS with {}", self.host)
    }
}

impl Tls {
    /// True until both sides have agreed on everything.
    pub(crate) fn is_opening(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// When the first of the certificates ends that the server has shown, in seconds of Unix time.
    pub(crate) fn certificates_end(&self) -> Option<i64> {
        let all = self.connection.peer_certificates()?;
        all.iter().filter_map(|one| validity::end(one)).min()
    }

    /// True if it has bytes to be sent.
    pub(crate) fn has_to_send(&self) -> bool {
        self.sent < self.output.len() || self.connection.wants_write()
    }

    /// Encrypts `plain`, which goes to the server. Both sides have agreed on everything.
    ///
    /// # Errors
    /// [`Error::Garbled`]
    pub(crate) fn write(&mut self, plain: &[u8]) -> Result<(), Error> {
        let written = self.connection.writer().write_all(plain);
        written.map_err(|_| Error::Garbled("TLS takes no more bytes"))
    }

    /// The bytes to be sent.
    pub(crate) fn unsent(&mut self) -> &[u8] {
        while self.connection.wants_write() {
            // A `Vec` takes all.
            if self.connection.write_tls(&mut self.output).is_err() {
                break;
            }
        }
        &self.output[self.sent..]
    }

    /// So many of them were sent.
    pub(crate) fn note_sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.output.len() {
            self.output.clear();
            self.output.shrink_to(KEEP);
            self.sent = 0;
        }
    }

    /// Where to receive the next bytes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        &mut self.input[self.end..]
    }

    /// So many bytes have arrived there.
    pub(crate) fn received(&mut self, count: usize) {
        self.end += count;
    }

    /// Takes some of what has arrived. True if there was any.
    fn take(&mut self) -> Result<bool, Error> {
        let begin = self.start;
        let mut input = &self.input[begin..self.end];
        if input.is_empty() {
            return Ok(false);
        }
        let taken = self.connection.read_tls(&mut input);
        // It takes none only while it is full of what nobody has read.
        self.start += taken.map_err(|_| Error::Garbled("TLS takes no more bytes"))?;
        match self.connection.process_new_packets() {
            Ok(_) => Ok(true),
            Err(error) => Err(self.farewell(begin).unwrap_or_else(|| self.failure(error))),
        }
    }

    /// A server at its limit of connections says so in plain text, before it knows of any TLS.
    #[cold]
    fn farewell(&self, begin: usize) -> Option<Error> {
        let text = &self.input[begin..self.end];
        let end = text.windows(2).position(|pair| pair == b"\r\n")?;
        let is_plain = self.is_opening()
            && text.starts_with(b"ERROR ")
            && !sys::planted("a refusal in place of TLS is garbage");
        is_plain.then(|| Error::Rejected(printable(&text[..end])))
    }

    /// Takes what has arrived, as far as both sides have not agreed on everything yet.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Garbled`]
    pub(crate) fn advance(&mut self) -> Result<(), Error> {
        while self.is_opening() && self.take()? {}
        Ok(())
    }

    /// The next decrypted bytes; 0 = the rest of them has not arrived yet.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Garbled`]; [`Down::Closed`] at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.connection.reader().read(into) {
                Ok(count @ 1..) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return Err(Error::Down(Down::Closed)),
            }
            if !self.take()? {
                return Ok(0);
            }
        }
    }

    /// True if something has arrived that nobody has asked for. The end is none of that.
    pub(crate) fn has_surplus(&mut self) -> bool {
        !matches!(self.read(&mut [0]), Ok(0) | Err(Error::Down(Down::Closed)))
    }

    fn failure(&self, error: rustls::Error) -> Error {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(error) => denied(format!(
                "its certificate is not accepted: {}",
                self.words(&error)
            )),
            E::NoCertificatesPresented => denied("it has no certificate".into()),
            E::AlertReceived(alert) if is_denial(alert) => {
                denied(format!("it does not accept us: TLS alert {alert:?}"))
            }
            E::PeerIncompatible(why) => denied(format!("no common kind of TLS: {why:?}")),
            E::InvalidMessage(_) if self.is_opening() => {
                Error::Garbled("no TLS is spoken here: the server has answered something else")
            }
            E::DecryptError => {
                Error::Garbled("bytes were changed on the way: TLS cannot decrypt them")
            }
            E::AlertReceived(_) => Error::Garbled("the server has ended TLS"),
            _ => Error::Garbled("the server breaks the rules of TLS"),
        }
    }

    /// Why the certificate is not accepted.
    fn words(&self, error: &CertificateError) -> String {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => "it has expired".into(),
            E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".into(),
            E::UnknownIssuer => "it comes from no authority of tls_ca".into(),
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                format!("it is not for {}", quoted(&*self.host))
            }
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not for a server".into(),
            E::BadSignature => "its signature is wrong".into(),
            // What the verifier has no word for is in its own.
            E::Other(error) => match &*error.to_string() {
                "EndEntityUsedAsCa" => "it was issued by one that is no authority".into(),
                "NameConstraintViolation" => "its authority may not issue it for this name".into(),
                other => other.into(),
            },
            other => other.to_string(),
        }
    }
}

/// True if a server that sends this alert does not accept us.
fn is_denial(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::CertificateRequired
            | A::HandshakeFailure
            | A::ProtocolVersion
            | A::InsufficientSecurity
            | A::UnrecognisedName
    )
}
