use super::*;
use crate::error::Waiting;
use crate::item::key::WireKey;
use crate::wire::protocol::framing::{BUFFER, CHUNK, MAX_LINE};
use crate::wire::protocol::{Store, Way};

/// What comes after the last byte.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Late,
}

/// More than any value here has, but for those that are to be too long.
pub(super) const LIMIT: u32 = 1 << 30;

pub(super) fn key() -> WireKey {
    WireKey::new(b"", b"k").unwrap()
}

/// The reply to `request`, of which `bytes` arrive in pieces of the given sizes (the last one
/// repeated); the value's buffer is `value`.
fn read_into(
    request: &Request<'_>,
    mut bytes: &[u8],
    sizes: &[usize],
    end: End,
    value: &mut Vec<u8>,
) -> Result<Reply, Error> {
    let mut session = Session::new(LIMIT).unwrap();
    session.request(request).unwrap();
    let mut sizes = sizes.iter().copied();
    let mut size = usize::MAX;
    loop {
        size = sizes.next().unwrap_or(size);
        let room = session.room(value);
        let len = size.clamp(1, room.len()).min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        bytes = &bytes[len..];
        session.received(len, value);
        if len == 0 {
            return Err(match end {
                End::Closed => session.closed(),
                End::Late => session.lost(Error::Timeout(Waiting::Receive)),
            });
        }
        let reply = session.reply(value);
        let is_over = !matches!(reply, Ok(None));
        assert_eq!(
            session.is_idle(),
            is_over && !session.is_broken(),
            "{reply:?}"
        );
        let may_break = reply
            .as_ref()
            .is_err_and(|error| !error.is_refusal() || matches!(error, Error::Rejected(_)));
        assert!(may_break || !session.is_broken(), "{reply:?}");
        if let Some(reply) = reply? {
            return Ok(reply);
        }
    }
}

pub(super) fn read(request: &Request<'_>, bytes: &[u8], sizes: &[usize]) -> (String, Vec<u8>) {
    let mut value = Vec::new();
    let reply = read_into(request, bytes, sizes, End::Closed, &mut value);
    (format!("{reply:?}"), value)
}

fn get(bytes: &[u8]) -> (String, Vec<u8>) {
    read(&Request::Get { key: &key() }, bytes, &[])
}

pub(super) fn garbled(what: &str) -> String {
    format!("Err(Garbled({what:?}))")
}

#[test]
fn a_value_is_read_byte_for_byte() {
    assert_eq!(
        get(b"VALUE k 1 5\r\na\r\n\0b\r\nEND\r\n"),
        ("Ok(Item(Item { flags: 1 }))".into(), b"a\r\n\0b".into())
    );
    assert_eq!(
        get(b"VALUE k 4294967295 0\r\n\r\nEND\r\n").0,
        "Ok(Item(Item { flags: 4294967295 }))"
    );
    assert_eq!(get(b"END\r\n").0, "Ok(Miss)");
}

#[test]
fn a_value_replaces_what_the_buffer_held() {
    let mut value = b"old".to_vec();
    let bytes = b"VALUE k 0 1\r\n7\r\nEND\r\n";
    let request = Request::Get { key: &key() };
    read_into(&request, bytes, &[], End::Closed, &mut value).unwrap();
    assert_eq!(value, b"7");
}

#[test]
fn values_around_the_buffer_and_chunk_sizes_are_whole() {
    for len in [
        BUFFER - 30,
        BUFFER - 16,
        BUFFER - 15,
        BUFFER - 14,
        BUFFER,
        BUFFER + 1,
        CHUNK,
        3 * CHUNK + 7,
    ] {
        let data: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut bytes = format!("VALUE k 1 {len}\r\n").into_bytes();
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(b"\r\nEND\r\n");
        assert_eq!(
            get(&bytes),
            ("Ok(Item(Item { flags: 1 }))".into(), data),
            "{len} bytes"
        );
    }
}

