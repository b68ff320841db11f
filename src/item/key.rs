//! `WireKey` is a key that may be sent to memcached. A request takes its key only from this type,
//! so no byte of a SIP message becomes protocol.

use crate::error::Refusal;

/// A key of this length or longer is sent as its digest. memcached itself accepts 250 bytes. The
/// stock module folds keys from 250 bytes on, and its data must stay readable.
pub(crate) const FOLD_FROM: usize = 250;

/// The largest length of a prefix. Prefix and digest always fit together.
pub(crate) const MAX_PREFIX: usize = 200;

/// A key as it is sent: 1 to 249 bytes, without blanks and control characters.
#[derive(Debug, Clone, Copy)]
pub struct WireKey {
    /// All bits behind the key are zero.
    bytes: [u8; FOLD_FROM.next_multiple_of(8)],
    len: u8,
}

impl WireKey {
    /// The key `prefix` + `key`. If it has [`FOLD_FROM`] bytes or more, or a byte that memcached
    /// does not accept in keys (≤ 0x20 or 0x7f), it becomes `prefix` + the MD5 digest of `key` in
    /// 32 hex digits. The stock module folds long keys in the same way. `prefix` must be legal and
    /// have at most [`MAX_PREFIX`] bytes.
    ///
    /// # Errors
    /// [`Refusal::EmptyKey`].
    pub fn new(prefix: &[u8], key: &[u8]) -> Result<Self, Refusal> {
        Self::from_parts([b"", prefix, key])
    }

    /// The same for a key whose first bytes, the mark, are sent in front of the prefix.
    ///
    /// # Errors
    /// [`Refusal::EmptyKey`].
    pub fn from_parts([mark, prefix, rest]: [&[u8]; 3]) -> Result<Self, Refusal> {
        debug_assert!(prefix.len() <= MAX_PREFIX && is_legal(prefix));
        if mark.is_empty() && rest.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        let len = mark.len() + prefix.len() + rest.len();
        if len < FOLD_FROM && is_legal(mark) && is_legal(rest) {
            return Ok(Self::join([mark, prefix, rest]));
        }
        let mut digest = md5::Context::new();
        digest.consume(mark);
        digest.consume(rest);
        Ok(Self::join([b"", prefix, &hex(digest.finalize().0)]))
    }

    fn join(parts: [&[u8]; 3]) -> Self {
        let (mut bytes, mut len) = ([0; FOLD_FROM.next_multiple_of(8)], 0);
        for part in parts {
            bytes[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        Self {
            bytes,
            len: len as u8,
        }
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The same in words of eight bytes; zeros fill up the last one.
    #[inline(always)]
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        let words = usize::from(self.len).div_ceil(8);
        let (all, _) = self.bytes.as_chunks::<8>();
        all.iter().take(words).map(|word| u64::from_le_bytes(*word))
    }
}

impl PartialEq for WireKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// For log lines. The text is printable for all bytes.
impl std::fmt::Display for WireKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}

/// True if memcached accepts every byte in a key. It ends a key at a blank or a line end. Other
/// control characters are not accepted either.
pub(crate) fn is_legal(bytes: &[u8]) -> bool {
    // There is no early exit, so that the compiler can check many bytes at once.
    !bytes
        .iter()
        .fold(false, |bad, &byte| bad | (byte <= b' ') | (byte == 0x7f))
}

fn hex(digest: [u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_keys_go_out_as_they_are_up_to_249_bytes() {
        assert_eq!(
            WireKey::new(b"", b"sip:alice@example.com")
                .unwrap()
                .as_bytes(),
            { b"sip:alice@example.com" }
        );
        assert_eq!(
            WireKey::new(b"", &[b'k'; 249]).unwrap().as_bytes(),
            [b'k'; 249]
        );
        assert_eq!(
            WireKey::new(b"p:", "jürgen".as_bytes()).unwrap().as_bytes(),
            "p:jürgen".as_bytes()
        );
        assert_eq!(WireKey::new(b"", b"").unwrap_err(), Refusal::EmptyKey);
        assert_eq!(WireKey::new(b"p:", b"").unwrap_err(), Refusal::EmptyKey);
    }

    #[test]
    fn a_key_in_words_has_zeros_behind_it() {
        for len in 1..FOLD_FROM {
            let key = WireKey::new(b"", &vec![b'k'; len]).unwrap();
            let bytes: Vec<u8> = key.words().flat_map(u64::to_le_bytes).collect();
            assert_eq!(bytes.len(), len.next_multiple_of(8));
            assert_eq!(&bytes[..len], key.as_bytes());
            assert!(bytes[len..].iter().all(|&byte| byte == 0), "{len}");
        }
    }

    /// The digests are what `md5sum` prints for the same bytes.
    #[test]
    fn long_keys_are_folded_as_the_c_module_does() {
        let folded = WireKey::new(b"", &[b'k'; 250]).unwrap();
        assert_eq!(folded.as_bytes(), b"932f7b7f3c7159821f6b6723f618263f");
        let prefixed = WireKey::new(b"p:", &[b'k'; 249]).unwrap();
        assert_eq!(prefixed.as_bytes().len(), 34);
        assert!(prefixed.as_bytes().starts_with(b"p:"));
        assert!(
            WireKey::new(&[b'p'; MAX_PREFIX], &[b'k'; 300])
                .unwrap()
                .as_bytes()
                .len()
                < FOLD_FROM
        );
    }

    #[test]
    fn keys_that_would_be_structure_are_folded() {
        for byte in (0..=0x20).chain([0x7f]) {
            let key = [b'a', byte, b'b'];
            let wire = WireKey::new(b"", &key).unwrap();
            assert_eq!(wire.as_bytes().len(), 32, "byte {byte:#04x}");
            assert!(is_legal(wire.as_bytes()));
        }
        assert_eq!(
            WireKey::new(b"", b"a b").unwrap().as_bytes(),
            b"0cc9cd4dd26c5137b675a0d819cb9ab0"
        );
    }
}
