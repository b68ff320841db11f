//! Counting: `$mcinc`, `$mcdec`, each one atomic step in memcached, whoever else counts.

use support::{Answer, Kamailio, Memcached, Request, Run, Value};

/// Runs one statement against what memcached holds; tells `$mcst`.
fn status(memcached: &Memcached, statement: &str) -> Value {
    Kamailio::on(memcached).eval(statement, "$mcst")
}

#[test]
fn a_counter_goes_up_and_down() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 100, "40");
    assert_eq!(status(&memcached, "$mcinc(n) = 2;"), "counted");
    memcached.assert_holds("n", 0, "42");
    assert_eq!(status(&memcached, "$mcdec(n) = 12;"), "counted");
    memcached.assert_holds("n", 0, "30");
    memcached.assert_expires_in("n", 100);
}

#[test]
fn a_negative_operand_reverses_the_direction() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "10");
    assert_eq!(status(&memcached, "$mcinc(n) = -3;"), "counted");
    memcached.assert_holds("n", 0, "7 ");
    assert_eq!(status(&memcached, "$mcdec(n) = -5;"), "counted");
    memcached.assert_holds("n", 0, "12");
    assert_eq!(status(&memcached, "$mcinc(n) = \"-2\";"), "counted");
    memcached.assert_holds("n", 0, "10");
    assert_eq!(status(&memcached, "$mcdec(n) = -2147483647;"), "counted");
    memcached.assert_holds("n", 0, "2147483657");
}

#[test]
fn counting_by_zero_counts() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "10");
    assert_eq!(status(&memcached, "$mcinc(n) = 0;"), "counted");
    assert_eq!(status(&memcached, "$mcdec(n) = 0;"), "counted");
    memcached.assert_holds("n", 0, "10");
}

#[test]
fn a_counter_stops_at_zero() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "5");
    assert_eq!(status(&memcached, "$mcdec(n) = 7;"), "counted");
    assert_eq!(Kamailio::on(&memcached).eval("", "$mct(n)"), 0);
}

#[test]
fn a_counter_starts_again_above_64_bits() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "18446744073709551615");
    assert_eq!(status(&memcached, "$mcinc(n) = 2;"), "counted");
    assert_eq!(Kamailio::on(&memcached).eval("", "$mct(n)"), 1);
}

#[test]
fn a_missing_key_stays_missing() {
    let memcached = Memcached::start();
    for statement in ["$mcinc(n) = 1;", "$mcdec(n) = 1;", "$mcinc(n) = -1;"] {
        assert_eq!(status(&memcached, statement), "miss");
    }
    assert!(memcached.is_empty());
}

#[test]
fn operands_may_be_decimal_text() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "0");
    let kamailio = Kamailio::on(&memcached)
        .script(
            "up",
            "$var(by) = $(hdr(X){s.decode.hexa}); $mcinc(n) = $var(by);",
            &["$mcst"],
        )
        .start();
    // 5, " 7 ", "+8", 2^32 + 1, 2^63 − 1, all in hex digits.
    let operands = [
        "35",
        "203720",
        "2b38",
        "34323934393637323937",
        "39323233333732303336383534373735383037",
    ];
    for hex in operands {
        let answer = kamailio.run_with("up", Request::options().header("X", hex));
        assert_eq!(answer["$mcst"], "counted", "{hex}");
    }
    let sum = 5 + 7 + 8 + ((1u64 << 32) + 1) + ((1 << 63) - 1);
    memcached.assert_holds("n", 0, sum.to_string());
}

#[test]
fn the_smallest_operand_can_be_reversed_too() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "0");
    assert_eq!(
        status(&memcached, "$mcdec(n) = \"-9223372036854775808\";"),
        "counted"
    );
    memcached.assert_holds("n", 0, "9223372036854775808");
}

#[test]
fn other_operands_are_refused() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "10");
    let kamailio = Kamailio::on(&memcached)
        .script("up", "$mcinc(n) = $hdr(X);", &["$mcst"])
        .script("down", "$mcdec(n) = $hdr(X);", &["$mcst"])
        .start();
    for script in ["up", "down"] {
        for bad in [
            "",
            "x",
            "1x",
            "1.0",
            "1 2",
            "0x10",
            "--1",
            "9223372036854775808",
        ] {
            let answer = kamailio.run_with(script, Request::options().header("X", bad));
            assert_eq!(answer["$mcst"], "refused", "{bad:?}");
        }
        assert_eq!(kamailio.run(script)["$mcst"], "refused", "a null variable");
    }
    memcached.assert_holds("n", 0, "10");
    assert_eq!(memcached.stat("incr_hits") + memcached.stat("decr_hits"), 0);
    assert!(kamailio.log().contains("refused: invalid number"));
}

#[test]
fn null_is_refused() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "10");
    for statement in [
        "$mcinc(n) = $null;",
        "$mcdec(n) = $null;",
        "pv_unset(\"$mcinc(n)\");",
    ] {
        assert_eq!(status(&memcached, statement), "refused", "{statement}");
    }
    memcached.assert_holds("n", 0, "10");
}

