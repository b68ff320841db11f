//! TLS: what is encrypted on the way to the servers of a pool, and who may be at its ends.
//!
//! All that knows the library for it is in `library`. Without the cargo feature `tls` there is none, and
//! what needs it is refused.

#[cfg(feature = "tls")]
mod any_server;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod library;
#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
mod library;
#[cfg(feature = "tls")]
mod validity;

use std::sync::Arc;

pub(crate) use library::{Certificates, Key, Terms, Tls, is_name};

use crate::server::{Address, ServerSpec};

/// What the configuration says about TLS for a pool.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether there is TLS.
    pub(crate) is_on: bool,
    /// Whether the server's certificate and its name are verified.
    pub(crate) verifies: bool,
    /// The name that all certificates must have, in place of each server's own.
    pub(crate) name: Option<Arc<str>>,
    /// The authorities that are trusted.
    pub(crate) ca: Option<Certificates>,
    /// Our certificate, and those between it and its authority.
    pub(crate) cert: Option<Certificates>,
    /// The key of our certificate.
    pub(crate) key: Option<Key>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            is_on: false,
            verifies: true,
            name: None,
            ca: None,
            cert: None,
            key: None,
        }
    }
}

impl Options {
    /// Why what is set so far cannot be right, whatever follows.
    pub(crate) fn conflict(&self, servers: &[ServerSpec]) -> Option<String> {
        if let Err(why) = Terms::check(self) {
            return Some(why);
        }
        let name = self.name.as_deref();
        let mut faults = servers.iter().filter_map(|server| {
            let written = server.name();
            match &server.address {
                Address::Unix(_) => Some(format!(
                    "'tls' is 1, and '{written}' is a unix socket; accepted: servers at TCP addresses"
                )),
                Address::Tcp { host, .. } if !is_name(name.unwrap_or(host)) => Some(format!(
                    "'tls' is 1, and '{host}' is no name that a certificate can have; accepted: 'tls_name'"
                )),
                Address::Tcp { .. } => None,
            }
        });
        faults.next().filter(|_| self.is_on)
    }

    /// Why what is set is not enough, now that the configuration has been read.
    pub(crate) fn lack(&self) -> Option<&'static str> {
        match (&self.cert, &self.key) {
            (Some(_), None) => return Some("'tls_cert' needs 'tls_key'; accepted: both or none"),
            (None, Some(_)) => return Some("'tls_key' needs 'tls_cert'; accepted: both or none"),
            _ => {}
        }
        let lacks_ca = self.is_on && self.verifies && self.ca.is_none();
        lacks_ca.then_some(
            "'tls' is 1, and nobody is trusted; accepted: 'tls_ca', the file of an authority, or \
             'tls_verify' = 0",
        )
    }

    /// What should be said at the start, one line each.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        let has_files = self.ca.is_some() || self.cert.is_some() || self.key.is_some();
        let mut lines = Vec::new();
        if self.is_on && !self.verifies {
            lines.push("'tls_verify' is 0: anybody on the way may read and change everything");
        }
        if !self.is_on && (has_files || self.name.is_some() || !self.verifies) {
            lines.push("the parameters 'tls_…' have no effect without 'tls' = 1");
        }
        lines
    }

    /// True if there are files.
    pub(crate) fn has_files(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some()
    }

    /// The same with its files read again.
    ///
    /// # Errors
    /// One line for the operator.
    pub(crate) fn read_again(&self) -> Result<Self, String> {
        let again = |certificates: &Option<Certificates>| {
            let read = |old: &Certificates| Certificates::read(old.path());
            certificates.as_ref().map(read).transpose()
        };
        let key = self.key.as_ref().map(|old| Key::read(old.path()));
        let renewed = Self {
            ca: again(&self.ca)?,
            cert: again(&self.cert)?,
            key: key.transpose()?,
            ..self.clone()
        };
        Terms::check(&renewed)?;
        Ok(renewed)
    }

    /// When the first of its certificates ends, in seconds of Unix time.
    pub(crate) fn end(&self) -> Option<i64> {
        let files = self.ca.iter().chain(&self.cert);
        files.filter_map(Certificates::end).min()
    }

    /// Its certificates: their file, and in how many seconds the first of them ends.
    pub(crate) fn ends(&self, unix_time: u64) -> Vec<(&str, i64)> {
        let files = self.ca.iter().chain(&self.cert);
        files
            .filter_map(|file| Some((file.path(), file.end()? - unix_time as i64)))
            .collect()
    }
}
