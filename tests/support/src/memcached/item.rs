//! `Item` is an item of memcached. Here are also the forms of its key.

/// An item as memcached has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The client flags.
    pub flags: u32,
    /// The seconds that are left, or -1 if it never expires.
    pub ttl: i64,
    /// The bytes.
    pub value: Vec<u8>,
}

impl Item {
    /// Reads the reply to `mg … v f t`.
    pub(super) fn read(reply: &[u8]) -> Option<Item> {
        let end = reply.windows(2).position(|two| two == b"\r\n")?;
        let head = std::str::from_utf8(&reply[..end]).ok()?;
        let mut words = head.strip_prefix("VA ")?.split(' ');
        let size: usize = words.next()?.parse().ok()?;
        let mut item = Item {
            flags: 0,
            ttl: -1,
            value: reply.get(end + 2..end + 2 + size)?.to_vec(),
        };
        for word in words {
            match word.split_at_checked(1)? {
                ("f", flags) => item.flags = flags.parse().ok()?,
                ("t", ttl) => item.ttl = ttl.parse().ok()?,
                _ => {}
            }
        }
        Some(item)
    }
}

/// Refuses a key that would break the protocol.
#[track_caller]
pub(super) fn legal(key: &[u8]) -> &[u8] {
    let fits = !key.is_empty() && key.len() <= 250;
    let clean = key.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    assert!(fits && clean, "not a wire key: \"{}\"", key.escape_ascii());
    key
}

/// Decodes the percent signs of `lru_crawler metadump`.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_whatever_they_hold() {
        let item = Item::read(b"VA 4 f7 t-1\r\n\r\n\0 \r\n").unwrap();
        assert_eq!((item.flags, item.ttl), (7, -1));
        assert_eq!(item.value, b"\r\n\0 ");
        assert_eq!(Item::read(b"VA 9 f7\r\nshort\r\n"), None);
        assert_eq!(Item::read(b"ERROR\r\n"), None);
    }

    #[test]
    fn keys_of_the_dump_are_unescaped() {
        assert_eq!(unescape(b"a%20b%25%0a%"), b"a b%\n%");
    }
}
