//! `compress_min`, and what others have compressed.

use std::thread;

use serde_json::Value as Json;
use support::{Builder, Kamailio, Memcached, Request, Value};

/// Text that shrinks.
fn long() -> String {
    "sip:alice@example.com;transport=udp;".repeat(60)
}

fn on(memcached: &Memcached) -> Builder {
    Kamailio::on(memcached)
        .param("compress_min", 100)
        .rpc()
        .script("write", "$mct(k) = $hdr(X-Value);", &["$mcst", "$mct(k)"])
        .script("read", "", &["$mct(k)", "$mcst"])
}

/// With a script that puts a text behind the value.
fn appending(builder: Builder) -> Builder {
    builder.script(
        "append",
        "mct_append(\"k\", \"$hdr(X-Value)\");",
        &["$mcst"],
    )
}

/// The item `k` as it lies in memcached: flags and length.
fn stored(memcached: &Memcached) -> (u32, usize) {
    let item = memcached.item("k").expect("stored");
    (item.flags, item.value.len())
}

#[test]
fn what_gets_shorter_is_compressed_from_that_length_on() {
    let memcached = Memcached::start();
    let kamailio = on(&memcached).start();
    let write = |value: &str| {
        let request = Request::options().header("X-Value", value);
        let answer = kamailio.run_with("write", request);
        assert_eq!(answer["$mcst"], "stored");
        assert_eq!(answer["$mct(k)"], value);
        stored(&memcached)
    };
    let (flags, len) = write(&long());
    assert!(flags == 17 && len < 200, "flags {flags}, {len} bytes");
    assert_eq!(write(&"x".repeat(99)), (1, 99));
    assert_eq!(write(&"x".repeat(100)).0, 17);
    let letter = |at: u32| char::from(b'#' + (at * 37 % 89) as u8);
    let noise: String = (0..100).map(letter).collect();
    assert_eq!(write(&noise), (1, 100));
    kamailio.assert_nothing_logged();
}

