//! Key: from the text of a script variable to the bytes that may go on the wire.
//!
//! [`Name`] cuts what stands between the parentheses of `$mct(…)` into pool, key and lifetime;
//! it sees the configuration's text only, never what a variable expands to. [`WireKey`] is the
//! only way to a key in a request, so that no byte of a SIP message becomes protocol.

use crate::error::Refusal;

/// From this many bytes on a key is sent as its digest. memcached's own limit is 250; the C
/// module folds from 250 on, and stored data must stay reachable.
pub(crate) const FOLD_FROM: usize = 250;

/// The longest accepted prefix, so that prefix and digest always fit.
pub(crate) const MAX_PREFIX: usize = 200;

/// The parts of a variable's name as the configuration has them: `[pool =>] key [=> expire]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// The declared pool that was named, if one was.
    pub pool: Option<&'a str>,
    /// The key's text, a format string; never empty.
    pub key: &'a str,
    /// The lifetime's text, a format string or a number; empty = default.
    pub expire: Option<&'a str>,
}

/// Why a variable's name is not accepted; its `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadName(String);

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Name<'a> {
    /// Cuts `text` at every `=>` that stands outside parentheses; blanks of the text around
    /// the parts are dropped. The first part is a pool if `is_pool` says that it is declared.
    ///
    /// # Errors
    /// [`BadName`] for an empty key, for more parts than pool, key and lifetime, and for three
    /// parts of which the first is no pool.
    pub(crate) fn cut(text: &'a str, is_pool: impl Fn(&str) -> bool) -> Result<Self, BadName> {
        let parts: Vec<&str> = parts(text).into_iter().map(blanks_off).collect();
        let name = match parts[..] {
            [key] => Self {
                pool: None,
                key,
                expire: None,
            },
            [pool, key] if is_pool(pool) => Self {
                pool: Some(pool),
                key,
                expire: None,
            },
            [key, expire] => Self {
                pool: None,
                key,
                expire: Some(expire),
            },
            [pool, key, expire] if is_pool(pool) => Self {
                pool: Some(pool),
                key,
                expire: Some(expire),
            },
            [first, _, _] => {
                return Err(BadName(format!(
                    "'{first}' in '{text}' is not a declared pool; {FORM}"
                )));
            }
            _ => return Err(BadName(format!("too many '=>' in '{text}'; {FORM}"))),
        };
        if name.key.is_empty() {
            return Err(BadName(format!("no key in '{text}'; {FORM}")));
        }
        Ok(name)
    }
}

const FORM: &str = "accepted: key, key=>seconds, pool=>key, pool=>key=>seconds";

fn blanks_off(part: &str) -> &str {
    part.trim_matches([' ', '\t'])
}

fn parts(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut depth, mut from, mut at) = (0usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'=' if depth == 0 && bytes.get(at + 1) == Some(&b'>') => {
                found.push(&text[from..at]);
                at += 1;
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(&text[from..]);
    found
}

/// A key as it goes on the wire: 1 to 249 bytes, no blank, no control byte.
#[derive(Debug, Clone, Copy)]
pub struct WireKey {
    bytes: [u8; FOLD_FROM],
    len: u8,
}

impl WireKey {
    /// `prefix` + `key`; when that is [`FOLD_FROM`] bytes or longer or holds a byte that memcached
    /// takes for structure (≤ 0x20, 0x7f), `prefix` + the 32 hex digits of the key's MD5, as
    /// the C module folds long keys. `prefix` is legal and at most [`MAX_PREFIX`] bytes.
    ///
    /// # Errors
    /// [`Refusal::EmptyKey`].
    pub fn new(prefix: &[u8], key: &[u8]) -> Result<Self, Refusal> {
        Self::from_parts([b"", prefix, key])
    }

    /// The same for a key of which the first bytes, the mark, go in front of the prefix.
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
        let (mut bytes, mut len) = ([0; FOLD_FROM], 0);
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
}

/// For log lines: printable whatever the bytes are.
impl std::fmt::Display for WireKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}

/// True when every byte can stand in a key: memcached ends a key at a blank or a line end, and
/// other control bytes have no business in one.
pub(crate) fn is_legal(bytes: &[u8]) -> bool {
    // No early exit, so that the compiler can look at many bytes at once.
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

    fn cut(text: &str) -> Result<(Option<&str>, &str, Option<&str>), String> {
        Name::cut(text, |name| name == "calls")
            .map(|name| (name.pool, name.key, name.expire))
            .map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_name_is_cut_outside_parentheses_only() {
        assert_eq!(cut("k"), Ok((None, "k", None)));
        assert_eq!(cut("k=>60"), Ok((None, "k", Some("60"))));
        assert_eq!(cut(" k => 60 "), Ok((None, "k", Some("60"))));
        assert_eq!(cut("$sht(a=>b)"), Ok((None, "$sht(a=>b)", None)));
        assert_eq!(cut("$(hdr(X){s.select,0,=>})=>$var(t)"), {
            Ok((None, "$(hdr(X){s.select,0,=>})", Some("$var(t)")))
        });
        assert_eq!(cut("a=b"), Ok((None, "a=b", None)));
        assert_eq!(cut("k=>"), Ok((None, "k", Some(""))));
    }

    #[test]
    fn a_declared_pool_is_recognised_in_front() {
        assert_eq!(cut("calls"), Ok((None, "calls", None)));
        assert_eq!(cut("calls=>k"), Ok((Some("calls"), "k", None)));
        assert_eq!(cut("calls => k => 5"), Ok((Some("calls"), "k", Some("5"))));
        assert_eq!(cut("other=>5"), Ok((None, "other", Some("5"))));
    }

    #[test]
    fn names_without_key_or_with_too_many_parts_are_refused() {
        for bad in [
            "=>5",
            " =>5",
            "calls=>",
            "calls=>=>5",
            "a=>b=>c",
            "calls=>k=>5=>6",
            "",
        ] {
            let line = cut(bad).unwrap_err();
            assert!(line.contains(bad) && line.contains("accepted: "), "{line}");
        }
    }

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

    /// The digests are what `md5sum` says of the same bytes.
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