#[test]
fn the_other_requests_know_their_own_words_only() {
    let key = &key();
    let store = |store| Request::Store {
        store,
        key,
        flags: 0,
        lifetime: 0,
        value: b"1",
    };
    let count = Request::Count {
        way: Way::Up,
        key,
        by: 1,
    };
    let answer = |request: &Request<'_>, bytes: &[u8]| read(request, bytes, &[]).0;
    assert_eq!(answer(&store(Store::Set), b"STORED\r\n"), "Ok(Stored)");
    assert_eq!(
        answer(&store(Store::Add), b"NOT_STORED\r\n"),
        "Ok(NotStored)"
    );
    for extends in [Store::Replace, Store::Append, Store::Prepend] {
        assert_eq!(answer(&store(extends), b"STORED\r\n"), "Ok(Stored)");
        let not_stored = answer(&store(extends), b"NOT_STORED\r\n");
        assert_eq!(not_stored, "Ok(NotStored)");
    }
    let cas = Request::Cas {
        key,
        flags: 0,
        lifetime: 0,
        version: 7,
        value: b"1",
    };
    assert_eq!(answer(&cas, b"STORED\r\n"), "Ok(Stored)");
    assert_eq!(answer(&cas, b"EXISTS\r\n"), "Ok(Exists)");
    assert_eq!(answer(&cas, b"NOT_FOUND\r\n"), "Ok(Miss)");
    let gets = Request::Gets { key };
    assert_eq!(answer(&gets, b"END\r\n"), "Ok(Miss)");
    assert_eq!(
        answer(&gets, b"VALUE k 1 2 18446744073709551615\r\nab\r\nEND\r\n"),
        "Ok(Versioned(Item { flags: 1 }, 18446744073709551615))"
    );
    for header in [
        "VALUE k 1 2",
        "VALUE k 1 2 ",
        "VALUE k 1 2 x",
        "VALUE k 1 2 7 8",
    ] {
        let bytes = format!("{header}\r\nab\r\nEND\r\n");
        let malformed = garbled("the VALUE line is malformed");
        assert_eq!(answer(&gets, bytes.as_bytes()), malformed, "{header}");
    }
    assert_eq!(
        answer(&Request::Delete { key }, b"DELETED\r\n"),
        "Ok(Deleted)"
    );
    assert_eq!(
        answer(&Request::Delete { key }, b"NOT_FOUND\r\n"),
        "Ok(Miss)"
    );
    assert_eq!(
        answer(&Request::Touch { key, lifetime: 1 }, b"TOUCHED\r\n"),
        "Ok(Touched)"
    );
    assert_eq!(
        answer(&count, b"18446744073709551615\r\n"),
        "Ok(Counted(18446744073709551615))"
    );
    assert_eq!(answer(&count, b"NOT_FOUND\r\n"), "Ok(Miss)");
    let strange = garbled("not a reply of memcached to this request");
    for (request, bytes) in [
        (store(Store::Set), &b"NOT_STORED\r\n"[..]),
        (store(Store::Set), b"END\r\n"),
        (store(Store::Set), b"NOT_FOUND\r\n"),
        (store(Store::Add), b"EXISTS\r\n"),
        (cas, b"NOT_STORED\r\n"),
        (gets, b"STORED\r\n"),
        (Request::Delete { key }, b"STORED\r\n"),
        (
            Request::Touch { key, lifetime: 1 },
            b"VALUE k 0 1\r\n1\r\nEND\r\n",
        ),
        (count, b"VALUE k 0 1\r\n1\r\nEND\r\n"),
        (Request::Get { key }, b"STORED\r\n"),
        (Request::Get { key }, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (Request::Get { key }, b"\r\n"),
    ] {
        assert_eq!(answer(&request, bytes), strange, "{request:?}");
    }
    assert_eq!(answer(&count, b"9  \r\n"), "Ok(Counted(9))");
    for bytes in [&b"18446744073709551616\r\n"[..], b"9 x\r\n"] {
        assert_eq!(answer(&count, bytes), garbled("the count is not a number"));
    }
}

#[test]
fn the_servers_own_refusals_leave_the_connection_in_step() {
    let key = &key();
    let set = Request::Store {
        store: Store::Set,
        key,
        flags: 0,
        lifetime: 0,
        value: b"1",
    };
    assert_eq!(
        read(&set, b"SERVER_ERROR object too large for cache\r\n", &[]).0,
        "Err(TooLarge(ToStore))"
    );
    assert_eq!(
        read(&set, b"SERVER_ERROR out of memory storing object\r\n", &[]).0,
        { "Err(ServerError(\"out of memory storing object\"))" }
    );
    let count = Request::Count {
        way: Way::Down,
        key,
        by: 1,
    };
    let line = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    assert_eq!(read(&count, line, &[]).0, "Err(NotANumber)");
    assert!(Error::TooLarge(TooLarge::ToStore).is_refusal() && Error::NotANumber.is_refusal());
    assert!(Error::ServerError("".into()).is_refusal());
    assert!(Error::Rejected("".into()).is_refusal());
    assert_eq!(
        get(b"SERVER_ERROR \x1b[2J\xff\r\n").0,
        r#"Err(ServerError("\\x1b[2J\\xff"))"#
    );
}

#[test]
fn errors_that_no_sane_server_sends_are_garbled() {
    for (bytes, what) in [
        (
            &b"VALUE other 0 1\r\n1\r\nEND\r\n"[..],
            "the value belongs to another key",
        ),
        (
            b"VALUE kk 0 1\r\n1\r\nEND\r\n",
            "the value belongs to another key",
        ),
        (
            b"VALUE k 0 1\r\n1\r\nVALUE k 0 1\r\n1\r\nEND\r\n",
            "the reply has more than one value",
        ),
        (
            b"VALUE k 0 1\r\n12\r\nEND\r\n",
            "the value is longer than announced",
        ),
        (b"VALUE k 0 -1\r\n", "the VALUE line is malformed"),
        (
            b"VALUE k -1 1\r\n1\r\nEND\r\n",
            "the VALUE line is malformed",
        ),
        (b"VALUE k 0\r\n", "the VALUE line is malformed"),
        (b"VALUE k 0 1 \r\n", "the VALUE line is malformed"),
        (b"VALUE k 0 1 x\r\n", "the VALUE line is malformed"),
        (b"VALUE k 0 1 2 3\r\n", "the VALUE line is malformed"),
        (b"VALUE k 0 1  2\r\n", "the VALUE line is malformed"),
        (
            b"VALUE k 0 1 18446744073709551616\r\n",
            "the VALUE line is malformed",
        ),
        (
            b"VALUE k 0 18446744073709551614\r\n",
            "the value is longer than 1 GiB",
        ),
        (
            b"VALUE k 0 1073741825\r\n",
            "the value is longer than 1 GiB",
        ),
        (b"ERRORS\r\n", "not a reply of memcached to this request"),
        (
            b"CLIENT_ERRORS x\r\n",
            "not a reply of memcached to this request",
        ),
        (
            b"VALUE k 4294967296 1\r\n1\r\nEND\r\n",
            "the VALUE line is malformed",
        ),
        (
            b"VALUE k 0 18446744073709551616\r\n",
            "the VALUE line is malformed",
        ),
        (
            b"END\r\nEND\r\n",
            "there are bytes after the end of the reply",
        ),
        (
            b"SERVER_ERROR x\r\nEND\r\n",
            "there are bytes after the end of the reply",
        ),
        (b"END\n", "a line of the reply does not end in CR LF"),
        (b"\n", "a line of the reply does not end in CR LF"),
    ] {
        assert_eq!(get(bytes).0, garbled(what), "{}", bytes.escape_ascii());
    }
    assert_eq!(
        get(&[b'x'; 100_000]).0,
        garbled("a line of the reply has no end")
    );
}

#[test]
fn a_value_may_come_with_a_version_number() {
    for version in ["0", "7", "18446744073709551615"] {
        let bytes = format!("VALUE k 1 2 {version}\r\nab\r\nEND\r\n");
        let item = ("Ok(Item(Item { flags: 1 }))".into(), b"ab".into());
        assert_eq!(get(bytes.as_bytes()), item, "{version}");
    }
}

#[test]
fn an_end_before_the_first_byte_differs_from_one_in_the_middle() {
    assert_eq!(get(b"").0, "Err(Down(Closed))");
    let whole = b"VALUE k 0 40000\r\n"
        .iter()
        .copied()
        .chain([b'x'; 40_000])
        .chain(*b"\r\nEND\r\n");
    let whole: Vec<u8> = whole.collect();
    for cut in (1..100)
        .chain([16_383, 16_384, 16_385, 40_000])
        .chain(whole.len() - 8..whole.len())
    {
        let expected = garbled("the connection was closed in the middle of a reply");
        assert_eq!(get(&whole[..cut]).0, expected, "cut after {cut}");
    }
}

#[test]
fn a_failure_to_receive_is_passed_on() {
    for bytes in [&b""[..], b"VAL", b"VALUE k 0 9\r\n123"] {
        let mut value = Vec::new();
        let request = Request::Get { key: &key() };
        let reply = read_into(&request, bytes, &[], End::Late, &mut value);
        assert!(
            matches!(reply, Err(Error::Timeout(Waiting::Receive))),
            "{reply:?}"
        );
        let arrived = bytes.strip_prefix(b"VALUE k 0 9\r\n").unwrap_or_default();
        assert_eq!(value, arrived);
    }
}

#[test]
fn a_line_has_the_same_limit_in_one_piece_and_in_many() {
    for (len, is_read) in [(MAX_LINE - 1, true), (MAX_LINE, false), (BUFFER - 2, false)] {
        let text = "x".repeat(len - "SERVER_ERROR \r".len());
        let line = format!("SERVER_ERROR {text}\r\n").into_bytes();
        for sizes in [&[][..], &[1], &[MAX_LINE - 1, 1], &[MAX_LINE, 1]] {
            let request = Request::Get { key: &key() };
            let reply = read(&request, &line, sizes).0;
            assert_eq!(
                reply != garbled("a line of the reply has no end"),
                is_read,
                "{len} {sizes:?}"
            );
        }
    }
}

#[test]
fn memory_follows_what_arrives_not_what_is_announced() {
    let mut value = Vec::new();
    let bytes = b"VALUE k 0 1073741824\r\nabc";
    let request = Request::Get { key: &key() };
    read_into(&request, bytes, &[], End::Closed, &mut value).unwrap_err();
    assert!(
        value.capacity() < 4 * CHUNK,
        "{} bytes reserved",
        value.capacity()
    );
}
