//! The values of other programs, by these programs themselves: what they store is read as they mean it, and
//! what we store they read. Where a client cannot be had, its test says so and is skipped.

use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use support::{Kamailio, Memcached, Request, Value, hex, process, skip};

/// What a script reads.
#[derive(Debug, Clone, Copy)]
enum Read {
    Text(&'static [u8]),
    Integer(i64),
    /// The long text.
    Long,
    Null,
    Foreign,
}

use Read::{Foreign, Integer, Long, Null, Text};

fn long() -> String {
    "sip:alice@example.com;transport=udp;".repeat(100)
}

const TEXT: Read = Text("Grüße".as_bytes());
const BYTES: Read = Text(b"\xff\x00\r\n");

/// Another program: how it is started, without the server and what it is to do.
struct Program {
    words: Vec<String>,
    values: &'static str,
}

impl Program {
    fn python(client: &'static str) -> Option<Program> {
        let mut install = Command::new(own("install"));
        let python = output(install.arg(client), client)?;
        let program = own("values-client.py");
        Some(Program {
            words: vec![python.trim().into(), program, client.into()],
            values: client,
        })
    }

    fn php() -> Option<Program> {
        let has_extension = "exit(extension_loaded('memcached') ? 0 : 1);";
        output(
            Command::new("php").args(["-r", has_extension]),
            "php-memcached",
        )?;
        Some(Program {
            words: vec!["php".into(), own("values-client.php")],
            values: "php",
        })
    }

    fn dalli() -> Option<Program> {
        output(
            Command::new("ruby").args(["-rdalli", "-e", ""]),
            "ruby-dalli",
        )?;
        Some(Program {
            words: vec!["ruby".into(), own("values-client.rb")],
            values: "dalli",
        })
    }

    fn run(&self, memcached: &Memcached, task: &[&str]) -> String {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg(memcached.address());
        command.args(task).env("LC_ALL", "C.UTF-8");
        let output = process::output(&mut command).expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        String::from_utf8(output.stdout).expect("JSON")
    }

