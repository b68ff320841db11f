//! Command: what a client has sent, cut out of the bytes of its connection.

/// A command as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// All of it, with the ends of its lines.
    pub bytes: Vec<u8>,
    /// How long its line is without the end.
    line: usize,
}

impl Command {
    /// The first command of `bytes` if all of it is there.
    pub fn first(bytes: &[u8]) -> Option<Self> {
        let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let mut words = bytes[..line].split(|&byte| byte == b' ');
        let len = match words.next()? {
            b"set" | b"add" | b"cas" => {
                let len = std::str::from_utf8(words.nth(3)?).ok()?;
                len.parse::<usize>().ok()? + 2
            }
            _ => 0,
        };
        let bytes = bytes.get(..line + 2 + len)?.to_vec();
        Some(Self { bytes, line })
    }

    /// Its line, without the end.
    pub fn line(&self) -> &[u8] {
        &self.bytes[..self.line]
    }

    /// The words of its line.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.line().split(|&byte| byte == b' ')
    }

    /// The value that follows its line.
    pub fn value(&self) -> &[u8] {
        let rest = &self.bytes[self.line + 2..];
        rest.strip_suffix(b"\r\n").unwrap_or_default()
    }

    /// Its first word.
    pub fn verb(&self) -> &[u8] {
        self.words().next().unwrap_or_default()
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        self.words().nth(1).unwrap_or_default()
    }

    /// A read of several items, as one command for each of them with its own reply. Any other is what it is.
    pub fn for_each_key(&self, reply: &[u8]) -> Vec<(Self, Vec<u8>)> {
        if self.verb() != b"get" || self.words().nth(2).is_none() {
            return vec![(self.clone(), reply.to_vec())];
        }
        let each = self.words().skip(1).map(|key| {
            let bytes = [b"get ", key, b"\r\n"].concat();
            let line = bytes.len() - 2;
            let found = item_of(key, reply).unwrap_or_default();
            (Self { bytes, line }, [found, b"END\r\n"].concat())
        });
        each.collect()
    }

    /// The number by which it counts: the one after its key, or a flag of a meta command.
    pub fn number(&self) -> u64 {
        let word = match self.verb() {
            b"ma" => self.words().find_map(|word| word.strip_prefix(b"D")),
            _ => self.words().nth(2),
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
