//! Secret: bytes that nobody else may see. They never move, are shown to nobody, and are overwritten when
//! they are dropped, so they are in memory once.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Read};
use std::ops::Deref;

/// Bytes that are overwritten when they are dropped.
pub(crate) struct Secret(Box<[u8]>);

impl Secret {
    /// Reads all that `from` has, which is at most `most` bytes; `None` if there are more.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn read(mut from: impl Read, most: usize) -> io::Result<Option<Self>> {
        let mut buffer = Self(vec![0; most + 1].into());
        let mut len = 0;
        while len < buffer.0.len() {
            match from.read(&mut buffer.0[len..]) {
                Ok(0) => return Ok(Some(buffer[..len].into())),
                Ok(count) => len += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Replaces the byte at `at`.
    pub(crate) fn replace(&mut self, at: usize, byte: u8) {
        self.0[at] = byte;
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites `bytes`, though nobody reads them any more.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_up_to_its_limit_and_not_shown() {
        let read = |most| Secret::read(&b"hush"[..], most).unwrap();
        assert_eq!(read(4).as_deref(), Some(&b"hush"[..]));
        assert!(read(3).is_none());
        assert_eq!(format!("{:?}", read(9).unwrap()), "(secret)");
        assert_eq!(
            Secret::read(&b""[..], 0).unwrap().as_deref(),
            Some(&b""[..])
        );
    }
}
