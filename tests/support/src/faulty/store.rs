//! `Store` is a small memcached in memory, for a `FaultyServer` that is sane but for its fault.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items, and the answers that a memcached gives about them.
#[derive(Debug, Default)]
pub struct Store {
    items: Mutex<BTreeMap<String, Item>>,
}

#[derive(Debug, Clone)]
struct Item {
    flags: String,
    value: Vec<u8>,
}

impl Store {
    /// A store without items.
    pub fn new() -> Store {
        Store::default()
    }

    /// Keeps an item, as a string of Kamailio's.
    pub fn put(&self, key: &str, value: &str) {
        let item = Item {
            flags: "1".into(),
            value: value.into(),
        };
        self.lock().insert(key.into(), item);
    }

    /// Does what a request asks, and returns the answer. `ERROR` if it does not know the request.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        let end = request.iter().position(|&byte| byte == b'\n');
        let (line, data) = request.split_at(end.map_or(request.len(), |end| end + 1));
        let line = String::from_utf8_lossy(line).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut items = self.lock();
        match words[..] {
            ["get", key] => match items.get(key) {
                Some(Item { flags, value }) => {
                    let head = format!("VALUE {key} {flags} {}\r\n", value.len());
                    [head.as_bytes(), value, b"\r\nEND\r\n"].concat()
                }
                None => b"END\r\n".into(),
            },
            ["add", key, ..] if items.contains_key(key) => b"NOT_STORED\r\n".into(),
            ["set" | "add", key, flags, ..] => {
                let item = Item {
                    flags: flags.into(),
                    value: data.strip_suffix(b"\r\n").unwrap_or(data).into(),
                };
                items.insert(key.into(), item);
                b"STORED\r\n".into()
            }
            ["delete", key, ..] if items.remove(key).is_some() => b"DELETED\r\n".into(),
            ["touch", key, ..] if items.contains_key(key) => b"TOUCHED\r\n".into(),
            ["delete" | "touch", ..] => b"NOT_FOUND\r\n".into(),
            [verb @ ("incr" | "decr"), key, by, ..] => match items.get_mut(key) {
                Some(item) => item.count(verb == "incr", by),
                None => b"NOT_FOUND\r\n".into(),
            },
            ["version"] => b"VERSION 1.6.18\r\n".into(),
            ["stats"] => b"STAT uptime 100000\r\nSTAT time 4000000000\r\nEND\r\n".into(),
            ["flush_all"] => {
                items.clear();
                b"OK\r\n".into()
            }
            _ => b"ERROR\r\n".into(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    fn count(&mut self, up: bool, by: &str) -> Vec<u8> {
        let text = String::from_utf8_lossy(&self.value);
        let (Ok(number), Ok(by)) = (text.trim_end().parse::<u64>(), by.parse::<u64>()) else {
            return b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n".into();
        };
        let number = match up {
            true => number.wrapping_add(by),
            false => number.saturating_sub(by),
        };
        self.value = number.to_string().into();
        format!("{number}\r\n").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_as_memcached_does() {
        let store = Store::new();
        let exchange = [
            ("get a\r\n", "END\r\n"),
            ("set a 1 0 2\r\n10\r\n", "STORED\r\n"),
            ("add a 1 0 1\r\nx\r\n", "NOT_STORED\r\n"),
            ("get a\r\n", "VALUE a 1 2\r\n10\r\nEND\r\n"),
            ("incr a 3\r\n", "13\r\n"),
            ("decr a 20\r\n", "0\r\n"),
            ("touch a 5\r\n", "TOUCHED\r\n"),
            ("delete a\r\n", "DELETED\r\n"),
            ("delete a\r\n", "NOT_FOUND\r\n"),
            ("incr a 1\r\n", "NOT_FOUND\r\n"),
            ("nonsense\r\n", "ERROR\r\n"),
        ];
        for (request, answer) in exchange {
            let given = String::from_utf8(store.answer(request.as_bytes())).unwrap();
            assert_eq!(given, answer, "to {request:?}");
        }
    }
}
