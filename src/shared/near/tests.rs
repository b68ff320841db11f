use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn private(items: u32) -> Table {
    let head = Box::leak(Box::default());
    Table::private(head, items).expect("an item or more")
}

fn key(text: &str) -> WireKey {
    WireKey::new(b"", text.as_bytes()).unwrap()
}

fn kept(table: &Table, key: &WireKey, now: Moment) -> Kept {
    Kept {
        age: table.age(table.place(key)),
        asked: now,
        ends: now + SECOND,
        flags: 7,
    }
}

fn put(table: &Table, key: &WireKey, value: &[u8], now: Moment) {
    table.put(table.place(key), key, kept(table, key, now), value, now);
}

fn find(table: &Table, key: &WireKey, now: Moment) -> Option<Vec<u8>> {
    let mut value = b"old".to_vec();
    let found = table.find(table.place(key), key, now, |_| true, &mut value);
    found.map(|_| value)
}

#[test]
fn an_entry_is_found_as_it_was_put() {
    let (table, now) = (private(64), Moment::now());
    let (alice, bob) = (key("alice"), key("bob"));
    let entry = kept(&table, &alice, now);
    let place = table.place(&alice);
    assert_eq!(find(&table, &alice, now), None);
    table.put(place, &alice, entry, b"a \0\r\n", now);
    let mut value = Vec::new();
    let found = table.find(place, &alice, now, |kept| kept.flags == 7, &mut value);
    assert_eq!((found, &value[..]), (Some(entry), &b"a \0\r\n"[..]));
    assert_eq!(table.find(place, &alice, now, |_| false, &mut value), None);
    assert_eq!(find(&table, &bob, now), None);
    put(&table, &alice, b"", now);
    assert_eq!(find(&table, &alice, now), Some(vec![]));
    assert_eq!((table.used(), table.slots()), (1, 64));
}

#[test]
fn an_entry_that_is_being_written_is_told_from_none() {
    let (table, now) = (private(64), Moment::now());
    let alice = key("alice");
    let place = table.place(&alice);
    assert!(!table.is_being_written(place));
    put(&table, &alice, b"old", now);
    assert!(!table.is_being_written(place));
    let entry = kept(&table, &alice, now);
    let way = table.sets[place.set].best_way(tag(place.hash, entry.age), now);
    let writing = table.take(place, way).expect("nobody has taken it");
    assert!(table.is_being_written(place));
    assert_eq!(find(&table, &alice, now), None);
    writing.write(&alice, entry, b"new");
    table.finish(writing, place, way, entry.age, now);
    assert!(!table.is_being_written(place));
    assert_eq!(find(&table, &alice, now), Some(b"new".to_vec()));
}

#[test]
fn keys_and_values_of_512_bytes_together_are_kept_and_longer_ones_are_not() {
    let (table, now) = (private(1), Moment::now());
    for len in [1, 7, 8, 9, 31, 249] {
        let key = key(&"k".repeat(len));
        for (size, fits) in [
            (0, true),
            (1, true),
            (ROOM - len, true),
            (ROOM + 1 - len, false),
        ] {
            drop(table.change(table.place(&key)));
            let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            put(&table, &key, &value, now);
            assert_eq!(
                find(&table, &key, now),
                fits.then_some(value),
                "{len} + {size}"
            );
        }
    }
}

#[test]
fn what_is_changed_is_not_found_and_not_kept_by_a_read_that_began_before() {
    let (table, now, key) = (private(1), Moment::now(), key("k"));
    let place = table.place(&key);
    for change in [
        |table: &Table, place: Place| table.change(place),
        |table: &Table, _: Place| table.change_all(),
    ] {
        put(&table, &key, b"old", now);
        let before = kept(&table, &key, now);
        let change = change(&table, place);
        assert!(find(&table, &key, now).is_some(), "it is not done yet");
        drop(change);
        assert_eq!((find(&table, &key, now), table.used()), (None, 0));
        table.put(place, &key, before, b"old", now);
        assert_eq!(find(&table, &key, now), None);
        put(&table, &key, b"new", now);
        assert_eq!(find(&table, &key, now), Some(b"new".to_vec()));
    }
}

