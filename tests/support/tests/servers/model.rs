//! Tests that the model of memcached answers as the real one does, byte for byte.

mod commands;
mod pair;
mod sequence;
mod words;

use support::model::{self, ClientSession, Options};
use support::{Memcached, Random};

use self::commands::{Kind, Writer, needs_quiet};
use self::pair::{Outcome, Pair};
use self::sequence::{Sent, fail, replay};

const CONNECTIONS: usize = 2;

/// Starts both. `None` if another version of memcached is installed.
fn start(real: Memcached, options: Options) -> Option<Pair> {
    let version = String::from_utf8(real.command("version\r\n")).unwrap();
    assert!(version.starts_with("VERSION "), "{version}");
    let same = version.trim_end() == format!("VERSION {}", model::VERSION);
    same.then(|| Pair::start(real, options, CONNECTIONS))
}

/// Sends so many requests to both. It takes so many `seconds` at least, because items must also end.
fn compare(kind: Kind, seed: u64, count: usize, seconds: usize) {
    // One thread, which takes the requests in the order in which they were sent, and no threads that
    // hold or remove items at times of their own.
    let args = ["-t", "1", "-R", "10000", "-m", "1024"];
    let args = [&args[..], &["-o", "no_lru_maintainer,no_lru_crawler"]].concat();
    let options = Options {
        memory: 1 << 30,
        ..Options::default()
    };
    let Some(mut pair) = start(Memcached::with(&args), options) else {
        return;
    };
    let mut writer = Writer::new(kind, seed);
    let (mut compared, mut second, mut history) = (0, 0, Vec::new());
    while compared < count {
        if compared > second * count / seconds {
            second += 1;
            pair.wait_for_tick();
        }
        pair.wait_for_quiet();
        writer.now = pair.now();
        let connection = writer.random.index(CONNECTIONS);
        let mut requests = writer.batch();
        if !pair.is_idle() {
            requests.retain(|request| !needs_quiet(request));
        }
        let sent = Sent {
            connection,
            anew: writer.random.once_in(20),
            requests,
            in_parts: writer.random.once_in(3),
        };
        history.push(sent.clone());
        match sent.send(&mut pair) {
            Outcome::Same => compared += sent.requests.len(),
            Outcome::Interrupted => {
                pair.restart();
                history.clear();
            }
            different => fail(&mut pair, kind, seed, &history, different),
        }
    }
}

#[test]
fn it_answers_as_the_real_one_does() {
    compare(Kind::LateFlushes, 1, 60_000, 4);
    compare(Kind::ChangedLetters, 2, 40_000, 3);
}

/// In fresh memory, where no minus is left of older items.
#[test]
fn it_counts_huge_numbers_as_the_real_one_does() {
    let Some(mut pair) = start(Memcached::start(), Options::default()) else {
        return;
    };
    let set = "set a 0 0 20\r\n18446744073709551615\r\n";
    let requests = [
        set,
        "incr a 1\r\n",
        set,
        "decr a 9223372036854775807\r\n",
        "incr a 18446744073709551615\r\n",
        "ma a D18446744073709551616\r\n",
        "ma a D18446744073709551615 MD v\r\n",
        "ma b N0 J18446744073709551615 v\r\n",
        "ma b D2 v\r\n",
        "set a 0 0 20\r\n18446744073709551616\r\n",
        "incr a 1\r\n",
        "set a 0 0 22\r\n18446744073709551615 -\r\n",
        "incr a 1\r\n",
        "set a 0 0 21\r\n-18446744073709551615\r\n",
        "incr a 1\r\n",
    ];
    assert_eq!(replay(&mut pair, &one_by_one(requests)), None);
}

/// These requests, one after the other on one connection.
fn one_by_one<const N: usize>(requests: [&str; N]) -> [Sent; N] {
    requests.map(|request| Sent {
        connection: 0,
        anew: false,
        requests: vec![request.into()],
        in_parts: false,
    })
}

/// Versions count from 1 in a fresh memcached.
#[test]
fn it_marks_and_replaces_only_the_version_that_is_named_as_the_real_one_does() {
    let Some(mut pair) = start(Memcached::start(), Options::default()) else {
        return;
    };
    let requests = [
        "set a 1 0 1\r\nv\r\n",
        "md a I T30\r\n",
        "mg a v f t k\r\n",
        "mg a f c k\r\n",
        "md a I T30 C1\r\n",
        "mg a f c k\r\n",
        "md a I T30 C2\r\n",
        "mg a f c k\r\n",
        "md b I T30 C3\r\n",
        "mg b f c k\r\n",
        "cas a 0 2592001 0 2\r\n\r\n",
        "cas a 0 2592001 0 3\r\n\r\n",
        "mg a f c k\r\n",
    ];
    assert_eq!(replay(&mut pair, &one_by_one(requests)), None);
}

