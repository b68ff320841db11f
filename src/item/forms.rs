//! Forms of values: what an item's client flags and bytes mean to the program that has stored it.
//!
//! The flags of one program contradict those of another, so a pool is told whose form its items have (the
//! parameter `values`). There is one file for each form, with what it writes and what it reads side by
//! side. An item that only the program itself can read, such as a pickle of Python, is
//! [foreign](Error::Foreign): it is never decoded, not even in part.

use super::compression::{self, deflate, inflate};
use super::value::{Found, MAX_DECIMAL, Numbers, Value};
use crate::error::Error;

mod dalli;
pub(crate) mod kamailio;
mod libmc;
mod marshal;
mod php;
mod python;

pub(crate) use libmc::SPLIT;

/// Whose form the items of a pool have. The form of the stock module has the number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum ItemForm {
    /// The stock module's.
    #[default]
    Kamailio = 0,
    /// libmc's, for Python.
    Libmc = 2,
    /// pylibmc's, for Python.
    Pylibmc,
    /// pymemcache's, for Python.
    Pymemcache,
    /// That of PHP's extension `memcached`.
    Php,
    /// Dalli's, for Ruby.
    Dalli,
    /// Bytes without a form.
    Raw,
}

impl ItemForm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Kamailio,
        Self::Libmc,
        Self::Pylibmc,
        Self::Pymemcache,
        Self::Php,
        Self::Dalli,
        Self::Raw,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kamailio => "kamailio",
            Self::Libmc => "libmc",
            Self::Pylibmc => "pylibmc",
            Self::Pymemcache => "pymemcache",
            Self::Php => "php",
            Self::Dalli => "dalli",
            Self::Raw => "raw",
        }
    }

    /// True for an item of the stock module that is nothing but its bytes: most items are. Then
    /// [`kamailio::decode`] reads it.
    #[inline(always)]
    pub(crate) fn is_plain(self, flags: u32) -> bool {
        flags | self as u32 <= 1
    }

    /// The client flags and the bytes to store. The text of an integer is written to `room`.
    pub fn encode<'a>(self, value: Value<'a>, room: &'a mut [u8; MAX_DECIMAL]) -> (u32, &'a [u8]) {
        match self {
            Self::Kamailio => kamailio::encode(value, room),
            Self::Libmc => libmc::encode(value, room),
            Self::Pylibmc => python::encode(value, room, python::PYLIBMC_INTEGER),
            Self::Pymemcache => python::encode(value, room, python::PYMEMCACHE_INTEGER),
            Self::Php => php::encode(value, room),
            Self::Dalli | Self::Raw => (0, value.text(room)),
        }
    }

    /// The flags and the bytes of a value that is compressed, if that is shorter. `flags` and `bytes` are
    /// those of the value as it is.
    pub fn compress(self, flags: u32, bytes: &[u8]) -> Option<(u32, Vec<u8>)> {
        let mark = self.compressed()?;
        let len = u32::try_from(bytes.len()).ok()?.to_le_bytes();
        let head = match self {
            Self::Php => &len[..],
            _ => &[],
        };
        Some((flags | mark, deflate(bytes, head)?))
    }

    /// Reads an item by its client flags. Afterwards `bytes` hold the text of its value. What is compressed
    /// may become `limit` bytes long.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::BrokenItem`], [`Error::TooLarge`]; `bytes` are then as they were stored.
    pub fn decode(
        self,
        flags: u32,
        bytes: &mut Vec<u8>,
        limit: u32,
        numbers: Numbers,
    ) -> Result<Found, Error> {
        if !self.is_compressed(flags) {
            return self.decode_inflated(flags, bytes, numbers);
        }
        let mut inflated = self.inflated(flags, bytes, limit)?;
        let found = self.decode_inflated(flags, &mut inflated, numbers)?;
        *bytes = inflated;
        Ok(found)
    }

    /// Inflates the bytes of an item, if they are compressed, to `limit` bytes at most. Returns the flags that it has
    /// then.
    ///
    /// # Errors
    /// Those of [`Self::decode`]; `bytes` are then as they were stored.
    pub(crate) fn inflate(self, flags: u32, bytes: &mut Vec<u8>, limit: u32) -> Result<u32, Error> {
        if self.is_compressed(flags) {
            *bytes = self.inflated(flags, bytes, limit)?;
        }
        Ok(flags & !self.compressed().unwrap_or(0))
    }

    /// Checks that the bytes of such an item are its text, once they are inflated and in one piece: so more text can
    /// be put beside them. An item without any bytes tells: it is read only if that is so.
    ///
    /// # Errors
    /// [`Error::Foreign`]
    pub(crate) fn check_takes_text(self, flags: u32) -> Result<(), Error> {
        let split = if self.splits() { SPLIT } else { 0 };
        match self.decode_inflated(flags & !split, &mut Vec::new(), Numbers::AsText) {
            Err(Error::BrokenItem(_)) => Err(foreign(flags, "more than its text")),
            read => read.map(drop),
        }
    }

    fn inflated(self, flags: u32, bytes: &[u8], limit: u32) -> Result<Vec<u8>, Error> {
        if !compression::IS_BUILT_IN {
            return Err(foreign(flags, "compressed, which this build cannot read"));
        }
        let limit = limit as usize;
        match self {
            Self::Php => php::inflate(flags, bytes, limit),
            _ => inflate(bytes, limit),
        }
    }

    /// True if such an item is the index of a value that is stored in parts.
    pub(crate) fn is_split(self, flags: u32) -> bool {
        self.splits() && flags & SPLIT != 0
    }

    /// True if values of this form can be stored in parts.
    pub(crate) fn splits(self) -> bool {
        matches!(self, Self::Kamailio | Self::Libmc)
    }

    /// True if the bytes of such an item are compressed.
    pub(crate) fn is_compressed(self, flags: u32) -> bool {
        let mark = self.compressed().unwrap_or(0);
        match self {
            Self::Php => flags & php::COMPRESSED != 0,
            _ => flags & mark != 0,
        }
    }

    /// The flags that a compressed value has besides those of its type.
    fn compressed(self) -> Option<u32> {
        match self {
            Self::Kamailio | Self::Libmc => Some(libmc::ZLIB),
            Self::Pylibmc | Self::Pymemcache => Some(python::ZLIB),
            Self::Php => Some(php::COMPRESSED | php::ZLIB),
            Self::Dalli => Some(dalli::ZLIB),
            Self::Raw => None,
        }
    }

    /// Reads an item whose bytes are not compressed, or not any more.
    fn decode_inflated(
        self,
        flags: u32,
        bytes: &mut Vec<u8>,
        numbers: Numbers,
    ) -> Result<Found, Error> {
        match self {
            Self::Kamailio => Ok(kamailio::decode(flags, bytes, || numbers)),
            Self::Libmc => libmc::decode(flags, bytes, numbers),
            Self::Pylibmc | Self::Pymemcache => python::decode(flags, bytes, numbers),
            Self::Php => php::decode(flags, bytes, numbers),
            Self::Dalli => dalli::decode(flags),
            Self::Raw => Ok(Found::Text),
        }
    }
}

/// What is said of an item whose flags a form does not know.
const UNKNOWN: &str = "the flags are not of this form";

fn foreign(flags: u32, what: &'static str) -> Error {
    Error::Foreign(format!("an item with flags {flags}: {what}").into())
}

#[cfg(test)]
mod tests;
