//! Compression of values: a zlib stream (RFC 1950), which all programs with which we share items use.
//!
//! How long a stream becomes is not known before it is inflated, and it may become a thousand times as
//! long. So inflating has a limit, and memory grows with what comes out, not with what anybody has announced.

use crate::error::Error;

/// Whether this build can compress (the feature `compression`).
pub(crate) const IS_BUILT_IN: bool = cfg!(feature = "compression");

#[cfg(feature = "compression")]
pub(crate) use zlib::{deflate, inflate};

#[cfg(feature = "compression")]
mod zlib {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

    use super::{BROKEN, Error};
    use crate::error::TooLarge;

    /// By how much a stream grows at first: text often shrinks to a quarter.
    const USUAL: usize = 4;

    /// `head` and the stream of `bytes`, if that is shorter than `bytes`.
    pub(crate) fn deflate(bytes: &[u8], head: &[u8]) -> Option<Vec<u8>> {
        let most = bytes.len().checked_sub(1)?;
        let mut packed = Vec::new();
        packed.try_reserve_exact(most).ok()?;
        if head.len() >= most {
            return None;
        }
        packed.extend_from_slice(head);
        let mut zlib = Compress::new(Compression::default(), true);
        let ended = zlib.compress_vec(bytes, &mut packed, FlushCompress::Finish);
        matches!(ended, Ok(Status::StreamEnd)).then_some(packed)
    }

    /// The bytes of a stream, up to `limit` of them.
    ///
    /// # Errors
    /// [`Error::BrokenItem`] if it is no complete stream, is followed by something, or is longer;
    /// [`TooLarge::ForMemory`].
    pub(crate) fn inflate(stream: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        let mut zlib = Decompress::new(true);
        let mut bytes = Vec::new();
        let mut room = stream.len().saturating_mul(USUAL).clamp(1, limit + 1);
        loop {
            if bytes.try_reserve_exact(room).is_err() {
                return Err(Error::TooLarge(TooLarge::ForMemory(bytes.len() + room)));
            }
            let rest = &stream[zlib.total_in() as usize..];
            let step = zlib.decompress_vec(rest, &mut bytes, FlushDecompress::None);
            if bytes.len() > limit {
                return Err(Error::BrokenItem(
                    "the inflated value is longer than value_limit",
                ));
            }
            match step {
                Ok(Status::StreamEnd) if zlib.total_in() as usize == stream.len() => {
                    return Ok(bytes);
                }
                // More may come out.
                Ok(Status::Ok | Status::BufError) if bytes.len() == bytes.capacity() => {
                    room = bytes.len().min(limit + 1 - bytes.len());
                }
                _ => return Err(BROKEN),
            }
        }
    }
}

const BROKEN: Error = Error::BrokenItem("the compressed value is broken");

/// Nothing gets shorter.
#[cfg(not(feature = "compression"))]
pub(crate) fn deflate(_bytes: &[u8], _head: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Nothing is read.
///
/// # Errors
/// [`Error::BrokenItem`]
#[cfg(not(feature = "compression"))]
pub(crate) fn inflate(_stream: &[u8], _limit: usize) -> Result<Vec<u8>, Error> {
    Err(BROKEN)
}

#[cfg(all(test, feature = "compression"))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn is_broken(read: Result<Vec<u8>, Error>) -> bool {
        matches!(read, Err(Error::BrokenItem(_)))
    }

    #[test]
    fn only_what_gets_shorter_is_compressed() {
        let text = b"sip:alice@example.com;transport=udp ".repeat(10);
        let packed = deflate(&text, b"").unwrap();
        assert!(packed.len() < text.len() / 2);
        assert_eq!(inflate(&packed, text.len()).unwrap(), text);
        let with_head = deflate(&text, b"head").unwrap();
        assert_eq!(with_head.strip_prefix(b"head"), Some(&packed[..]));
        for text in [&b""[..], b"a", b"abc", b"abcdefghijklmnop"] {
            assert_eq!(deflate(text, b""), None);
        }
    }

    #[test]
    fn a_stream_of_the_limit_is_read_and_a_longer_one_is_not() {
        let text = vec![b'x'; 100_000];
        let packed = deflate(&text, b"").unwrap();
        for limit in [100_000, 100_001, 1 << 30] {
            assert_eq!(inflate(&packed, limit).unwrap(), text, "{limit}");
        }
        for limit in [1, 4, 99_999] {
            assert!(is_broken(inflate(&packed, limit)), "{limit}");
        }
    }

    #[test]
    fn memory_follows_what_comes_out() {
        // A thousand times as long, and the limit is a thousand times as long again.
        let packed = deflate(&vec![0; 1 << 20], b"").unwrap();
        let bytes = inflate(&packed, 1 << 30).unwrap();
        assert!(bytes.capacity() <= 1 << 21, "{}", bytes.capacity());
    }

    #[test]
    fn what_is_cut_or_followed_by_something_is_broken() {
        let text = b"text ".repeat(50);
        let packed = deflate(&text, b"").unwrap();
        for len in 0..packed.len() {
            assert!(is_broken(inflate(&packed[..len], 1000)), "{len}");
        }
        let appended = [&packed[..], b"x"].concat();
        assert!(is_broken(inflate(&appended, 1000)));
        for at in 0..packed.len() {
            let mut other = packed.clone();
            other[at] ^= 0x40;
            // The last byte of the data may have bits without a meaning.
            let read = inflate(&other, 1000);
            let is_same = read.as_ref().is_ok_and(|read| *read == text);
            assert!(is_same || is_broken(read), "{at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_read_again(text in "[ab]{0,300}") {
            if let Some(packed) = deflate(text.as_bytes(), b"") {
                prop_assert!(packed.len() < text.len());
                prop_assert_eq!(inflate(&packed, 300).unwrap(), text.as_bytes());
            }
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in vec(any::<u8>(), 0..60), limit in 1..200usize) {
            let as_zlib = [b"\x78\x9c", &bytes[..]].concat();
            for stream in [bytes, as_zlib] {
                if let Ok(inflated) = inflate(&stream, limit) {
                    prop_assert!(inflated.len() <= limit);
                }
            }
        }
    }
}
