//! `KSR.memcached.*`: each function with each answer, in each language.

use support::{Builder, Host, Kamailio, Memcached};

use super::engine::in_each;

#[test]
fn functions_that_write_return_what_they_came_to() {
    in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("there", 1, 0, "old");
        memcached.put("text", 1, 0, "old");
        engine.assert_answers(
            Kamailio::on(&memcached),
            &[
                ("sets(\"s\", \"v\")", "1", "stored"),
                ("seti(\"i\", -5)", "1", "stored"),
                ("setxs(\"xs\", \"5\", 60)", "1", "stored"),
                ("setxi(\"xi\", 5, 0)", "1", "stored"),
                ("adds(\"there\", \"v\")", "-1", "not_stored"),
                ("adds(\"as\", \"v\")", "1", "stored"),
                ("addi(\"there\", 5)", "-1", "not_stored"),
                ("addi(\"ai\", 5)", "1", "stored"),
                ("addxs(\"there\", \"v\", 60)", "-1", "not_stored"),
                ("addxs(\"axs\", \"\", 70)", "1", "stored"),
                ("addxi(\"there\", 5, 60)", "-1", "not_stored"),
                ("addxi(\"axi\", 2147483647, 80)", "1", "stored"),
                ("replaces(\"none\", \"v\")", "-1", "not_stored"),
                ("replaces(\"there\", \"new\")", "1", "stored"),
                ("replacei(\"none\", 5)", "-1", "not_stored"),
                ("replacei(\"as\", -2147483648)", "1", "stored"),
                ("replacexs(\"none\", \"v\", 60)", "-1", "not_stored"),
                ("replacexs(\"ai\", \"v\", 90)", "1", "stored"),
                ("replacexi(\"none\", 5, 60)", "-1", "not_stored"),
                ("replacexi(\"axs\", 6, 100)", "1", "stored"),
                ("append(\"none\", \"v\")", "-1", "not_stored"),
                ("append(\"text\", \" end\")", "1", "stored"),
                ("prepend(\"none\", \"v\")", "-1", "not_stored"),
                ("prepend(\"text\", \"begin \")", "1", "stored"),
                ("touch(\"none\", 60)", "-1", "miss"),
                ("touch(\"text\", 110)", "1", "touched"),
                ("delete(\"none\")", "-1", "miss"),
                ("delete(\"xi\")", "1", "deleted"),
            ],
        );
        for (key, flags, value, expire) in [
            ("s", 1, "v", 10800),
            ("i", 0, "-5", 10800),
            ("xs", 1, "5", 60),
            ("as", 0, "-2147483648", 10800),
            ("ai", 1, "v", 90),
            ("axs", 0, "6", 100),
            ("axi", 0, "2147483647", 80),
            ("there", 1, "new", 10800),
            ("text", 1, "begin old end", 110),
        ] {
            memcached.assert_holds(key, flags, value);
            memcached.assert_expires_in(key, expire);
        }
        assert_eq!(memcached.len(), 9, "{engine:?}");
    });
}

#[test]
fn functions_that_read_return_strings_numbers_and_nothing() {
    in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("s", 1, 0, "a b\r\nc");
        memcached.put("n", 0, 0, "-7");
        memcached.put("digits", 1, 0, "5");
        memcached.put("zeros", 0, 0, "0049");
        memcached.put("empty", 1, 0, "");
        engine.assert_answers(
            Kamailio::on(&memcached),
            &[
                ("value()", "nothing", "nothing"),
                ("version()", "nothing", "nothing"),
                ("get(\"s\")", "<a b\r\nc>", "hit"),
                ("gete(\"s\")", "<a b\r\nc>", "hit"),
                ("get(\"n\")", "-7", "hit"),
                ("gete(\"n\")", "-7", "hit"),
                ("value()", "-7", "hit"),
                ("get(\"digits\")", "<5>", "hit"),
                ("get(\"zeros\")", "<0049>", "hit"),
                ("get(\"empty\")", "<>", "hit"),
                ("get(\"none\")", "nothing", "miss"),
                ("value()", "nothing", "miss"),
                ("gete(\"none\")", "<>", "miss"),
                ("gets(\"none\")", "-1", "miss"),
                ("version()", "nothing", "miss"),
                ("gets(\"s\")", "1", "hit"),
                ("value()", "<a b\r\nc>", "hit"),
                ("sets(\"other\", \"v\")", "1", "stored"),
                ("value()", "<a b\r\nc>", "stored"),
                ("get(\"n\")", "-7", "hit"),
                (
                    "cas(\"s\", \"new\", KSR.memcached.version())",
                    "1",
                    "stored",
                ),
                (
                    "cas(\"s\", \"newer\", KSR.memcached.version())",
                    "-1",
                    "exists",
                ),
                ("cas(\"none\", \"v\", \"1\")", "-1", "miss"),
                ("casx(\"none\", \"v\", \"1\", 60)", "-1", "miss"),
                ("gets(\"s\")", "1", "hit"),
                (
                    "casx(\"s\", \"last\", KSR.memcached.version(), 60)",
                    "1",
                    "stored",
                ),
                (
                    "casx(\"s\", \"too late\", KSR.memcached.version(), 60)",
                    "-1",
                    "exists",
                ),
            ],
        );
        memcached.assert_holds("s", 1, "last");
        memcached.assert_expires_in("s", 60);
    });
}

