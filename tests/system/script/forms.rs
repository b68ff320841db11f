//! `values`: in a pool that has another program's form, items are read and written as that program does.

use serde_json::Value as Json;
use support::{Builder, FaultyServer, Kamailio, Memcached, Store, Value};

use super::engine::Engine;

const FORMS: [&str; 7] = [
    "kamailio",
    "libmc",
    "pylibmc",
    "pymemcache",
    "php",
    "dalli",
    "raw",
];

/// A pool for each form, with its name, on the same server.
fn pools(memcached: &Memcached) -> Builder {
    let address = memcached.address();
    FORMS.iter().fold(Kamailio::on(memcached), |builder, form| {
        let pool = format!("name={form};servers={address};values={form}");
        builder.param("pool", pool)
    })
}

/// What `$mct(form=>k)` and `$mcst` are in each pool.
fn read_in_all(kamailio: &Kamailio) -> Vec<(Value, Value)> {
    let read = FORMS.iter().map(|form| {
        let answer = kamailio.run(form);
        let key = format!("$mct({form}=>k)");
        (answer[&*key].clone(), answer["$mcst"].clone())
    });
    read.collect()
}

fn reading(builder: Builder) -> Kamailio {
    let builder = FORMS.iter().fold(builder, |builder, form| {
        builder.script(form, "", &[&format!("$mct({form}=>k)"), "$mcst"])
    });
    builder.start()
}

#[test]
fn each_pool_reads_an_item_in_its_own_form() {
    let memcached = Memcached::start();
    let kamailio = reading(pools(&memcached));
    let (five, text) = (Value::Int(5), Value::Str(b"5".into()));
    for (flags, expected) in [
        // kamailio, libmc, pylibmc, pymemcache, php, dalli, raw; `None` = foreign
        (
            0,
            [&five, &text, &text, &text, &text, &text, &text].map(Some),
        ),
        (
            1,
            [
                Some(&text),
                None,
                None,
                None,
                Some(&five),
                None,
                Some(&text),
            ],
        ),
        (
            4,
            [
                Some(&five),
                Some(&five),
                Some(&five),
                Some(&five),
                None,
                Some(&text),
                Some(&text),
            ],
        ),
    ] {
        memcached.put("k", flags, 0, "5");
        let hit = Value::Str(b"hit".into());
        let foreign = (Value::Null, Value::Str(b"foreign".into()));
        let expected = expected.map(|value| match value {
            Some(value) => (value.clone(), hit.clone()),
            None => foreign.clone(),
        });
        assert_eq!(read_in_all(&kamailio), expected, "flags {flags}");
    }
}

