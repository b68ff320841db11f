use super::*;
use crate::wire::session::Session;

const OUTAGE: Outage = Outage {
    lasted: 60,
    began: 1_000_000,
};

fn key() -> WireKey {
    WireKey::new(b"", b"q").unwrap()
}

fn talk(errand: Errand, answers: &[&str]) -> (Vec<String>, Option<Option<Finding>>) {
    talk_on(Questions::new(errand, key(), false), answers)
}

/// What is sent to a server that gives these answers, which arrive byte by byte, and how that
/// ends: by a finding, with another request, or in an error.
fn talk_on(mut questions: Questions, answers: &[&str]) -> (Vec<String>, Option<Option<Finding>>) {
    let (mut session, mut said) = (Session::new(100).unwrap(), Vec::new());
    questions.ask(|request| session.request(request)).unwrap();
    for answer in answers {
        if !session.unsent().is_empty() {
            said.push(String::from_utf8(session.unsent().to_vec()).unwrap());
        }
        session.note_sent(session.unsent().len());
        let (answer, text) = match hear(&mut session, answer) {
            Ok((reply, text)) => (Ok(reply), text),
            Err(error) if error.is_refusal() => (Err(error), Vec::new()),
            Err(_) => return (said, None),
        };
        match questions.take(answer, &text) {
            Ok(Next::Ask) => questions.ask(|request| session.request(request)).unwrap(),
            Ok(Next::Wait) => {}
            Ok(Next::Done(finding)) => return (said, Some(Some(finding))),
            Err(_) => return (said, None),
        }
    }
    if !session.unsent().is_empty() {
        said.push(String::from_utf8(session.unsent().to_vec()).unwrap());
    }
    (said, Some(None))
}

/// The reply that these bytes make, one after the other.
fn hear(session: &mut Session, answer: &str) -> Result<(Reply, Vec<u8>), Error> {
    let mut text = Vec::new();
    for byte in answer.bytes() {
        session.room(&mut text)[0] = byte;
        session.received(1, &mut text);
        if let Some(reply) = session.reply(&mut text)? {
            return Ok((reply, text));
        }
    }
    Err(session.closed())
}

const VERSION: &str = "VERSION 1.6.18\r\n";

fn stats(uptime: u64, time: u64) -> String {
    format!("STAT pid 1\r\nSTAT uptime {uptime}\r\nSTAT time {time}\r\nEND\r\n")
}

#[test]
fn who_was_not_away_is_asked_for_the_version_alone() {
    let (said, end) = talk(Errand::Ping, &[VERSION]);
    assert_eq!(said, ["version\r\n"]);
    assert_eq!(end, Some(Some(Finding::Present)));
    for strange in ["HTTP/1.1 400\r\n", "VERSIONS\r\n", "ERRORS\r\n"] {
        assert_eq!(talk(Errand::Ping, &[strange]).1, None, "{strange}");
    }
    for refusal in ["ERROR\r\n", "CLIENT_ERROR x\r\n", "SERVER_ERROR x\r\n"] {
        let end = talk(Errand::Ping, &[refusal]).1;
        assert_eq!(end, Some(Some(Finding::Present)), "{refusal}");
    }
}

#[test]
fn an_operator_asks_after_the_greeting() {
    let stats = "STAT pid 1\r\nEND\r\n";
    for (errand, request, answer, finding) in [
        (Errand::Stats, "stats\r\n", stats, Finding::Told),
        (Errand::Settings, "stats settings\r\n", stats, Finding::Told),
        (Errand::Flush, "flush_all\r\n", "OK\r\n", Finding::Emptied),
    ] {
        let (said, end) = talk(errand.clone(), &[VERSION, answer]);
        assert_eq!(said, ["version\r\n", request]);
        assert_eq!(end, Some(Some(finding)));
        assert_eq!(talk(errand.clone(), &[VERSION, "ERROR\r\n"]).1, None);
        assert_eq!(talk(errand, &["ERROR\r\n", answer]).1, Some(Some(finding)));
    }
    let mut questions = Questions::new(Errand::Stats, key(), false);
    questions.take(Ok(Reply::Text), b"1.6\x1b").unwrap();
    questions.take(Ok(Reply::Text), b"pid 1\n").unwrap();
    assert_eq!(
        (questions.version(), questions.told()),
        ("1.6\\x1b", "pid 1\n")
    );
}

