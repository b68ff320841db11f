//! Files: certificates and keys in PEM form.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::validity;
use crate::quoted::quoted;
use crate::text_file::{self, Readers};

/// The largest length of the file of a key, in bytes.
const MAX_KEY: usize = 64 * 1024;

/// The certificates of a file, at least one.
#[derive(Clone)]
pub(crate) struct Certificates {
    path: Arc<str>,
    all: Arc<[CertificateDer<'static>]>,
}

impl Certificates {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// One line for the operator.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let text = text_file::read(path)?;
        let all: Result<Arc<[_]>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let refuse = |fault: String| {
            let path = quoted(path);
            Err(format!(
                "file {path}: {fault}; accepted: certificates in PEM form"
            ))
        };
        match all {
            Ok(all) if all.is_empty() => refuse("there is no certificate".into()),
            Ok(all) if all.iter().any(|one| validity::end(one).is_none()) => {
                refuse("a certificate is broken".into())
            }
            Ok(all) => Ok(Self {
                path: path.into(),
                all,
            }),
            Err(error) => refuse(error.to_string()),
        }
    }

    /// The path of its file.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// All of them.
    pub(super) fn all(&self) -> &[CertificateDer<'static>] {
        &self.all
    }

    /// When the first of them ends, in seconds of Unix time.
    pub(crate) fn end(&self) -> Option<i64> {
        self.all.iter().filter_map(|one| validity::end(one)).min()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.all.len(), quoted(&*self.path))
    }
}

/// A private key and its file.
#[derive(Clone)]
pub(crate) struct Key {
    path: Arc<str>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Key {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// One line for the operator.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let text = text_file::read_secret(path, Readers::Group, MAX_KEY)?;
        let path_shown = quoted(path);
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
            format!("file {path_shown}: there is no private key; accepted: a key in PEM form, without a password")
        })?;
        Ok(Self {
            path: path.into(),
            key: Arc::new(key),
        })
    }

    /// The path of its file.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// A copy of the key, for the library.
    pub(super) fn copy(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key of {}", quoted(&*self.path))
    }
}
