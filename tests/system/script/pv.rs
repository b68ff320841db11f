//! `$mct` in expressions: inside other variables, in arithmetic, concatenation, conditions
//! and loops.

use support::{Kamailio, Memcached, Value};

use super::items::memcached;

/// Evaluates each of these, in this order, and compares.
#[track_caller]
fn assert_evaluates(expected: &[(&str, Value)]) {
    let memcached = memcached();
    let asked: Vec<&str> = expected.iter().map(|(expression, _)| *expression).collect();
    let kamailio = Kamailio::on(&memcached).script("run", "", &asked).start();
    let answer = kamailio.run("run");
    for (expression, value) in expected {
        assert_eq!(&answer[expression], value, "{expression}");
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// Runs statements that set `$var(result)`.
fn result(statements: &str) -> Value {
    Kamailio::on(&memcached()).eval(statements, "$var(result)")
}

#[test]
fn one_variable_may_name_another() {
    assert_evaluates(&[
        ("$mct($mct(name))", text("wonderland")),
        ("$mct($(mct(name){s.tolower}))", text("wonderland")),
        ("$(mct($mct(name)){s.toupper})", text("WONDERLAND")),
        ("$mct($mct($mct(none)))", Value::Null),
    ]);
}

#[test]
fn transformations_see_the_whole_value() {
    assert_evaluates(&[
        ("$(mct(name){s.len})", Value::Int(5)),
        ("$(mct(name){s.toupper})", text("ALICE")),
        ("$(mct(name){s.substr,1,2})", text("li")),
        ("$(mct(n){s.len})", Value::Int(1)),
        ("$(mct(minus){s.len})", Value::Int(3)),
        ("$(mct(minus){s.int})", Value::Int(-12)),
        ("$(mct(empty){s.len})", Value::Int(0)),
        ("$(mct(big){s.substr,0,2})", text("50")),
        (
            "$(mct(alice){s.md5})",
            text("4cecaff2b30bbe75ce7322109164cfb5"),
        ),
    ]);
}

#[test]
fn numbers_take_part_in_arithmetic() {
    assert_evaluates(&[
        ("$mct(n) + 1", Value::Int(8)),
        ("1 + $mct(n)", Value::Int(8)),
        ("$mct(n) * $mct(n) - $mct(minus)", Value::Int(61)),
        ("$mct(n) / 2", Value::Int(3)),
        ("$mct(n) mod 4", Value::Int(3)),
        ("-$mct(n)", Value::Int(-7)),
        (
            "($mct(n) + $mct(minus)) * ($mct(n) - $mct(minus))",
            Value::Int(-95),
        ),
        ("$mct(n) & 3 | 8", Value::Int(11)),
    ]);
}

#[test]
fn a_printed_number_is_its_decimal_text() {
    assert_evaluates(&[
        ("\"<\" + $mct(n) + \">\"", text("<7>")),
        (
            "$_s(<$mct(n)|$mct(minus)|$mct(big)|$mct(none)|$mct(empty)>)",
            text("<7|-12|5000000000|<null>|>"),
        ),
        ("\"\" + $mct(minus) + \"\"", text("-12")),
        ("$(mct(minus){s.encode.hexa})", text("2d3132")),
    ]);
}

#[test]
fn many_values_stand_in_one_expression() {
    let memcached = Memcached::start();
    let expected: Vec<String> = (0..24).map(|at| format!("value-{at}")).collect();
    for (at, value) in expected.iter().enumerate() {
        memcached.put(format!("k{at}"), 1, 0, value);
    }
    let values: Vec<String> = (0..24).map(|at| format!("$mct(k{at})")).collect();
    let flat = values.join(" + ");
    // Evaluated from the right: all left operands are held until the end.
    let nested = format!("{}{}", values.join(" + ("), ")".repeat(23));
    let printed = format!("$_s({})", values.concat());
    let kamailio = Kamailio::on(&memcached)
        .script("run", "", &[&flat, &nested, &printed])
        .start();
    let answer = kamailio.run("run");
    for expression in [&flat, &nested, &printed] {
        assert_eq!(answer[expression], expected.concat(), "{expression}");
    }
}

#[test]
fn a_left_operand_outlives_all_that_the_right_side_reads() {
    assert_evaluates(&[
        (
            "$mct(name) + ($mct(alice) + ($mct(name) + $mct(n)))",
            text("alicewonderlandalice7"),
        ),
        ("$mct(name) + $mct($mct(name))", text("alicewonderland")),
        (
            "$mct(name) + $(mct(alice){s.len}) + $mct(name)",
            text("alice10alice"),
        ),
        (
            "($mct(name) == $mct(alice)) + ($mct(alice) == $mct($mct(name)))",
            Value::Int(1),
        ),
    ]);
}

#[test]
fn conditions_compare_text_numbers_and_null() {
    for condition in [
        r#"$mct(name) == "alice""#,
        r#"$mct(name) != "alic""#,
        r#""alice" == $mct(name)"#,
        "$mct(name) == $mct(name)",
        "$mct(alice) == $mct($mct(name))",
        "$mct(n) == 7",
        "7 == $mct(n)",
        "$mct(n) > 6 && $mct(n) <= 7 && $mct(minus) < 0",
        "$mct(none) == $null",
        "$mct(empty) != $null",
        "$mct(n) != $null",
        "!($mct(name) == $mct(alice))",
        "strempty($mct(empty))",
        "strlen($mct(alice)) == 10",
        "defined $mct(name)",
        "not defined $mct(none)",
        "$mct(n)",
    ] {
        let statement = format!("$var(result) = 0; if ({condition}) {{ $var(result) = 1; }}");
        assert_eq!(result(&statement), 1, "{condition}");
    }
}

#[test]
fn a_regular_expression_may_stand_on_either_side() {
    let memcached = memcached();
    memcached.put("pattern", 1, 0, "^al.*e$");
    memcached.put("other", 1, 0, "^bob");
    let kamailio = Kamailio::on(&memcached)
        .script(
            "left",
            "if ($mct(name) =~ \"^al\") $var(result) = 1;",
            &["$var(result)"],
        )
        .script(
            "right",
            "if (\"alice\" =~ $mct(pattern)) $var(result) = 2;",
            &["$var(result)"],
        )
        .script(
            "both",
            "if ($mct(name) =~ $mct(pattern)) $var(result) = 3;",
            &["$var(result)"],
        )
        .script(
            "not",
            "if (!($mct(name) =~ $mct(other))) $var(result) = 4;",
            &["$var(result)"],
        )
        .script(
            "number",
            "if ($mct(n) =~ \"^7$\") $var(result) = 5;",
            &["$var(result)"],
        )
        .start();
    for (expected, script) in (1..).zip(["left", "right", "both", "not", "number"]) {
        assert_eq!(kamailio.run(script)["$var(result)"], expected, "{script}");
    }
}

#[test]
fn a_switch_chooses_by_value() {
    let by_text = r#"switch ($mct(name)) {
        case "bob": $var(result) = 1; break;
        case "alice": $var(result) = 2; break;
        default: $var(result) = 3; }"#;
    assert_eq!(result(by_text), 2);
    let by_number = "switch ($mct(n)) {
        case 6: $var(result) = 1; break;
        case 7: $var(result) = 2; break;
        default: $var(result) = 3; }";
    assert_eq!(result(by_number), 2);
    let by_pattern = r#"switch ($mct(alice)) {
        case /"^wonder": $var(result) = 2; break;
        default: $var(result) = 3; }"#;
    assert_eq!(result(by_pattern), 2);
}

#[test]
fn loops_run_on_counters() {
    let memcached = memcached();
    let count = "while ($mct(n) > 2) { $mcdec(n) = 1; $var(result) = $var(result) + 1; }";
    assert_eq!(Kamailio::on(&memcached).eval(count, "$var(result)"), 5);
    assert_eq!(memcached.text("n").unwrap().trim_end(), "2");
}