#[test]
fn a_server_that_ran_on_is_emptied() {
    let before = stats(100, 1_000_060);
    // Its clocks stood still as it did.
    let frozen = stats(10, 999_999);
    // Its time of day is ahead of ours.
    let ahead = stats(100, 2_000_000);
    // And behind it: it may have been restarted, but that is not certain.
    let behind = stats(10, 900_000);
    for stats in [before, frozen, ahead, behind] {
        let (said, end) = talk(Errand::Empty(OUTAGE), &[VERSION, &stats, "OK\r\n"]);
        assert_eq!(said, ["version\r\n", "stats\r\n", "flush_all\r\n"]);
        assert_eq!(end, Some(Some(Finding::Emptied)));
    }
}

#[test]
fn a_server_that_was_restarted_is_not() {
    let (said, end) = talk(Errand::Empty(OUTAGE), &[VERSION, &stats(3, 1_000_060)]);
    assert_eq!(said, ["version\r\n", "stats\r\n"]);
    assert_eq!(end, Some(Some(Finding::Restarted)));
}

#[test]
fn a_server_that_cannot_be_emptied_is_no_good() {
    let ran_on = stats(100, 1_000_060);
    let strange = [
        [VERSION, "ERROR\r\n", ""],
        [VERSION, "STAT pid 1\r\nEND\r\n", ""],
        [VERSION, "STAT uptime x\r\nSTAT time 1\r\nEND\r\n", ""],
        [VERSION, &ran_on, "ERROR\r\n"],
        [VERSION, &ran_on, "OK OK\r\n"],
    ];
    for answers in strange {
        let answers: Vec<&str> = answers.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(talk(Errand::Empty(OUTAGE), &answers).1, None, "{answers:?}");
    }
    let endless = format!("VERSION {}", "1".repeat(64 * 1024));
    assert_eq!(talk(Errand::Ping, &[&endless]).1, None);
    let endless = "STAT pid 1\r\n".repeat(64 * 1024);
    assert_eq!(talk(Errand::Empty(OUTAGE), &[VERSION, &endless]).1, None);
}

#[test]
fn a_greeting_may_be_any_request_that_every_server_knows() {
    let questions = Questions::new(Errand::Empty(OUTAGE), key(), true);
    assert!(!questions.asks_for_version());
    let restarted = stats(3, 1_000_060);
    for greeting in ["END\r\n", "VALUE q 0 1\r\nx\r\nEND\r\n", "ERROR\r\n"] {
        let questions = Questions::new(Errand::Empty(OUTAGE), key(), true);
        let (said, end) = talk_on(questions, &[greeting, &restarted]);
        assert_eq!(said, ["get q\r\n", "stats\r\n"]);
        assert_eq!(end, Some(Some(Finding::Restarted)), "{greeting}");
    }
}

#[test]
fn missed_writes_are_made_up_for() {
    let keys = || Errand::Settle(Missed::Keys(vec![b"a".into(), b"b".into()]), None);
    let (said, end) = talk(keys(), &[VERSION, "DELETED\r\n", "NOT_FOUND\r\n"]);
    assert_eq!(said, ["version\r\n", "delete a\r\ndelete b\r\n"]);
    assert_eq!(end, Some(Some(Finding::Settled)));
    let (_, end) = talk(keys(), &[VERSION, "DELETED\r\n"]);
    assert_eq!(end, Some(None), "not before the last one is answered");
    for bad in ["ERROR\r\n", "SERVER_ERROR x\r\n", "STORED\r\n"] {
        assert_eq!(talk(keys(), &[VERSION, "DELETED\r\n", bad]).1, None);
    }
    let (said, end) = talk(Errand::Settle(Missed::Many, None), &["ERROR\r\n", "OK\r\n"]);
    assert_eq!(said, ["version\r\n", "flush_all\r\n"]);
    assert_eq!(end, Some(Some(Finding::Settled)));
}

#[test]
fn a_server_that_was_restarted_has_nothing_to_make_up_for() {
    let errand = || Errand::Settle(Missed::Many, Some(OUTAGE));
    let (said, end) = talk(errand(), &[VERSION, &stats(3, 1_000_060)]);
    assert_eq!(said, ["version\r\n", "stats\r\n"]);
    assert_eq!(end, Some(Some(Finding::Settled)));
    let without_uptime = "STAT pid 1\r\nEND\r\n";
    for stats in [&stats(100, 1_000_060), without_uptime] {
        let (said, end) = talk(errand(), &[VERSION, stats, "OK\r\n"]);
        assert_eq!(said[2], "flush_all\r\n");
        assert_eq!(end, Some(Some(Finding::Settled)));
    }
}

#[test]
fn an_outage_begins_as_long_ago_as_it_has_lasted() {
    let (now, hour) = (
        Outage::of(Duration::ZERO),
        Outage::of(Duration::from_secs(3600)),
    );
    assert_eq!((now.lasted, hour.lasted), (0, 3600));
    assert!(
        (3600..3605).contains(&(now.began - hour.began + 1)),
        "{now:?} {hour:?}"
    );
}
