//! The words of commands: keys, numbers, flags with their tokens. Most of them are valid.

use super::commands::{Kind, Writer};

/// The keys, but for some long ones.
pub(super) const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "n",
    "m",
    "YQ==",
    "AAA=",
    "Z===",
    "\u{e9}\u{1}",
];
/// No sum of these is 2^63: behind such a value the real memcached looks for a minus, also where older
/// items have left their bytes.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "90",
    "999",
    "1000000000000000",
    "-0",
    "-18446744073709551615",
];
const BROKEN: &[&str] = &[
    "x",
    "1x",
    "+",
    "1.5",
    "0x1",
    "noreply",
    "99999999999999999999",
    "-1",
];

impl Writer {
    pub(super) fn key(&mut self) -> String {
        match self.random.below(40) {
            0 => "k".repeat(250),
            1 => "k".repeat(251),
            _ => (*self.random.pick(KEYS)).into(),
        }
    }

    pub(super) fn number(&mut self) -> String {
        let choices = match self.random.below(20) {
            0 => BROKEN,
            _ => NUMBERS,
        };
        (*self.random.pick(choices)).into()
    }

    pub(super) fn lifetime(&mut self) -> String {
        match self.random.below(20) {
            0..8 => "0".into(),
            8..14 => (1 + self.random.below(4)).to_string(),
            14 => (self.now + self.random.below(4)).to_string(),
            15 => (self.now - 1000).to_string(),
            16 => (*self
                .random
                .pick(&["2592000", "2592001", "2147483647", "4294967297"]))
            .into(),
            17 => "-1".into(),
            _ => self.number(),
        }
    }

    pub(super) fn value(&mut self) -> Vec<u8> {
        let text: &[&[u8]] = &[
            b"",
            b"0",
            b"9",
            b"10",
            b"99",
            b"100",
            b" 5",
            b"5 apples",
            b"007",
            b"+4",
            b"5\0",
            b"x",
            b"a\r\nb",
            b"version\r\n",
            b"delete a\r\n",
            b"\0\xff",
        ];
        match self.random.below(12) {
            0 => b"-5".to_vec(),
            1 => vec![b'z'; self.random.index(300)],
            _ => self.random.pick(text).to_vec(),
        }
    }

    /// The length of a value, or nearly.
    pub(super) fn length(&mut self, value: &[u8]) -> String {
        match self.random.below(80) {
            0 => (value.len() + 1).to_string(),
            1 => value.len().saturating_sub(1).to_string(),
            2 => self.number(),
            3 => (*self
                .random
                .pick(&["2147483645", "2147483646", "4294967297"]))
            .into(),
            _ => value.len().to_string(),
        }
    }

    /// A version number. The first items of a run have these.
    pub(super) fn cas(&mut self) -> String {
        self.random.below(200).to_string()
    }

    pub(super) fn maybe_noreply(&mut self, words: &mut Vec<String>) {
        match self.random.below(30) {
            0..3 => words.push("noreply".into()),
            3 => words.push("x".into()),
            4 => drop(words.pop()),
            _ => {}
        }
    }

    pub(super) fn line(&mut self, words: &[String]) -> Vec<u8> {
        let blanks = if self.random.once_in(50) { "  " } else { " " };
        let end = if self.random.once_in(50) {
            "\n"
        } else {
            "\r\n"
        };
        let mut line = words.join(blanks).into_bytes();
        if self.kind == Kind::ChangedLetters && !line.is_empty() && self.random.once_in(100) {
            let at = self.random.index(line.len());
            line[at] = *self.random.pick(b"\0\t\r\xff k");
        }
        line.extend(end.bytes());
        line
    }

    pub(super) fn with_value(&mut self, words: Vec<String>, value: Vec<u8>) -> Vec<u8> {
        let end: &[u8] = if self.random.once_in(100) {
            b"\n"
        } else {
            b"\r\n"
        };
        [self.line(&words), value, end.to_vec()].concat()
    }

    /// Some of these, with tokens that fit or nearly do. A letter that is there twice is chosen more
    /// often.
    pub(super) fn add_flags(&mut self, words: &mut Vec<String>, flags: &str) {
        let mut left: Vec<char> = flags.chars().collect();
        for _ in 0..self.random.below(6) {
            if left.is_empty() {
                break;
            }
            let at = self.random.index(left.len());
            let letter = left.remove(at);
            if !self.random.once_in(60) {
                left.retain(|&other| other != letter);
            }
            let token = match letter {
                'T' | 'N' | 'R' => self.lifetime(),
                'F' | 'D' | 'J' => self.number(),
                'C' | 'E' => self.cas(),
                'M' => (*self
                    .random
                    .pick(&["S", "E", "A", "P", "R", "I", "D", "+", "X", ""]))
                .into(),
                'O' => "o".repeat(*self.random.pick(&[0, 1, 2, 31, 32])),
                _ => String::new(),
            };
            words.push(format!("{letter}{token}"));
        }
        if self.random.once_in(300) {
            words.extend(["P".to_owned(), "L".into()]);
            words.extend(('a'..='z').map(String::from));
        }
    }
}
