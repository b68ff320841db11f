//! Keys and values of `KSR.memcached.*` are data, whatever is in them: they are neither cut nor evaluated,
//! and no byte of them becomes protocol.

use support::{Kamailio, Memcached};

use crate::script::engine::{Engine, in_each};

/// What separates, begins or ends something elsewhere: in keys of the script, in formats, in its languages,
/// and in memcached's protocol.
const ODD: [&str; 10] = [
    "calls=>60",
    " => ",
    "a,b, c",
    "$(var(x))$fU$$",
    "{s.len}%s%n",
    "\"quoted\" and 'quoted' \\",
    "v\r\nflush_all\r\n",
    "\r\nset victim 0 0 0\r\n\r\n",
    "\t\x01\x7f ",
    "gr\u{fc}\u{df}e \u{20ac}",
];

/// A string of all three languages.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('\r', "\\r").replace('\n', "\\n");
    format!("\"{text}\"")
}

fn wire_key(key: &[u8]) -> Vec<u8> {
    match key.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
        true => key.to_vec(),
        false => format!("{:x}", md5::compute(key)).into_bytes(),
    }
}

/// Each function with this key, and with this value if it takes a text.
fn every_function(twin: &str, key: &str, value: &str) -> Vec<(String, String, &'static str)> {
    let pool = if twin.is_empty() { "" } else { "\"calls\", " };
    let call = |function: &str, operands: &str| format!("{function}{twin}({pool}{key}{operands})");
    let text = |rest: &str| format!(", {}{rest}", literal(value));
    let read = |value: &str| format!("<{value}>");
    let (done, not) = (|| "1".to_owned(), || "-1".to_owned());
    let version = text(", KSR.memcached.version()");
    vec![
        (call("get", ""), "nothing".into(), "miss"),
        (call("gete", ""), read(""), "miss"),
        (call("gets", ""), not(), "miss"),
        (call("delete", ""), not(), "miss"),
        (call("touch", ", 60"), not(), "miss"),
        (call("inc", ", 1"), not(), "miss"),
        (call("dec", ", 1"), not(), "miss"),
        (call("replaces", &text("")), not(), "not_stored"),
        (call("replacexs", &text(", 60")), not(), "not_stored"),
        (call("replacei", ", 5"), not(), "not_stored"),
        (call("replacexi", ", 5, 60"), not(), "not_stored"),
        (call("append", &text("")), not(), "not_stored"),
        (call("prepend", &text("")), not(), "not_stored"),
        (call("cas", &text(", \"1\"")), not(), "miss"),
        (call("casx", &text(", \"1\", 60")), not(), "miss"),
        (call("adds", &text("")), done(), "stored"),
        (call("get", ""), read(value), "hit"),
        (call("gete", ""), read(value), "hit"),
        (call("addxs", &text(", 60")), not(), "not_stored"),
        (call("addi", ", 5"), not(), "not_stored"),
        (call("addxi", ", 5, 60"), not(), "not_stored"),
        (call("append", &text("")), done(), "stored"),
        (call("prepend", &text("")), done(), "stored"),
        (call("gets", ""), done(), "hit"),
        ("value()".into(), read(&value.repeat(3)), "hit"),
        (call("casx", &format!("{version}, 60")), done(), "stored"),
        (call("cas", &version), not(), "exists"),
        (call("seti", ", 5"), done(), "stored"),
        (call("inc", ", 3"), done(), "counted"),
        (call("dec", ", 1"), done(), "counted"),
        (call("incx", ", 3, 0, 60"), done(), "counted"),
        (call("decx", ", 1, 0, 60"), done(), "counted"),
        (call("get", ""), "9".into(), "hit"),
        (call("delete", ""), done(), "deleted"),
        (call("incx", ", 3, 7, 60"), done(), "counted"),
        (call("setxi", ", 5, 60"), done(), "stored"),
        (call("setxs", &text(", 60")), done(), "stored"),
        (call("touch", ", 70"), done(), "touched"),
        (call("sets", &text("")), done(), "stored"),
    ]
}

fn assert_is_data(engine: Engine, twin: &str) {
    let [first, calls] = [(); 2].map(|()| Memcached::start());
    let pool = format!("name=calls;servers={}", calls.address());
    let servers = Kamailio::on(&first).param("pool", pool);
    let held = if twin.is_empty() { &first } else { &calls };
    held.put("victim", 1, 0, "unharmed");
    let mut expected = Vec::new();
    for odd in ODD {
        expected.extend(every_function(twin, &literal(odd), odd));
    }
    let expected: Vec<_> = expected
        .iter()
        .map(|(call, returned, status)| (call, returned.as_str(), *status))
        .collect();
    engine.assert_answers(servers, &expected);
    for odd in ODD {
        held.assert_holds(wire_key(odd.as_bytes()), 1, odd);
    }
    assert_eq!(held.text("victim").as_deref(), Some("unharmed"));
    assert_eq!(first.len() + calls.len(), ODD.len() + 1, "{engine:?}");
    assert_eq!((first.flushes(), calls.flushes()), (0, 0));
}

#[test]
fn every_function_takes_any_text_as_data() {
    in_each(|engine| assert_is_data(engine, ""));
}

#[test]
fn every_twin_takes_any_text_as_data() {
    in_each(|engine| assert_is_data(engine, "_in"));
}

#[test]
fn lua_passes_and_receives_any_bytes() {
    let memcached = Memcached::start();
    let all: Vec<u8> = (0..=255).collect();
    memcached.put("all", 1, 0, &all);
    Engine::Lua.assert_answers(
        Kamailio::on(&memcached),
        &[
            ("sets(\"copy\", KSR.memcached.get(\"all\"))", "1", "stored"),
            ("sets(KSR.memcached.value(), \"v\")", "1", "stored"),
            ("get(KSR.memcached.get(\"all\"))", "<v>", "hit"),
            ("sets(\"\\255\\254\", \"\\128\")", "1", "stored"),
        ],
    );
    memcached.assert_holds("copy", 1, &all);
    memcached.assert_holds(format!("{:x}", md5::compute(&all)), 1, "v");
    memcached.assert_holds(b"\xff\xfe", 1, b"\x80");
}

#[test]
fn javascript_passes_a_text_on_up_to_its_first_nul() {
    let memcached = Memcached::start();
    let calls = [
        ("sets(\"a\\0b\", \"c\\0d\")", "1", "stored"),
        ("get(\"a\")", "<c>", "hit"),
    ];
    Engine::JavaScript.assert_answers(Kamailio::on(&memcached), &calls);
    memcached.assert_holds("a", 1, "c");
}

#[test]
fn every_language_receives_a_nul() {
    in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("nul", 1, 0, b"a\0b");
        let length = match engine {
            Engine::Lua => "#KSR.memcached.get(\"nul\")",
            Engine::Python => "len(KSR.memcached.get(\"nul\"))",
            Engine::JavaScript => "KSR.memcached.get(\"nul\").length",
        };
        let call = format!("seti(\"length\", {length})");
        engine.assert_answers(Kamailio::on(&memcached), &[(call, "1", "stored")]);
        memcached.assert_holds("length", 0, "3");
    });
}
