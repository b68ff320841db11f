//! How the bytes of a reply are split makes no difference.

use super::tests::{garbled, key, read};
use crate::wire::protocol::{Request, Store, Way};
use proptest::prelude::*;

/// Replies of all kinds, good and bad.
fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "END",
        "STORED",
        "NOT_STORED",
        "DELETED",
        "NOT_FOUND",
        "TOUCHED",
        "17",
        "OK",
        "VERSION 1",
        "STAT a b",
        "ERROR",
        "CLIENT_ERROR x",
        "SERVER_ERROR y",
        "SERVER_ERROR object too large for cache",
    ]);
    let inspected = prop::collection::vec(any::<u8>(), 0..200).prop_map(|data| {
        let head = format!("VA {} f1 t-1 l3 kk\r\n", data.len()).into_bytes();
        [&head[..], &data, b"\r\n"].concat()
    });
    let value = (
        prop::collection::vec(any::<u8>(), 0..200),
        0u32..3,
        0usize..3,
    )
        .prop_map(|(data, flags, lie)| {
            let mut bytes = format!("VALUE k {flags} {}\r\n", data.len() + lie / 2).into_bytes();
            bytes.extend_from_slice(&data);
            bytes.extend_from_slice(b"\r\nEND\r\n");
            bytes
        });
    prop_oneof![
        word.prop_map(|word| format!("{word}\r\n").into_bytes()),
        value,
        inspected,
        prop::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_reply(
        bytes in any_reply(),
        sizes in prop::collection::vec(1usize..40, 1..20),
        which in 0usize..13,
    ) {
        let key = key();
        let key = &key;
        let request = [
            Request::Get { key },
            Request::Store { store: Store::Add, key, flags: 0, lifetime: 0, value: b"" },
            Request::Delete { key },
            Request::Touch { key, lifetime: 0 },
            Request::Count { way: Way::Up, key, by: 1 },
            Request::Gets { key },
            Request::CountOrCreate { way: Way::Up, key, by: 1, initial: 1, lifetime: 0 },
            Request::Inspect { key },
            Request::NoOp,
            Request::Settings,
            Request::Version,
            Request::Stats,
            Request::FlushAll,
        ][which];
        let (whole, value) = read(&request, &bytes, &[]);
        let (split, split_value) = read(&request, &bytes, &sizes);
        // Surplus that arrives later than the reply is found at the next use of the connection.
        let surplus = garbled("there are bytes after the end of the reply");
        prop_assert!(whole == split || whole == surplus, "{whole} but in pieces {split}");
        if whole == split && whole.starts_with("Ok(Item") {
            prop_assert_eq!(value, split_value);
        }
    }
}
