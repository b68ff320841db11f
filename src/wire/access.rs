//! Access: what a server requires of a new connection before its first request.

use std::sync::Arc;

use super::protocol::credentials::Credentials;
use super::tls::{Terms, Tls};
use crate::error::Error;
use crate::server::Address;

/// What a connection to one server begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Who we are, if the server is told.
    pub(crate) credentials: Option<Credentials>,
    /// What is agreed on, if there is TLS.
    pub(crate) terms: Option<Terms>,
    /// The name of the server, or its IP address.
    host: Arc<str>,
}

impl Access {
    /// The access to some server of a pool.
    pub(crate) fn new(credentials: Option<Credentials>, terms: Option<Terms>) -> Self {
        Self {
            credentials,
            terms,
            host: Arc::default(),
        }
    }

    /// The access to the server at this address.
    pub(crate) fn at(&self, address: &Address) -> Self {
        let host = match address {
            Address::Tcp { host, .. } => host.as_str(),
            Address::Unix(_) => "",
        };
        Self {
            host: host.into(),
            ..self.clone()
        }
    }

    /// Begins TLS, if there is any.
    ///
    /// # Errors
    /// [`Error::Denied`]
    pub(super) fn begin_tls(&self) -> Result<Option<Box<Tls>>, Error> {
        let begin = |terms: &Terms| terms.begin(&self.host).map(Box::new);
        self.terms.as_ref().map(begin).transpose()
    }
}
