//! The functions: each with each of its answers, what it returns, and what memcached holds then.

use support::{Builder, Kamailio, Memcached, Port, Value, wait};

/// What a call returns, `$mcst` after it, and the variable that it has assigned.
fn call(builder: &Builder, statement: &str) -> (i64, String, Value) {
    let kamailio = builder
        .clone()
        .script(
            "call",
            &format!("$avp(dst) = \"old\"; {statement} $var(rc) = $rc;"),
            &["$var(rc)", "$mcst", "$avp(dst)"],
        )
        .start();
    let answer = kamailio.run("call");
    let status = match &answer["$mcst"] {
        Value::Str(word) => String::from_utf8_lossy(word).into_owned(),
        other => panic!("{statement}: {other:?}"),
    };
    let code = answer["$var(rc)"].int().expect("a return code");
    (code, status, answer["$avp(dst)"].clone())
}

/// A call returns this, and then `$mcst` is this.
#[track_caller]
fn assert_returns(builder: &Builder, statement: &str, code: i64, status: &str) {
    let (returned, word, _) = call(builder, statement);
    assert_eq!((returned, &word[..]), (code, status), "{statement}");
}

/// The same for a call that assigns `$avp(dst)`.
#[track_caller]
fn assert_reads(builder: &Builder, statement: &str, code: i64, status: &str, dst: Value) {
    let answer = call(builder, statement);
    assert_eq!(answer, (code, status.to_owned(), dst), "{statement}");
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[test]
fn mct_get_reads() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    memcached.put("text", 1, 0, "a b");
    memcached.put("number", 0, 0, "-7");
    memcached.put("zeros", 0, 0, "007");
    memcached.put("empty", 1, 0, "");
    let get = |key: &str| format!("mct_get(\"{key}\", \"$avp(dst)\");");
    assert_reads(&on, &get("text"), 1, "hit", text("a b"));
    assert_reads(&on, &get("number"), 1, "hit", Value::Int(-7));
    assert_reads(&on, &get("zeros"), 1, "hit", text("007"));
    assert_reads(&on, &get("empty"), 1, "hit", text(""));
    assert_reads(&on, &get("none"), -1, "miss", Value::Null);
}

