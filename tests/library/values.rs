//! Values that the real clients have stored, recorded in `tests/vectors/values`, are read as these clients
//! read them.

use std::fs;

use kamailio_memcached::internals::{Found, ItemForm, Numbers};
use serde_json::Value as Json;

/// The sets whose clients compress.
#[cfg(feature = "compression")]
const COMPRESSED: &[&str] = &["libmc_comp100", "pylibmc_comp100", "pymemcache_compressed"];
#[cfg(not(feature = "compression"))]
const COMPRESSED: &[&str] = &[];

/// The rows of a file of `tests/vectors/values`, with the name of their set.
fn rows(client: &str) -> Vec<(String, Json)> {
    let file = format!("tests/vectors/values/{client}.json");
    let text = fs::read_to_string(file).unwrap();
    let file: Json = serde_json::from_str(&text).unwrap();
    let sets = file["sets"].as_object().unwrap();
    let rows = sets.iter().flat_map(|(set, rows)| {
        let rows = rows.as_array().unwrap().iter();
        rows.map(move |row| (set.clone(), row.clone()))
    });
    rows.filter(|(_, row)| row["item"]["base64"].is_string())
        .collect()
}

fn base64(text: &Json) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.as_str().unwrap().bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == letter).unwrap();
        (bits, count) = (bits << 6 | digit as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// What a script reads of `plain`, which a client of Python has stored.
fn expected(plain: &Json) -> Option<(Found, Vec<u8>)> {
    let text = |key: &str| plain[key].as_str().unwrap().as_bytes().to_vec();
    let number = |number: i64| (Found::Integer(number), number.to_string().into_bytes());
    Some(match plain["type"].as_str().unwrap() {
        "bytes" => (Found::Text, base64(&plain["base64"])),
        "text" => (Found::Text, text("value")),
        "int" => match plain["value"].as_str().unwrap().parse() {
            Ok(value) => number(value),
            Err(_) => (Found::Text, text("value")),
        },
        "bool" => number(plain["value"].as_bool().unwrap().into()),
        "null" => (Found::Null, Vec::new()),
        _ => return None,
    })
}

#[test]
fn what_real_clients_have_stored_is_read_as_they_read_it() {
    let mut compared = 0;
    for (client, form, sets) in [
        (
            "libmc",
            ItemForm::Libmc,
            &["libmc_plain", "libmc_prefix"][..],
        ),
        ("pylibmc", ItemForm::Pylibmc, &["pylibmc_plain"]),
        ("pymemcache", ItemForm::Pymemcache, &["pymemcache_pickle"]),
    ] {
        for (set, row) in rows(client) {
            let is_long = row["plain"]["type"] == "bytes" && row["plain"]["base64"].is_null();
            if !sets.contains(&&*set) && !COMPRESSED.contains(&&*set) || is_long {
                continue;
            }
            let flags = row["item"]["flags"].as_u64().unwrap() as u32;
            let mut text = base64(&row["item"]["base64"]);
            let found = form.decode(flags, &mut text, 1 << 20, Numbers::Bits64).ok();
            let expected = expected(&row["plain"]).filter(|_| flags != 1);
            let found = found.map(|found| (found, text));
            assert_eq!(found, expected, "{set}: {}", row["name"]);
            compared += 1;
        }
    }
    assert!(compared > 55, "{compared} rows");
}
