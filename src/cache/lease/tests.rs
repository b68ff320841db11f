use super::super::call::Verb;
use super::super::call::tests::{Stage, number, text};
use super::*;
use crate::item::value::Found;

fn held(key: &str, until: Moment) -> (Held, Key) {
    let wire = WireKey::new(b"", key.as_bytes()).unwrap();
    let held = Held {
        pool: 0,
        key: wire,
        version: 7,
        connection: Number::next(),
        until,
    };
    let key = Key {
        pool: 0,
        wire,
        hash: None,
        expire: None,
    };
    (held, key)
}

#[test]
fn a_lease_is_held_until_its_time_is_over_or_it_ends() {
    let (mut leases, now) = (Leases::default(), Moment::from_nanos(5));
    let later = now + Duration::from_secs(1);
    let (lease, key) = held("k", later);
    assert!(leases.are_none());
    leases.hold(&key, lease, now);
    assert!(leases.find(&key, now).is_some());
    let (_, other) = held("other", later);
    assert!(leases.find(&other, now).is_none());
    let elsewhere = Key { pool: 1, ..key };
    assert!(leases.find(&elsewhere, now).is_none());
    assert!(leases.find(&key, later).is_none());
    leases.end(&other);
    assert!(leases.find(&key, now).is_some());
    leases.end(&key);
    assert!(leases.are_none());
}

#[test]
fn a_newer_lease_of_a_key_takes_the_place_of_the_older() {
    let (mut leases, now) = (Leases::default(), Moment::from_nanos(5));
    let (lease, key) = held("k", now + Duration::from_secs(1));
    leases.hold(&key, lease, now);
    leases.hold(
        &key,
        Held {
            version: 8,
            ..lease
        },
        now,
    );
    assert_eq!(leases.find(&key, now).unwrap().version, 8);
    leases.end(&key);
    assert!(leases.are_none());
}

#[test]
fn of_too_many_leases_those_that_are_over_and_the_oldest_are_forgotten() {
    let (mut leases, now) = (Leases::default(), Moment::from_nanos(5));
    let later = now + Duration::from_secs(1);
    let hold = |leases: &mut Leases, key: &str, until, now| {
        let (lease, key) = held(key, until);
        leases.hold(&key, lease, now);
    };
    hold(&mut leases, "over", later, now);
    let end = later + Duration::from_secs(1);
    for number in 0..MOST {
        hold(&mut leases, &number.to_string(), end, later);
    }
    let is_held = |leases: &Leases, key| leases.find(&held(key, later).1, later).is_some();
    assert!(is_held(&leases, "0") && !is_held(&leases, "over"));
    hold(&mut leases, "new", end, later);
    assert!(!is_held(&leases, "0") && is_held(&leases, "1") && is_held(&leases, "new"));
}

/// What a lease comes to: the status, and the value if there is one.
#[track_caller]
fn lease(stage: &mut Stage) -> (Status, Option<String>) {
    let (answer, text) = stage.call(Verb::Lease, &[]);
    let answer = answer.unwrap();
    (answer.status, answer.value.map(|_| text))
}