#[test]
fn it_asks_for_user_and_password_as_the_real_one_does() {
    let options = Options {
        credentials: Some((b"user".into(), b"pass:word".into())),
        ..Options::default()
    };
    let Some(mut pair) = start(Memcached::authenticated("user", "pass:word"), options) else {
        return;
    };
    let requests = [
        "set x 0 0 14\r\nuser pass:word\r\n",
        "set x y z 14 noreply\nuser pass:word\r\n",
        "set x 0 0 10\r\nuser wrong\r\n",
        "set x 0 0 4\r\nuser\r\n",
        "set x 0 0 14\r\nuser pass:wordxx",
        "set x 0 0 20\r\nuser pass:word again\r\n",
        "set x 0 0 a\r\n",
        "set x 0 0\r\n",
        "add x 0 0 14\r\n",
        "get x\r\n",
        "\r\n",
    ];
    let mut random = Random::new(3);
    for _ in 0..500 {
        if random.once_in(3) {
            pair.reconnect(0);
        }
        pair.wait_for_quiet();
        let request = *random.pick(&requests);
        let cut = random.once_in(3).then_some(request.len() / 2);
        match pair.send(0, request.as_bytes(), cut) {
            Outcome::Same => {}
            Outcome::Interrupted => pair.restart(),
            different => panic!("{request:?}: {different:#?}"),
        }
    }
}

#[test]
fn its_input_may_be_cut_anywhere() {
    let mut writer = Writer::new(Kind::ChangedLetters, 4);
    let new = || {
        (
            model::Memcached::new(Options::default()),
            ClientSession::default(),
        )
    };
    let [mut whole, mut parts, mut bytes] = [new(), new(), new()];
    for second in 0..500 {
        let now = Options::default().started + second / 10;
        writer.now = now;
        let requests = writer.batch().concat();
        let middle = writer.random.index(requests.len() + 1);
        let once = whole.0.input(&mut whole.1, &requests, now);
        let send = |to: &mut (model::Memcached, ClientSession), parts: Vec<&[u8]>| {
            let mut sum = model::Output::default();
            for part in parts {
                let output = to.0.input(&mut to.1, part, now);
                sum.bytes.extend(output.bytes);
                sum.closes = output.closes;
            }
            assert_eq!(sum, once);
            if sum.closes {
                to.1 = ClientSession::default();
            }
        };
        send(&mut parts, vec![&requests[..middle], &requests[middle..]]);
        send(&mut bytes, requests.chunks(1).collect());
        if once.closes {
            whole.1 = ClientSession::default();
        }
        assert!(whole == parts && whole == bytes);
    }
    assert!(!whole.0.is_empty());
}

#[test]
fn the_seed_decides_what_is_evicted() {
    let fill = |seed| {
        let options = Options {
            memory: 10_000,
            seed,
            ..Options::default()
        };
        let now = options.started;
        let mut memcached = model::Memcached::new(options);
        let mut session = ClientSession::default();
        let mut ask =
            |request: String| memcached.input(&mut session, request.as_bytes(), now).bytes;
        for item in 100..200 {
            let set = format!("set {item} 0 0 500\r\n{:500}\r\n", "");
            assert_eq!(ask(set), b"STORED\r\n");
            assert_ne!(
                ask(format!("get {item}\r\n")),
                b"END\r\n",
                "the newest stays"
            );
        }
        let stay = (100..200).filter(|item| ask(format!("mg {item}\r\n")) == b"HD\r\n");
        stay.collect::<Vec<_>>()
    };
    let (one, same, other) = (fill(1), fill(1), fill(2));
    assert_eq!(one.len(), 10_000 / (56 + 4 + 502));
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn an_item_is_evicted_at_any_time() {
    let mut memcached = model::Memcached::new(Options::default());
    let set = b"set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\n";
    let started = Options::default().started;
    memcached.input(&mut ClientSession::default(), set, started);
    for left in [1, 0, 0] {
        memcached.evict();
        assert_eq!(memcached.len(), left);
    }
}

#[test]
fn a_restart_leaves_nothing() {
    let mut memcached = model::Memcached::new(Options::default());
    let now = Options::default().started;
    let mut session = ClientSession::default();
    let mut ask = |request: &[u8], now| memcached.input(&mut session, request, now).bytes;
    assert_eq!(ask(b"set a 0 0 1\r\nx\r\n", now + 5), b"STORED\r\n");
    memcached.restart(now + 7);
    let mut session = ClientSession::default();
    let mut ask = |request: &[u8], now| memcached.input(&mut session, request, now).bytes;
    assert_eq!(ask(b"get a\r\n", now + 7), b"END\r\n");
    let stats = String::from_utf8(ask(b"stats\r\n", now + 9)).unwrap();
    let said = format!("STAT uptime 4\r\nSTAT time {}\r\n", now + 9);
    assert!(stats.contains(&said), "{stats}");
    assert!(memcached.is_empty());
}
