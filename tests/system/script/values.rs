//! Strings and numbers: what memcached holds after an assignment, and what a script
//! reads. A string has flags 1, a number flags 0 and decimal text.

use support::{Builder, Host, Kamailio, Memcached, Request, Value, hex, skip};

/// Strings that others have cut, trimmed or taken for something else.
const AWKWARD: [&[u8]; 16] = [
    b"",
    b" ",
    b"\0",
    b"a\0b",
    b"\0\0",
    b" both ends ",
    b"line\r\n",
    b"\r\nEND\r\n",
    b"\n",
    b"\t\r",
    b"5",
    b" -5 ",
    b"<null>",
    b"$rU $$ \\ \"",
    b"\xff\xfe\x80",
    "Grüße, Пётр".as_bytes(),
];

/// How this host's scripts see a number: from 5.7 on as it is, before that only what
/// fits 32 bits, and larger ones as their digits.
fn number(value: i64) -> Value {
    let long = Host::current().version() >= (5, 7, 0);
    match i32::try_from(value) {
        Err(_) if !long => Value::Str(value.to_string().into()),
        _ => Value::Int(value),
    }
}

/// What `$mct(k)` reads of these bytes with this flag word.
fn read(builder: &Builder, memcached: &Memcached, flags: u32, bytes: impl AsRef<[u8]>) -> Value {
    memcached.put("k", flags, 0, bytes);
    builder.clone().eval("", "$mct(k)")
}

#[test]
fn strings_are_stored_byte_for_byte_with_flags_1() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("store", "$mct(k) = $(hdr(X){s.decode.hexa});", &["$mcst"])
        .start();
    for bytes in AWKWARD {
        let request = Request::options().header("X", hex(bytes));
        assert_eq!(kamailio.run_with("store", request)["$mcst"], "stored");
        memcached.assert_holds("k", 1, bytes);
    }
}

#[test]
fn strings_are_read_byte_for_byte() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    for bytes in AWKWARD {
        memcached.put("k", 1, 0, bytes);
        let answer = kamailio.run("read");
        assert_eq!(answer["$mct(k)"], Value::Str(bytes.to_vec()));
        assert_eq!(answer["$mcst"], "hit");
    }
}

#[test]
fn an_empty_string_is_not_null() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script(
            "empty",
            r#"
            $mct(k) = "";
            if ($mct(k) == $null) $var(null) = 1; else $var(null) = 0;
            if ($mct(k) == "") $var(empty) = 1; else $var(empty) = 0;
            "#,
            &["$var(null)", "$var(empty)", "$(mct(k){s.len})"],
        )
        .start();
    let answer = kamailio.run("empty");
    memcached.assert_holds("k", 1, "");
    assert_eq!(answer.values(), [0, 1, 0].map(Value::Int));
}

#[test]
fn a_missing_key_is_null_and_a_miss() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    let answer = kamailio.run("read");
    assert_eq!(answer["$mct(k)"], Value::Null);
    assert_eq!(answer["$mcst"], "miss");
}

#[test]
fn numbers_are_stored_as_decimal_text_with_flags_0() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script(
            "store",
            "$mct(k) = $(hdr(X){s.int});",
            &["$mcst", "$mct(k)"],
        )
        .start();
    for value in [
        0,
        5,
        -5,
        1_000_000,
        i64::from(i32::MAX),
        i64::from(i32::MIN),
    ] {
        let request = Request::options().header("X", value.to_string());
        let answer = kamailio.run_with("store", request);
        assert_eq!(answer["$mcst"], "stored");
        memcached.assert_holds("k", 0, value.to_string());
        assert_eq!(answer["$mct(k)"], value);
    }
}

/// The script's own literals have 32 bits everywhere, so the number comes from memcached.
#[test]
fn numbers_of_64_bits_are_stored_where_the_host_has_them() {
    if Host::current().version() < (5, 7, 0) {
        skip("integers", "this Kamailio has none of 64 bits");
        return;
    }
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .script("copy", "$mct(to) = $mct(from);", &["$mct(to)"])
        .script("count", "$mct(to) = $mct(from) - 1;", &["$mct(to)"])
        .start();
    for value in [1 << 31, 1 << 32, i64::MAX, -i64::MAX] {
        memcached.put("from", 0, 0, value.to_string());
        assert_eq!(kamailio.run("copy")["$mct(to)"], value);
        memcached.assert_holds("to", 0, value.to_string());
        assert_eq!(kamailio.run("count")["$mct(to)"], value - 1);
        memcached.assert_holds("to", 0, (value - 1).to_string());
    }
}

