use std::collections::BTreeMap;

use super::*;
use crate::kamailio::fake::{Held, ScriptCall, Turn, serve};

mod leases;
mod many;
mod page;

fn call(name: &str, arguments: &[&str]) -> c_int {
    let arguments: Vec<&[u8]> = arguments.iter().map(|text| text.as_bytes()).collect();
    match ScriptCall::parse(name, &arguments) {
        Ok(parsed) => parsed.run(),
        Err(number) => panic!("{name}: argument {number} is refused"),
    }
}

fn text(text: &str) -> Held {
    Held::Text(text.into())
}

fn status() -> Option<Status> {
    process::with(|process| process.last).unwrap()
}

/// The numbers of arguments of the manual.
#[test]
fn functions_are_called_with_these_numbers_of_arguments_everywhere() {
    let mut counts = BTreeMap::<_, Vec<_>>::new();
    for row in TABLE.list() {
        assert_eq!(row.flags, ANY_ROUTE);
        // SAFETY: the names of the table are C strings.
        let name = unsafe { CStr::from_ptr(row.name) }.to_str().unwrap();
        counts.entry(name).or_default().push(row.param_no);
    }
    let expected: [(&str, &[c_int]); 18] = [
        ("mct_get", &[2]),
        ("mct_gets", &[3]),
        ("mct_set", &[2, 3]),
        ("mct_add", &[2, 3]),
        ("mct_replace", &[2, 3]),
        ("mct_append", &[2]),
        ("mct_prepend", &[2]),
        ("mct_cas", &[3, 4]),
        ("mct_del", &[1]),
        ("mct_touch", &[2]),
        ("mct_inc", &[2, 3, 5]),
        ("mct_dec", &[2, 3, 5]),
        ("mct_lease", &[2]),
        ("mct_invalidate", &[2]),
        ("mct_mget", &[1]),
        ("mct_prefetch", &[1]),
        ("mct_flush", &[1]),
        ("mct_metrics", &[1]),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(name, counts)| (name, counts.to_vec()))
        .into();
    assert_eq!(counts, expected);
    assert_eq!(FUNCTIONS.len(), counts.len());
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn every_function_sends_its_request_and_returns_the_answer() {
    let (address, server) = serve(&[
        "STORED\r\n",
        "VALUE k 0 2\r\n41\r\nEND\r\n",
        "END\r\n",
        "VALUE k 1 1 77\r\n\0\r\nEND\r\n",
        "NOT_STORED\r\n",
        "STORED\r\n",
        "STORED\r\n",
        "NOT_STORED\r\n",
        "EXISTS\r\n",
        "NOT_FOUND\r\n",
        "DELETED\r\n",
        "NOT_FOUND\r\n",
        "TOUCHED\r\n",
        "42\r\n",
        "NOT_FOUND\r\n",
    ]);
    let turn = Turn::with_servers(&address);
    turn.set('w', text("77"));
    assert_eq!(call("mct_set", &["k", "41"]), 1);
    assert_eq!(call("mct_get", &["k", "$v"]), 1);
    assert_eq!(
        (turn.get('v'), status()),
        (Held::Integer(41), Some(Status::Hit))
    );
    assert_eq!(call("mct_get", &["k", "$v"]), -1);
    assert_eq!((turn.get('v'), status()), (Held::Null, Some(Status::Miss)));
    assert_eq!(call("mct_gets", &["k", "$v", "$w"]), 1);
    assert_eq!((turn.get('v'), turn.get('w')), (text("\0"), text("77")));
    assert_eq!(call("mct_add", &["k", "041", "60"]), -1);
    assert_eq!(call("mct_replace", &["k", "<$w>"]), 1);
    assert_eq!(call("mct_append", &["k", "$w"]), 1);
    assert_eq!(call("mct_prepend", &["k", "x"]), -1);
    assert_eq!(call("mct_cas", &["k", "x", "$w"]), -1);
    assert_eq!(call("mct_cas", &["k", "x", "77", "5"]), -1);
    assert_eq!(call("mct_del", &["k"]), 1);
    assert_eq!(call("mct_set", &["k", "$n"]), -1);
    assert_eq!(call("mct_touch", &["k", "1000"]), 1);
    assert_eq!(call("mct_inc", &["k", "$w", "$v"]), 1);
    assert_eq!(turn.get('v'), Held::Integer(42));
    assert_eq!(call("mct_dec", &["k", "7", "$v"]), -1);
    assert_eq!(turn.get('v'), Held::Null);
    drop(turn);
    let requests = server.join().unwrap();
    let expected = [
        "set k 0 10800 2\r\n41\r\n",
        "get k\r\n",
        "get k\r\n",
        "gets k\r\n",
        "add k 1 60 3\r\n041\r\n",
        "replace k 1 10800 4\r\n<77>\r\n",
        "append k 1 10800 2\r\n77\r\n",
        "prepend k 1 10800 1\r\nx\r\n",
        "cas k 1 10800 1 77\r\nx\r\n",
        "cas k 1 5 1 77\r\nx\r\n",
        "delete k\r\n",
        "delete k\r\n",
        "touch k 1000\r\n",
        "incr k 77\r\n",
        "decr k 7\r\n",
    ];
    assert_eq!(requests, expected);
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn servers_are_emptied_on_connections_of_their_own() {
    let (address, server) = serve(&["VERSION 1\r\n", "OK\r\n"]);
    let turn = Turn::with_servers(&address);
    assert_eq!(call("mct_flush", &["default"]), 1);
    assert_eq!(status(), Some(Status::Deleted));
    drop(turn);
    assert_eq!(server.join().unwrap(), ["version\r\n", "flush_all\r\n"]);
}

/// No format is parsed while the host runs, and nothing is cut.
#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn what_the_host_has_evaluated_is_data_as_a_whole() {
    let (address, server) = serve(&["STORED\r\n", "STORED\r\n", "NOT_FOUND\r\n"]);
    let turn = Turn::with_servers(&address);
    turn.set_variable(b"secret");
    turn.complete_script();
    assert_eq!(call("mct_set", &["default=>$v=>5", "$v"]), 1);
    assert_eq!(call("mct_set", &["k$", "5"]), 1);
    let binary = ScriptCall::parse("mct_del", &[b"\xff"]).unwrap_or_else(|_| unreachable!());
    assert_eq!(binary.run(), -1);
    drop((binary, turn));
    let expected = [
        "set default=>$v=>5 1 10800 2\r\n$v\r\n",
        "set k$ 1 10800 1\r\n5\r\n",
    ];
    assert_eq!(server.join().unwrap()[..2], expected);
}

#[test]
#[cfg_attr(miri, ignore = "looks at log lines")]
fn bad_arguments_are_refused_at_the_start_by_name_and_number() {
    let turn = Turn::without_server();
    let cases: [(&str, &[&[u8]], usize, &str); 18] = [
        ("mct_get", &[b"k", b"v"], 2, "no variable: 'v'; accepted: "),
        (
            "mct_get",
            &[b"k", b"$v "],
            2,
            "not one variable alone: '$v '; accepted: ",
        ),
        (
            "mct_get",
            &[b"k", b"$v$v"],
            2,
            "not one variable alone: '$v$v'; accepted: ",
        ),
        (
            "mct_get",
            &[b"k", b"$r"],
            2,
            "read-only variable: '$r'; accepted: ",
        ),
        (
            "mct_get",
            &[b"k", b"$t"],
            2,
            "variable with a transformation: '$t'; accepted: ",
        ),
        ("mct_get", &[b"k", b""], 2, "no variable: ''; accepted: "),
        (
            "mct_get",
            &[b"k", b"x$"],
            2,
            "no variable: 'x$'; accepted: ",
        ),
        (
            "mct_gets",
            &[b"k", b"$v", b"7"],
            3,
            "no variable: '7'; accepted: ",
        ),
        (
            "mct_inc",
            &[b"k", b"1", b"v", b"1", b"60"],
            3,
            "no variable: 'v'; accepted: ",
        ),
        (
            "mct_get",
            &[b"k=>60", b"$v"],
            1,
            "unknown pool 'k' in 'k=>60'; accepted: ",
        ),
        (
            "mct_del",
            &[b"default=>k=>60"],
            1,
            "too many '=>' in 'default=>k=>60'; accepted: ",
        ),
        (
            "mct_del",
            &[b"default=>"],
            1,
            "no key in 'default=>'; accepted: ",
        ),
        (
            "mct_del",
            &[b"k$"],
            1,
            "invalid variable in 'k$'; accepted: ",
        ),
        ("mct_del", &[b"\xff"], 1, "invalid key '\\xff'; accepted: "),
        (
            "mct_set",
            &[b"k", b"5$"],
            2,
            "invalid variable in '5$'; accepted: ",
        ),
        ("mct_mget", &[b"k,,l"], 1, "no key in 'k,,l'; accepted: "),
        (
            "mct_prefetch",
            &[b"k,l=>60"],
            1,
            "unknown pool 'l' in 'l=>60'; accepted: ",
        ),
        ("mct_flush", &[b"$v"], 1, "unknown pool '$v'; accepted: "),
    ];
    for (name, arguments, number, why) in cases {
        assert_eq!(
            ScriptCall::parse(name, arguments).err(),
            Some(number),
            "{name} {arguments:?}"
        );
        let lines = turn.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = format!("{name}, argument {number}: {why}");
        assert!(
            lines[0].starts_with("ERROR: ") && lines[0].contains(&line),
            "{lines:?}"
        );
    }
}

#[test]
fn impossible_calls_are_refused() {
    let turn = Turn::without_server();
    turn.set_variable(b"soon");
    for (name, arguments) in [
        ("mct_add", &["k", "$n"][..]),
        ("mct_append", &["k", "$n"]),
        ("mct_set", &["k", "x", "$v"]),
        ("mct_touch", &["k", "-1"]),
        ("mct_touch", &["k", "$n"]),
        ("mct_inc", &["k", "1.5"]),
        ("mct_inc", &["k", "$n", "$w"]),
        ("mct_dec", &["k", "1", "$w", "-1", "60"]),
        ("mct_cas", &["k", "x", "$v"]),
        ("mct_get", &["$e", "$w"]),
    ] {
        turn.set('e', text(""));
        turn.set('w', text("old"));
        assert_eq!(call(name, arguments), -3, "{name} {arguments:?}");
        assert_eq!(status(), Some(Status::Refused), "{name} {arguments:?}");
        let lines = turn.lines();
        assert!(cfg!(miri) || lines.len() <= 1, "{lines:?}");
        let has_result = arguments.contains(&"$w");
        assert_eq!(
            turn.get('w'),
            if has_result { Held::Null } else { text("old") }
        );
    }
}

#[test]
fn a_result_that_is_no_variable_is_refused_before_the_server_is_asked() {
    let turn = Turn::without_server();
    turn.complete_script();
    for (name, arguments) in [
        ("mct_get", &["k", "$v"][..]),
        ("mct_gets", &["k", "$v", "$v"]),
        ("mct_inc", &["k", "1", "$v", "1", "60"]),
        ("mct_flush", &["default"]),
    ] {
        turn.set_variable(b"old");
        assert_eq!(call(name, arguments), -3, "{name}");
        assert_eq!(
            (status(), turn.get('v')),
            (Some(Status::Refused), text("old")),
            "{name}"
        );
    }
    let lines = turn.lines();
    let why = "mct_get(\"k\"): refused: the result cannot be assigned; accepted: ";
    assert!(cfg!(miri) || lines[0].contains(why), "{lines:?}");
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn a_variable_that_does_not_take_the_value_makes_the_call_refused() {
    let (address, server) = serve(&["VALUE k 1 1\r\nx\r\nEND\r\n", "END\r\n"]);
    let turn = Turn::with_servers(&address);
    assert_eq!(call("mct_get", &["k", "$f"]), -3);
    assert_eq!(status(), Some(Status::Refused));
    let lines = turn.lines();
    assert!(
        lines[0].contains("mct_get(\"k\"): refused: the result cannot be"),
        "{lines:?}"
    );
    // Of a miss there is nothing to assign.
    assert_eq!(call("mct_get", &["k", "$f"]), -1);
    assert_eq!(status(), Some(Status::Miss));
    drop(turn);
    server.join().unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn an_argument_may_be_as_long_as_any_text_of_a_message() {
    let (address, server) = serve(&["STORED\r\n"]);
    let turn = Turn::with_servers(&address);
    turn.set_variable(&[b'x'; 70_000]);
    assert_eq!(call("mct_set", &["k", "$v$v"]), -3);
    assert_eq!(status(), Some(Status::Refused));
    turn.set('v', Held::OwnText(vec![b'x'; 200_000]));
    assert_eq!(call("mct_set", &["k", "$v"]), 1);
    drop(turn);
    assert_eq!(
        server.join().unwrap()[0].len(),
        "set k 1 10800 200000\r\n\r\n".len() + 200_000
    );
}
