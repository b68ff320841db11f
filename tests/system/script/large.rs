//! `large_values`: values that are stored in parts.

use std::time::Duration;

use serde_json::Value as Json;
use support::{Answer, Builder, FaultyServer, Kamailio, Memcached, Value};

mod conditions;
mod extension;
mod faster;
mod lost;
mod reached;
mod seen;

const PART: usize = 1_000_000;
/// The flag of an index.
const SPLIT: u32 = 4096;

/// A memcached that holds values of any size whole, and one of the usual kind, where they are split.
struct Site {
    whole: Memcached,
    split: Memcached,
}

impl Site {
    fn start() -> Site {
        Site {
            whole: Memcached::with(&["-I", "32m", "-m", "128"]),
            split: Memcached::with(&["-m", "128"]),
        }
    }

    fn builder(&self) -> Builder {
        with_copy(Kamailio::on(&self.split), &self.whole)
    }

    /// Puts a value that is none of zlib's, for the script to copy.
    fn offer(&self, len: usize) -> Vec<u8> {
        let value = noise(len);
        self.whole.put("k", 1, 0, &value);
        value
    }

    /// The parts of `k`: their flags and their lengths.
    fn parts(&self) -> Vec<(u32, usize)> {
        let part = |number| self.split.item(format!("~1k/{number}"));
        let parts = (0..).map_while(part);
        parts.map(|part| (part.flags, part.value.len())).collect()
    }
}

/// With scripts that copy the value of the pool `whole`, and compare the two.
fn with_copy(builder: Builder, whole: &Memcached) -> Builder {
    let pool = format!("name=whole;servers={};large_values=0", whole.address());
    let same = "$(mct(k){s.md5})";
    builder
        .param("large_values", 1)
        .param("pool", pool)
        .script("copy", "$mct(k) = $mct(whole=>k);", &["$mcst"])
        .script(
            "read",
            "$var(len) = $(mct(k){s.len});",
            &["$mcst", "$var(len)"],
        )
        .script("same", "", &[same, "$(mct(whole=>k){s.md5})"])
        .script("null", "", &["$mct(k)", "$mcst"])
        .script("delete", "$mct(k) = $null;", &["$mcst"])
        .script("touch", "$mctex(k) = 5000;", &["$mcst"])
}

/// Bytes that do not get shorter.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn assert_same(kamailio: &Kamailio) {
    let answer = kamailio.run("same");
    assert_eq!(
        answer["$(mct(k){s.md5})"],
        answer["$(mct(whole=>k){s.md5})"]
    );
}

fn null(kamailio: &Kamailio) -> String {
    let answer = kamailio.run("null");
    assert_eq!(answer["$mct(k)"], Value::Null);
    status(&answer)
}

