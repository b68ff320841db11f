//! Whatever bytes a key and a value are made of, the exchange with memcached stays in step.
//!
//! A model of memcached is told the same operations as a real one. A single byte that became
//! protocol would shift the answers, and model and server would part.

use std::collections::HashMap;
use std::sync::OnceLock;

use kamailio_memcached::internals::{
    Cache, Found, Given, Numbers, Parameters, Refusal, Request, Shared, Status, Store, Value, Way,
    WireKey, encode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::Memcached;

/// Bytes that mean something to memcached, to a script, or to careless clients.
const MEANINGFUL: &[u8] = b" \t\r\n\0\x0b\x1f\x7f=>$()%:k0\xff";

fn key() -> impl Strategy<Value = Vec<u8>> {
    let lines: [&[u8]; 5] = [
        b"\r\nflush_all\r\n",
        b"k\r\nset k 0 0 1\r\n",
        b"k 0",
        b"\nquit\n",
        b"k noreply",
    ];
    let lines = prop::sample::select(lines.to_vec());
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(prop::sample::select(MEANINGFUL), 0..8),
        vec(b'a'..=b'z', 245..255),
        vec(any::<u8>(), 245..3000),
        (vec(b'a'..=b'z', 0..3), lines).prop_map(|(head, tail)| [&head[..], tail].concat()),
    ]
}

/// What memcached holds: `None` for a string that does not count.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Number(i64),
    Text(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    // The letter keeps a string of digits from being counted.
    let text = prop_oneof![vec(any::<u8>(), 0..200), key()];
    prop_oneof![
        (-100..1_000_000i64).prop_map(Item::Number),
        text.prop_map(|text| Item::Text([b"t", &text[..]].concat())),
    ]
}

#[derive(Debug, Clone)]
enum Operation {
    Get,
    Set(Item),
    Delete,
    Touch,
    Count(Way, u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Just(Operation::Get),
        3 => item().prop_map(Operation::Set),
        1 => Just(Operation::Delete),
        1 => Just(Operation::Touch),
        1 => (0..1000u32).prop_map(|by| Operation::Count(Way::Up, by)),
        1 => (0..1000u32).prop_map(|by| Operation::Count(Way::Down, by)),
    ]
}

/// What memcached is expected to hold and say.
#[derive(Debug, Default)]
struct Model(HashMap<Vec<u8>, Item>);

impl Model {
    fn apply(&mut self, key: &[u8], operation: &Operation) -> Status {
        if key.is_empty() {
            return Status::Refused;
        }
        match (operation, self.0.get_mut(key)) {
            (Operation::Set(item), _) => {
                self.0.insert(key.into(), item.clone());
                Status::Stored
            }
            (_, None) => Status::Miss,
            (Operation::Get, Some(_)) => Status::Hit,
            (Operation::Touch, Some(_)) => Status::Touched,
            (Operation::Delete, Some(_)) => {
                self.0.remove(key);
                Status::Deleted
            }
            (Operation::Count(way, by), Some(Item::Number(number @ 0..))) => {
                *number = match way {
                    Way::Up => *number + i64::from(*by),
                    Way::Down => (*number - i64::from(*by)).max(0),
                };
                Status::Counted
            }
            (Operation::Count(..), Some(_)) => Status::NotANumber,
        }
    }
}

