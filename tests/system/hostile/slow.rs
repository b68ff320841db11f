//! A server that is silent, slow, or cannot be connected costs an operation its `timeout` and
//! not a moment more; one that is slow within it costs nothing.
//!
//! That is an operation that asks: what others make of it meanwhile is not the subject here.

use std::io;
use std::time::Duration;

use support::{Answer, Builder, Connection, DeafServer, FaultyServer, Kamailio, Run};

use super::operation::{Operation, assert_next_is_answered, scripts, value};

const TIMEOUT: Duration = Duration::from_millis(600);

/// By how much a busy machine may be late; still far from a second `TIMEOUT` for each fault.
const LATE: Duration = Duration::from_millis(550);

/// What the server does about one request.
type Fault = fn(&mut Connection, &str) -> io::Result<()>;

/// Has `fault` happen to every request for the key `slow`, answering all others.
fn serve(fault: Fault) -> FaultyServer {
    FaultyServer::start(move |connection| {
        loop {
            let (operation, key) = Operation::read(&connection.request()?);
            match &key[..] {
                "slow" => fault(connection, &operation.reply(&key))?,
                _ => connection.send(operation.reply(&key))?,
            }
        }
    })
}

/// One worker for each operation, so that all of them wait at the same time.
fn start(address: &str, timeout: Duration) -> Kamailio {
    let millis = i64::try_from(timeout.as_millis()).expect("short");
    let builder: Builder = Kamailio::builder()
        .param("servers", address)
        .param("timeout", millis)
        .without_verdicts()
        .children(Operation::ALL.len());
    scripts(builder).start()
}

/// What each operation came to for `key`.
fn run_all(kamailio: &Kamailio, key: &str) -> Vec<(Operation, Answer)> {
    let launch = |operation: Operation| (operation, operation.launch(kamailio, key));
    let runs: Vec<(Operation, Run)> = Operation::ALL.map(launch).into();
    let wait = |(operation, run): (Operation, Run)| (operation, run.wait());
    runs.into_iter().map(wait).collect()
}

#[track_caller]
fn assert_bounded(answer: &Answer, times: u32, what: &str) {
    let (least, elapsed) = (TIMEOUT * times, answer.elapsed());
    assert!(elapsed >= least, "{what} gave up after {elapsed:?}");
    assert!(elapsed < least + LATE * times, "{what} took {elapsed:?}");
}

/// Every operation ends at its deadline, and the connection with it.
#[track_caller]
fn assert_times_out(fault: Fault) {
    let server = serve(fault);
    let kamailio = start(&server.address(), TIMEOUT);
    let workers = kamailio.workers();
    for (operation, answer) in run_all(&kamailio, "slow") {
        let what = operation.verb();
        assert_eq!(answer["$var(word)"], "timeout", "{what}");
        assert!(answer["$avp(got)"].is_null(), "{what}");
        assert_next_is_answered(&answer, what);
        assert_bounded(&answer, 1, what);
    }
    assert_eq!(kamailio.workers(), workers);
    for operation in Operation::ALL {
        let (asked, used_again) = operation.requests(&server, "slow");
        assert_eq!((asked, used_again), (1, false), "{}", operation.verb());
    }
}

#[test]
fn silence_ends_at_the_deadline() {
    assert_times_out(|connection, _| connection.silence());
}

#[test]
fn a_byte_now_and_then_does_not_move_the_deadline() {
    assert_times_out(|connection, reply| {
        connection.drip(reply, Duration::from_millis(190))?;
        connection.silence()
    });
}

#[test]
fn many_bytes_of_an_endless_answer_do_not_move_the_deadline() {
    assert_times_out(|connection, reply| {
        let (line, _) = reply.split_once("\r\n").expect("a line");
        let endless = match line.starts_with("VALUE") {
            true => "VALUE slow 1 30000000\r\n",
            false => line,
        };
        connection.send(endless)?;
        loop {
            connection.drip("\0", Duration::from_millis(1))?;
        }
    });
}

#[test]
fn an_answer_without_its_last_byte_ends_at_the_deadline() {
    assert_times_out(|connection, reply| {
        connection.send(&reply[..reply.len() - 1])?;
        connection.silence()
    });
}

#[test]
fn nonsense_without_a_line_end_is_waited_for_no_longer() {
    assert_times_out(|connection, _| {
        connection.send("\x16\x03\x01")?;
        connection.silence()
    });
}

#[test]
fn an_answer_that_comes_too_late_reaches_nobody() {
    assert_times_out(|connection, reply| {
        // Until the client has gone, or asks for something else.
        let _ = connection.some();
        connection.send(reply)?;
        connection.send(Operation::Get.reply("next").replace("of next", "spoiled"))
    });
}

#[test]
fn a_port_that_neither_accepts_nor_refuses_is_a_timeout() {
    let deaf = DeafServer::start();
    let kamailio = start(&deaf.address(), TIMEOUT);
    for (operation, answer) in run_all(&kamailio, "slow") {
        let what = operation.verb();
        assert_eq!(answer["$var(word)"], "timeout", "{what}");
        assert_eq!(answer["$mcst"], "timeout", "{what}");
        assert!(answer["$avp(next)"].is_null(), "{what}");
        assert_bounded(&answer, 2, what);
    }
}

#[test]
fn slow_is_not_too_slow() {
    let server = serve(|connection, reply| {
        // As after a slow accept: nothing at first, and then all in little pieces.
        connection.wait(Duration::from_millis(150))?;
        connection.drip(reply, Duration::from_millis(3))
    });
    let kamailio = start(&server.address(), Duration::from_secs(20));
    for (operation, answer) in run_all(&kamailio, "slow") {
        let what = operation.verb();
        assert_eq!(answer["$var(word)"], operation.word(), "{what}");
        let got = &answer["$avp(got)"];
        assert!(got.is_null() || *got == value("slow"), "{what}: {got:?}");
        assert_next_is_answered(&answer, what);
        assert!(answer.elapsed() >= Duration::from_millis(150), "{what}");
    }
    assert_eq!(server.connections(), 5);
}
