use super::*;
use crate::health::diverted::Missed;
use crate::prober::rejoin::Outage;
use crate::status::Status;
use crate::wire::net::Target;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use support::Port;

fn listener() -> (TcpListener, Vec<Site>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Tcp(listener.local_addr().unwrap());
    (listener, vec![target.into()])
}

/// What a server does on one of its connections: gives one answer to each line, then closes.
type Script = &'static [&'static str];

/// The answer of a server that does nothing more on a connection, and keeps it open.
const SILENCE: &str = "silence";

/// A server that follows one script a connection, and what it hears.
fn following(scripts: &'static [Script]) -> (Vec<Site>, Receiver<String>) {
    let ((listener, sites), (tell, lines)) = (listener(), channel());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for script in scripts {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for answer in *script {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                // The test may not want to know.
                let _ = tell.send(line);
                match *answer == SILENCE {
                    true => open.push(stream.get_ref().try_clone().unwrap()),
                    false => stream.get_mut().write_all(answer.as_bytes()).unwrap(),
                }
            }
        }
        // The test holds the other end of these.
        open.iter().for_each(wait_for_end);
    });
    (sites, lines)
}

fn wait_for_end(stream: &TcpStream) {
    let _ = BufReader::new(stream).read_line(&mut String::new());
}

/// A server that gives one answer to each line, on one connection.
fn answering(answers: Script) -> Vec<Site> {
    following(vec![answers].leak()).0
}

fn key() -> WireKey {
    WireKey::new(b"", b"q").unwrap()
}

fn pinged(servers: Vec<Vec<Site>>, deadline: &Deadline) -> Vec<Result<(), Error>> {
    let servers = servers.into_iter().map(|sites| (sites, key()));
    let ends = ask(servers.collect(), &Errand::Ping, deadline).into_iter();
    ends.map(|end| end.result.map(drop)).collect()
}

fn soon(millis: u64) -> Deadline {
    Deadline::new(Moment::now(), Duration::from_millis(millis))
}

/// The server's side of the connection of a probe, after it has received the first request.
fn accept_request(listener: &TcpListener, probe: &mut Probe) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let patience = Duration::from_millis(1);
    stream.get_ref().set_read_timeout(Some(patience)).unwrap();
    while stream.read_line(&mut String::new()).is_err() {
        go_on(&mut [probe], &soon(1));
    }
    stream
}