#[test]
fn digits_count_whatever_their_flags_are() {
    let memcached = Memcached::start();
    for flags in [0, 1, 17, u32::MAX] {
        memcached.put("n", flags, 0, "10");
        assert_eq!(status(&memcached, "$mcinc(n) = 1;"), "counted");
        memcached.assert_holds("n", flags, "11");
    }
}

#[test]
fn what_is_no_number_cannot_be_counted() {
    let memcached = Memcached::start();
    for text in ["abc", "-5", "1.5", ""] {
        for statement in ["$mcinc(k) = 1;", "$mcdec(k) = 1;"] {
            memcached.put("k", 1, 0, text);
            let kamailio = Kamailio::on(&memcached)
                .script("run", statement, &["$mcst", "$mct(k)"])
                .start();
            let answer = kamailio.run("run");
            assert_eq!(answer["$mcst"], "not_a_number", "{statement} with {text}");
            assert_eq!(answer["$mct(k)"], text);
            assert_eq!(
                kamailio
                    .log_lines("of key 'k': not_a_number: the stored value is not a number")
                    .len(),
                1
            );
        }
    }
}

#[test]
fn reading_a_counting_variable_is_reading_the_item() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "7");
    memcached.put("s", 1, 0, "text");
    let asked = [
        "$mcinc(n)",
        "$mcst",
        "$mcdec(n)",
        "$mcinc(s)",
        "$mcdec(none)",
    ];
    let kamailio = Kamailio::on(&memcached).script("read", "", &asked).start();
    let answer = kamailio.run("read");
    assert_eq!(answer["$mcinc(n)"], 7);
    assert_eq!(answer["$mcst"], "hit");
    assert_eq!(answer["$mcdec(n)"], 7);
    assert_eq!(answer["$mcinc(s)"], "text");
    assert!(answer["$mcdec(none)"].is_null());
    memcached.assert_holds("n", 0, "7");
}

#[test]
fn padding_after_a_decrement_is_never_seen() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "10");
    assert_eq!(status(&memcached, "$mcdec(n) = 1;"), "counted");
    memcached.assert_holds("n", 0, "9 ");
    assert_eq!(Kamailio::on(&memcached).eval("", "$mct(n)"), 9);
    let strings = Kamailio::on(&memcached).param("stringify", 1);
    assert_eq!(strings.eval("", "$mct(n)"), "9");
}

#[test]
fn what_a_script_stores_a_script_can_count() {
    let memcached = Memcached::start();
    let count = "$mct(n) = 5; $mcinc(n) = 2; $mct(s) = \"5\"; $mcinc(s) = 2;";
    let kamailio = Kamailio::on(&memcached)
        .script("run", count, &["$mct(n)", "$mct(s)"])
        .start();
    let answer = kamailio.run("run");
    assert_eq!(answer["$mct(n)"], 7);
    assert_eq!(answer["$mct(s)"], "7");
}

#[test]
fn several_workers_lose_nothing_while_lifetimes_change() {
    const ROUNDS: i64 = 500;
    const REQUESTS: i64 = 4;
    let memcached = Memcached::start();
    memcached.put("up", 0, 1000, "0");
    memcached.put("down", 0, 1000, "1000000");
    let counting = "$mcinc(up) = 1; $mcdec(down) = 3; $mcinc(up) = \"2\";";
    let touching = "$mctex(up) = 2000; $mctex(down) = 3000;";
    let kamailio = Kamailio::on(&memcached)
        .children(4)
        .global("max_while_loops=1000")
        .script("count", &repeated(ROUNDS, counting), &["$mcst"])
        .script("touch", &repeated(ROUNDS, touching), &["$mcst"])
        .start();
    let run = |script| kamailio.launch(script, Request::options());
    let runs: Vec<Run> = (0..REQUESTS)
        .flat_map(|_| [run("count"), run("touch")])
        .collect();
    let answers: Vec<Answer> = runs.into_iter().map(Run::wait).collect();
    assert_eq!(answers.len(), 8);
    memcached.assert_holds("up", 0, (3 * ROUNDS * REQUESTS).to_string());
    let down = 1_000_000 - 3 * ROUNDS * REQUESTS;
    assert_eq!(memcached.text("down").unwrap().trim_end(), down.to_string());
    memcached.assert_expires_in("up", 2000);
    memcached.assert_expires_in("down", 3000);
    let counts = ["incr_hits", "decr_hits", "touch_hits"].map(|name| memcached.stat(name));
    let once = u64::try_from(ROUNDS * REQUESTS).unwrap();
    assert_eq!(counts, [2 * once, once, 2 * once]);
    // Nothing was read to be written back.
    let reads_and_writes = memcached.stat("cmd_get") + memcached.stat("cmd_set");
    assert_eq!(reads_and_writes, 4 + 2, "the puts and looks of this test");
}

/// These statements, so many times.
fn repeated(times: i64, statements: &str) -> String {
    format!("$var(i) = 0; while ($var(i) < {times}) {{ $var(i) = $var(i) + 1; {statements} }}")
}
