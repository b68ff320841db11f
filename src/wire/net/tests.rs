use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Instant;

use support::{Port, Scratch};

use crate::clock::{Deadline, Moment};

fn in_time(millis: u64) -> WaitBudget<'static> {
    let deadline = Deadline::new(Moment::now(), Duration::from_millis(millis));
    WaitBudget::until(Box::leak(Box::new(deadline)))
}

fn target(listener: &TcpListener) -> Target {
    Target::Tcp(listener.local_addr().unwrap())
}

fn connect(target: Target, budget: &WaitBudget<'_>) -> Result<Stream, Error> {
    Ok(Stream::connect(&[target], budget)?.0)
}

#[test]
fn bytes_go_both_ways_and_an_end_is_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let deadline = in_time(5000);
    let mut stream = connect(target(&listener), &deadline).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert!(stream.is_idle());
    stream.send(b"ping", &deadline).unwrap();
    let mut got = [0; 4];
    peer.read_exact(&mut got).unwrap();
    peer.write_all(b"pong").unwrap();
    assert_eq!(stream.receive(&mut got, &deadline).unwrap(), 4);
    assert_eq!(&got, b"pong");
    drop(peer);
    assert_eq!(stream.receive(&mut got, &deadline).unwrap(), 0);
    assert!(!stream.is_idle());
}

#[test]
fn silence_ends_at_the_deadline_and_not_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for millis in [20, 40] {
        let mut stream = connect(target(&listener), &in_time(5000)).unwrap();
        let start = Instant::now();
        let deadline = in_time(millis);
        if millis == 40 {
            stream.begin();
        }
        let error = stream.receive(&mut [0; 9], &deadline).unwrap_err();
        assert!(
            matches!(error, Error::Timeout(Waiting::Receive)),
            "{error:?}"
        );
        assert!(start.elapsed() >= Duration::from_millis(millis));
    }
}

/// The process may have been stopped meanwhile.
#[test]
fn after_the_deadline_what_is_there_is_received_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = connect(target(&listener), &in_time(5000)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(&[b'x'; 1000]).unwrap();
    while stream.is_idle() {
        std::thread::yield_now();
    }
    let a_minute_ago = Moment::now() - Duration::from_secs(60);
    let deadline = Deadline::new(a_minute_ago, Duration::from_secs(1));
    let budget = WaitBudget::until(&deadline);
    assert_eq!(stream.receive(&mut [0; 1], &budget).unwrap(), 1);
    budget.note_progress();
    let error = stream.receive(&mut [0; 1], &budget).unwrap_err();
    assert!(
        matches!(error, Error::Timeout(Waiting::Receive)),
        "{error:?}"
    );
}

#[test]
fn a_stream_that_spins_receives_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let deadline = in_time(5000);
    let mut stream = connect(target(&listener), &deadline).unwrap();
    stream.spin_within(Some(Duration::from_secs(1)));
    let (mut peer, _) = listener.accept().unwrap();
    for count in 0..20_u8 {
        let deadline = in_time(5000);
        stream.begin();
        let late = std::thread::spawn({
            let mut peer = peer.try_clone().unwrap();
            move || {
                std::thread::sleep(Duration::from_millis(1));
                peer.write_all(&[count]).unwrap();
            }
        });
        let mut got = [0; 4];
        assert_eq!(stream.receive(&mut got, &deadline).unwrap(), 1);
        assert_eq!(got[0], count);
        late.join().unwrap();
    }
    let spins = stream.spin.as_ref().unwrap();
    assert!(spins.goes_on(Moment::now(), Moment::now()));
    peer.write_all(b"x").unwrap();
    drop(peer);
    for left in [1, 0] {
        stream.begin();
        assert_eq!(stream.receive(&mut [0; 4], &deadline).unwrap(), left);
    }
}

