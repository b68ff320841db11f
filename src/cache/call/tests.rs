use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener};
use std::thread::{self, JoinHandle};

use super::*;
use crate::config::{Given, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;

/// A cache on a server that gives one reply after the other, to whatever it gets, in lines. It takes
/// `hang up` for the end of the connection.
pub(in crate::cache) struct Stage {
    pub(in crate::cache) cache: Cache,
    server: JoinHandle<Vec<String>>,
}

impl Stage {
    pub(in crate::cache) fn new(replies: &'static [&'static str]) -> Self {
        Self::with("auto", replies)
    }

    pub(in crate::cache) fn with(protocol: &str, replies: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || serve(&listener, replies));
        let mut parameters = Parameters::default();
        for (name, value) in [("servers", &*address), ("protocol", protocol)] {
            parameters.set(name, Given::Text(value)).unwrap();
        }
        let (pools, shared) = (parameters.settle(), Shared::private(1));
        let cache = Cache::new(pools, Numbers::Bits64, shared);
        Self { cache, server }
    }

    pub(in crate::cache) fn call(
        &mut self,
        verb: Verb,
        operands: &[Operand<'_>],
    ) -> (Result<Answer, Error>, String) {
        let key = self.cache.key(0, b"k", b"").unwrap();
        let mut text = Vec::new();
        let answer = self.cache.call(verb, &key, operands, &mut text);
        (answer, String::from_utf8(text).unwrap())
    }

    /// What the server has got, a line each.
    pub(in crate::cache) fn said(self) -> Vec<String> {
        drop(self.cache);
        self.server.join().unwrap()
    }
}

pub(in crate::cache) fn serve(listener: &TcpListener, replies: &[&str]) -> Vec<String> {
    let mut heard = Vec::new();
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    for reply in replies {
        if *reply == "hang up" {
            read_request(&mut stream, &mut heard);
            stream.get_ref().shutdown(Shutdown::Both).unwrap();
            stream = BufReader::new(listener.accept().unwrap().0);
            continue;
        }
        read_request(&mut stream, &mut heard);
        stream.get_mut().write_all(reply.as_bytes()).unwrap();
    }
    heard
}

pub(in crate::cache) fn read_request(
    stream: &mut BufReader<std::net::TcpStream>,
    heard: &mut Vec<String>,
) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let words = ["set ", "add ", "replace ", "append ", "prepend ", "cas "];
    if words.iter().any(|word| line.starts_with(word)) {
        stream.read_line(&mut line).unwrap();
    }
    heard.push(line.replace("\r\n", "|"));
}

pub(in crate::cache) fn text(text: &str) -> Operand<'_> {
    Some(Value::Text(text.as_bytes()))
}

pub(in crate::cache) fn number(number: i64) -> Operand<'static> {
    Some(Value::Integer(number))
}