#[test]
fn mct_set_writes_whatever_is_there() {
    let memcached = Memcached::start();
    // The name of the function decides, not the mode.
    let on = Kamailio::on(&memcached)
        .param("mode", 1)
        .param("expire", 500);
    assert_returns(&on, r#"mct_set("k", "one");"#, 1, "stored");
    memcached.assert_holds("k", 1, "one");
    memcached.assert_expires_in("k", 500);
    assert_returns(&on, r#"mct_set("k", "2", "60");"#, 1, "stored");
    memcached.assert_holds("k", 0, "2");
    memcached.assert_expires_in("k", 60);
    assert_returns(&on, r#"mct_set("k", "$null");"#, 1, "deleted");
    assert_returns(&on, r#"mct_set("k", "$null");"#, -1, "miss");
    assert_eq!(memcached.item("k"), None);
}

#[test]
fn mct_add_writes_only_where_nothing_is() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    assert_returns(&on, r#"mct_add("k", "one", 60);"#, 1, "stored");
    memcached.assert_holds("k", 1, "one");
    memcached.assert_expires_in("k", 60);
    assert_returns(&on, r#"mct_add("k", "two");"#, -1, "not_stored");
    memcached.assert_holds("k", 1, "one");
    assert_returns(&on, r#"mct_add("k", "$null");"#, -3, "refused");
}

#[test]
fn mct_replace_writes_only_where_something_is() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    assert_returns(&on, r#"mct_replace("k", "one");"#, -1, "not_stored");
    assert_eq!(memcached.item("k"), None);
    memcached.put("k", 1, 0, "one");
    assert_returns(&on, r#"mct_replace("k", "two", "60");"#, 1, "stored");
    memcached.assert_holds("k", 1, "two");
    memcached.assert_expires_in("k", 60);
    assert_returns(&on, r#"mct_replace("k", "$null");"#, -3, "refused");
}

#[test]
fn mct_append_and_mct_prepend_extend_what_is_there() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    assert_returns(&on, r#"mct_append("k", "x");"#, -1, "not_stored");
    assert_returns(&on, r#"mct_prepend("k", "x");"#, -1, "not_stored");
    assert_eq!(memcached.item("k"), None);
    memcached.put("k", 1, 700, "b");
    assert_returns(&on, r#"mct_append("k", "c");"#, 1, "stored");
    assert_returns(&on, r#"mct_prepend("k", "1");"#, 1, "stored");
    memcached.assert_holds("k", 1, "1bc");
    memcached.assert_expires_in("k", 700);
    assert_returns(&on, r#"mct_append("k", "$null");"#, -3, "refused");
    assert_returns(&on, r#"mct_prepend("k", "$null");"#, -3, "refused");
}

#[test]
fn mct_del_removes() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    memcached.put("k", 1, 0, "one");
    assert_returns(&on, r#"mct_del("k");"#, 1, "deleted");
    assert_eq!(memcached.item("k"), None);
    assert_returns(&on, r#"mct_del("k");"#, -1, "miss");
}

#[test]
fn mct_touch_changes_the_lifetime_only() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    assert_returns(&on, r#"mct_touch("k", "60");"#, -1, "miss");
    memcached.put("k", 1, 0, "one");
    assert_returns(&on, r#"mct_touch("k", "60");"#, 1, "touched");
    memcached.assert_holds("k", 1, "one");
    memcached.assert_expires_in("k", 60);
    for bad in ["-1", "soon", "$null", ""] {
        assert_returns(&on, &format!("mct_touch(\"k\", \"{bad}\");"), -3, "refused");
    }
}

#[test]
fn mct_inc_and_mct_dec_count_and_read_the_number() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    let null = || Value::Null;
    assert_reads(
        &on,
        r#"mct_inc("k", "1", "$avp(dst)");"#,
        -1,
        "miss",
        null(),
    );
    memcached.put("k", 0, 700, "10");
    assert_reads(
        &on,
        r#"mct_inc("k", "5", "$avp(dst)");"#,
        1,
        "counted",
        Value::Int(15),
    );
    assert_reads(
        &on,
        r#"mct_dec("k", "3", "$avp(dst)");"#,
        1,
        "counted",
        Value::Int(12),
    );
    assert_reads(
        &on,
        r#"mct_inc("k", "-2", "$avp(dst)");"#,
        1,
        "counted",
        Value::Int(10),
    );
    assert_returns(&on, r#"mct_inc("k", 1);"#, 1, "counted");
    assert_returns(&on, r#"mct_dec("k", 20);"#, 1, "counted");
    memcached.assert_expires_in("k", 700);
    assert_eq!(memcached.text("k").as_deref().map(str::trim_end), Some("0"));
    memcached.put("k", 1, 0, "x");
    assert_reads(
        &on,
        r#"mct_dec("k", "1", "$avp(dst)");"#,
        -3,
        "not_a_number",
        null(),
    );
    for bad in ["", "1.5", "x", "$null"] {
        let statement = format!("mct_inc(\"k\", \"{bad}\", \"$avp(dst)\");");
        assert_reads(&on, &statement, -3, "refused", null());
    }
}

#[test]
fn a_counter_is_created_and_counted_in_one_step() {
    let memcached = Memcached::start();
    for protocol in ["auto", "meta", "classic"] {
        let on = Kamailio::on(&memcached).param("protocol", protocol);
        memcached.remove("k");
        let up = r#"mct_inc("k", "5", "$avp(dst)", "1", "60");"#;
        assert_reads(&on, up, 1, "counted", Value::Int(1));
        memcached.assert_expires_in("k", 60);
        memcached.command("touch k 700\r\n");
        assert_reads(&on, up, 1, "counted", Value::Int(6));
        let down = r#"mct_dec("k", "2", "$avp(dst)", "100", "60");"#;
        assert_reads(&on, down, 1, "counted", Value::Int(4));
        memcached.assert_expires_in("k", 700);
        memcached.remove("k");
        assert_reads(&on, down, 1, "counted", Value::Int(100));
        for bad in [
            r#"mct_inc("k", "1", "$avp(dst)", "-1", "60");"#,
            r#"mct_inc("k", "1", "$avp(dst)", "x", "60");"#,
            r#"mct_inc("k", "1", "$avp(dst)", "1", "-1");"#,
            r#"mct_dec("k", "1", "$avp(dst)", "1", "soon");"#,
        ] {
            assert_reads(&on, bad, -3, "refused", Value::Null);
        }
        assert_eq!(memcached.text("k").as_deref(), Some("100"));
    }
}

#[test]
fn mct_cas_writes_the_version_that_was_read_and_no_other() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    let read = r#"mct_gets("k", "$avp(dst)", "$avp(version)");"#;
    assert_reads(&on, read, -1, "miss", Value::Null);
    assert_returns(&on, r#"mct_cas("k", "two", "1");"#, -1, "miss");
    memcached.put("k", 0, 0, "1");
    assert_reads(&on, read, 1, "hit", Value::Int(1));
    let write = format!("{read} mct_cas(\"k\", \"two\", \"$avp(version)\", \"60\");");
    assert_returns(&on, &write, 1, "stored");
    memcached.assert_holds("k", 1, "two");
    memcached.assert_expires_in("k", 60);
    let late = format!("{read} $mct(k) = 3; mct_cas(\"k\", \"four\", \"$avp(version)\");");
    assert_returns(&on, &late, -1, "exists");
    memcached.assert_holds("k", 0, "3");
    for bad in ["", "x", "-1", "$null"] {
        let statement = format!("mct_cas(\"k\", \"x\", \"{bad}\");");
        assert_returns(&on, &statement, -3, "refused");
    }
    assert_returns(&on, r#"mct_cas("k", "$null", "1");"#, -3, "refused");
}

#[test]
fn mct_flush_empties_the_servers_of_its_pool() {
    let (one, other) = (Memcached::start(), Memcached::start());
    let on = Kamailio::on(&one).param("pool", format!("name=calls;servers={}", other.address()));
    for memcached in [&one, &other] {
        memcached.put("k", 1, 0, "x");
    }
    assert_returns(&on, r#"mct_flush("calls");"#, 1, "deleted");
    assert_eq!((one.item("k").is_some(), other.item("k")), (true, None));
    assert_returns(&on, r#"mct_flush("default");"#, 1, "deleted");
    assert_eq!(one.item("k"), None);
}

#[test]
fn mct_flush_empties_all_servers_that_can_be_emptied() {
    let (stopped, one, other) = (Memcached::start(), Memcached::start(), Memcached::start());
    let closed = Port::free();
    let all = [
        stopped.address(),
        one.address(),
        &closed.v4().to_string(),
        other.address(),
    ];
    let on = Kamailio::builder()
        .param("servers", all.join(","))
        .param("timeout", 500);
    for memcached in [&one, &other] {
        memcached.put("k", 1, 0, "x");
    }
    stopped.pause();
    assert_returns(&on, r#"mct_flush("default");"#, -2, "timeout");
    stopped.resume();
    assert_eq!((one.item("k"), other.item("k")), (None, None));
}

#[test]
fn a_value_that_memcached_does_not_store_is_too_large() {
    let memcached = Memcached::with(&["-I", "2k", "-o", "slab_chunk_max=1024"]);
    let on = Kamailio::on(&memcached);
    let long = "x".repeat(4000);
    assert_returns(
        &on,
        &format!("mct_set(\"k\", \"{long}\");"),
        -3,
        "too_large",
    );
    assert_returns(
        &on,
        &format!("mct_add(\"k\", \"{long}\");"),
        -3,
        "too_large",
    );
}

#[test]
fn a_server_that_is_out_is_no_miss() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "x");
    let statement = "$avp(dst) = \"old\"; CALL $var(rc) = $rc;";
    let mut builder = Kamailio::on(&memcached).param("retry_interval", -1);
    let calls = [
        ("get", r#"mct_get("k", "$avp(dst)");"#),
        ("gets", r#"mct_gets("k", "$avp(dst)", "$avp(version)");"#),
        ("set", r#"mct_set("k", "y");"#),
        ("add", r#"mct_add("k", "y");"#),
        ("replace", r#"mct_replace("k", "y");"#),
        ("append", r#"mct_append("k", "y");"#),
        ("prepend", r#"mct_prepend("k", "y");"#),
        ("cas", r#"mct_cas("k", "y", "1");"#),
        ("del", r#"mct_del("k");"#),
        ("touch", r#"mct_touch("k", "5");"#),
        ("inc", r#"mct_inc("k", "1", "$avp(dst)");"#),
        ("dec", r#"mct_dec("k", "1", "$avp(dst)", "1", "60");"#),
        ("flush", r#"mct_flush("default");"#),
    ];
    for (name, call) in calls {
        let statements = statement.replace("CALL", call);
        builder = builder.script(name, &statements, &["$var(rc)", "$mcst", "$avp(dst)"]);
    }
    let kamailio = builder.start();
    memcached.kill();
    for (name, call) in calls {
        let answer = kamailio.run(name);
        assert_eq!(answer["$var(rc)"], -2, "{name}");
        assert_eq!(answer["$mcst"], "down", "{name}");
        let dst = match call.contains("$avp(dst)") {
            true => Value::Null,
            false => text("old"),
        };
        assert_eq!(answer["$avp(dst)"], dst, "{name}");
    }
    kamailio.wait_for_log("is inactive: down: ", wait::WAIT_LIMIT);
}
