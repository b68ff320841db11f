//! Answers that no memcached should give: each is noticed, named in `$mcst`, and never becomes
//! the answer to anything else.
//!
//! A row of the table is an answer and what each operation makes of it. The key asked for names
//! the row, so one server and one Kamailio serve the whole table; every other key is answered as
//! memcached would. What was received on which connection shows whether it was kept.

use std::io;

use support::{Connection, FaultyServer, Kamailio, wait};

use super::operation::{Operation, assert_next_is_answered, scripts};

/// An answer: `KEY` stands for the key asked for, `TWIN` for another of its length, `GOOD` for the
/// proper answer.
struct Row {
    answer: Vec<u8>,
    /// What `$mcst` says after get, set, delete, incr and touch.
    words: [&'static str; 5],
}

fn row(answer: impl AsRef<[u8]>, words: [&'static str; 5]) -> Row {
    Row {
        answer: answer.as_ref().to_vec(),
        words,
    }
}

fn garbled(answer: impl AsRef<[u8]>) -> Row {
    row(answer, ["garbled"; 5])
}

impl Row {
    fn bytes(&self, operation: Operation, key: &str) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&self.answer) else {
            return self.answer.clone();
        };
        let text = text.replace("GOOD", &operation.reply(key));
        let twin = key.replace("row", "wor");
        text.replace("KEY", key).replace("TWIN", &twin).into_bytes()
    }

    /// Whether the connection may serve on: the answer was read to its end, and the server reads
    /// on. After a refused set it may take the value for requests, and after an `ERROR` that has a
    /// reason it hangs up.
    fn keeps(&self, operation: Operation, word: &str) -> bool {
        match word {
            "garbled" => false,
            "rejected" => operation != Operation::Set && !self.answer.starts_with(b"ERROR "),
            _ => true,
        }
    }

    /// How often the operation is asked for. After nonsense, what may be repeated is asked on a
    /// fresh connection once more.
    fn times(operation: Operation, word: &str) -> usize {
        1 + usize::from(word == "garbled" && operation.is_repeatable())
    }
}

/// Serves each row's key by `fault`, all others as memcached would.
fn serve(
    fault: impl Fn(&mut Connection, usize, Operation, &str) -> io::Result<()> + Send + Sync + 'static,
) -> FaultyServer {
    FaultyServer::start(move |connection| {
        loop {
            let request = connection.request()?;
            let (operation, key) = Operation::read(&request);
            match key.strip_prefix("row-").map(str::parse) {
                Some(row) => fault(connection, row.expect("a number"), operation, &key)?,
                None => connection.send(operation.reply(&key))?,
            }
        }
    })
}

fn start(server: &FaultyServer) -> Kamailio {
    let builder = Kamailio::builder().param("servers", server.address());
    scripts(builder.without_verdicts()).start()
}

fn assert_table(table: Vec<Row>) {
    let rows = std::sync::Arc::new(table);
    let served = std::sync::Arc::clone(&rows);
    let server = serve(move |connection, row, operation, key| {
        connection.send(served[row].bytes(operation, key))
    });
    let kamailio = start(&server);
    let workers = kamailio.workers();
    for (number, row) in rows.iter().enumerate() {
        let key = format!("row-{number}");
        for (operation, word) in Operation::ALL.into_iter().zip(row.words) {
            let answer = operation.launch(&kamailio, &key).wait();
            let shown = row.answer[..row.answer.len().min(80)].escape_ascii();
            let what = format!("{} answered by \"{shown}\"", operation.verb());
            assert_eq!(answer["$var(word)"], word, "{what}");
            assert!(answer["$avp(got)"].is_null() || word == "hit", "{what}");
            assert_next_is_answered(&answer, &what);
            let (asked, kept) = operation.requests(&server, &key);
            let expected = (Row::times(operation, word), row.keeps(operation, word));
            assert_eq!((asked, kept), expected, "{what}");
        }
    }
    assert_eq!(kamailio.workers(), workers);
    wait::until("one connection", wait::WAIT_LIMIT, || server.open() == 1);
}

#[test]
fn a_proper_answer_to_something_else_is_no_answer() {
    let words = |at: usize, word: &'static str| {
        let mut words = ["garbled"; 5];
        words[at] = word;
        words
    };
    assert_table(vec![
        row("GOOD", Operation::ALL.map(Operation::word)),
        row("END\r\n", words(0, "miss")),
        row("STORED\r\n", words(1, "stored")),
        row("DELETED\r\n", words(2, "deleted")),
        row("43\r\n", words(3, "counted")),
        row("TOUCHED\r\n", words(4, "touched")),
        row(
            "NOT_FOUND\r\n",
            ["garbled", "garbled", "miss", "miss", "miss"],
        ),
        garbled("NOT_STORED\r\n"),
        garbled("EXISTS\r\n"),
        garbled("OK\r\n"),
        garbled("MN\r\n"),
        garbled("VERSION 1.6.18\r\n"),
        garbled("VALUE other 1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE TWIN 1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE KEYs 1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE row 1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE  1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE other 1 5\r\nwrong\r\nGOOD"),
        garbled("VALUE KEY 1 5\r\nhello\r\nVALUE other 1 5\r\nwrong\r\nEND\r\n"),
        garbled("VALUE KEY 1 5\r\nhello\r\nVALUE KEY 1 5\r\nhello\r\nEND\r\n"),
        garbled("VA 5 f1\r\nhello\r\n"),
        garbled("HD\r\n"),
    ]);
}

