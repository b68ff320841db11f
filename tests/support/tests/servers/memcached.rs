//! Tests that a memcached starts, shows its items, stops answering, dies and starts again.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::{Memcached, wait};

#[test]
fn items_come_back_as_they_were_put() {
    let memcached = Memcached::start();
    memcached.put("a", 7, 0, b"\r\n\0");
    memcached.put("b", 0, 100, "");
    let item = memcached.item("a").unwrap();
    assert_eq!((item.flags, item.ttl), (7, -1));
    assert_eq!(item.value, b"\r\n\0");
    let item = memcached.item("b").unwrap();
    assert!((98..=100).contains(&item.ttl), "{item:?}");
    assert_eq!(memcached.text("b").as_deref(), Some(""));
    assert_eq!(memcached.item("c"), None);
    assert!(memcached.remove("a"));
    assert!(!memcached.remove("a"));
}

#[test]
fn what_it_is_to_hold_takes_one_line() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 100, "\r\n");
    memcached.put("b", 0, 0, "");
    memcached.assert_holds("a", 1, "\r\n");
    memcached.assert_expires_in("a", 100);
    memcached.assert_expires_in("b", -1);
    for wrong in [(0, "\r\n"), (1, "\r"), (1, "")] {
        let wrong = || memcached.assert_holds("a", wrong.0, wrong.1);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(wrong)).is_err());
    }
    for (key, seconds) in [("a", 99_999), ("a", 50), ("a", -1), ("b", 0), ("c", -1)] {
        let wrong = || memcached.assert_expires_in(key, seconds);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(wrong)).is_err());
    }
}

#[test]
fn it_tells_what_it_holds() {
    let memcached = Memcached::start();
    assert!(memcached.is_empty());
    memcached.put("two%", 0, 0, "2");
    memcached.put("one", 0, 0, "1");
    assert_eq!(memcached.len(), 2);
    assert_eq!(memcached.keys(), [&b"one"[..], b"two%"]);
    assert_eq!(memcached.flushes(), 0);
    assert_eq!(memcached.command("flush_all\r\n"), b"OK\r\n");
    assert_eq!(memcached.flushes(), 1);
}

#[test]
fn answers_of_any_length_are_read() {
    let memcached = Memcached::with(&["-I", "8m"]);
    let large = vec![b'x'; 3_000_000];
    memcached.put("large", 0, 0, &large);
    assert!(memcached.item("large").unwrap().value == large);
    assert_eq!(memcached.command("delete none noreply\r\n"), b"");
    let two = memcached.command("get none\r\nversion\r\n");
    assert!(two.starts_with(b"END\r\nVERSION "), "{two:?}");
}

#[test]
fn every_kind_of_address_works() {
    let elsewhere = Memcached::at([127, 0, 0, 11].into());
    assert!(elsewhere.address().starts_with("127.0.0.11:"));
    let default_port = Memcached::on_default_port();
    assert_eq!(default_port.port(), 11211);
    for memcached in [
        Memcached::start(),
        elsewhere,
        default_port,
        Memcached::v6(),
        Memcached::unix(),
    ] {
        memcached.put("k", 0, 0, memcached.address());
        let held = memcached.text("k");
        assert_eq!(held.as_deref(), Some(memcached.address()));
    }
    assert!(Memcached::v6().address().starts_with("[::1]:"));
    assert!(Memcached::unix().address().starts_with('/'));
}

#[test]
fn strangers_are_refused_where_a_password_is_set() {
    let memcached = Memcached::authenticated("user", "secret");
    memcached.put("k", 0, 0, "v");
    assert_eq!(memcached.text("k").as_deref(), Some("v"));
    let mut stranger = std::net::TcpStream::connect(memcached.address()).unwrap();
    stranger.write_all(b"get k\r\n").unwrap();
    let mut reply = [0; 12];
    stranger.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"CLIENT_ERROR");
}

#[test]
fn paused_it_answers_late() {
    let memcached = Memcached::start();
    let mut stream = memcached.connect().unwrap();
    memcached.pause();
    stream.write_all(b"mn\r\n").unwrap();
    let (answer, answered) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).unwrap();
        answer.send(reply).unwrap();
    });
    let early = answered.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err(), "{early:?}");
    memcached.resume();
    assert_eq!(answered.recv_timeout(wait::WAIT_LIMIT), Ok(*b"MN\r\n"));
    reader.join().unwrap();
}

#[test]
fn killed_it_refuses_and_restarted_it_is_empty() {
    for memcached in [Memcached::start(), Memcached::unix()] {
        memcached.put("k", 0, 0, "v");
        let (pid, address) = (memcached.pid(), memcached.address().to_owned());
        memcached.kill();
        assert!(!pid.alive());
        assert!(memcached.connect().is_err());
        memcached.restart();
        assert!(memcached.is_empty());
        assert_eq!(memcached.address(), address);
    }
}

#[test]
fn it_is_gone_after_the_drop_even_in_a_panic() {
    let memcached = Memcached::start();
    let pid = memcached.pid();
    let thread = std::thread::spawn(move || {
        let _held = memcached;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(thread.join().is_err());
    assert!(!pid.alive());
}

#[test]
fn it_outlives_the_thread_that_started_it() {
    let memcached = std::thread::spawn(Memcached::start).join().unwrap();
    assert!(memcached.is_empty());
}

#[test]
fn wrong_arguments_are_told_with_what_it_said() {
    let begun = Instant::now();
    let result = std::panic::catch_unwind(|| Memcached::with(&["--nonsense"]));
    let text = *result.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("memcached did not start"), "{text}");
    assert!(text.contains("--nonsense"), "{text}");
    assert!(text.contains("unrecognized option"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
