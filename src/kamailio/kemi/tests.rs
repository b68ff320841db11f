use super::*;
use crate::config::{Given, Parameters};
use crate::kamailio::fake::Turn;
use crate::kamailio::host::kemi_layout::{KEMI_INT, KEMI_NONE, KEMI_STR, KemiExport};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ptr;
use std::thread::JoinHandle;

/// What a function returns as a value.
#[derive(Debug, PartialEq)]
enum Read {
    Nothing,
    Int(c_int),
    Long(i64),
    Text(Vec<u8>),
}

fn text(text: &str) -> Read {
    Read::Text(text.into())
}

/// Calls a function of one text, or of none, that returns a value.
macro_rules! read {
    ($function:path $(, $text:expr)*) => {{
        // SAFETY: it gets what an engine would pass, and answers as an engine expects. The fake host is of
        // the family 5.7.
        unsafe {
            let answer = &*$function(ptr::null_mut() $(, &mut Str::borrowed($text.as_bytes()))*);
            match answer.kind {
                KEMI_INT => Read::Int(answer.value.n),
                KEMI_STR => Read::Text(answer.value.s.bytes().to_vec()),
                8 => Read::Long(answer.value.l),
                32 => Read::Nothing,
                kind => panic!("{kind}"),
            }
        }
    }};
}

/// Calls a function with texts, then with numbers.
macro_rules! call {
    ($function:path, [$($text:expr),*] $(, $number:expr)*) => {{
        // SAFETY: it gets what an engine would pass.
        unsafe { $function(ptr::null_mut(), $(&mut Str::borrowed($text.as_bytes())),* $(, $number)*) }
    }};
}