#[test]
fn a_change_that_ends_in_a_panic_counts() {
    let (table, now, key) = (private(1), Moment::now(), key("k"));
    put(&table, &key, b"old", now);
    let panics = || {
        let _change = table.change(table.place(&key));
        panic!("for the test");
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(find(&table, &key, now), None);
}

#[test]
fn a_full_set_gives_up_what_was_changed_or_else_what_was_unused_for_longest() {
    let (table, start) = (private(1), Moment::now());
    let at = |second: u32| start + SECOND * second;
    let keys = ["a", "b", "c", "d", "e", "f", "g"].map(key);
    let there = |now| {
        let there = keys.iter().filter(|key| find(&table, key, now).is_some());
        there.map(|key| key.to_string()).collect::<String>()
    };
    for (second, key) in keys[..4].iter().enumerate() {
        put(&table, key, b"v", at(second as u32));
    }
    put(&table, &keys[1], b"v", at(4));
    find(&table, &keys[0], at(5));
    put(&table, &keys[4], b"v", at(6));
    assert_eq!(there(at(7)), "abde");
    put(&table, &keys[5], b"v", at(8));
    assert_eq!(there(at(9)).len(), 4);
    // With one set, every change is about all of its entries.
    drop(table.change(table.place(&keys[0])));
    put(&table, &keys[6], b"v", at(10));
    assert_eq!((there(at(11)), table.used()), ("g".into(), 1));
}

/// What was asked before it was used takes longer to come than it.
#[test]
fn a_full_set_does_not_give_up_what_was_just_used() {
    let (table, start) = (private(1), Moment::now());
    let at = |millis: u64| start + Duration::from_millis(millis);
    let keys = ["a", "b", "c", "d", "e"].map(key);
    for (second, key) in (0..).zip(&keys[..4]) {
        put(&table, key, b"v", at(second * 1000));
    }
    find(&table, &keys[0], at(5020));
    put(&table, &keys[4], b"v", at(5010));
    assert!(find(&table, &keys[0], at(5030)).is_some());
    assert!(find(&table, &keys[1], at(5030)).is_none());
}

#[test]
fn an_entry_that_is_read_again_at_once_is_not_written_to() {
    let (table, now, key) = (private(1), Moment::from_nanos(1 << 40), key("k"));
    put(&table, &key, b"v", now);
    let used = || {
        let stamps = table.sets[0].used.iter();
        stamps.map(|used| used.load(Ordering::Relaxed)).max()
    };
    find(&table, &key, now + Duration::from_millis(7));
    assert_eq!(used(), Some(ticks(now)));
    let later = now + Duration::from_millis(20);
    find(&table, &key, later);
    assert_eq!(used(), Some(ticks(later)));
}

#[test]
fn a_slot_whose_writer_has_died_is_free_again_once_somebody_has_found_it() {
    let (table, now, key) = (private(1), Moment::now(), key("k"));
    put(&table, &key, b"v", now);
    let slot = table
        .slots
        .iter()
        .find(|slot| slot.sequence() != 0)
        .unwrap();
    let writing = slot.begin(slot.sequence()).unwrap();
    writing.write(&key, kept(&table, &key, now), b"half");
    assert!(slot.begin(slot.sequence()).is_none());
    assert_eq!(find(&table, &key, now), None);
    table.release(|_| false);
    put(&table, &key, b"v", now);
    assert_eq!(find(&table, &key, now), None, "nobody had found it before");
    table.release(|process| process == sys::process_id());
    put(&table, &key, b"v", now);
    assert_eq!(find(&table, &key, now), None, "its writer lives");
    table.release(|_| false);
    assert_eq!(find(&table, &key, now), None, "it was half-written");
    put(&table, &key, b"v", now);
    assert_eq!(find(&table, &key, now), Some(b"v".to_vec()));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes, and is arithmetic")]
fn places_are_spread_and_cannot_be_foreseen() {
    let (table, other) = (private(400), private(400));
    let mut counts = [0; 100];
    let mut same = 0;
    for number in 0..10_000 {
        let key = key(&number.to_string());
        counts[table.place(&key).set] += 1;
        same += usize::from(table.place(&key).set == other.place(&key).set);
    }
    assert!(
        counts.iter().all(|count| (50..=170).contains(count)),
        "{counts:?}"
    );
    assert!(same < 500, "{same} of 10 000 keys are in the same set");
}

/// Several threads read, put and change the same few keys. Each value says which key it is of, and by how
/// much its server's number had grown.
#[test]
fn threads_read_nothing_torn_and_nothing_that_was_changed_before() {
    const KEYS: usize = 3;
    let rounds = if cfg!(miri) { 40 } else { 20_000 };
    let table = private(4);
    let servers: [AtomicU64; KEYS] = std::array::from_fn(|_| AtomicU64::new(0));
    let known: [AtomicU64; KEYS] = std::array::from_fn(|_| AtomicU64::new(0));
    let work = |seed: usize| {
        let mut value = Vec::new();
        for round in 0..rounds {
            let number = (round * 7 + seed * 3 + round / 5) % KEYS;
            let key = key(&format!("key-{number}"));
            let (place, now) = (table.place(&key), Moment::now());
            let least = known[number].load(Ordering::Acquire);
            if (round + seed).is_multiple_of(9) {
                let change = table.change(place);
                let new = servers[number].fetch_add(1, Ordering::AcqRel) + 1;
                drop(change);
                known[number].fetch_max(new, Ordering::AcqRel);
                continue;
            }
            let found = table.find(place, &key, now, |_| true, &mut value);
            let read = match found {
                Some(_) => {
                    let text = String::from_utf8(value.clone()).unwrap();
                    let parts: Vec<u64> = text.split(' ').map(|it| it.parse().unwrap()).collect();
                    assert_eq!(parts, [number as u64, parts[1], parts[1], parts[1]]);
                    parts[1]
                }
                None => {
                    let kept = kept(&table, &key, now);
                    let read = servers[number].load(Ordering::Acquire);
                    let text = format!("{number} {read:09} {read:09} {read:09}");
                    table.put(place, &key, kept, text.as_bytes(), now);
                    read
                }
            };
            assert!(read >= least, "key {number}: {read} after {least}");
        }
    };
    thread::scope(|scope| (0..4).for_each(|seed| drop(scope.spawn(move || work(seed)))));
}