    /// It stores values, and a script reads them. Then it reads what the script has stored.
    fn agrees(&self, theirs: &[(&str, Read)], ours: &Json) {
        let memcached = Memcached::start();
        let mut builder = Kamailio::on(&memcached)
            .param("values", self.values)
            .param("compress_min", 1000)
            .script(
                "store",
                "$mct(our_text) = $(hdr(X-Text){s.decode.hexa}); $mct(our_integer) = -42;
                 $mct(our_long) = $hdr(X-Long);",
                &["$mcst"],
            );
        let expressions: Vec<_> = theirs
            .iter()
            .map(|(key, _)| format!("$mct({key})"))
            .collect();
        for ((key, _), expression) in theirs.iter().zip(&expressions) {
            builder = builder.script(key, "", &[&**expression, "$mcst"]);
        }
        let kamailio = builder.start();
        self.run(&memcached, &["write"]);
        for ((key, expected), expression) in theirs.iter().zip(&expressions) {
            let answer = kamailio.run(key);
            let (value, word) = match *expected {
                Text(text) => (Value::Str(text.into()), "hit"),
                Integer(number) => (Value::Int(number), "hit"),
                Long => (Value::Str(long().into()), "hit"),
                Null => (Value::Null, "hit"),
                Foreign => (Value::Null, "foreign"),
            };
            assert_eq!(answer[&**expression], value, "{} of {}", key, self.values);
            assert_eq!(answer["$mcst"], word, "{} of {}", key, self.values);
        }
        let request = Request::options()
            .header("X-Text", hex("Grüße".as_bytes()))
            .header("X-Long", long());
        assert_eq!(kamailio.run_with("store", request)["$mcst"], "stored");
        let stored = memcached.item("our_long").expect("stored").value.len();
        assert!(stored < 1000, "{stored} bytes: it is compressed");
        let read = self.run(&memcached, &["read", "our_text", "our_integer", "our_long"]);
        let read: Json = serde_json::from_str(&read).expect("JSON");
        assert_eq!(read, *ours);
    }
}

/// What most of these programs store, by its key, and how it is read.
const MOST: [(&str, Read); 11] = [
    ("text", TEXT),
    ("bytes", BYTES),
    ("integer", Integer(-42)),
    ("long", Integer(i32::MAX as i64)),
    ("yes", Integer(1)),
    ("no", Integer(0)),
    ("null", Foreign),
    ("real", Foreign),
    ("list", Foreign),
    ("zipped", Long),
    ("zipped_bytes", Long),
];

/// The same but for these, which are read in another way.
fn most_but(others: &[(&'static str, Read)]) -> Vec<(&'static str, Read)> {
    let other = |key: &str| others.iter().find(|(other, _)| *other == key).copied();
    let read = |row: (&'static str, Read)| other(row.0).unwrap_or(row);
    MOST.into_iter().map(read).collect()
}

fn own(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    folder.join(file).to_string_lossy().into_owned()
}

/// What a command prints; `None` if the client is not there.
fn output(command: &mut Command, client: &str) -> Option<String> {
    let output = process::output(command).ok();
    let output = output.filter(|output| output.status.success());
    if output.is_none() {
        skip(client, "it cannot be had here");
    }
    String::from_utf8(output?.stdout).ok()
}

/// What a client reads: the names of its types for text, an integer and a long text.
fn ours(text: &str, integer: &str, long_text: &str) -> Json {
    json!({
        "our_text": [text, "Grüße"],
        "our_integer": [integer, "-42"],
        "our_long": [long_text, long()],
    })
}

#[test]
fn libmc_and_the_module_read_each_others_values() {
    let Some(libmc) = Program::python("libmc") else {
        return;
    };
    let theirs = most_but(&[("null", Null)]);
    libmc.agrees(&theirs, &ours("bytes", "int", "bytes"));
}

#[test]
fn libmc_and_the_module_read_each_others_large_values() {
    let Some(libmc) = Program::python("libmc") else {
        return;
    };
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("values", "libmc")
        .param("large_values", 1)
        .script(
            "copy",
            "$mct(copy) = $mct(large); $var(len) = $(mct(large){s.len});",
            &["$mcst", "$var(len)"],
        )
        .start();
    libmc.run(&memcached, &["write"]);
    let answer = kamailio.run("copy");
    assert_eq!(answer["$var(len)"], Value::Int(2_500_001));
    for key in ["~5large/2", "~4copy/2"] {
        assert!(memcached.item(key).is_some(), "{key}: the third part");
    }
    let read = libmc.run(&memcached, &["read", "large", "copy"]);
    let read: Json = serde_json::from_str(&read).expect("JSON");
    assert_eq!(read["copy"][0], "bytes");
    assert_eq!(read["copy"], read["large"]);
}

#[test]
fn pylibmc_and_the_module_read_each_others_values() {
    let Some(pylibmc) = Program::python("pylibmc") else {
        return;
    };
    pylibmc.agrees(&MOST, &ours("str", "int", "str"));
}

#[test]
fn pymemcache_and_the_module_read_each_others_values() {
    let Some(pymemcache) = Program::python("pymemcache") else {
        return;
    };
    let theirs = most_but(&[("yes", Foreign), ("no", Foreign)]);
    pymemcache.agrees(&theirs, &ours("str", "int", "str"));
}

#[test]
fn php_and_the_module_read_each_others_values() {
    let Some(php) = Program::php() else {
        return;
    };
    let mut theirs = most_but(&[("real", Text(b"1.5"))]);
    theirs.retain(|(key, _)| *key != "zipped_bytes");
    theirs.push(("fastlz", Foreign));
    php.agrees(&theirs, &ours("string", "integer", "string"));
}

#[test]
fn dalli_and_the_module_read_each_others_values() {
    let Some(dalli) = Program::dalli() else {
        return;
    };
    let theirs = [
        ("text", TEXT),
        ("bytes", BYTES),
        ("integer", Text(b"-42")),
        ("yes", Foreign),
        ("null", Foreign),
        ("real", Foreign),
        ("list", Foreign),
        ("zipped", Long),
        ("zipped_object", Foreign),
    ];
    dalli.agrees(&theirs, &ours("String", "String", "String"));
}
