//! Command: what a client has sent, cut out of the bytes of its connection.

/// A command as it was received, without the line's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The words of its line.
    pub words: Vec<Vec<u8>>,
    /// The value that follows it.
    pub value: Vec<u8>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Command {
    /// Takes the first command out of `bytes` if all of it is there.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let words: Vec<Vec<u8>> = bytes[..end]
            .split(|&byte| byte == b' ')
            .map(<[u8]>::to_vec)
            .collect();
        let stores = matches!(&words[0][..], b"set" | b"add" | b"cas");
        let len = match stores {
            true => std::str::from_utf8(words.get(4)?)
                .ok()?
                .parse::<usize>()
                .ok()?,
            false => 0,
        };
        let (from, whole) = (end + 2, end + 2 + if stores { len + 2 } else { 0 });
        let value = bytes.get(from..whole)?[..len].to_vec();
        let bytes = bytes.drain(..whole).collect();
        Some(Self {
            words,
            value,
            bytes,
        })
    }

    /// Its first word.
    pub fn verb(&self) -> &[u8] {
        &self.words[0]
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        self.words.get(1).map_or(b"", |key| key)
    }

    /// A read of several items, as one command for each of them with its own reply. Any other is what it is.
    pub fn for_each_key(&self, reply: &[u8]) -> Vec<(Self, Vec<u8>)> {
        if self.verb() != b"get" || self.words.len() <= 2 {
            return vec![(self.clone(), reply.to_vec())];
        }
        let keys = self.words[1..].iter();
        let each = keys.map(|key| {
            let words = vec![self.words[0].clone(), key.clone()];
            let bytes = [b"get ", &key[..], b"\r\n"].concat();
            let value = Vec::new();
            let found = item_of(key, reply).unwrap_or_default();
            let command = Self {
                words,
                value,
                bytes,
            };
            (command, [found, b"END\r\n"].concat())
        });
        each.collect()
    }

    /// The number by which it counts: the one after its key, or a flag of a meta command.
    pub fn number(&self) -> u64 {
        let word = match self.verb() {
            b"ma" => self.words.iter().find_map(|word| word.strip_prefix(b"D")),
            _ => self.words.get(2).map(Vec::as_slice),
        };
        let text = word.and_then(|word| std::str::from_utf8(word).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// What a reply with several items tells of this one.
fn item_of<'a>(key: &[u8], mut reply: &'a [u8]) -> Option<&'a [u8]> {
    while reply.starts_with(b"VALUE ") {
        let line = reply.windows(2).position(|pair| pair == b"\r\n")?;
        let mut words = reply[..line].split(|&byte| byte == b' ').skip(1);
        let is_wanted = words.next()? == key;
        let len: usize = std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()?;
        let (item, rest) = reply.split_at(line + 2 + len + 2);
        if is_wanted {
            return Some(item);
        }
        reply = rest;
    }
    None
}
