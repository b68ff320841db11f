//! Without the cargo feature `tls` nobody can ask for TLS: there are no files, no terms, and no sessions.

use super::Options;
use crate::error::Error;

const ABSENT: &str = "this module was built without TLS; accepted: the one of 'make build'";

/// Certificates of a file.
#[derive(Debug, Clone)]
pub(crate) struct Certificates(());

impl Certificates {
    pub(crate) fn read(_: &str) -> Result<Self, String> {
        Err(ABSENT.into())
    }

    pub(crate) fn path(&self) -> &str {
        ""
    }

    pub(crate) fn end(&self) -> Option<i64> {
        None
    }
}

/// A key.
#[derive(Debug, Clone)]
pub(crate) struct Key(());

impl Key {
    pub(crate) fn read(_: &str) -> Result<Self, String> {
        Err(ABSENT.into())
    }

    pub(crate) fn path(&self) -> &str {
        ""
    }
}

/// What is agreed on with servers.
#[derive(Debug, Clone)]
pub(crate) enum Terms {}

impl Terms {
    pub(crate) fn new(_: &Options) -> Option<Self> {
        None
    }

    pub(crate) fn check(options: &Options) -> Result<(), String> {
        match options.is_on {
            true => Err(ABSENT.into()),
            false => Ok(()),
        }
    }

    pub(crate) fn begin(&self, _: &str) -> Result<Tls, Error> {
        match *self {}
    }
}

pub(crate) fn is_name(_: &str) -> bool {
    true
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn is_opening(&self) -> bool {
        match *self {}
    }

    pub(crate) fn certificates_end(&self) -> Option<i64> {
        match *self {}
    }

    pub(crate) fn has_to_send(&self) -> bool {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &[u8]) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn unsent(&mut self) -> &[u8] {
        match *self {}
    }

    pub(crate) fn note_sent(&mut self, _: usize) {
        match *self {}
    }

    pub(crate) fn room(&mut self) -> &mut [u8] {
        match *self {}
    }

    pub(crate) fn received(&mut self, _: usize) {
        match *self {}
    }

    pub(crate) fn advance(&mut self) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn read(&mut self, _: &mut [u8]) -> Result<usize, Error> {
        match *self {}
    }

    pub(crate) fn has_surplus(&mut self) -> bool {
        match *self {}
    }
}
