//! No byte that a caller chooses becomes protocol: not in a key, a value, a lifetime or an
//! operand.
//!
//! Each request goes through a relay that keeps the very bytes of the exchange. They are compared
//! with what the operations are to say, all of it, and memcached is asked what it made of them.

use std::cell::Cell;

use support::{Answer, FaultyServer, Kamailio, Memcached, Request, hex};

/// Kamailio, the relay, and a memcached whose item `victim` nobody is to touch.
struct Rig {
    kamailio: Kamailio,
    relay: FaultyServer,
    memcached: Memcached,
    seen: Cell<usize>,
}

impl Rig {
    /// With scripts: name, statements and expressions of each.
    fn start(scripts: &[(&str, String, &[&str])]) -> Rig {
        let memcached = Memcached::start();
        memcached.put("victim", 1, 0, "unharmed");
        let relay = FaultyServer::relay(memcached.address(), std::time::Duration::ZERO);
        let mut builder = Kamailio::builder().param("servers", relay.address());
        for (name, statements, expressions) in scripts {
            builder = builder.script(name, statements, expressions);
        }
        Rig {
            kamailio: builder.start(),
            relay,
            memcached,
            seen: Cell::new(0),
        }
    }

    fn run(&self, script: &str, request: Request) -> Answer {
        self.kamailio.run_with(script, request)
    }

    /// What went to memcached since the last look, made printable.
    fn sent(&self) -> String {
        let received = self.relay.received();
        let bytes = received.first().map_or(&[][..], Vec::as_slice);
        let fresh = &bytes[self.seen.replace(bytes.len())..];
        fresh.escape_ascii().to_string()
    }

    /// One connection has served it all, and nothing has happened but what was asked for.
    #[track_caller]
    fn assert_unharmed(&self, keys: &[&str]) {
        assert_eq!(self.relay.connections(), 1, "the connection was in step");
        assert_eq!(self.memcached.flushes(), 0);
        let held: Vec<String> = self.memcached.keys().iter().map(text).collect();
        assert_eq!(held, keys);
        assert_eq!(self.memcached.text("victim").unwrap(), "unharmed");
    }
}

/// All that a script can do with a key, and the words for it in `$var(words)`.
fn every_operation(key: &str) -> String {
    let then = r#"$var(words) = $var(words) + " " + $mcst;"#;
    format!(
        r#"
        $var(words) = "";
        $mct({key}) = 5; {then}
        $mcinc({key}) = 2; {then}
        $mcdec({key}) = 1; {then}
        $mctex({key}) = 60; {then}
        $var(held) = $mct({key}); {then}
        $mct({key}) = $null; {then}
        $var(after) = $mct(victim); {then}
        "#
    )
}

const EXPRESSIONS: [&str; 3] = ["$var(words)", "$var(held)", "$var(after)"];

const WORDS: &str = " stored counted counted touched hit deleted hit";

/// What every operation says for that key, made printable.
fn exchange(key: &[u8]) -> String {
    let key = wire(key);
    let lines = [
        "set KEY 0 10800 1",
        "5",
        "incr KEY 2",
        "decr KEY 1",
        "touch KEY 60",
        "get KEY",
        "delete KEY",
        "get victim",
    ];
    let lines = lines.map(|line| line.replace("KEY", &key) + "\\r\\n");
    lines.concat()
}

