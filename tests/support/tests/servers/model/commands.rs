//! Commands: valid, nearly valid, and broken ones.

use support::Random;

use super::words::KEYS;

/// What the commands have in them. Both would not go together: a flush that is still to come takes the
/// place of the last one, so items come back that nobody has asked for meanwhile. Unless all keys are
/// known and asked for, it is left to chance which ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Flushes that are still to come.
    LateFlushes,
    /// Letters that are changed, also in keys.
    ChangedLetters,
}

/// Writes commands.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) random: Random,
    pub(super) kind: Kind,
    /// Unix time.
    pub(super) now: u64,
}

/// Requests of one go. No counter is asked for its value before it counts: the real memcached does
/// not shorten a number whose answer is still to be sent.
pub(super) type Batch = Vec<Vec<u8>>;

/// True for a request that must not meet an unfinished one or answers that are still to be sent: one
/// that counts, one that closes the connection, one that drops answers, and a long line.
pub(super) fn needs_quiet(request: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"incr", b"decr", b"ma ", b"POST"];
    let is_long = |word: &[u8]| word.len() > 250;
    request.len() > 2000
        || words.iter().any(|word| request.starts_with(word))
        || request.split(|&byte| byte == b' ').any(is_long)
}

/// Has flushed items removed.
fn look_at_all() -> String {
    let long = "k".repeat(250);
    let others = [&long, "big", "AAA= b", "YQ== b"];
    let keys = KEYS.iter().chain(&others);
    keys.map(|key| format!("me {key}\r\n")).collect()
}