/// One call with one reply: what is sent, and what it comes to.
#[track_caller]
fn assert_asks(
    verb: Verb,
    operands: &[Operand<'_>],
    sent: &str,
    replies: &[(&'static str, Status)],
) {
    for &(reply, status) in replies {
        let mut stage = Stage::new(Box::leak(Box::new([reply])));
        let (answer, _) = stage.call(verb, operands);
        assert_eq!(answer.unwrap().status, status, "{reply}");
        assert_eq!(stage.said(), [sent]);
    }
}

#[test]
fn an_item_is_written_as_the_name_says() {
    use Status::{Exists, Miss, NotStored, Stored};
    let stored = ("STORED\r\n", Stored);
    let not_stored = ("NOT_STORED\r\n", NotStored);
    assert_asks(Verb::Set, &[text("v")], "set k 1 10800 1|v|", &[stored]);
    let with_lifetime = [number(5), text("60")];
    assert_asks(Verb::Set, &with_lifetime, "set k 0 60 1|5|", &[stored]);
    let both = [stored, not_stored];
    assert_asks(Verb::Add, &[text("v")], "add k 1 10800 1|v|", &both);
    let for_ever = [text("v"), number(0)];
    assert_asks(Verb::Replace, &for_ever, "replace k 1 0 1|v|", &both);
    assert_asks(Verb::Append, &[text("v")], "append k 1 10800 1|v|", &both);
    assert_asks(Verb::Prepend, &[number(7)], "prepend k 0 10800 1|7|", &both);
    let cas = [stored, ("EXISTS\r\n", Exists), ("NOT_FOUND\r\n", Miss)];
    let operands = [text("v"), text("18446744073709551615"), number(9)];
    let sent = "cas k 1 9 1 18446744073709551615|v|";
    assert_asks(Verb::Cas, &operands, sent, &cas);
}

#[test]
fn an_item_is_removed_and_prolonged() {
    use Status::{Deleted, Miss, Touched};
    let deleted = [("DELETED\r\n", Deleted), ("NOT_FOUND\r\n", Miss)];
    assert_asks(Verb::Delete, &[], "delete k|", &deleted);
    assert_asks(Verb::Set, &[None], "delete k|", &deleted);
    let touched = [("TOUCHED\r\n", Touched), ("NOT_FOUND\r\n", Miss)];
    assert_asks(Verb::Touch, &[text("60")], "touch k 60|", &touched);
}

#[test]
fn an_item_is_read_with_its_version() {
    let mut stage = Stage::new(&["VALUE k 1 2 9\r\nab\r\nEND\r\n", "END\r\n"]);
    let (answer, text) = stage.call(Verb::Gets, &[]);
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.value),
        (Status::Hit, Some(Found::Text))
    );
    assert_eq!((answer.version, &*text), (Some(9), "ab"));
    let (answer, _) = stage.call(Verb::Gets, &[]);
    assert_eq!(answer.unwrap(), Answer::without_value(Status::Miss));
    assert_eq!(stage.said(), ["gets k|", "gets k|"]);
}

#[test]
fn a_counter_is_counted() {
    let mut stage = Stage::new(&["7\r\n", "NOT_FOUND\r\n", "18446744073709551615\r\n"]);
    let (answer, shown) = stage.call(Verb::Inc, &[text(" 2 ")]);
    let answer = answer.unwrap();
    assert_eq!(answer.status, Status::Counted);
    assert_eq!((answer.value, &*shown), (Some(Found::Integer(7)), "7"));
    let (answer, _) = stage.call(Verb::Dec, &[number(2)]);
    assert_eq!(answer.unwrap(), Answer::without_value(Status::Miss));
    let (answer, shown) = stage.call(Verb::Dec, &[number(-1)]);
    assert_eq!(answer.unwrap().value, Some(Found::Text));
    assert_eq!(shown, u64::MAX.to_string());
    assert_eq!(stage.said(), ["incr k 2|", "decr k 2|", "incr k 1|"]);
}

const CREATE: [Operand<'static>; 3] = [
    Some(Value::Integer(1)),
    Some(Value::Integer(5)),
    Some(Value::Integer(60)),
];

#[test]
fn a_counter_is_created_in_one_step_where_the_server_can() {
    let mut stage = Stage::new(&["MN\r\n", "VA 1\r\n5\r\n", "NS\r\n", "VA 1\r\n6\r\n"]);
    for shown in ["5", "6"] {
        let (answer, text) = stage.call(Verb::Inc, &CREATE);
        assert_eq!(answer.unwrap().status, Status::Counted);
        assert_eq!(text, shown);
    }
    let create = "ma k MI D1 J5 N60 v|";
    assert_eq!(stage.said(), ["mn|", create, create, create]);
}

#[test]
fn a_counter_is_created_in_steps_elsewhere() {
    for refusal in ["ERROR\r\n", "hang up"] {
        let replies = match refusal {
            "hang up" => &[
                "hang up",
                // The question on a fresh connection.
                "END\r\n",
                "NOT_FOUND\r\n",
                "STORED\r\n",
                "6\r\n",
            ][..],
            _ => &["ERROR\r\n", "NOT_FOUND\r\n", "STORED\r\n", "6\r\n"],
        };
        let mut stage = Stage::new(replies);
        for shown in ["5", "6"] {
            let (answer, text) = stage.call(Verb::Inc, &CREATE);
            assert_eq!(answer.unwrap().status, Status::Counted, "{refusal}");
            assert_eq!(text, shown);
        }
        let health = stage.cache.pools()[0].members()[0].health();
        assert_eq!(health.counts().2, 0, "no failure");
        let said = stage.said();
        let steps = ["incr k 1|", "add k 0 60 1|5|", "incr k 1|"];
        assert_eq!(&said[said.len() - 3..], steps, "{refusal}");
    }
}

#[test]
fn who_comes_second_counts_what_the_first_one_has_created() {
    let replies = &["NOT_FOUND\r\n", "NOT_STORED\r\n", "8\r\n"];
    let mut stage = Stage::with("classic", replies);
    let (answer, text) = stage.call(Verb::Inc, &CREATE);
    assert_eq!(answer.unwrap().status, Status::Counted);
    assert_eq!(text, "8");
    assert_eq!(stage.said(), ["incr k 1|", "add k 0 60 1|5|", "incr k 1|"]);
}

#[test]
fn a_server_that_was_replaced_is_asked_in_steps() {
    let replies = &["MN\r\n", "ERROR\r\n", "7\r\n"];
    let mut stage = Stage::new(replies);
    let (answer, text) = stage.call(Verb::Dec, &CREATE);
    assert_eq!(answer.unwrap().status, Status::Counted);
    assert_eq!(text, "7");
    assert_eq!(stage.said(), ["mn|", "ma k MD D1 J5 N60 v|", "decr k 1|"]);
    let mut stage = Stage::with("meta", &["ERROR\r\n"]);
    let (answer, _) = stage.call(Verb::Inc, &CREATE);
    assert!(matches!(answer, Err(Error::Rejected(_))), "{answer:?}");
    assert_eq!(stage.said(), ["ma k MI D1 J5 N60 v|"]);
}

#[test]
fn an_operand_that_means_nothing_is_refused() {
    let mut stage = Stage::new(&[]);
    let bad: &[(Verb, &[Operand<'_>])] = &[
        (Verb::Set, &[text("v"), text("60s")]),
        (Verb::Set, &[text("v"), number(-1)]),
        (Verb::Set, &[text("v"), None]),
        (Verb::Add, &[None]),
        (Verb::Replace, &[None]),
        (Verb::Append, &[None]),
        (Verb::Prepend, &[None]),
        (Verb::Cas, &[None, text("1")]),
        (Verb::Cas, &[text("v"), text("1x")]),
        (Verb::Cas, &[text("v"), None]),
        (Verb::Cas, &[text("v"), text("1"), text("x")]),
        (Verb::Touch, &[text("")]),
        (Verb::Touch, &[None]),
        (Verb::Inc, &[text("1.5")]),
        (Verb::Inc, &[None]),
        (Verb::Inc, &[number(1), number(-1), number(60)]),
        (Verb::Dec, &[number(1), None, number(60)]),
        (Verb::Dec, &[number(1), number(1), text("x")]),
    ];
    for &(verb, operands) in bad {
        let (answer, _) = stage.call(verb, operands);
        let is_refused = matches!(answer, Err(Error::Refused(_)));
        assert!(is_refused, "{verb:?} {operands:?}: {answer:?}");
    }
    let refused = stage.cache.pools()[0].stats().failures.of(Status::Refused);
    assert_eq!(refused, bad.len() as u64);
    assert_eq!(stage.cache.pools()[0].stats().bytes_out.value(), 0);
}