/// A server that answers each request with the next reply.
fn serve(replies: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut requests = Vec::new();
        for reply in replies {
            let mut request = String::new();
            stream.read_line(&mut request).unwrap();
            if ["set", "add", "rep", "app", "pre", "cas"].contains(&&request[..3]) {
                stream.read_line(&mut request).unwrap();
            }
            requests.push(request.replace("\r\n", "|"));
            stream.get_mut().write_all(reply.as_bytes()).unwrap();
        }
        requests
    });
    (address, server)
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn the_page_for_prometheus_is_a_text() {
    let _turn = Turn::without_server();
    let Read::Text(page) = read!(metrics) else {
        panic!("no text");
    };
    assert!(page.starts_with(b"# HELP kamailio_memcached_info "));
    assert_eq!(read!(status), Read::Nothing);
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn operations_send_their_request_and_return_the_number_of_the_answer() {
    use in_default_pool::*;
    let (address, server) = serve(&[
        "STORED\r\n",
        "STORED\r\n",
        "NOT_STORED\r\n",
        "STORED\r\n",
        "NOT_STORED\r\n",
        "STORED\r\n",
        "DELETED\r\n",
        "NOT_FOUND\r\n",
        "7\r\n",
        "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        "VALUE k 1 1 18446744073709551615\r\nx\r\nEND\r\n",
        "EXISTS\r\n",
        "MN\r\n",
        "VA 1 f1 c8 kk W X\r\ny\r\n",
        "HD\r\n",
        "EXISTS\r\n",
    ]);
    let _turn = Turn::with_servers(&address);
    assert_eq!(call!(sets, ["k", "$(x)=>1"]), 1);
    assert_eq!(call!(setxi, ["k"], -5, 60), 1);
    assert_eq!(call!(addxs, ["k", ""], 60), -1);
    assert_eq!(call!(replacei, ["k"], c_int::MIN), 1);
    assert_eq!(call!(append, ["k", "x"]), -1);
    assert_eq!(call!(prepend, ["k", "x"]), 1);
    assert_eq!(call!(delete, ["k"]), 1);
    assert_eq!(call!(touch, ["k"], 0), -1);
    assert_eq!(call!(inc, ["k"], 3), 1);
    assert_eq!(read!(value), Read::Int(7));
    assert_eq!(call!(dec, ["k"], -3), -3);
    assert_eq!(read!(value), Read::Nothing);
    assert_eq!(read!(status), text("not_a_number"));
    assert_eq!(call!(gets, ["k"]), 1);
    assert_eq!(read!(value), text("x"));
    assert_eq!(read!(version), text("18446744073709551615"));
    assert_eq!(call!(casx, ["k", "y", "18446744073709551615"], 60), -1);
    assert_eq!(read!(status), text("exists"));
    // What was read last stays.
    assert_eq!(
        (read!(value), read!(version)),
        (text("x"), text("18446744073709551615"))
    );
    assert_eq!(call!(lease, ["k"]), 2);
    assert_eq!((read!(value), read!(status)), (text("y"), text("lease")));
    assert_eq!(call!(invalidate, ["k"], 30), 1);
    assert_eq!(call!(sets, ["k", "z"]), -1);
    assert_eq!(
        server.join().unwrap(),
        [
            "set k 1 10800 7|$(x)=>1|",
            "set k 0 60 2|-5|",
            "add k 1 60 0||",
            "replace k 0 10800 11|-2147483648|",
            "append k 1 10800 1|x|",
            "prepend k 1 10800 1|x|",
            "delete k|",
            "touch k 0|",
            "incr k 3|",
            "incr k 3|",
            "gets k|",
            "cas k 1 60 1 18446744073709551615|y|",
            "mn|",
            "mg k N10 v f c k|",
            "md k I T30|",
            "cas k 1 10800 1 8|z|",
        ]
    );
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn reads_return_strings_numbers_or_nothing() {
    let (address, server) = serve(&[
        "VALUE k 1 3\r\na\0b\r\nEND\r\n",
        "VALUE k 0 2\r\n-7\r\nEND\r\n",
        "VALUE k 0 10\r\n2147483647\r\nEND\r\n",
        "VALUE k 0 10\r\n2147483648\r\nEND\r\n",
        "VALUE k 0 20\r\n18446744073709551615\r\nEND\r\n",
        "VALUE k 1 0\r\n\r\nEND\r\n",
        "END\r\n",
        "END\r\n",
        "VALUE k 0 1\r\n5\r\nEND\r\n",
    ]);
    let _turn = Turn::with_servers(&address);
    assert_eq!(read!(status), Read::Nothing);
    assert_eq!(read!(get, "k"), text("a\0b"));
    assert_eq!(read!(get, "k"), Read::Int(-7));
    assert_eq!(read!(get, "k"), Read::Int(c_int::MAX));
    assert_eq!(read!(get, "k"), Read::Long(2_147_483_648));
    assert_eq!(read!(value), Read::Long(2_147_483_648));
    assert_eq!(read!(get, "k"), text("18446744073709551615"));
    assert_eq!(read!(get, "k"), text(""));
    assert_eq!(read!(status), text("hit"));
    assert_eq!(read!(get, "k"), Read::Nothing);
    assert_eq!((read!(value), read!(status)), (Read::Nothing, text("miss")));
    assert_eq!(read!(gete, "k"), text(""));
    assert_eq!(read!(gete_in, "default", "k"), Read::Int(5));
    assert_eq!(server.join().unwrap().len(), 9);
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn numbers_that_a_double_cannot_hold_are_strings() {
    let (address, server) = serve(&[
        "VALUE k 0 16\r\n9007199254740992\r\nEND\r\n",
        "VALUE k 0 16\r\n9007199254740993\r\nEND\r\n",
        "VALUE k 0 17\r\n-9007199254740992\r\nEND\r\n",
        "VALUE k 0 17\r\n-9007199254740993\r\nEND\r\n",
    ]);
    let _turn = Turn::with_servers(&address);
    assert_eq!(read!(get, "k"), Read::Long(1 << 53));
    assert_eq!(read!(get, "k"), text("9007199254740993"));
    assert_eq!(read!(get, "k"), Read::Long(-1 << 53));
    assert_eq!(read!(get, "k"), text("-9007199254740993"));
    server.join().unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn a_value_that_is_out_of_date_is_returned_while_its_server_is_out() {
    let (address, server) = serve(&["VALUE k 1 3\r\nold\r\nEND\r\n"]);
    let turn = Turn::without_server();
    let mut parameters = Parameters::default();
    for (name, given) in [
        ("servers", Given::Text(&address)),
        ("near_size", Given::Number(8)),
        ("near_expire", Given::Number(1)),
        ("near_stale", Given::Number(60_000)),
        ("protocol", Given::Text("classic")),
    ] {
        parameters.set(name, given).unwrap();
    }
    turn.start(parameters.settle());
    assert_eq!((read!(get, "k"), read!(status)), (text("old"), text("hit")));
    server.join().unwrap();
    // It is fresh for a millisecond.
    while read!(status) == text("hit") {
        assert_eq!(read!(get, "k"), text("old"));
    }
    assert_eq!(read!(status), text("stale"));
    assert_eq!(read!(gete, "k"), text("old"));
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn twins_use_the_pool_that_they_name() {
    let (address, server) = serve(&["STORED\r\n", "END\r\n", "4\r\n"]);
    let turn = Turn::without_server();
    let mut parameters = Parameters::default();
    let pool = format!("name=calls;servers={address};key_prefix=c:;protocol=classic");
    parameters
        .set("servers", Given::Text("127.0.0.1:1"))
        .unwrap();
    parameters.set("pool", Given::Text(&pool)).unwrap();
    turn.start(parameters.settle());
    assert_eq!(call!(in_named_pool::setxs, ["calls", "k", "x"], 60), 1);
    assert_eq!(read!(get_in, "calls", "k"), Read::Nothing);
    assert_eq!(call!(in_named_pool::incx, ["calls", "k"], 1, 0, 60), 1);
    assert_eq!(read!(value), Read::Int(4));
    let requests = server.join().unwrap();
    assert_eq!(requests[..2], ["set c:k 1 60 1|x|", "get c:k|"]);
}

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn a_pool_is_emptied() {
    let (address, server) = serve(&["VERSION 1\r\n", "OK\r\n"]);
    let turn = Turn::without_server();
    let mut parameters = Parameters::default();
    let pool = format!("name=calls;servers={address}");
    parameters.set("pool", Given::Text(&pool)).unwrap();
    turn.start(parameters.settle());
    assert_eq!(call!(flush, ["calls"]), 1);
    assert_eq!(read!(status), text("deleted"));
    assert_eq!(server.join().unwrap()[1], "flush_all|");
}

#[test]
fn what_is_impossible_is_refused_by_name() {
    let turn = Turn::without_server();
    let refused = |answer: c_int, words: &str| {
        assert_eq!((answer, read!(status)), (-3, text("refused")));
        let lines = turn.lines();
        assert!(
            cfg!(miri) || lines.len() == 1 && lines[0].contains(words),
            "{words}: {lines:?}"
        );
    };
    let no_pool = "of pool 'nope': refused: there is no such pool; accepted: 'default', or";
    refused(
        call!(in_named_pool::sets, ["nope", "k", "v"]),
        "KSR.memcached.sets_in with pool 'nope': refused: there is no such pool",
    );
    refused(call!(flush, ["nope"]), no_pool);
    refused(
        call!(in_default_pool::seti, [""], 5),
        "KSR.memcached.seti: refused: the key is empty",
    );
    refused(
        call!(in_default_pool::touch, ["k"], -1),
        "touch of key 'k': refused: invalid lifetime",
    );
    for bad in ["", "x", "-1", "18446744073709551616", "\0"] {
        assert_eq!(call!(in_default_pool::cas, ["k", "v", bad]), -3, "{bad:?}");
    }
    assert_eq!(call!(in_default_pool::incx, ["k"], 1, -1, 60), -3);
    assert_eq!(read!(get_in, "", "k"), Read::Nothing);
    assert_eq!(read!(gete_in, "nope", "k"), text(""));
    assert_eq!(read!(status), text("refused"));
}

#[test]
fn what_is_no_text_is_empty() {
    let _turn = Turn::without_server();
    let mut nil = Str {
        s: ptr::null_mut(),
        len: 0,
    };
    // SAFETY: an engine may pass these in place of a text.
    unsafe {
        assert_eq!(bytes(&raw mut nil), b"");
        assert_eq!(bytes(ptr::null_mut()), b"");
        assert_eq!(in_default_pool::delete(ptr::null_mut(), &raw mut nil), -3);
    }
    assert_eq!(read!(status), text("refused"));
}

#[test]
fn before_the_start_nothing_works() {
    let turn = Turn::without_server();
    turn.before_start();
    assert_eq!(call!(in_default_pool::delete, ["k"]), -3);
    assert_eq!(call!(flush, ["default"]), -3);
    assert_eq!(
        (read!(get, "k"), read!(status)),
        (Read::Nothing, Read::Nothing)
    );
}

/// How a function is called, from its registered row: what it takes, and what it returns.
fn signature(row: &KemiExport, family: Family) -> String {
    let letter = |kind: c_int| match kind {
        KEMI_NONE => "",
        KEMI_INT => "i",
        KEMI_STR => "s",
        kind if kind == family.kemi_value() => "x",
        kind => panic!("{kind}"),
    };
    let takes: String = row.takes.iter().map(|&kind| letter(kind)).collect();
    format!("{takes}>{}", letter(row.returns))
}

#[test]
fn every_function_is_registered_with_the_types_that_the_host_can_call() {
    let turn = Turn::without_server();
    for family in [Family::F53, Family::F54, Family::F57, Family::F61] {
        assert!(register(family));
        let rows = turn.kemi_functions();
        assert_eq!(rows.len(), 2 * (25 + 3) + 5);
        let by_name = |wanted: &str| {
            // SAFETY: the names of the table are texts.
            let row = rows
                .iter()
                .find(|row| unsafe { row.name.bytes() } == wanted.as_bytes());
            signature(row.unwrap_or_else(|| panic!("no {wanted}")), family)
        };
        for (name, signature) in [
            ("get", "s>x"),
            ("gete_in", "ss>x"),
            ("value", ">x"),
            ("prefetch", "s>i"),
            ("flush", "s>i"),
            ("delete", "s>i"),
            ("setxs", "ssi>i"),
            ("setxi_in", "ssii>i"),
            ("incx_in", "ssiii>i"),
            ("lease", "s>i"),
            ("invalidate_in", "ssi>i"),
            ("cas", "sss>i"),
            ("casx_in", "ssssi>i"),
        ] {
            assert_eq!(by_name(name), signature, "{name}");
        }
        for row in rows {
            // SAFETY: as above.
            let (module, name) = unsafe { (row.module.bytes(), row.name.bytes()) };
            let signature = signature(row, family);
            let most = if signature.ends_with('x') { 2 } else { 5 };
            assert!(
                signature.len() - 2 <= most && module == b"memcached",
                "{name:?}"
            );
            let is_twin = name.ends_with(b"_in");
            assert!(
                !is_twin
                    || signature
                        == format!(
                            "s{}",
                            by_name(&String::from_utf8_lossy(&name[..name.len() - 3]))
                        )
            );
        }
    }
}