#[test]
fn counting_returns_the_number_by_value() {
    in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("n", 0, 100, "10");
        memcached.put("text", 1, 0, "text");
        engine.assert_answers(
            Kamailio::on(&memcached),
            &[
                ("inc(\"n\", 5)", "1", "counted"),
                ("value()", "15", "counted"),
                ("dec(\"n\", 6)", "1", "counted"),
                ("value()", "9", "counted"),
                ("inc(\"n\", -1)", "1", "counted"),
                ("dec(\"n\", -2)", "1", "counted"),
                ("value()", "10", "counted"),
                ("inc(\"none\", 1)", "-1", "miss"),
                ("value()", "nothing", "miss"),
                ("dec(\"none\", 1)", "-1", "miss"),
                ("inc(\"text\", 1)", "-3", "not_a_number"),
                ("value()", "nothing", "not_a_number"),
                ("incx(\"new\", 5, 1, 60)", "1", "counted"),
                ("value()", "1", "counted"),
                ("incx(\"new\", 5, 1, 90)", "1", "counted"),
                ("value()", "6", "counted"),
                ("decx(\"down\", 1, 10, 70)", "1", "counted"),
                ("decx(\"down\", 1, 10, 90)", "1", "counted"),
                ("value()", "9", "counted"),
                ("incx(\"text\", 1, 0, 60)", "-3", "not_a_number"),
            ],
        );
        for (key, value, expire) in [("n", "10", 100), ("new", "6", 60)] {
            memcached.assert_holds(key, 0, value);
            memcached.assert_expires_in(key, expire);
        }
        memcached.assert_expires_in("down", 70);
    });
}

/// A number beyond 32 bits is a number on hosts that have such, and text on others. It is always text where
/// some languages would lose digits.
#[test]
fn numbers_of_any_size_are_read() {
    in_each(|engine| {
        let memcached = Memcached::start();
        let has_longs = Host::current().version() >= (5, 7, 0);
        let long = |text: &str| match has_longs {
            true => text.to_owned(),
            false => format!("<{text}>"),
        };
        let numbers = [
            ("2147483647", "2147483647".to_owned()),
            ("-2147483648", "-2147483648".to_owned()),
            ("2147483648", long("2147483648")),
            ("-2147483649", long("-2147483649")),
            ("4294967296", long("4294967296")),
            // The largest number that all languages hold exactly.
            ("9007199254740992", long("9007199254740992")),
            ("-9007199254740992", long("-9007199254740992")),
            ("9007199254740993", "<9007199254740993>".to_owned()),
            ("-9007199254740993", "<-9007199254740993>".to_owned()),
            ("9223372036854775807", "<9223372036854775807>".to_owned()),
            ("9223372036854775808", "<9223372036854775808>".to_owned()),
            ("18446744073709551615", "<18446744073709551615>".to_owned()),
        ];
        let mut expected = Vec::new();
        for (number, read) in &numbers {
            memcached.put(number, 0, 0, number);
            expected.push((format!("get(\"{number}\")"), read.as_str(), "hit"));
        }
        let counted = long("4294967297");
        expected.push(("inc(\"4294967296\", 1)".into(), "1", "counted"));
        expected.push(("value()".into(), &counted, "counted"));
        expected.push((
            "incx(\"18446744073709551615\", 1, 0, 0)".into(),
            "1",
            "counted",
        ));
        expected.push(("value()".into(), "0", "counted"));
        engine.assert_answers(Kamailio::on(&memcached), &expected);
    });
}