#[track_caller]
fn status(stage: &mut Stage, verb: Verb, operands: &[super::super::Operand<'_>]) -> Status {
    stage.call(verb, operands).0.unwrap().status
}

#[test]
fn a_value_is_read_with_the_word_for_who_computes_it() {
    for (reply, word, value) in [
        ("VA 2 f1 c7 kk\r\nab\r\n", Status::Hit, Some("ab")),
        ("VA 2 f1 c7 kk Z\r\nab\r\n", Status::Hit, Some("ab")),
        ("VA 2 f1 c7 kk X Z\r\nab\r\n", Status::Stale, Some("ab")),
        ("VA 2 f1 c7 kk X W\r\nab\r\n", Status::Lease, Some("ab")),
        ("VA 2 f1 c7 kk W\r\nab\r\n", Status::Lease, Some("ab")),
        ("VA 0 f0 c7 kk W\r\n\r\n", Status::Lease, None),
        ("VA 0 f0 c7 kk Z\r\n\r\n", Status::Miss, None),
        ("VA 0 f0 c7 kk X Z\r\n\r\n", Status::Miss, None),
        ("EN\r\n", Status::Miss, None),
        // An empty value is one.
        ("VA 0 f1 c7 kk\r\n\r\n", Status::Hit, Some("")),
        ("VA 0 f1 c7 kk X Z\r\n\r\n", Status::Stale, Some("")),
        ("VA 0 f0 c7 kk\r\n\r\n", Status::Hit, Some("")),
    ] {
        let mut stage = Stage::with("meta", Box::leak(Box::new([reply])));
        let read = lease(&mut stage);
        assert_eq!(read, (word, value.map(str::to_owned)), "{reply}");
        let stats = stage.cache.pools()[0].stats();
        let counts = [&stats.leases, &stats.stale, &stats.hits, &stats.misses];
        let expected = [
            word == Status::Lease,
            word == Status::Stale,
            value.is_some(),
            value.is_none(),
        ];
        assert_eq!(counts.map(|it| it.value() == 1), expected, "{reply}");
        assert_eq!(stage.said(), ["mg k N10 v f c k|"]);
    }
}

const LEASED: &str = "VA 0 f0 c77 kk W\r\n\r\n";

#[test]
fn the_next_plain_write_of_the_key_is_the_holders() {
    use Status::{Exists, Lease, Miss, Stored};
    for (reply, word) in [
        ("STORED\r\n", Stored),
        ("EXISTS\r\n", Exists),
        ("NOT_FOUND\r\n", Miss),
    ] {
        let replies = Box::leak(Box::new([LEASED, reply, "STORED\r\n"]));
        let mut stage = Stage::with("meta", replies);
        assert_eq!(lease(&mut stage).0, Lease);
        let value = [text("v"), number(60)];
        assert_eq!(status(&mut stage, Verb::Set, &value), word);
        // The lease has ended.
        assert_eq!(status(&mut stage, Verb::Set, &value), Stored);
        let sent = ["cas k 1 60 1 77|v|", "set k 1 60 1|v|"];
        assert_eq!(stage.said()[1..], sent);
    }
}

#[test]
fn an_assignment_is_a_plain_write() {
    let mut stage = Stage::with("meta", &[LEASED, "STORED\r\n"]);
    lease(&mut stage);
    let key = stage.cache.key(0, b"k", b"5").unwrap();
    let written = stage.cache.assign(&key, Value::Integer(-5));
    assert_eq!(written.unwrap(), Written::Stored);
    assert_eq!(stage.said()[1..], ["cas k 0 5 2 77|-5|"]);
}

#[test]
fn other_writes_and_other_keys_are_not_the_holders() {
    let replies = &[
        LEASED,
        "NOT_STORED\r\n",
        "STORED\r\n",
        "STORED\r\n",
        "DELETED\r\n",
    ];
    let mut stage = Stage::with("meta", replies);
    lease(&mut stage);
    assert_eq!(
        status(&mut stage, Verb::Add, &[text("v")]),
        Status::NotStored
    );
    let key = stage.cache.key(0, b"other", b"").unwrap();
    let written = stage.cache.assign(&key, Value::Text(b"v"));
    assert_eq!(written.unwrap(), Written::Stored);
    let cas = [text("v"), text("5")];
    assert_eq!(status(&mut stage, Verb::Cas, &cas), Status::Stored);
    assert_eq!(status(&mut stage, Verb::Set, &[None]), Status::Deleted);
    let sent = [
        "add k 1 10800 1|v|",
        "set other 1 10800 1|v|",
        "cas k 1 10800 1 5|v|",
        "delete k|",
    ];
    assert_eq!(stage.said()[1..], sent);
}

#[test]
fn what_was_leased_on_a_lost_connection_is_not_stored() {
    // The server hangs up, and what is next to be heard is on another connection.
    let mut stage = Stage::with(
        "meta",
        &[LEASED, "hang up", "END\r\n", "END\r\n", "STORED\r\n"],
    );
    lease(&mut stage);
    let (read, _) = stage.call(Verb::Get, &[]);
    assert_eq!(read.unwrap().status, Status::Miss);
    assert_eq!(status(&mut stage, Verb::Set, &[text("v")]), Status::Miss);
    assert_eq!(status(&mut stage, Verb::Set, &[text("w")]), Status::Stored);
    let said = stage.said();
    assert_eq!(said.last().unwrap(), "set k 1 10800 1|w|");
    assert!(said.iter().all(|line| !line.starts_with("cas")), "{said:?}");
}

#[test]
fn the_holders_write_is_not_repeated_and_the_lease_goes_on() {
    let replies = &[LEASED, "hang up", "END\r\n"];
    let mut stage = Stage::with("meta", replies);
    lease(&mut stage);
    let (stored, _) = stage.call(Verb::Set, &[text("v")]);
    assert!(stored.is_err(), "{stored:?}");
    assert_eq!(status(&mut stage, Verb::Set, &[text("v")]), Status::Miss);
    let said = stage.said();
    let sets = said.iter().filter(|line| line.starts_with("cas"));
    assert_eq!(sets.count(), 1, "{said:?}");
}

#[test]
fn classic_servers_are_asked_in_steps() {
    let placeholder = "VALUE k 0 0 9\r\n\r\nEND\r\n";
    let replies = Box::leak(Box::new([
        "END\r\n",
        "STORED\r\n",
        placeholder,
        "STORED\r\n",
    ]));
    let mut stage = Stage::with("classic", replies);
    assert_eq!(lease(&mut stage), (Status::Lease, None));
    assert_eq!(status(&mut stage, Verb::Set, &[text("v")]), Status::Stored);
    let sent = [
        "gets k|",
        "add k 0 10 0||",
        "gets k|",
        "cas k 1 10800 1 9|v|",
    ];
    assert_eq!(stage.said(), sent);
    // Somebody else was faster, and has stored a value, or has not yet.
    for (reply, read) in [
        (placeholder, (Status::Miss, None)),
        (
            "VALUE k 1 1 9\r\nv\r\nEND\r\n",
            (Status::Hit, Some("v".into())),
        ),
    ] {
        let replies = Box::leak(Box::new(["END\r\n", "NOT_STORED\r\n", reply]));
        let mut stage = Stage::with("classic", replies);
        assert_eq!(lease(&mut stage), read);
        let mut stage = Stage::with("classic", Box::leak(Box::new([reply])));
        assert_eq!(lease(&mut stage), read);
    }
    // Somebody has removed the placeholder, and somebody else has added one.
    let replies = Box::leak(Box::new([
        "END\r\n",
        "STORED\r\n",
        "END\r\n",
        "NOT_STORED\r\n",
        placeholder,
    ]));
    let mut stage = Stage::with("classic", replies);
    assert_eq!(lease(&mut stage), (Status::Miss, None));
}

#[test]
fn a_server_that_speaks_no_meta_commands_any_more_is_asked_in_steps() {
    let hit = "VALUE k 1 1 9\r\nv\r\nEND\r\n";
    let mut stage = Stage::new(Box::leak(Box::new(["MN\r\n", "ERROR\r\n", hit])));
    assert_eq!(lease(&mut stage), (Status::Hit, Some("v".into())));
    let mut stage = Stage::new(&["MN\r\n", "ERROR\r\n", "DELETED\r\n"]);
    let invalidated = status(&mut stage, Verb::Invalidate, &[number(30)]);
    assert_eq!(invalidated, Status::Deleted);
    assert_eq!(stage.said(), ["mn|", "md k I T30|", "delete k|"]);
}

#[test]
fn an_item_is_invalidated_or_deleted() {
    use Status::{Deleted, Miss, Touched};
    for (protocol, seconds, sent, replies) in [
        (
            "meta",
            30,
            "md k I T30|",
            [("HD\r\n", Touched), ("NF\r\n", Miss)],
        ),
        (
            "meta",
            0,
            "delete k|",
            [("DELETED\r\n", Deleted), ("NOT_FOUND\r\n", Miss)],
        ),
        (
            "classic",
            30,
            "delete k|",
            [("DELETED\r\n", Deleted), ("NOT_FOUND\r\n", Miss)],
        ),
    ] {
        for (reply, word) in replies {
            let mut stage = Stage::with(protocol, Box::leak(Box::new([reply])));
            let invalidated = status(&mut stage, Verb::Invalidate, &[number(seconds)]);
            assert_eq!(invalidated, word, "{reply}");
            assert_eq!(stage.said(), [sent]);
        }
    }
    let mut stage = Stage::new(&[]);
    for operand in [text("x"), number(-1), None] {
        let (answer, _) = stage.call(Verb::Invalidate, &[operand]);
        assert!(answer.is_err(), "{operand:?}");
    }
}

#[test]
fn a_placeholder_that_was_invalidated_lasts_as_long_as_a_lease() {
    let stale = "VA 0 f0 c77 kk X W\r\n\r\n";
    let mut stage = Stage::with("meta", Box::leak(Box::new([stale, "TOUCHED\r\n"])));
    assert_eq!(lease(&mut stage), (Status::Lease, None));
    assert_eq!(stage.said()[1..], ["touch k 10|"]);
}

#[test]
fn a_plain_read_takes_a_placeholder_for_a_miss_where_leases_are_asked_for() {
    let empty = "VALUE k 0 0\r\n\r\nEND\r\n";
    let empty_text = "VALUE k 1 0\r\n\r\nEND\r\n";
    let versioned = "VALUE k 0 0 9\r\n\r\nEND\r\n";
    let replies = [empty, versioned, empty, versioned, empty_text];
    let mut stage = Stage::with("classic", Box::leak(Box::new(replies)));
    let hit = (Status::Hit, Some(Found::Text));
    let miss = (Status::Miss, None);
    let read = |stage: &mut Stage, verb| {
        let (answer, text) = stage.call(verb, &[]);
        assert_eq!(text, "");
        answer.map(|it| (it.status, it.value)).unwrap()
    };
    assert_eq!(read(&mut stage, Verb::Get), hit);
    assert_eq!(read(&mut stage, Verb::Gets), hit);
    stage.cache.expect_leases(0);
    assert_eq!(read(&mut stage, Verb::Get), miss);
    assert_eq!(read(&mut stage, Verb::Gets), miss);
    assert_eq!(read(&mut stage, Verb::Get), hit);
    let stats = stage.cache.pools()[0].stats();
    assert_eq!((stats.hits.value(), stats.misses.value()), (3, 2));
}

#[test]
fn whoever_inspects_an_item_gives_its_lease_back() {
    for (left, lifetime) in [(30, "30"), (0, "1"), (-1, "0")] {
        let reply = format!("VA 1 f1 t{left} l5 kk X W\r\nv\r\n");
        let look = "HD f1 c7 kk Z X\r\n";
        let replies = Box::leak(Box::new([&*reply.leak(), look, "HD\r\n"]));
        let mut stage = Stage::with("meta", replies);
        let key = stage.cache.key(0, b"k", b"").unwrap();
        let found = stage.cache.inspect(&key, &mut Vec::new());
        assert!(found.unwrap().is_some());
        let sent = ["mg k f c k|", &format!("md k I T{lifetime} C7|")];
        assert_eq!(stage.said()[1..], sent);
    }
}

#[test]
fn what_is_stored_before_a_lease_is_given_back_is_not_marked_as_out_of_date() {
    for look in ["HD f1 c8 kk\r\n", "EN\r\n"] {
        let out_of_date = "VA 1 f1 t30 l5 kk X W\r\nv\r\n";
        let mut stage = Stage::with("meta", Box::leak(Box::new([out_of_date, look])));
        let key = stage.cache.key(0, b"k", b"").unwrap();
        stage.cache.inspect(&key, &mut Vec::new()).unwrap();
        assert_eq!(stage.said()[1..], ["mg k f c k|"], "{look}");
    }
}