#[test]
fn refusals_are_told_from_nonsense() {
    let error = ["server_error"; 5];
    let mut too_large = error;
    too_large[1] = "too_large";
    let rejected = ["rejected"; 5];
    let mut no_number = rejected;
    no_number[3] = "not_a_number";
    // The rest may be what the server says to the value, which it takes for a request.
    let mut with_rest = ["garbled"; 5];
    with_rest[1] = "rejected";
    assert_table(vec![
        row("SERVER_ERROR out of memory storing object\r\n", error),
        row("SERVER_ERROR \x07\x1b[31m\r\n", error),
        row("SERVER_ERROR\r\n", error),
        row("SERVER_ERROR object too large for cache\r\n", too_large),
        row(
            "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
            no_number,
        ),
        row("CLIENT_ERROR bad command line format\r\n", no_number),
        row("CLIENT_ERROR bad data chunk\r\nERROR\r\n", with_rest),
        row("CLIENT_ERROR not now\r\n", no_number),
        row("ERROR\r\n", rejected),
        row("ERROR Too many open connections\r\n", rejected),
        garbled("SERVER_ERROR out of memory\r\nGOOD"),
    ]);
}

#[test]
fn nonsense_is_garbled_at_once() {
    let mut table: Vec<Row> = [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "SIP/2.0 200 OK\r\n\r\n",
        "-ERR unknown command\r\n",
        "\r\n",
        "\n",
        "\0\r\n",
        "END\n",
        "STORED\n",
        "DELETED\n",
        "42\n",
        "TOUCHED\n",
        "\r\nGOOD",
        " GOOD",
        "GOOD\r\n",
        "GOOD ",
        "GOODGOOD",
        "GOODEND\r\n",
        "GOODERROR\r\n",
        "end\r\n",
        "stored\r\n",
        "42a\r\n",
        "-1\r\n",
        "4 2\r\n",
        "0x2a\r\n",
        "18446744073709551616\r\n",
    ]
    .map(garbled)
    .into();
    table.push(garbled(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\xff"));
    table.push(garbled(vec![b'x'; 100_000]));
    table.push(garbled(vec![b'1'; 100_000]));
    table.push(garbled(
        ["VALUE KEY 1 ".into(), "0".repeat(100_000)].concat(),
    ));
    assert_table(table);
}

#[test]
fn impossible_lengths_and_flags_are_garbled_before_memory_is_touched() {
    let lengths = [
        "-1",
        "-9223372036854775808",
        "1073741825",
        "2000000000",
        "2147483648",
        "4294967295",
        "4294967301",
        "9223372036854775807",
        "18446744073709551614",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999999999999",
        "",
        " 5",
        "+5",
        "5 ",
        "5x",
        "0x5",
        "5.0",
        "4",
        "6",
        "5 5 5",
    ];
    let with_length = |length| garbled(format!("VALUE KEY 1 {length}\r\nhello\r\nEND\r\n"));
    let flags = ["-1", "4294967296", "18446744073709551617", "", "x", "1.0"];
    let with_flags = |flags| garbled(format!("VALUE KEY {flags} 5\r\nhello\r\nEND\r\n"));
    let table: Vec<Row> = lengths
        .map(with_length)
        .into_iter()
        .chain(flags.map(with_flags))
        .collect();
    assert_table(table);
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_was_announced() {
    let server = serve(|connection, length, _, key| {
        connection.send(format!("VALUE {key} 1 {length}\r\nhello"))?;
        connection.hang_up()
    });
    let builder = Kamailio::builder().param("servers", server.address());
    let builder = builder.without_verdicts().param("value_limit", 1 << 30);
    let kamailio = scripts(builder).start();
    Operation::Get.launch(&kamailio, "warm-up").wait();
    let worker = kamailio.workers()[0];
    let before = worker.anonymous_kib();
    // Results of reads are kept for a while, so do it more often than that.
    for length in [1_000_000_000, 1_073_741_824, 2_000_000_000].repeat(20) {
        let answer = Operation::Get
            .launch(&kamailio, &format!("row-{length}"))
            .wait();
        assert_eq!(answer["$var(word)"], "garbled");
        assert_next_is_answered(&answer, "a false announcement");
    }
    let grown = worker.anonymous_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "grown by {grown} KiB");
}

/// What follows the bytes that are sent.
type End = fn(&mut Connection) -> io::Result<()>;

fn assert_cut(end: End) {
    let server = serve(move |connection, at, operation, key| {
        connection.send(&operation.reply(key).as_bytes()[..at])?;
        end(connection)?;
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let kamailio = start(&server);
    let workers = kamailio.workers();
    Operation::Get.launch(&kamailio, "warm-up").wait();
    for operation in Operation::ALL {
        let whole = operation.reply("row-00").len();
        for at in 0..=whole {
            let key = format!("row-{at:02}");
            let answer = operation.launch(&kamailio, &key).wait();
            let what = format!("{} cut after {at} of {whole} bytes", operation.verb());
            let word = match at {
                0 => "down",
                _ if at == whole => operation.word(),
                _ => "garbled",
            };
            assert_eq!(answer["$var(word)"], word, "{what}");
            assert_next_is_answered(&answer, &what);
            // A connection that has failed is not the server: it is asked on another one.
            let again = at < whole && operation.is_repeatable();
            let (asked, used_again) = operation.requests(&server, &key);
            assert_eq!(asked, if again { 2 } else { 1 }, "{what}");
            assert!(!used_again, "{what}");
        }
    }
    assert_eq!(kamailio.workers(), workers);
}

#[test]
fn an_answer_that_is_cut_anywhere_is_no_answer() {
    assert_cut(|connection| connection.hang_up());
}

#[test]
fn a_reset_anywhere_in_an_answer_leaves_no_answer() {
    assert_cut(|connection| connection.reset());
}