#[test]
fn each_pool_writes_in_its_own_form() {
    let memcached = Memcached::start();
    let script = FORMS.map(|form| {
        format!(
            "$mct({form}=>{form}.n) = 5; $mct({form}=>{form}.s) = \"5\";
             mct_set(\"{form}=>{form}.f\", \"7\"); mct_add(\"{form}=>{form}.a\", \"x\");"
        )
    });
    let kamailio = pools(&memcached)
        .script("write", &script.join("\n"), &["$mcst"])
        .start();
    kamailio.run("write");
    for (form, number, text) in [
        ("kamailio", 0, 1),
        ("libmc", 4, 0),
        ("pylibmc", 4, 16),
        ("pymemcache", 2, 16),
        ("php", 1, 0),
        ("dalli", 0, 0),
        ("raw", 0, 0),
    ] {
        memcached.assert_holds(format!("{form}.n"), number, "5");
        memcached.assert_holds(format!("{form}.s"), text, "5");
        memcached.assert_holds(format!("{form}.f"), number, "7");
        memcached.assert_holds(format!("{form}.a"), text, "x");
    }
}

#[test]
fn counters_count_whatever_their_flags() {
    let memcached = Memcached::start();
    let kamailio = pools(&memcached)
        .script(
            "count",
            "$mcinc(php=>k) = 2; mct_inc(\"php=>k\", \"1\", \"$var(now)\");
             mct_inc(\"php=>new\", \"1\", \"$var(new)\", \"10\", \"60\");",
            &["$var(now)", "$var(new)", "$mct(php=>k)", "$mct(php=>new)"],
        )
        .start();
    memcached.put("k", 1, 0, "5");
    let answer = kamailio.run("count");
    assert_eq!(answer["$var(now)"], 8);
    assert_eq!(answer["$var(new)"], 10);
    assert_eq!(answer["$mct(php=>k)"], 8);
    assert_eq!(answer["$mct(php=>new)"], "10");
}

#[test]
fn what_is_foreign_is_null_counted_and_explained_and_the_connection_stays() {
    let memcached = Memcached::start();
    memcached.put("pickle", 1, 0, "\u{0}N.");
    memcached.put("text", 16, 0, "text");
    let kamailio = Kamailio::on(&memcached)
        .param("values", "pylibmc")
        .rpc()
        .script(
            "all",
            "$var(r) = \"old\"; mct_get(\"pickle\", \"$var(r)\"); $var(rc) = $rc;
             mct_gets(\"pickle\", \"$var(s)\", \"$var(version)\"); $var(s_rc) = $rc;",
            &[
                "$mct(pickle)",
                "$mcst",
                "$var(r)",
                "$var(rc)",
                "$var(s)",
                "$var(s_rc)",
            ],
        )
        .script("text", "", &["$mct(text)"])
        .start();
    assert_eq!(kamailio.run("text")["$mct(text)"], "text");
    let connections = memcached.stat("total_connections");
    let answer = kamailio.run("all");
    assert_eq!(answer["$mct(pickle)"], Value::Null);
    assert_eq!(answer["$mcst"], "foreign");
    assert_eq!(
        (&answer["$var(rc)"], &answer["$var(s_rc)"]),
        (&Value::Int(-3), &Value::Int(-3))
    );
    assert_eq!(kamailio.run("text")["$mct(text)"], "text");
    // The question itself is one more.
    assert!(memcached.stat("total_connections") <= connections + 1);
    let line = &kamailio.module_lines()[0];
    let expected = "get of key 'pickle': foreign: an item with flags 1: a pickle of Python";
    assert!(line.contains(expected), "{line}");
    let stats = kamailio.rpc("memcached.stats", &[]);
    for row in ["foreign: 3", "errors: 0", "hits: 2"] {
        assert!(stats.contains(row), "{row} in {stats}");
    }
}

#[test]
fn operators_see_the_form_and_the_bytes_of_what_is_foreign() {
    let memcached = Memcached::start();
    memcached.put("null", 32, 0, "N");
    memcached.put("text", 32, 0, b"u\x02\0\0\0ab");
    memcached.put("list", 32, 0, b"[\0\0\0\0");
    memcached.put("broken", 32, 0, b"u\x09\0\0\0ab");
    let kamailio = Kamailio::on(&memcached)
        .param("values", "libmc")
        .rpc()
        .start();
    for (key, answer, kind, value) in [
        ("null", "hit", "null", ""),
        ("text", "hit", "string", "ab"),
        ("list", "foreign", "foreign", "[\\u{0}\\u{0}\\u{0}\\u{0}"),
        ("broken", "garbled", "garbled", "u\\t\\u{0}\\u{0}\\u{0}ab"),
    ] {
        let reply = kamailio.jsonrpc("memcached.get", &format!("[\"{key}\"]"));
        let shown: Json = serde_json::from_str(&reply).expect("JSON");
        let shown = &shown["result"];
        assert_eq!(shown["answer"], answer, "{key}");
        assert_eq!(shown["type"], kind, "{key}");
        assert_eq!(shown["values"], "libmc", "{key}");
        assert_eq!(shown["value"], value, "{key}");
    }
}

#[test]
fn the_null_of_python_is_null_and_a_hit() {
    let memcached = Memcached::start();
    memcached.put("k", 32, 0, "N");
    let kamailio = Kamailio::on(&memcached)
        .param("values", "libmc")
        .script(
            "read",
            "$var(r) = \"old\"; mct_get(\"k\", \"$var(r)\"); $var(rc) = $rc;",
            &["$mct(k)", "$mcst", "$var(rc)"],
        )
        .start();
    let answer = kamailio.run("read");
    assert_eq!(
        answer.values(),
        [Value::Null, Value::Str(b"hit".into()), Value::Int(1)]
    );
}

#[test]
fn a_stand_in_is_read_and_written_in_the_same_form() {
    let memcached = Memcached::start();
    let dead = FaultyServer::storing(Store::new(), |_, _| Ok(false));
    let servers = format!("{},{}", memcached.address(), dead.address());
    drop(dead);
    let kamailio = Kamailio::builder()
        .param("servers", servers)
        .param("failover", 1)
        .param("values", "php")
        .script(
            "all",
            &(0..8)
                .map(|at| format!("$mct(k{at}) = {at};"))
                .collect::<String>(),
            &[
                "$mct(k0)", "$mct(k1)", "$mct(k2)", "$mct(k3)", "$mct(k4)", "$mct(k5)",
            ],
        )
        .start();
    let expected: Vec<Value> = (0..6).map(Value::Int).collect();
    assert_eq!(kamailio.run("all").values(), expected);
    memcached.assert_holds("k5", 1, "5");
}

#[test]
fn kemi_scripts_get_the_types_of_the_form() {
    let memcached = Memcached::start();
    memcached.put("n", 4, 0, "-5");
    memcached.put("s", 16, 0, "5");
    memcached.put("p", 1, 0, "N.");
    let script = r#"KSR.pv.sets("$var(r)", type(KSR.memcached.get("n")) .. " "
        .. type(KSR.memcached.get("s")) .. " " .. type(KSR.memcached.get("p")) .. " "
        .. KSR.memcached.status())"#;
    let scratch = support::Host::current().scratch();
    let builder = Kamailio::on(&memcached).param("values", "pylibmc");
    let kamailio = Engine::Lua
        .builder(builder, &scratch, script, &["$var(r)"])
        .start();
    assert_eq!(kamailio.run("run")["$var(r)"], "number string nil foreign");
}