fn status(answer: &Answer) -> String {
    match &answer["$mcst"] {
        Value::Str(word) => String::from_utf8_lossy(word).into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_of_more_than_one_million_bytes_is_stored_as_libmc_does() {
    let site = Site::start();
    let kamailio = site.builder().start();
    for (len, lengths) in [
        (PART, vec![]),
        (PART + 1, vec![PART, 1]),
        (2 * PART, vec![PART, PART]),
        (2_500_001, vec![PART, PART, 500_001]),
        (10 * PART, vec![PART; 10]),
    ] {
        let value = site.offer(len);
        assert_eq!(kamailio.run("copy")["$mcst"], "stored", "{len}");
        let item = site.split.item("k").expect("stored");
        let parts = site.parts();
        if lengths.is_empty() {
            assert_eq!((item.flags, parts.len()), (1, 0));
        } else {
            assert_eq!(item.value, lengths.len().to_string().into_bytes());
            assert_eq!(item.flags & 0xffff, SPLIT | 1);
            assert!(item.flags >> 16 != 0, "a tag");
            let expected = lengths.iter().map(|&len| (item.flags - SPLIT, len));
            assert_eq!(parts, expected.collect::<Vec<_>>(), "{len}");
            let first = site.split.item("~1k/0").expect("stored").value;
            assert!(first == value[..PART]);
        }
        assert_same(&kamailio);
        assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
        assert!(site.split.is_empty(), "{:?}", site.split.keys());
    }
    kamailio.assert_nothing_logged();
}

/// What libmc has stored, recorded: the index, and the parts with their keys, flags and lengths.
#[test]
fn the_items_are_those_that_libmc_has_stored() {
    let recorded = std::fs::read_to_string("tests/vectors/values/libmc_large.json");
    let recorded: Json = serde_json::from_str(&recorded.expect("the vectors")).expect("JSON");
    let rows = recorded["rows"].as_array().expect("rows").iter();
    let rows = rows.filter(|row| row["len"].is_u64() && row["prefix"].is_null());
    let rows: Vec<_> = rows.collect();
    let key = |row: &Json| row["key"].as_str().expect("a key").to_owned();
    let site = Site::start();
    let mut builder = site.builder().param("values", "libmc");
    for row in &rows {
        let copy = format!("$mct({}) = $mct(whole=>k);", key(row));
        builder = builder.script(row["name"].as_str().expect("a name"), &copy, &["$mcst"]);
    }
    let kamailio = builder.start();
    for row in &rows {
        let len = row["len"].as_u64().expect("a length");
        let byte = |at: u64| (at * at + 7 * at + at / 251) as u8;
        let value: Vec<u8> = (0..len).map(byte).collect();
        site.whole.put("k", 0, 0, &value);
        let status = status(&kamailio.run(row["name"].as_str().expect("a name")));
        if row["set_returned"] == false {
            // libmc stores nothing. We store it whole, where memcached takes that.
            let item = site.split.item(key(row));
            let expected = if item.is_some() {
                "stored"
            } else {
                "too_large"
            };
            assert_eq!(status, expected, "{}", row["name"]);
            assert!(item.is_none_or(|item| item.value == value));
            continue;
        }
        assert_eq!(status, "stored", "{}", row["name"]);
        let chunks = row["chunks"].as_array().expect("chunks");
        for (number, theirs) in std::iter::once(&row["index"]).chain(chunks).enumerate() {
            let ours = site.split.item(key(theirs)).expect("stored");
            assert_eq!(u64::from(ours.flags & 0xffff), theirs["flags"], "{theirs}");
            assert_eq!(ours.value.len(), theirs["len"], "{theirs}");
            if number > 0 {
                assert!(
                    value[(number - 1) * PART..].starts_with(&ours.value),
                    "{theirs}"
                );
            }
        }
    }
    assert!(rows.len() >= 7, "{} rows", rows.len());
}

#[test]
fn what_cannot_be_split_is_too_large_and_the_old_value_stays() {
    let site = Site::start();
    let kamailio = site
        .builder()
        .script(
            "others",
            "mct_add(\"new\", \"$mct(whole=>k)\"); $var(add) = $mcst;
             $mct(old) = \"old\"; mct_replace(\"old\", \"$mct(whole=>k)\");",
            &["$var(add)", "$mcst", "$mct(old)"],
        )
        .start();
    site.split.put("k", 1, 0, "old");
    site.offer(10 * PART + 1);
    assert_eq!(kamailio.run("copy")["$mcst"], "too_large");
    let answer = kamailio.run("others");
    assert_eq!(answer["$var(add)"], "too_large");
    assert_eq!(answer["$mcst"], "too_large");
    assert!(site.parts().is_empty());
}

#[test]
fn what_libmc_has_split_is_read_also_by_pools_that_do_not_split() {
    let site = Site::start();
    let kamailio = site.builder().param("large_values", 0).start();
    let value = site.offer(2_500_001);
    for flags in [1, 0] {
        for (number, part) in value.chunks(PART).enumerate() {
            site.split.put(format!("~1k/{number}"), flags, 0, part);
        }
        site.split.put("k", SPLIT | flags, 0, "3");
        assert_same(&kamailio);
    }
    // An old libmc leaves NULs behind the number.
    site.split.put("k", SPLIT, 0, "3\0\0");
    assert_eq!(kamailio.run("read")["$var(len)"], Value::Int(2_500_001));
    kamailio.assert_nothing_logged();
}

#[test]
fn parts_that_do_not_belong_together_are_never_read() {
    let site = Site::start();
    let kamailio = site.builder().start();
    let value = site.offer(2_500_001);
    let fresh = || {
        assert_eq!(kamailio.run("copy")["$mcst"], "stored");
        site.split.item("k").expect("stored").flags
    };
    let flags = fresh();
    let part = |number: usize| &value[number * PART..value.len().min((number + 1) * PART)];
    let other = flags - SPLIT + (1 << 16);
    // Of another write, of libmc, and gone.
    site.split.put("~1k/1", other, 0, part(1));
    assert_eq!(null(&kamailio), "miss");
    fresh();
    site.split.put("~1k/1", 1, 0, part(1));
    assert_eq!(null(&kamailio), "miss");
    fresh();
    site.split.remove("~1k/2");
    assert_eq!(null(&kamailio), "miss");
    for (number, bytes) in [
        (0, &value[..PART - 1]),
        (0, &value[..PART + 1]),
        (2, &b""[..]),
        (2, part(1)),
        (2, &part(2)[1..]),
        (1, part(0)),
    ] {
        fresh();
        site.split
            .put(format!("~1k/{number}"), flags - SPLIT, 0, bytes);
        assert_eq!(
            null(&kamailio),
            "garbled",
            "part {number}, {} bytes",
            bytes.len()
        );
    }
    for index in ["2", "1", "0", "11", "x", ""] {
        fresh();
        site.split.put("k", flags, 0, index);
        assert_eq!(null(&kamailio), "garbled", "index {index:?}");
    }
    fresh();
    assert_same(&kamailio);
}

#[test]
fn a_small_value_takes_the_place_of_a_large_one_and_is_deleted_and_touched_as_ever() {
    let site = Site::start();
    let kamailio = site
        .builder()
        .script("small", "$mct(k) = \"small\";", &["$mcst", "$mct(k)"])
        .start();
    site.offer(2 * PART);
    kamailio.run("copy");
    assert_eq!(kamailio.run("small")["$mct(k)"], "small");
    assert_eq!(kamailio.run("touch")["$mcst"], "touched");
    assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
    assert!(site.split.item("k").is_none());
}

#[test]
fn a_write_that_is_interrupted_leaves_the_old_value_or_none() {
    let whole = Memcached::with(&["-I", "32m", "-m", "128"]);
    let servers = [Memcached::start(), Memcached::start()];
    let list = servers.iter().map(Memcached::address).collect::<Vec<_>>();
    let builder = Kamailio::builder()
        .param("servers", list.join(","))
        .param("distribution", "modula")
        .param("retry_interval", 100);
    let kamailio = with_copy(builder, &whole)
        .script("small", "$mct(k) = \"small\";", &["$mct(k)"])
        .start();
    whole.put("k", 1, 0, noise(9 * PART));
    kamailio.run("copy");
    let holds = |server: &Memcached, key: &str| server.item(key).is_some();
    let [owner, other] = match holds(&servers[0], "k") {
        true => [&servers[0], &servers[1]],
        false => [&servers[1], &servers[0]],
    };
    assert!((0..9).any(|number| holds(other, &format!("~1k/{number}"))));
    kamailio.run("small");
    other.pause();
    assert_eq!(kamailio.run("copy")["$mcst"], "timeout");
    let old = owner.item("k").expect("the old value");
    assert_eq!((old.flags, &old.value[..]), (1, &b"small"[..]));
    other.resume();
}

#[test]
fn all_steps_have_one_deadline() {
    let slow = FaultyServer::start(|connection| {
        loop {
            let request = connection.request()?;
            let request = String::from_utf8_lossy(&request);
            let key = request.trim().trim_start_matches("get ");
            let (flags, value) = match key {
                "k" => (SPLIT, b"2".to_vec()),
                "kk" => (SPLIT, b"10".to_vec()),
                _ => (0, vec![b'x'; PART]),
            };
            connection.wait(Duration::from_millis(200))?;
            let head = format!("VALUE {key} {flags} {}\r\n", value.len());
            connection.send([head.as_bytes(), &value, b"\r\nEND\r\n"].concat())?;
        }
    });
    let kamailio = Kamailio::builder()
        .param("servers", slow.address())
        .param("timeout", 1500)
        .param("stall_limit", 1500)
        .script("two", "$var(len) = $(mct(k){s.len});", &["$mcst"])
        .script("ten", "$var(len) = $(mct(kk){s.len});", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("two")["$mcst"], "hit");
    assert_eq!(kamailio.run("ten")["$mcst"], "timeout");
}

#[test]
fn a_large_value_is_compressed_before_it_is_split() {
    let site = Site::start();
    let kamailio = site.builder().param("compress_min", 1000).start();
    site.offer(2_500_001);
    kamailio.run("copy");
    assert_eq!(site.parts().len(), 3);
    assert_same(&kamailio);
    // Half of it gets shorter.
    let value = [noise(1_500_000), vec![b'x'; 1_500_000]].concat();
    site.whole.put("k", 1, 0, value);
    kamailio.run("copy");
    let flags = site.split.item("k").expect("stored").flags;
    assert_eq!(flags & 0xffff, SPLIT | 17);
    assert_eq!(
        site.split.item("~1k/1").expect("stored").flags,
        flags - SPLIT
    );
    assert_same(&kamailio);
    // All of it gets shorter.
    site.whole.put("k", 1, 0, vec![b'x'; 10_500_000]);
    kamailio.run("copy");
    assert_eq!(site.split.item("k").expect("stored").flags, 17);
    assert_same(&kamailio);
    kamailio.assert_nothing_logged();
}