/// The network may have lost it: the kernel would send it again for minutes after the connection is closed.
#[test]
fn what_a_probe_has_sent_in_vain_does_not_arrive_later() {
    let (listener, sites) = listener();
    let mut probe = Probe::begin(sites, key(), soon(60_000), Errand::Flush);
    let mut stream = accept_request(&listener, &mut probe);
    drop(probe);
    stream.get_ref().set_read_timeout(None).unwrap();
    let end = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_answer_that_came_while_nobody_listened_is_taken() {
    let (listener, sites) = listener();
    let mut probe = Probe::begin(sites, key(), soon(60_000), Errand::Ping);
    let mut stream = accept_request(&listener, &mut probe);
    probe.deadline = Deadline::new(probe.began(), Duration::ZERO);
    stream.get_mut().write_all(b"VERSION 1\r\n").unwrap();
    assert!(!probe.is_over(), "nobody has listened since");
    go_on(&mut [&mut probe], &soon(60_000));
    assert!(matches!(probe.end().result, Ok(Finding::Present)));
}

#[test]
fn a_silent_server_gets_more_time_once() {
    let (_listener, sites) = listener();
    let mut probe = Probe::begin(sites, key(), soon(60_000), Errand::Ping);
    probe.deadline = Deadline::new(probe.began(), Duration::ZERO);
    go_on(&mut [&mut probe], &soon(20));
    assert!(probe.is_over());
    assert!(matches!(probe.end().result, Err(Error::Timeout(_))));
}

/// The end of an errand to the server at `sites` that may take `millis`.
fn run(sites: Vec<Site>, errand: Errand, millis: u64) -> End {
    let deadline = Deadline::new(Moment::now(), Duration::from_millis(millis));
    let mut probe = Probe::begin(sites, key(), deadline, errand);
    go_on(&mut [&mut probe], &deadline);
    probe.end()
}

fn keys(keys: &[&str]) -> Errand {
    let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    Errand::Settle(Missed::Keys(keys), None)
}

#[test]
fn each_server_has_a_verdict_and_all_take_as_long_as_one() {
    let (silent, silent_target) = listener();
    let closed = Port::free();
    let closed_target: Vec<Site> = vec![Target::Tcp(closed.v4()).into()];
    let second_try = [closed_target.clone(), answering(&["VERSION 1\r\n"])].concat();
    let servers = vec![
        answering(&["VERSION 1.6.18\r\n"]),
        closed_target,
        silent_target.clone(),
        silent_target,
        answering(&["HTTP/1.1 400 Bad Request\r\n"]),
        answering(&[""]),
        vec![Target::Unix("/nowhere/at/all".into()).into()],
        vec![],
        second_try,
    ];
    let start = Moment::now();
    let deadline = Deadline::new(start, Duration::from_millis(2000));
    let results = pinged(servers, &deadline);
    assert!(Moment::now().since(start) < Duration::from_millis(10_000));
    drop(silent);
    let words = results.iter().map(|result| match result {
        Ok(()) => "ok",
        Err(error) => Status::of_error(error).word(),
    });
    let expected = [
        "ok", "down", "timeout", "timeout", "garbled", "down", "down", "down", "ok",
    ];
    assert_eq!(words.collect::<Vec<_>>(), expected);
}

#[test]
fn a_silent_address_leaves_time_for_the_next_one() {
    let (_silent, first) = listener();
    let servers = vec![[first, answering(&["VERSION 1\r\n"])].concat()];
    let results = pinged(
        servers,
        &Deadline::new(Moment::now(), Duration::from_secs(2)),
    );
    assert!(matches!(results[..], [Ok(())]), "{results:?}");
}

#[test]
fn servers_are_emptied_at_the_same_time() {
    const RAN_ON: &str = "STAT uptime 100\r\nSTAT time 100\r\nEND\r\n";
    let outage = Errand::Empty(Outage::of(Duration::from_secs(60)));
    let deadline = Deadline::new(Moment::now(), Duration::from_millis(500));
    let servers = [
        answering(&["VERSION 1\r\n", RAN_ON, "OK\r\n"]),
        answering(&["VERSION 1\r\n"]),
        answering(&["VERSION 1\r\n", RAN_ON, "ERROR\r\n"]),
        answering(&["VERSION 1\r\n", RAN_ON, "OK\r\n"]),
    ];
    let mut probes = servers.map(|sites| Probe::begin(sites, key(), deadline, outage.clone()));
    go_on(&mut probes.iter_mut().collect::<Vec<_>>(), &deadline);
    let [good, closed, unwilling, another] = probes.map(|probe| probe.end().result);
    assert!(matches!(good, Ok(Finding::Emptied)), "{good:?}");
    assert!(matches!(closed, Err(Error::Down(_))), "{closed:?}");
    assert!(
        matches!(unwilling, Err(Error::Rejected(_))),
        "{unwilling:?}"
    );
    assert!(matches!(another, Ok(Finding::Emptied)), "{another:?}");
}

#[test]
fn whoever_hangs_up_at_version_is_asked_by_get() {
    let (sites, lines) = following(&[&[""], &["END\r\n"]]);
    let end = run(sites, Errand::Ping, 5000);
    assert!(matches!(end.result, Ok(Finding::Present)));
    assert!(end.site.is_some());
    assert_eq!(
        lines.iter().collect::<Vec<_>>(),
        ["version\r\n", "get q\r\n"]
    );
    let (sites, _lines) = following(&[&[""], &[""]]);
    let end = run(sites, Errand::Ping, 5000);
    assert!(
        end.result.is_err_and(|error| error.is_hangup()),
        "only once"
    );
}

#[test]
fn whoever_is_silent_at_version_is_asked_by_get() {
    let (sites, lines) = following(&[&[SILENCE], &["END\r\n"]]);
    let end = run(sites, Errand::Ping, 1000);
    assert!(matches!(end.result, Ok(Finding::Present)));
    drop(end);
    assert_eq!(
        lines.iter().collect::<Vec<_>>(),
        ["version\r\n", "get q\r\n"]
    );
}

#[test]
fn any_complete_reply_shows_that_a_server_is_there() {
    for answer in [
        "VERSION 1\r\n",
        "ERROR\r\n",
        "ERROR Too many open connections\r\n",
        "CLIENT_ERROR not authorized\r\n",
        "SERVER_ERROR busy\r\n",
    ] {
        let end = run(answering(vec![answer].leak()), Errand::Ping, 5000);
        assert!(matches!(end.result, Ok(Finding::Present)), "{answer}");
    }
}

#[test]
fn a_server_that_requires_credentials_is_not_there_for_those_without() {
    let end = run(
        answering(&["CLIENT_ERROR unauthenticated\r\n"]),
        Errand::Ping,
        5000,
    );
    let status = end.result.as_ref().map_err(Status::of_error);
    assert_eq!(status, Err(Status::Denied));
}

#[test]
fn what_a_server_has_missed_is_deleted_key_by_key() {
    let replies: Script = &["VERSION 1\r\n", "DELETED\r\n", "NOT_FOUND\r\n"];
    let (sites, lines) = following(vec![replies].leak());
    let end = run(sites, keys(&["one", "two"]), 5000);
    assert!(matches!(end.result, Ok(Finding::Settled)));
    assert_eq!(
        lines.iter().collect::<Vec<_>>(),
        ["version\r\n", "delete one\r\n", "delete two\r\n"]
    );
    let none = run(answering(&["VERSION 1\r\n"]), keys(&[]), 5000);
    assert!(matches!(none.result, Ok(Finding::Settled)));
}

#[test]
fn a_server_that_has_missed_too_much_is_emptied() {
    let (sites, lines) = following(&[&["VERSION 1\r\n", "OK\r\n"]]);
    let end = run(sites, Errand::Settle(Missed::Many, None), 5000);
    assert!(matches!(end.result, Ok(Finding::Settled)));
    assert_eq!(
        lines.iter().collect::<Vec<_>>(),
        ["version\r\n", "flush_all\r\n"]
    );
}

#[test]
fn a_refusal_to_make_up_for_writes_is_told_in_the_servers_words() {
    const NO: &str = "CLIENT_ERROR flush_all not allowed\r\n";
    for errand in [Errand::Settle(Missed::Many, None), keys(&["one"])] {
        let end = run(answering(&["VERSION 1\r\n", NO]), errand, 5000);
        assert!(
            matches!(&end.result, Err(Error::Rejected(words)) if **words == *NO.trim_end()),
            "{:?}",
            end.result
        );
        assert!(matches!(end.errand, Errand::Settle(..)), "to be put back");
    }
}

/// A server that hangs up at `version` is asked to settle by another way, too.
#[test]
fn an_errand_goes_on_after_a_greeting_by_get() {
    let (sites, lines) = following(&[&[""], &["ERROR\r\n", "DELETED\r\n"]]);
    let end = run(sites, keys(&["one"]), 5000);
    assert!(
        matches!(end.result, Ok(Finding::Settled)),
        "{:?}",
        end.result
    );
    assert_eq!(
        lines.iter().collect::<Vec<_>>(),
        ["version\r\n", "get q\r\n", "delete one\r\n"]
    );
}