fn with_pool(first: &Memcached, calls: &Memcached) -> Builder {
    let pool = format!(
        "name=calls;servers={};key_prefix=c:;expire=500",
        calls.address()
    );
    Kamailio::on(first).param("pool", pool)
}

#[test]
fn twins_use_the_pool_that_they_name() {
    in_each(|engine| {
        let [first, calls] = [(); 2].map(|()| Memcached::start());
        engine.assert_answers(
            with_pool(&first, &calls),
            &[
                ("sets_in(\"calls\", \"s\", \"v\")", "1", "stored"),
                ("setxi_in(\"calls\", \"i\", 5, 60)", "1", "stored"),
                ("get_in(\"calls\", \"s\")", "<v>", "hit"),
                ("gete_in(\"calls\", \"none\")", "<>", "miss"),
                ("get(\"s\")", "nothing", "miss"),
                ("get_in(\"default\", \"s\")", "nothing", "miss"),
                ("adds_in(\"default\", \"s\", \"w\")", "1", "stored"),
                ("addxs_in(\"calls\", \"s\", \"w\", 60)", "-1", "not_stored"),
                ("replacei_in(\"calls\", \"s\", 7)", "1", "stored"),
                ("append_in(\"calls\", \"s\", \"0\")", "1", "stored"),
                ("incx_in(\"calls\", \"s\", 2, 1, 60)", "1", "counted"),
                ("value()", "72", "counted"),
                ("dec_in(\"calls\", \"i\", 1)", "1", "counted"),
                ("touch_in(\"calls\", \"i\", 90)", "1", "touched"),
                ("gets_in(\"calls\", \"i\")", "1", "hit"),
                (
                    "casx_in(\"calls\", \"i\", \"x\", KSR.memcached.version(), 80)",
                    "1",
                    "stored",
                ),
                ("delete_in(\"calls\", \"s\")", "1", "deleted"),
                ("get_in(\"nope\", \"s\")", "nothing", "refused"),
                ("gete_in(\"nope\", \"s\")", "<>", "refused"),
                ("sets_in(\"\", \"s\", \"v\")", "-3", "refused"),
                ("flush(\"nope\")", "-3", "refused"),
                ("flush(\"default\")", "1", "deleted"),
            ],
        );
        calls.assert_holds("c:i", 1, "x");
        calls.assert_expires_in("c:i", 80);
        assert_eq!((first.flushes(), calls.flushes()), (1, 0), "{engine:?}");
    });
}

#[test]
fn what_cannot_be_done_is_told_by_the_number() {
    in_each(|engine| {
        let memcached = Memcached::with(&["-I", "1k", "-o", "slab_chunk_max=512"]);
        let long = format!("sets(\"k\", \"{}\")", "x".repeat(5000));
        engine.assert_answers(
            Kamailio::on(&memcached),
            &[
                ("get(\"\")", "nothing", "refused"),
                ("sets(\"\", \"v\")", "-3", "refused"),
                ("setxs(\"k\", \"v\", -1)", "-3", "refused"),
                ("touch(\"k\", -1)", "-3", "refused"),
                ("incx(\"k\", 1, -1, 0)", "-3", "refused"),
                ("cas(\"k\", \"v\", \"\")", "-3", "refused"),
                ("cas(\"k\", \"v\", \"x\")", "-3", "refused"),
                (&long, "-3", "too_large"),
                ("get(\"k\")", "nothing", "miss"),
                ("sets(\"k\", \"v\")", "1", "stored"),
                ("get(\"k\")", "<v>", "hit"),
                ("value()", "<v>", "hit"),
                ("get(\"\")", "nothing", "refused"),
                ("value()", "nothing", "refused"),
            ],
        );
        memcached.kill();
        engine.assert_answers(
            Kamailio::on(&memcached).param("retry_interval", -1),
            &[
                ("get(\"k\")", "nothing", "down"),
                ("gete(\"k\")", "<>", "down"),
                ("sets(\"k\", \"v\")", "-2", "down"),
                ("incx(\"k\", 1, 0, 60)", "-2", "down"),
                ("gets(\"k\")", "-2", "down"),
                ("value()", "nothing", "down"),
                ("flush(\"default\")", "-2", "down"),
            ],
        );
    });
}
