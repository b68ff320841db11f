use super::*;

#[test]
fn a_copy_that_does_not_take_what_was_found_is_no_failure_of_the_read() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let mut pair = Pair::with(&numbers, &[MISS, "SERVER_ERROR busy\r\n"], &[VALUE]);
    assert_eq!(pair.get(), Read::Hit(Found::Text));
    let stats = pair.cache.pools()[0].stats();
    assert_eq!(stats.failures.of(Status::ServerError), 0);
    assert_eq!(pair.repaired(), 0);
    let [owner, _] = pair.said();
    assert_eq!(owner, ["get k|", "add k 1 10800 1|v|"]);
}

#[test]
fn what_is_removed_again_at_the_owner_stays_at_the_other_copy() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let there = "VALUE k 1 1 9\r\nv\r\nEND\r\n";
    let owner = vec![MISS, STORED, there, STORED].leak();
    let mut pair = Pair::with(&numbers, owner, &[VALUE, "SERVER_ERROR busy\r\n"]);
    assert_eq!(pair.get(), Read::Hit(Found::Text));
    let [owner, other] = pair.said();
    assert_eq!(owner[2..], ["gets k|", "cas k 0 2592001 0 9||"]);
    assert_eq!(other, ["get k|", "get k|"]);
}

/// Else another process could find it at a copy, and bring it back to the owner that has deleted it already.
#[test]
fn what_is_deleted_is_deleted_at_the_other_copies_first() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let (mut cache, [owner, other]) = cache_on_two(&numbers, "keep", "classic");
    let key = cache.key(0, b"k", b"").unwrap();
    let deleter = thread::spawn(move || cache.delete(&key).unwrap());
    let mut other = BufReader::new(other.accept().unwrap().0);
    let mut heard = Vec::new();
    read_request(&mut other, &mut heard);
    owner.set_nonblocking(true).unwrap();
    let early = owner.accept();
    assert!(early.is_err(), "the owner is asked already");
    owner.set_nonblocking(false).unwrap();
    other.get_mut().write_all(b"DELETED\r\n").unwrap();
    let mut owner = BufReader::new(owner.accept().unwrap().0);
    read_request(&mut owner, &mut heard);
    read_request(&mut other, &mut heard);
    assert_eq!(heard, ["delete k|"; 3]);
    for server in [&mut owner, &mut other] {
        server.get_mut().write_all(MISSING.as_bytes()).unwrap();
    }
    assert_eq!(deleter.join().unwrap(), Status::Deleted);
}

#[test]
fn what_is_out_of_date_is_so_at_the_other_copies_first() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let mut pair = Pair::with(&numbers, &[MISSING], &["DELETED\r\n", MISSING]);
    let invalidated = pair.call(Verb::Invalidate, &[Value::Integer(60)]);
    assert_eq!(invalidated.status, Status::Deleted);
    let [owner, other] = pair.said();
    assert_eq!(owner, ["delete k|"]);
    assert_eq!(other, ["delete k|", "delete k|"]);
}

/// Its value is the same, but those who ask for its lease compute it anew.
#[test]
fn what_was_marked_as_out_of_date_meanwhile_is_removed_again() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let found = ["VA 1 f1 t60 kk\r\nv\r\n", "VA 1 f1 t60 kk X\r\nv\r\n"];
    let there = "VALUE k 1 1 9\r\nv\r\nEND\r\n";
    let owner = vec![MISS, STORED, there, STORED];
    let (mut cache, listeners) = cache_on_two(&numbers, "keep", "meta");
    let mut replies = [owner, found.to_vec()].into_iter();
    let servers = listeners.map(|listener| {
        let replies = replies.next().unwrap();
        thread::spawn(move || serve(&listener, &replies))
    });
    let key = cache.key(0, b"k", b"").unwrap();
    let read = cache.get(&key, &mut Vec::new()).unwrap();
    assert_eq!(read, Read::Hit(Found::Text));
    drop(cache);
    let [owner, _] = servers.map(|server| server.join().unwrap());
    assert_eq!(owner[2..], ["gets k|", "cas k 0 2592001 0 9||"]);
}

/// If the item came over, and the count were repeated, the copy that has hung up would perhaps count twice.
#[test]
fn a_count_that_one_copy_may_still_make_is_not_repeated_because_another_has_no_item() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let mut pair = Pair::with(&numbers, &[""], &[MISSING]);
    let key = pair.key();
    let counted = pair.cache.count(Way::Up, &key, Value::Integer(5));
    assert!(matches!(counted, Err(Error::Down(_))), "{counted:?}");
    let [_, other] = pair.said();
    assert_eq!(other, ["incr k 5|"]);
}

/// The copy that has hung up would remove the item before it is asked again, and perhaps it alone has it.
#[test]
fn a_copy_that_has_failed_makes_up_for_nothing_if_another_has_no_item() {
    let numbers = [("replicas", 2)];
    let (time, text) = (Value::Integer(60), Value::Text(b"v"));
    for (verb, operand, reply, done) in [
        (Verb::Touch, time, MISSING, Some(Status::Miss)),
        (
            Verb::Replace,
            text,
            "NOT_STORED\r\n",
            Some(Status::NotStored),
        ),
        // It may be done.
        (Verb::Append, text, "NOT_STORED\r\n", None),
    ] {
        let mut pair = Pair::with(&numbers, &[""], vec![reply].leak());
        let (key, owner) = (pair.key(), pair.owner());
        let missed = owner.diverted();
        let called = pair
            .cache
            .call(verb, &key, &[Some(operand)], &mut Vec::new());
        assert_eq!(called.ok().map(|it| it.status), done, "{verb:?}");
        assert_eq!(owner.diverted(), missed, "{verb:?}");
        pair.said();
    }
}
