//! `Upload` is a value that is on its way, and the answer to it when it is there.

use super::base64;
use super::items::{Items, Offer, Stored};
use super::session::Step;

/// A value whose command has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) key: Vec<u8>,
    /// Its length in bytes.
    pub(super) length: usize,
    /// What to do with it. The item has no value yet.
    pub(super) offer: Offer,
    pub(super) dialect: Dialect,
}

/// In which words to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialect {
    Classic {
        /// No answer at all.
        quiet: bool,
    },
    Meta {
        /// No answer if it is stored.
        quiet: bool,
        returns: Vec<Return>,
    },
}

/// What the answer to `ms` has behind the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Return {
    /// The opaque token, with its letter.
    Opaque(Vec<u8>),
    Key,
    Cas,
}

impl Upload {
    /// How many bytes must arrive: the value and a line end.
    pub(super) fn size(&self) -> usize {
        self.length + 2
    }

    /// All bytes are there.
    pub(super) fn end(&self, value: &[u8], items: &mut Items) -> Step {
        let Some(value) = value.strip_suffix(b"\r\n") else {
            let quiet = matches!(self.dialect, Dialect::Classic { quiet: true });
            return Step::say("CLIENT_ERROR bad data chunk").unless(quiet);
        };
        let mut offer = self.offer.clone();
        offer.item.value = value.to_vec();
        let stored = items.store(&self.key, offer);
        match &self.dialect {
            Dialect::Classic { quiet } => {
                let words = match stored {
                    Stored::Yes(_) => "STORED",
                    Stored::No => "NOT_STORED",
                    Stored::Exists => "EXISTS",
                    Stored::NotFound => "NOT_FOUND",
                };
                Step::say(words).unless(*quiet)
            }
            Dialect::Meta { quiet, returns } => {
                let is_stored = matches!(stored, Stored::Yes(_));
                Step::say(self.meta(stored, returns)).unless(*quiet && is_stored)
            }
        }
    }

    fn meta(&self, stored: Stored, returns: &[Return]) -> Vec<u8> {
        let (code, cas) = match stored {
            Stored::Yes(cas) => ("HD", cas),
            Stored::No => ("NS", 0),
            Stored::Exists => ("EX", 0),
            Stored::NotFound => ("NF", 0),
        };
        let mut line = code.as_bytes().to_vec();
        for what in returns {
            line.push(b' ');
            match what {
                Return::Opaque(token) => line.extend(token),
                Return::Cas => line.extend(format!("c{cas}").bytes()),
                Return::Key => line.extend(key_token(&self.key, self.offer.item.binary_key)),
            }
        }
        line
    }
}

/// The key as meta commands return it. One that was sent in base64 goes back so.
pub(super) fn key_token(key: &[u8], binary: bool) -> Vec<u8> {
    if binary {
        [b"k", &base64::encode(key)[..], b" b"].concat()
    } else {
        [b"k", key].concat()
    }
}