#[test]
fn the_functions_and_the_operator_compress_too() {
    let memcached = Memcached::start();
    let kamailio = on(&memcached)
        .script(
            "all",
            "$var(long) = $hdr(X-Value);
             mct_set(\"set\", \"$var(long)\"); mct_add(\"add\", \"$var(long)\");
             mct_replace(\"set\", \"$var(long)\"); mct_gets(\"set\", \"$var(v)\", \"$var(cas)\");
             mct_cas(\"set\", \"$var(long)\", \"$var(cas)\");
             mct_lease(\"lease\", \"$var(old)\"); mct_set(\"lease\", \"$var(long)\");",
            &["$mcst", "$var(v)"],
        )
        .start();
    let answer = kamailio.run_with("all", Request::options().header("X-Value", long()));
    assert_eq!(answer["$mcst"], "stored");
    assert_eq!(answer["$var(v)"], Value::Str(long().into()));
    kamailio.jsonrpc("memcached.set", &format!("[\"rpc\", \"{}\"]", long()));
    for key in ["set", "add", "lease", "rpc"] {
        assert_eq!(memcached.item(key).expect("stored").flags, 17, "{key}");
        let shown = kamailio.jsonrpc("memcached.get", &format!("[\"{key}\"]"));
        let shown: Json = serde_json::from_str(&shown).expect("JSON");
        let shown = &shown["result"];
        assert_eq!(shown["value"], long(), "{key}");
        assert_eq!(shown["stored_as"], "zlib");
        assert_eq!(shown["size"], long().len().to_string());
        let item = memcached.item(key).expect("stored");
        assert_eq!(shown["stored_size"], item.value.len().to_string());
    }
}

#[test]
fn what_is_broken_or_too_long_is_garbled_and_the_connection_stays() {
    let memcached = Memcached::start();
    let kamailio = on(&memcached).param("value_limit", 2500).start();
    let value = |len: usize| Request::options().header("X-Value", "x".repeat(len));
    let read = || {
        let answer = kamailio.run("read");
        (answer["$mct(k)"].clone(), answer["$mcst"].clone())
    };
    let garbled = (Value::Null, Value::Str(b"garbled".into()));
    kamailio.run_with("write", value(2500));
    assert_eq!(read().1, "hit");
    let connections = memcached.stat("total_connections");
    kamailio.run_with("write", value(2501));
    assert_eq!(read(), garbled);
    for (flags, bytes) in [(16, "not zlib"), (17, ""), (17, "\x78\u{9c}")] {
        memcached.put("k", flags, 0, bytes);
        assert_eq!(read(), garbled);
    }
    kamailio.run_with("write", value(2000));
    memcached.command("append k 0 0 1\r\nx\r\n");
    assert_eq!(read(), garbled);
    assert_eq!(stored(&memcached).0, 17, "it is left as it is");
    // Each question of this test is a connection.
    let since = memcached.stat("total_connections") - connections;
    assert!(since <= 6, "{since} connections");
    let lines = kamailio.module_lines();
    let expected = "get of key 'k': garbled: the inflated value is longer than value_limit";
    assert!(lines[0].contains(expected), "{lines:?}");
    assert!(kamailio.log_lines(" is inactive").is_empty());
}

#[test]
fn what_is_appended_is_not_compressed_unless_the_value_is() {
    let memcached = Memcached::start();
    let kamailio = appending(on(&memcached))
        .script(
            "extend",
            "$var(long) = $hdr(X-Value);
             mct_append(\"k\", \"$var(long)\"); mct_prepend(\"k\", \"$var(long)\");",
            &["$mcst", "$mct(k)"],
        )
        .start();
    let extend = || kamailio.run_with("extend", Request::options().header("X-Value", long()));
    memcached.put("k", 1, 300, "x");
    let expected = [long(), "x".into(), long()].concat();
    assert_eq!(extend()["$mct(k)"], expected);
    memcached.assert_holds("k", 1, expected);
    let half = &long()[..long().len() / 2];
    kamailio.run_with("write", Request::options().header("X-Value", half));
    memcached.command("touch k 500\r\n");
    assert_eq!(extend()["$mct(k)"], [&long(), half, &long()].concat());
    let (flags, len) = stored(&memcached);
    assert!(flags == 17 && len < 200, "flags {flags}, {len} bytes");
    memcached.assert_expires_in("k", 500);
    memcached.put("k", 17, 0, "not zlib");
    let extended = kamailio.run_with("append", Request::options().header("X-Value", "x"));
    assert_eq!(extended["$mcst"], "garbled");
    memcached.assert_holds("k", 17, "not zlib");
}

/// Nobody's text is lost.
#[test]
fn of_several_who_extend_a_compressed_value_at_the_same_time_each_does() {
    let memcached = Memcached::start();
    let kamailio = appending(on(&memcached)).children(4).start();
    kamailio.run_with("write", Request::options().header("X-Value", long()));
    thread::scope(|scope| {
        for text in ["a", "b", "c"] {
            let kamailio = &kamailio;
            scope.spawn(move || {
                for _ in 0..5 {
                    let text = Request::options().header("X-Value", text);
                    assert_eq!(kamailio.run_with("append", text)["$mcst"], "stored");
                }
            });
        }
    });
    let answer = kamailio.run("read");
    let value = String::from_utf8_lossy(answer["$mct(k)"].bytes().expect("a text")).into_owned();
    let added = value.strip_prefix(&long()).expect("what was there");
    for letter in ['a', 'b', 'c'] {
        assert_eq!(added.matches(letter).count(), 5, "{added}");
    }
    assert_eq!(stored(&memcached).0, 17);
}

#[test]
fn the_memory_of_what_is_inflated_is_given_back() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("compress_min", 1000)
        .script("write", "$var(x) = $(hdr(X-Value){s.len});", &["$pp"])
        .script("read", "", &["$(mct(k){s.len})"; 8])
        .script("small", "", &["$mct(small)"])
        .start();
    // 30 MB of zeros, as 30 KB.
    let packed = support::process::output(std::process::Command::new("python3").args([
        "-c",
        "import sys, zlib; sys.stdout.buffer.write(zlib.compress(bytes(30_000_000)))",
    ]));
    memcached.put("k", 17, 0, packed.expect("python3").stdout);
    kamailio.run("small");
    let worker = kamailio.workers()[0];
    let before = worker.anonymous_kib();
    for _ in 0..3 {
        for len in kamailio.run("read").values() {
            assert_eq!(len, Value::Int(30_000_000));
        }
    }
    kamailio.run("small");
    let after = worker.anonymous_kib();
    assert!(
        after < before + 4096,
        "{before} KiB before, {after} KiB after"
    );
}
