//! The variables from Lua: `KSR.pv.get`, `sets`, `seti`, `unset`, `is_null`.

use support::{Answer, Host, Kamailio, Memcached, Scratch, Value};

/// Runs a piece of Lua, and tells what these expressions then come to.
fn run(memcached: &Memcached, lua: &str, expressions: &[&str]) -> Answer {
    let scratch: Scratch = Host::current().scratch();
    let file = scratch.write("script.lua", format!("function piece()\n{lua}\nend\n"));
    let file = Host::current().inside(&file);
    let kamailio = Kamailio::on(memcached)
        .module("app_lua")
        .param_of("app_lua", "load", file.display().to_string())
        .script("run", "lua_run(\"piece\");", expressions)
        .start();
    let answer = kamailio.run("run");
    assert!(
        kamailio.log_lines("ERROR: app_lua").is_empty(),
        "{}",
        kamailio.log()
    );
    answer
}

#[test]
fn values_are_read_with_their_type() {
    let memcached = Memcached::start();
    memcached.put("s", 1, 0, b"a b\0c\r\n");
    memcached.put("n", 0, 0, "-7");
    memcached.put("e", 1, 0, "");
    let lua = r#"
        KSR.pv.sets("$var(s)", KSR.pv.get("$mct(s)"));
        KSR.pv.seti("$var(n)", KSR.pv.get("$mct(n)"));
        KSR.pv.sets("$var(types)", type(KSR.pv.get("$mct(s)")) .. " " .. type(KSR.pv.get("$mct(n)"))
            .. " " .. type(KSR.pv.get("$mct(e)")) .. " " .. type(KSR.pv.get("$mct(none)")));
        KSR.pv.sets("$var(both)", KSR.pv.get("$mct(s)") .. KSR.pv.get("$mct(n)") .. KSR.pv.get("$mct(e)"));
    "#;
    let answer = run(
        &memcached,
        lua,
        &["$var(s)", "$var(n)", "$var(types)", "$var(both)"],
    );
    assert_eq!(answer["$var(s)"], b"a b\0c\r\n");
    assert_eq!(answer["$var(n)"], -7);
    assert_eq!(answer["$var(types)"], "string number string nil");
    assert_eq!(answer["$var(both)"], b"a b\0c\r\n-7");
}

#[test]
fn a_missing_value_has_the_words_of_the_getter() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let lua = r#"
        KSR.pv.sets("$var(gete)", "<" .. KSR.pv.gete("$mct(none)") .. ">");
        KSR.pv.sets("$var(getw)", KSR.pv.getw("$mct(none)"));
        KSR.pv.sets("$var(getvs)", KSR.pv.getvs("$mct(none)", "default"));
        KSR.pv.sets("$var(held)", KSR.pv.getvs("$mct(k)", "default"));
        if KSR.pv.is_null("$mct(none)") and not KSR.pv.is_null("$mct(k)") then
            KSR.pv.sets("$var(null)", "as it is");
        end
    "#;
    let asked = [
        "$var(gete)",
        "$var(getw)",
        "$var(getvs)",
        "$var(held)",
        "$var(null)",
    ];
    let values = run(&memcached, lua, &asked).values();
    let expected = ["<>", "<null>", "default", "v", "as it is"];
    assert_eq!(values, expected.map(|text| Value::Str(text.into())));
}

#[test]
fn strings_and_numbers_are_stored_as_such() {
    let memcached = Memcached::start();
    let lua = r#"
        KSR.pv.sets("$mct(s=>60)", "a\0b\r\n");
        KSR.pv.sets("$var(stored)", KSR.pv.get("$mcst"));
        KSR.pv.seti("$mct(n=>70)", -5);
        KSR.pv.sets("$mct(digits)", "5");
        KSR.pv.sets("$mct(e)", "");
    "#;
    let answer = run(&memcached, lua, &["$var(stored)"]);
    assert_eq!(answer["$var(stored)"], "stored");
    memcached.assert_holds("s", 1, b"a\0b\r\n");
    memcached.assert_expires_in("s", 60);
    memcached.assert_holds("n", 0, "-5");
    memcached.assert_expires_in("n", 70);
    memcached.assert_holds("digits", 1, "5");
    memcached.assert_holds("e", 1, "");
}

#[test]
fn unset_deletes() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let answer = run(&memcached, "KSR.pv.unset(\"$mct(k)\");", &["$mcst"]);
    assert_eq!(answer["$mcst"], "deleted");
    assert!(memcached.is_empty());
}

#[test]
fn counters_and_lifetimes_work_too() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 100, "10");
    let lua = r#"
        KSR.pv.seti("$mcinc(n)", 5);
        KSR.pv.sets("$mcdec(n)", "2");
        KSR.pv.seti("$mctex(n)", 5000);
        KSR.pv.seti("$var(n)", KSR.pv.get("$mcinc(n)"));
    "#;
    assert_eq!(run(&memcached, lua, &["$var(n)"])["$var(n)"], 13);
    memcached.assert_holds("n", 0, "13");
    memcached.assert_expires_in("n", 5000);
}

#[test]
fn keys_may_name_other_variables() {
    let memcached = Memcached::start();
    memcached.put("alice", 1, 0, "wonderland");
    let lua = r#"
        KSR.pv.sets("$var(user)", "alice");
        KSR.pv.sets("$var(read)", KSR.pv.get("$mct($var(user))"));
        KSR.pv.sets("$mct($var(user):$rU=>60)", "x");
    "#;
    assert_eq!(
        run(&memcached, lua, &["$var(read)"])["$var(read)"],
        "wonderland"
    );
    memcached.assert_holds("alice:run", 1, "x");
    memcached.assert_expires_in("alice:run", 60);
}

#[test]
fn a_name_that_makes_no_sense_is_null_and_does_no_harm() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let lua = r#"
        KSR.pv.sets("$var(bad)", type(KSR.pv.get("$mct(k=>60s)")));
        KSR.pv.sets("$var(good)", KSR.pv.get("$mct(k)"));
    "#;
    let answer = run(&memcached, lua, &["$var(bad)", "$var(good)"]);
    assert_eq!(answer["$var(bad)"], "nil");
    assert_eq!(answer["$var(good)"], "v");
}

#[test]
fn a_refused_value_can_be_told_from_the_status() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "5");
    let lua = r#"
        KSR.pv.sets("$mcinc(n)", "many");
        KSR.pv.sets("$var(status)", KSR.pv.get("$mcst"));
    "#;
    assert_eq!(
        run(&memcached, lua, &["$var(status)"])["$var(status)"],
        "refused"
    );
    memcached.assert_holds("n", 0, "5");
}

/// Kamailio gives Lua a long number as a float, and Lua writes that with a point or an exponent.
#[test]
fn a_long_number_becomes_text_as_the_manual_says() {
    for digits in [
        "2147483648",
        "491701234567",
        "490154203237518",
        "-490154203237518",
    ] {
        let memcached = Memcached::start();
        memcached.put("n", 0, 0, digits);
        let formatted =
            r#"KSR.pv.sets("$var(text)", string.format("%.0f", KSR.memcached.get("n")));"#;
        let answer = run(&memcached, formatted, &["$var(text)"]);
        assert_eq!(answer.values(), [digits]);
    }
}