/// The key on the wire: itself, or its digest when it is long or not fit to be sent.
fn wire(key: &[u8]) -> String {
    let fit = key.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    match fit && key.len() < 250 {
        true => text(key),
        false => format!("{:x}", md5::compute(key)),
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().escape_ascii().to_string()
}

#[track_caller]
fn assert_every_operation(rig: &Rig, answer: &Answer, key: &[u8]) {
    assert_eq!(rig.sent(), exchange(key), "key \"{}\"", text(key));
    assert_eq!(answer["$var(words)"], WORDS);
    assert_eq!(answer["$var(held)"], 6);
    assert_eq!(answer["$var(after)"], "unharmed");
}

/// A header can hold all this, folded lines included, and every proxy passes it on.
const IN_A_HEADER: [&[u8]; 15] = [
    b"a b",
    b"a\tb",
    b"a\r\n flush_all",
    b"a\r\n flush_all\r\n ",
    b"a\r\n\tdelete victim\r\n\tx",
    b"a\r\n set victim 1 0 6\r\n stolen\r\n x",
    b"a\x7fb",
    b"a\0b",
    b"a\n flush_all",
    b"a=>5",
    b"a=>5\r\n flush_all",
    b"victim 0",
    b"$var(words)",
    b"$(var(words){s.len})",
    b"\xff\xfe",
];

#[test]
fn a_header_as_key_is_a_key_in_every_operation() {
    let expressions = [
        "$var(words)",
        "$var(held)",
        "$var(after)",
        "$hdr(X-Key)",
        "$ci",
    ];
    let rig = Rig::start(&[
        ("hdr", every_operation("$hdr(X-Key)"), &expressions),
        ("ci", every_operation("$ci"), &expressions),
        (
            "both",
            every_operation("$(hdr(X-Key))/$ci=>60"),
            &expressions,
        ),
    ]);
    let long: &[u8] = &[b'k'; 250];
    let longer = [b"a\r\n flush_all\r\n ".to_vec(), vec![b'k'; 2000]].concat();
    for key in IN_A_HEADER.into_iter().chain([&long[1..], long, &longer]) {
        let answer = rig.run("hdr", Request::about(key));
        let reached = answer["$hdr(X-Key)"].bytes().unwrap().to_vec();
        assert_eq!(text(reached.trim_ascii_end()), text(key.trim_ascii_end()));
        assert_every_operation(&rig, &answer, &reached);

        let answer = rig.run("ci", Request::options().call_id(key));
        let reached = answer["$ci"].bytes().unwrap().to_vec();
        assert_eq!(text(reached.trim_ascii_end()), text(key.trim_ascii_end()));
        assert_every_operation(&rig, &answer, &reached);
    }
    let request = Request::about("a").call_id("b=>0\r\n c");
    let answer = rig.run("both", request);
    assert_eq!(answer["$var(words)"], WORDS);
    let folded = exchange(b"a/b=>0\r\n c").replace("0 10800 1", "0 60 1");
    assert_eq!(rig.sent(), folded);
    rig.assert_unharmed(&["victim"]);
}

#[test]
fn a_variable_as_key_is_a_key_whatever_its_bytes() {
    let decode = "$var(key) = $(hdr(X-Hex){s.decode.hexa});";
    let rig = Rig::start(&[
        (
            "alone",
            format!("{decode}{}", every_operation("$var(key)")),
            &EXPRESSIONS,
        ),
        (
            "amid",
            format!("{decode}{}", every_operation("p:$var(key):s")),
            &EXPRESSIONS,
        ),
    ]);
    let mut keys: Vec<Vec<u8>> = [
        &b"a\r\nflush_all"[..],
        b"a\nflush_all\n",
        b"a\rflush_all\r",
        b"a\r\nset victim 1 0 6\r\nstolen",
        b"a 0 0 1\r\nx\r\nflush_all\r\n",
        b"\r\n",
        b"\n",
        b" ",
        b"\0",
        b"a\0b",
        b"a\0 \r\nflush_all\r\n",
        b"victim\0",
        b"=>",
        b"a=>0=>1",
    ]
    .map(Vec::from)
    .to_vec();
    keys.extend((1..=255).map(|byte| vec![b'a', byte, b'b']));
    keys.extend([249, 250, 251, 3000].map(|size| vec![b'k'; size]));
    for key in &keys {
        let request = Request::options().header("X-Hex", hex(key));
        let answer = rig.run("alone", request.clone());
        assert_every_operation(&rig, &answer, key);
        let answer = rig.run("amid", request);
        assert_every_operation(&rig, &answer, &[b"p:", &key[..], b":s"].concat());
    }
    rig.assert_unharmed(&["victim"]);
}

#[test]
fn values_are_bytes_and_nothing_else() {
    let statements = r#"
        $var(value) = $(hdr(X-Hex){s.decode.hexa});
        $mct(v=>60) = $var(value);
        $var(first) = $mcst;
        $mct(header) = $hdr(X-Hex);
    "#;
    let expressions = ["$var(first)", "$mct(v)", "$mct(victim)"];
    let rig = Rig::start(&[("store", statements.into(), &expressions)]);
    let large = [&[b'x'; 2000][..], b"\r\nflush_all\r\n", &[b'y'; 1000]].concat();
    for value in [
        &b"x\r\nflush_all\r\n"[..],
        b"\r\nflush_all\r\n",
        b"\nflush_all\n",
        b"\r\nSTORED\r\ndelete victim\r\n",
        b"\r\nEND\r\nVALUE victim 1 6\r\nstolen\r\nEND\r\n",
        b"\0\r\n\0",
        b" ",
        b"\r",
        b"\n",
        b"\r\n",
        &large,
    ] {
        let answer = rig.run("store", Request::options().header("X-Hex", hex(value)));
        assert_eq!(answer["$var(first)"], "stored");
        assert_eq!(answer["$mct(v)"], value);
        assert_eq!(answer["$mct(victim)"], "unharmed");
        let (size, digits) = (value.len(), hex(value));
        let expected = format!(
            "set v 1 60 {size}\\r\\n{}\\r\\nset header 1 10800 {}\\r\\n{digits}\\r\\n\
             get v\\r\\nget victim\\r\\n",
            text(value),
            2 * size
        );
        assert_eq!(rig.sent(), expected);
        assert_eq!(rig.memcached.item("v").unwrap().value, value);
    }
    rig.assert_unharmed(&["header", "v", "victim"]);
}

#[test]
fn lifetimes_and_operands_are_numbers_or_refused() {
    let statements = r#"
        $var(given) = $(hdr(X-Hex){s.decode.hexa});
        $mct(k=>$var(given)) = "x"; $var(words) = $mcst;
        $mcinc(n) = $var(given); $var(words) = $var(words) + " " + $mcst;
        $mcdec(n) = $var(given); $var(words) = $var(words) + " " + $mcst;
        $mctex(n) = $var(given); $var(words) = $var(words) + " " + $mcst;
    "#;
    let expressions = ["$var(words)", "$mct(victim)"];
    let rig = Rig::start(&[("use", statements.into(), &expressions)]);
    rig.memcached.put("n", 0, 0, "40");
    for given in [
        &b"60 1\r\nx\r\nflush_all\r\n"[..],
        b"1\r\nflush_all",
        b"1\nflush_all",
        b"1 noreply",
        b"1\0",
        b"1=>2",
        b"$var(words)",
        b"0x1f",
        b"--1",
    ] {
        let answer = rig.run("use", Request::options().header("X-Hex", hex(given)));
        let words = answer["$var(words)"].clone();
        assert_eq!(words, "refused refused refused refused", "{}", text(given));
        assert_eq!(answer["$mct(victim)"], "unharmed");
        assert_eq!(rig.sent(), "get victim\\r\\n");
    }
    let answer = rig.run("use", Request::options().header("X-Hex", hex(b" 30\r\n")));
    assert_eq!(answer["$var(words)"], "stored counted counted touched");
    assert_eq!(
        rig.sent(),
        "set k 1 30 1\\r\\nx\\r\\nincr n 30\\r\\ndecr n 30\\r\\ntouch n 30\\r\\nget victim\\r\\n"
    );
    rig.assert_unharmed(&["k", "n", "victim"]);
}

#[test]
fn an_empty_key_is_refused_and_nothing_is_sent() {
    let rig = Rig::start(&[("empty", every_operation("$hdr(X-Key)"), &EXPRESSIONS)]);
    let answer = rig.run("empty", Request::about(""));
    let refused = " refused refused refused refused refused refused hit";
    assert_eq!(answer["$var(words)"], refused);
    assert_eq!(rig.sent(), "get victim\\r\\n");
    rig.assert_unharmed(&["victim"]);
}