#[test]
fn a_stream_that_spins_sleeps_when_its_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = connect(target(&listener), &in_time(5000)).unwrap();
    stream.spin_within(Some(Duration::from_micros(1)));
    let start = Instant::now();
    stream.begin();
    let error = stream.receive(&mut [0; 9], &in_time(20)).unwrap_err();
    assert!(
        matches!(error, Error::Timeout(Waiting::Receive)),
        "{error:?}"
    );
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_unix_socket_is_waited_for_like_another_one_asked_again_or_not() {
    let scratch = Scratch::new();
    let file = scratch.join("socket");
    for (limit, spins) in [(None, true), (Some(Duration::ZERO), false)] {
        let listener = UnixListener::bind(&file).unwrap();
        let path = Target::Unix(file.display().to_string());
        let mut stream = connect(path, &in_time(5000)).unwrap();
        stream.spin_within(limit);
        assert_eq!(stream.spin.is_some(), spins);
        let (mut peer, _) = listener.accept().unwrap();
        std::fs::remove_file(&file).unwrap();
        let mut got = [0; 4];
        // So many good answers make it ask again.
        for count in 0..20_u8 {
            peer.write_all(&[count]).unwrap();
            stream.begin();
            assert_eq!(stream.receive(&mut got, &in_time(5000)).unwrap(), 1);
            assert_eq!(got[0], count);
        }
        let start = Instant::now();
        stream.begin();
        let error = stream.receive(&mut got, &in_time(20)).unwrap_err();
        assert!(
            matches!(error, Error::Timeout(Waiting::Receive)),
            "{error:?}"
        );
        assert!(start.elapsed() >= Duration::from_millis(20));
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            peer.write_all(b"late").unwrap();
        });
        stream.begin();
        assert_eq!(stream.receive(&mut got, &in_time(5000)).unwrap(), 4);
        late.join().unwrap();
        stream.begin();
        assert_eq!(stream.receive(&mut got, &in_time(5000)).unwrap(), 0);
    }
}

#[test]
fn over_tcp_nothing_is_asked_again_unless_somebody_wants_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = connect(target(&listener), &in_time(5000)).unwrap();
    stream.spin_within(None);
    assert!(stream.spin.is_none());
}

#[test]
fn a_full_socket_ends_at_the_deadline_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = connect(target(&listener), &in_time(5000)).unwrap();
    let error = stream.send(&vec![0; 64 << 20], &in_time(50)).unwrap_err();
    assert!(matches!(error, Error::Timeout(Waiting::Send)), "{error:?}");
}

#[test]
fn nobody_listening_is_down_and_an_unknown_name_too() {
    let closed = Port::free();
    let error = connect(Target::Tcp(closed.v4()), &in_time(5000)).unwrap_err();
    assert!(matches!(error, Error::Down(Down::Connect(_))), "{error:?}");
    let error = Stream::connect(&[] as &[Target], &in_time(5000)).unwrap_err();
    assert!(matches!(error, Error::Down(Down::Unresolved)), "{error:?}");
}

#[test]
fn targets_are_tried_in_their_order() {
    let closed = Port::free();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let targets = [
        Target::Tcp(closed.v4()),
        Target::Unix("/nowhere/at/all".into()),
        target(&listener),
    ];
    let (_, at) = Stream::connect(&targets, &in_time(5000)).unwrap();
    assert_eq!(at, 2);
}

#[test]
fn unix_sockets_connect_or_say_why_not() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let text = path.to_str().unwrap().to_owned();
    let listener = UnixListener::bind(&path).unwrap();
    let connected = connect(Target::Unix(text.clone()), &in_time(5000));
    drop(listener);
    let refused = connect(Target::Unix(text), &in_time(5000));
    connected.unwrap();
    assert!(matches!(
        refused.unwrap_err(),
        Error::Down(Down::Connect(_))
    ));
    let long = connect(Target::Unix("x".repeat(108)), &in_time(5000));
    assert!(matches!(long.unwrap_err(), Error::Down(Down::Connect(_))));
}

#[test]
fn a_connection_is_kept_alive_as_the_operator_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let number =
        |stream: &Stream, level, option| sys::number(&stream.socket, level, option).unwrap();
    let tcp = libc::IPPROTO_TCP;
    for (idle, apart) in [(60, 6), (5, 1), (1, 1), (32_767, 3276)] {
        let stream = connect(target(&listener), &in_time(5000)).unwrap();
        let is_kept = |stream| number(stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE);
        assert_eq!(is_kept(&stream), 0, "not unless it is wanted");
        stream.keep_alive(Duration::from_secs(idle));
        assert_eq!(is_kept(&stream), 1);
        assert_eq!(number(&stream, tcp, libc::TCP_KEEPIDLE), idle as i32);
        assert_eq!(number(&stream, tcp, libc::TCP_KEEPINTVL), apart);
        assert_eq!(number(&stream, tcp, libc::TCP_KEEPCNT), 3);
        assert_eq!(number(&stream, tcp, libc::TCP_NODELAY), 1, "sent at once");
    }
}

#[test]
fn a_passed_deadline_connects_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = connect(target(&listener), &in_time(0)).unwrap_err();
    assert!(
        matches!(error, Error::Timeout(Waiting::Connect)),
        "{error:?}"
    );
}