#[test]
fn a_number_keeps_its_type_and_so_does_its_text() {
    let memcached = Memcached::start();
    Kamailio::on(&memcached).eval(r#"$mct(n) = 5; $mct(s) = "5";"#, "$mcst");
    memcached.assert_holds("n", 0, "5");
    memcached.assert_holds("s", 1, "5");
}

#[test]
fn a_value_that_carries_a_number_is_stored_as_number() {
    let memcached = Memcached::start();
    // `$ml` and `$pp` give text and number at once, `$rU` text only.
    Kamailio::on(&memcached).eval("$mct(ml) = $ml; $mct(pp) = $pp; $mct(rU) = $rU;", "$mcst");
    assert_eq!(memcached.item("ml").unwrap().flags, 0);
    assert_eq!(memcached.item("pp").unwrap().flags, 0);
    memcached.assert_holds("rU", 1, "eval");
}

#[test]
fn a_value_copied_from_key_to_key_keeps_type_and_bytes() {
    let memcached = Memcached::start();
    memcached.put("string", 1, 0, b"a\0b\r\n");
    memcached.put("number", 0, 0, "-7");
    let copy = "$mct(s2) = $mct(string); $mct(n2) = $mct(number);";
    Kamailio::on(&memcached).eval(copy, "$mcst");
    memcached.assert_holds("s2", 1, b"a\0b\r\n");
    memcached.assert_holds("n2", 0, "-7");
}

#[test]
fn decimal_text_without_the_string_flag_reads_as_number() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for (bytes, expected) in [
        ("0", 0),
        ("-1", -1),
        ("2147483647", i32::MAX.into()),
        ("-2147483648", i32::MIN.into()),
        ("2147483648", 1 << 31),
        ("-2147483649", -(1 << 31) - 1),
        ("4294967295", (1 << 32) - 1),
        ("4294967296", 1 << 32),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        let value = read(&builder, &memcached, 0, bytes);
        assert_eq!(value, number(expected), "{bytes}");
    }
}

#[test]
fn digits_beyond_64_bits_read_as_string() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for digits in [
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775809",
    ] {
        assert_eq!(read(&builder, &memcached, 0, digits), digits);
    }
}

#[test]
fn blanks_behind_a_number_are_dropped() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for padded in ["9", "9   "] {
        assert_eq!(read(&builder, &memcached, 0, padded), 9);
    }
    memcached.put("counter", 0, 0, "100");
    let count = builder.eval("$mcdec(counter) = 1;", "$mct(counter)");
    memcached.assert_holds("counter", 0, "99 ");
    assert_eq!(count, 99);
}

/// Telephone numbers that other systems have written.
#[test]
fn digits_that_are_no_integer_in_its_shortest_form_keep_every_character() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for text in [
        "0049", "+49", "+7", "007", "00", "-0", "-07", " 9", " 9 ", "9\n",
    ] {
        assert_eq!(read(&builder, &memcached, 0, text), text, "{text:?}");
    }
    let copied = builder.clone().eval("$mct(copy) = $mct(k);", "$mct(copy)");
    assert_eq!(copied, "9\n");
    memcached.assert_holds("copy", 1, "9\n");
}

#[test]
fn other_text_without_the_string_flag_is_read_as_it_is() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for text in [
        "", " ", "-", "+", "--5", "5 5", "1.5", "0x10", "1e3", " a ", "5\0", "\r\n",
    ] {
        assert_eq!(read(&builder, &memcached, 0, text), text, "{text:?}");
    }
}

#[test]
fn bit_0_of_the_flags_decides_between_string_and_number() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached);
    for flags in [1, 3, 0x8000_0001, 0xffff_efef] {
        assert_eq!(read(&builder, &memcached, flags, " 5 "), " 5 ");
        assert_eq!(read(&builder, &memcached, flags, "5 "), "5 ");
    }
    for flags in [0, 2, 0x8000_0000, 0xffff_efee] {
        assert_eq!(read(&builder, &memcached, flags, "5 "), 5);
    }
}

#[test]
fn stringify_reads_numbers_as_strings() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached).param("stringify", 1);
    for (bytes, expected) in [
        ("5", "5"),
        ("-5", "-5"),
        ("9  ", "9"),
        ("0049 ", "0049 "),
        ("0049", "0049"),
        ("2147483648", "2147483648"),
    ] {
        assert_eq!(read(&builder, &memcached, 0, bytes), expected);
    }
    assert_eq!(read(&builder, &memcached, 1, " 5 "), " 5 ");
    assert_eq!(read(&builder, &memcached, 0, " a "), " a ");
}

#[test]
fn stringify_changes_nothing_of_what_is_stored() {
    let memcached = Memcached::start();
    let builder = Kamailio::on(&memcached).param("stringify", 1);
    assert_eq!(
        builder.eval(r#"$mct(n) = 5; $mct(s) = "5";"#, "$mct(n)"),
        "5"
    );
    memcached.assert_holds("n", 0, "5");
    memcached.assert_holds("s", 1, "5");
}
