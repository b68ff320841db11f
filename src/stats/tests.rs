use super::*;
use crate::error::{Refusal, Waiting};

fn read(name: &str, stats: &Stats) -> u64 {
    let mut rows = TABLE.iter();
    let row = rows.find(|row| row.name.to_str() == Ok(name));
    (row.unwrap().read)(stats, &Servers::default())
}

#[test]
fn gets_are_hits_misses_and_failures() {
    let stats = Stats::default();
    stats.hits.add(5);
    stats.misses.add(2);
    stats.failed_gets.count();
    assert_eq!(read("gets", &stats), 8);
    assert_eq!((read("hits", &stats), read("misses", &stats)), (5, 2));
}

#[test]
fn a_failure_counts_once() {
    let stats = Stats::default();
    for error in [
        Error::Timeout(Waiting::Receive),
        Error::Refused(Refusal::Value),
        Error::Busy,
        Error::NotANumber,
        Error::Garbled("for the test"),
    ] {
        stats.note_failure(&error);
    }
    let counts = ["timeouts", "refused", "errors"].map(|name| read(name, &stats));
    assert_eq!(counts, [1, 1, 3]);
}

#[test]
fn servers_count_by_the_word_for_their_state() {
    let servers = Servers::default()
        .with(State::Active, 2)
        .with(State::Trying, 1)
        .with(State::Inactive, 0)
        .with(State::Disabled, 0);
    let expected = Servers {
        active: 1,
        inactive: 1,
        waiting: 3,
    };
    assert_eq!(servers, expected);
}

#[test]
fn names_are_plain_and_no_two_are_the_same() {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.name.to_bytes()).collect();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    assert!(names.iter().all(|name| name.iter().all(plain)));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TABLE.len());
}