/// What the cache makes of it, and what was read.
fn apply(cache: &mut Cache, key: &[u8], operation: &Operation) -> (Status, Option<Item>) {
    let key = match cache.key(0, key, b"600") {
        Ok(key) => key,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::EmptyKey);
            let error = cache.refuse(0, "a test", refusal);
            return (Status::of(&Err::<Status, _>(error)), None);
        }
    };
    let status = match operation {
        Operation::Get => {
            let mut text = Vec::new();
            let found = cache.get(&key, &mut text);
            let item = found.as_ref().ok().and_then(|read| match read.found() {
                Some(Found::Integer(number)) => Some(Item::Number(number)),
                Some(Found::Text) => Some(Item::Text(text)),
                Some(Found::Null) | None => None,
            });
            return (Status::of(&found), item);
        }
        Operation::Set(Item::Number(number)) => {
            Status::of(&cache.assign(&key, Value::Integer(*number)))
        }
        Operation::Set(Item::Text(text)) => Status::of(&cache.assign(&key, Value::Text(text))),
        Operation::Delete => Status::of(&cache.delete(&key)),
        Operation::Touch => Status::of(&cache.touch(&key, Value::Integer(500))),
        Operation::Count(way, by) => {
            Status::of(&cache.count(*way, &key, Value::Integer((*by).into())))
        }
    };
    (status, None)
}

fn cache(memcached: &Memcached) -> Cache {
    let mut parameters = Parameters::default();
    let servers = Given::Text(memcached.address());
    parameters.set("servers", servers).expect("an address");
    static SHARED: OnceLock<&[Shared]> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Shared::private(1));
    Cache::new(parameters.settle(), Numbers::Bits64, shared)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn any_key_and_value_leave_the_connection_in_step() {
    let memcached = Memcached::start();
    proptest!(config(), |(
        keys in vec(key(), 1..4),
        operations in vec((0..4usize, operation()), 1..40),
    )| {
        // Left behind by a case that failed.
        for key in &keys {
            apply(&mut cache(&memcached), key, &Operation::Delete);
        }
        let (mut cache, mut model) = (cache(&memcached), Model::default());
        let others = memcached.len();
        let connections = memcached.stat("total_connections");
        for (number, operation) in &operations {
            let key = &keys[number % keys.len()];
            let expected = model.apply(key, operation);
            let (status, found) = apply(&mut cache, key, operation);
            prop_assert_eq!(status, expected, "{:?}", operation);
            if matches!(operation, Operation::Get) {
                prop_assert_eq!(found.as_ref(), model.0.get(key));
            }
        }
        prop_assert_eq!(memcached.len(), others + model.0.len());
        let used = operations.iter().any(|(number, _)| !keys[number % keys.len()].is_empty());
        // The two looks of this test, and one connection for all the operations.
        let opened = memcached.stat("total_connections") - connections;
        prop_assert_eq!(opened, 2 + u64::from(used));
        for key in &keys {
            let expected = model.apply(key, &Operation::Delete);
            let (status, _) = apply(&mut cache, key, &Operation::Delete);
            prop_assert_eq!(status, expected);
        }
        prop_assert_eq!(memcached.len(), others);
        prop_assert_eq!(memcached.flushes(), 0);
    });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_key_makes_one_line_of_words(prefix in "[!-~]{0,200}", text in key()) {
        prop_assume!(!text.is_empty());
        let key = &WireKey::new(prefix.as_bytes(), &text).expect("not empty");
        let value = &text[..];
        let store = Request::Store { store: Store::Set, key, flags: 1, lifetime: 60, value };
        let requests = [
            (Request::Get { key }, 2, 0),
            (Request::Delete { key }, 2, 0),
            (Request::Touch { key, lifetime: 60 }, 3, 0),
            (Request::Count { way: Way::Up, key, by: u64::MAX }, 3, 0),
            (store, 5, value.len() + 2),
        ];
        for (request, words, data) in requests {
            let mut bytes = Vec::new();
            encode(&request, &mut bytes).expect("memory");
            let (line, rest) = bytes.split_at(bytes.len() - data);
            let line = line.strip_suffix(b"\r\n").expect("a line");
            let is_word = |word: &[u8]| {
                (1..250).contains(&word.len()) && word.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
            };
            prop_assert!(line.split(|byte| *byte == b' ').all(is_word), "{:?}", bytes);
            prop_assert_eq!(line.split(|byte| *byte == b' ').count(), words);
            prop_assert!(data == 0 || rest == [value, b"\r\n"].concat());
        }
    }
}
