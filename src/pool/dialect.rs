//! Dialect: what a server speaks. That is found out when it matters for the first time, for all processes of
//! the node. The server is asked by a command that does nothing: a proxy that hangs up at such a command
//! has not done anything else.

use super::Pool;
use super::member::Member;
use super::route::Wanted;
use crate::clock::Deadline;
use crate::config::{Protocol, Settings};
use crate::error::{Error, Waiting};
use crate::wire::protocol::{Reply, Request};

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The commands of all versions.
    Classic,
    /// Meta commands, too.
    Meta,
}

impl Dialect {
    /// What is known of it: what the operator has set, or what was found out.
    pub(crate) fn known(protocol: Protocol, found: Option<Self>) -> Option<Self> {
        match protocol {
            Protocol::Auto => found,
            Protocol::Meta => Some(Self::Meta),
            Protocol::Classic => Some(Self::Classic),
        }
    }

    /// Its name, as in the parameter `protocol`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Meta => "meta",
        }
    }
}

impl Pool {
    /// Whether the server that owns a key is known to speak no meta commands.
    pub(crate) fn speaks_classic(&self, wanted: Wanted<'_>) -> bool {
        let owner = self.owner_at(wanted);
        owner.is_some_and(|owner| {
            let found = self.members[owner].server().dialect();
            Dialect::known(self.settings.protocol, found) == Some(Dialect::Classic)
        })
    }
}

impl Member {
    /// What the server speaks. It is asked if nobody knows.
    ///
    /// # Errors
    /// Those of [`Self::attempt`].
    pub(super) fn dialect(
        &mut self,
        deadline: &Deadline,
        settings: &Settings,
    ) -> Result<Dialect, Error> {
        if let Some(dialect) = Dialect::known(settings.protocol, self.server().dialect()) {
            return Ok(dialect);
        }
        let generation = self.health().generation();
        let asked = self.attempt_within(deadline, &Request::NoOp, &mut Vec::new(), settings);
        let dialect = match asked {
            Ok(_) => Dialect::Meta,
            Err(error) if error.is_unknown_request() => Dialect::Classic,
            // Nobody knows why. The next one asks again.
            Err(error) if error.is_refusal() => return Ok(Dialect::Classic),
            Err(error) => return Err(error),
        };
        self.server().note_dialect(dialect, generation);
        Ok(dialect)
    }

    /// Makes an attempt by a meta command. `None` if the server speaks none: it has not done anything then. Another
    /// server may be behind this address by now than the one that was asked for its dialect.
    ///
    /// # Errors
    /// Those of [`Self::attempt_within`].
    pub(super) fn attempt_meta(
        &mut self,
        deadline: &Deadline,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        settings: &Settings,
    ) -> Result<Option<Reply>, Error> {
        if self.dialect(deadline, settings)? == Dialect::Classic {
            return Ok(None);
        }
        let generation = self.health().generation();
        match self.attempt_within(deadline, request, value, settings) {
            Err(error) if error.is_unknown_request() && settings.protocol == Protocol::Auto => {
                self.server().note_dialect(Dialect::Classic, generation);
                Ok(None)
            }
            reply => reply.map(Some),
        }
    }

    /// Makes one of several attempts that have one deadline together.
    ///
    /// # Errors
    /// Those of [`Self::attempt`]; [`Error::Timeout`] when no time is left.
    #[cold]
    pub(super) fn attempt_within(
        &mut self,
        deadline: &Deadline,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        settings: &Settings,
    ) -> Result<Reply, Error> {
        let rest = self.rest(deadline);
        let rest = rest.ok_or(Error::Timeout(Waiting::Send))?;
        self.attempt(request, value, &rest, settings)
    }
}
