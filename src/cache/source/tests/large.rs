//! In a pool whose large values are in parts.

use super::*;

fn pair(owner: &'static [&'static str], stand_in: &'static [&'static str]) -> Pair {
    let numbers = [
        ("failover", 1),
        ("miss_failover", ALWAYS),
        ("large_values", 1),
    ];
    Pair::with(&numbers, owner, stand_in)
}

const TOUCHED: &str = "TOUCHED\r\n";

#[test]
fn what_is_touched_takes_the_place_of_what_the_stand_in_has() {
    let mut pair = pair(&[VALUE, TOUCHED], &["DELETED\r\n"]);
    let touched = pair.call(Verb::Touch, &[Value::Integer(60)]);
    assert_eq!(touched.status, Status::Touched);
    let [owner, stand_in] = pair.said();
    assert_eq!(owner, ["get k|", "touch k 60|"]);
    assert_eq!(stand_in, ["delete k|"]);
}

#[test]
fn an_item_that_comes_over_to_be_touched_is_touched_once() {
    let owner = &[MISS, MISSING, STORED, VALUE, TOUCHED];
    let mut pair = pair(owner, &[VALUE, VALUE, "DELETED\r\n"]);
    let touched = pair.call(Verb::Touch, &[Value::Integer(60)]);
    assert_eq!(touched.status, Status::Touched);
    let stats = pair.cache.pools()[0].stats();
    assert_eq!(
        [&stats.touches, &stats.repaired].map(|it| it.value()),
        [1; 2]
    );
    let [owner, stand_in] = pair.said();
    assert_eq!(owner[2..], ["add k 1 10800 1|v|", "get k|", "touch k 60|"]);
    assert_eq!(stand_in, ["get k|", "get k|", "delete k|"]);
}

/// Another process may have brought it over between the two questions.
#[test]
fn an_item_that_somebody_else_has_brought_over_is_touched() {
    let mut pair = pair(&[MISS, MISSING, VALUE, TOUCHED], &[MISS, "NOT_FOUND\r\n"]);
    let touched = pair.call(Verb::Touch, &[Value::Integer(60)]);
    assert_eq!(touched.status, Status::Touched);
    pair.said();
}

const NUMBER: &str = "VALUE k 2 1\r\n7\r\nEND\r\n";
const INDEX: &str = "VALUE k 462849 1\r\n2\r\nEND\r\n";

/// memcached would count the number of its parts.
#[test]
fn an_index_that_comes_over_is_no_number() {
    let owner = &[MISS, STORED, INDEX];
    let mut pair = pair(owner, &[INDEX, INDEX]);
    let key = pair.key();
    let counted = pair.cache.count(Way::Up, &key, Value::Integer(5));
    assert!(matches!(counted, Err(Error::NotANumber)), "{counted:?}");
    let [owner, _] = pair.said();
    assert_eq!(owner, ["get k|", "add k 462849 10800 1|2|", "get k|"]);
}

#[test]
fn a_number_that_is_there_is_looked_for_nowhere_else() {
    let mut pair = pair(&[NUMBER, "12\r\n"], &[]);
    let key = pair.key();
    let counted = pair.cache.count(Way::Up, &key, Value::Integer(5));
    assert_eq!(counted.unwrap(), Some(12));
    let [owner, _] = pair.said();
    assert_eq!(owner, ["get k|", "incr k 5|"]);
}

#[test]
fn a_number_that_comes_over_is_counted() {
    let owner = &[MISS, STORED, NUMBER, "12\r\n"];
    let mut pair = pair(owner, &[NUMBER, NUMBER]);
    let key = pair.key();
    let counted = pair.cache.count(Way::Up, &key, Value::Integer(5));
    assert_eq!(counted.unwrap(), Some(12));
    pair.said();
}