impl Writer {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        let random = Random::new(seed);
        Self {
            random,
            kind,
            now: 0,
        }
    }

    /// Some requests, or one that is sent alone because the real memcached drops the answers to
    /// those before.
    pub(super) fn batch(&mut self) -> Batch {
        match self.random.below(100) {
            0 => return vec![self.closing()],
            1 => return vec![self.key_of_get_too_long()],
            2 => return vec![self.long_get()],
            3 if self.random.once_in(10) => return self.large(),
            _ => {}
        }
        let mut batch = Batch::new();
        for _ in 0..self.random.below(20) {
            batch.push(match self.random.below(10) {
                0..4 => self.count(),
                _ => self.change(),
            });
        }
        for _ in 0..self.random.below(30) {
            batch.push(match self.random.below(10) {
                0..6 => self.read(),
                6 => self.other(),
                _ => self.change(),
            });
        }
        batch
    }

    /// Stores, deletes, or changes a lifetime.
    fn change(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0..8 => self.store(),
            8..14 => self.meta_set(),
            14 => {
                let mut words = vec!["delete".into(), self.key()];
                if self.random.once_in(3) {
                    words.push("0".into());
                }
                self.maybe_noreply(&mut words);
                self.line(&words)
            }
            15 => {
                let mut words = vec!["touch".into(), self.key(), self.lifetime()];
                self.maybe_noreply(&mut words);
                self.line(&words)
            }
            16..19 => self.meta("md", "qIITCkObxE"),
            _ if self.random.once_in(4) => self.flush(),
            _ => self.other(),
        }
    }

    fn flush(&mut self) -> Vec<u8> {
        let mut words = vec!["flush_all".into()];
        match self.random.below(4) {
            0 => words.push("0".into()),
            1 if self.kind == Kind::LateFlushes => {
                words.push(self.lifetime());
                let flush = self.line(&words);
                return [look_at_all().as_bytes(), &flush].concat();
            }
            2 => words.push("x".into()),
            _ => {}
        }
        self.maybe_noreply(&mut words);
        self.line(&words)
    }

    fn store(&mut self) -> Vec<u8> {
        let names = ["set", "set", "add", "replace", "append", "prepend", "cas"];
        let name = *self.random.pick(&names);
        let value = self.value();
        let flags = match self.random.below(8) {
            0 => "4294967295".into(),
            1 => "4294967296".into(),
            _ => self.number(),
        };
        let (key, lifetime) = (self.key(), self.lifetime());
        let mut words = vec![name.into(), key, flags, lifetime, self.length(&value)];
        if name == "cas" {
            words.push(self.cas());
        }
        self.maybe_noreply(&mut words);
        self.with_value(words, value)
    }

    fn meta_set(&mut self) -> Vec<u8> {
        let value = self.value();
        let length = self.length(&value);
        let mut words = vec!["ms".into(), self.key(), length];
        self.add_flags(&mut words, "TFCIMMkOqbcs");
        self.with_value(words, value)
    }

    fn meta(&mut self, name: &str, flags: &str) -> Vec<u8> {
        let mut words = vec![name.into(), self.key()];
        self.add_flags(&mut words, flags);
        if self.random.once_in(100) {
            words.truncate(1);
        }
        self.line(&words)
    }

    fn count(&mut self) -> Vec<u8> {
        let key = if self.random.once_in(4) {
            self.key()
        } else {
            "n".into()
        };
        if self.random.once_in(2) {
            let mut words = vec!["ma".into(), key];
            self.add_flags(&mut words, "NNJDTMMCqtcvkOb");
            return self.line(&words);
        }
        let name = *self.random.pick(&["incr", "decr"]);
        let mut words = vec![name.into(), key, self.number()];
        self.maybe_noreply(&mut words);
        self.line(&words)
    }

    fn read(&mut self) -> Vec<u8> {
        if self.random.once_in(2) {
            return self.meta("mg", "vvtthlscfkOqTNRub");
        }
        let name = *self
            .random
            .pick(&["get", "gets", "gat", "gats", "bget", "me"]);
        if name == "me" {
            return self.meta(name, "b");
        }
        let mut words = vec![name.to_owned()];
        if name.starts_with("gat") {
            words.push(self.lifetime());
        }
        let count = match self.random.below(60) {
            0 => 30,
            _ => self.random.below(4),
        };
        for _ in 0..count {
            let key = self.key();
            words.push(if key.len() > 250 { "a".into() } else { key });
        }
        self.line(&words)
    }

    fn other(&mut self) -> Vec<u8> {
        let lines = [
            "version",
            "verbosity 0",
            "verbosity",
            "verbosity 1 noreply",
            "verbosity x",
            "mn",
            "mn x",
            "mx a",
            "m",
            "",
            " ",
            "shutdown",
            "quit now",
            "get",
            "gets",
            "gat 0",
            "gat x a",
            "sets a",
            "GET a",
            "ms a",
            "ms a S2",
            "delete a x",
            "delete a x noreply",
            "foo bar",
        ];
        let line = *self.random.pick(&lines);
        if line == "quit now" && !self.random.once_in(20) {
            return self.line(&["mn".into()]);
        }
        [line.as_bytes(), b"\r\n"].concat()
    }

    /// What closes the connection.
    fn closing(&mut self) -> Vec<u8> {
        let long = 2049 + self.random.index(1000);
        match self.random.below(4) {
            0 => b"POST / HTTP/1.1\r\n".to_vec(),
            1 => b"quit\r\n".to_vec(),
            2 => vec![b'x'; long],
            _ => [vec![b' '; 101], b"get ".repeat(600)].concat(),
        }
    }

    fn key_of_get_too_long(&mut self) -> Vec<u8> {
        format!("get a {} b\r\n", "k".repeat(251)).into()
    }

    /// Only lines of `get` may be longer than 2048 bytes.
    fn long_get(&mut self) -> Vec<u8> {
        let keys: Vec<_> = (0..1000).map(|_| *self.random.pick(KEYS)).collect();
        format!("get {}\r\n", keys.join(" ")).into()
    }

    /// A value of about the largest size, in pieces, and what becomes of it.
    fn large(&mut self) -> Batch {
        let sizes = [
            400_000,
            524_000,
            700_000,
            (1 << 20) - 63,
            (1 << 20) - 59,
            1 << 20,
            1_100_000,
        ];
        let size = *self.random.pick(&sizes);
        let value = [&b"7 "[..], &vec![b'y'; size - 2]].concat();
        let command = *self.random.pick(&["set", "add", "append"]);
        let head = format!("{command} big 0 0 {size}\r\n");
        let set = [head.as_bytes(), &value, b"\r\n"].concat();
        let then = [
            "incr big 1\r\n",
            "append big 0 0 3\r\nabc\r\n",
            "mg big s t f h\r\n",
        ];
        let mut batch = vec![set];
        batch.extend(then.map(|line| line.as_bytes().to_vec()));
        if self.random.once_in(2) {
            batch.push(b"delete big\r\n".to_vec());
        }
        batch
    }
}
