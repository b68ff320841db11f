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

/// Another process may have found it at the copy, which was not deleted yet, and brought it back to the owner.
#[test]
fn what_is_deleted_at_all_copies_is_deleted_at_the_owner_once_more() {
    for (is_back, deleted) in [(MISSING, Status::Miss), ("DELETED\r\n", Status::Deleted)] {
        let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
        let owner = vec![MISSING, is_back].leak();
        let mut pair = Pair::with(&numbers, owner, &[MISSING]);
        assert_eq!(pair.cache.delete(&pair.key()).unwrap(), deleted);
        let [owner, other] = pair.said();
        assert_eq!(owner, ["delete k|"; 2]);
        assert_eq!(other, ["delete k|"]);
    }
}

#[test]
fn what_is_out_of_date_at_all_copies_is_so_once_more_at_the_owner_which_may_have_got_it_back() {
    let numbers = [("replicas", 2), ("miss_failover", ALWAYS)];
    let (owner, other) = (vec![MISSING, "DELETED\r\n"], [MISSING, MISS, MISSING]);
    let mut pair = Pair::with(&numbers, owner.leak(), other.to_vec().leak());
    let invalidated = pair.call(Verb::Invalidate, &[Value::Integer(60)]);
    assert_eq!(invalidated.status, Status::Deleted);
    let [owner, other] = pair.said();
    assert_eq!(owner, ["delete k|"; 2]);
    assert_eq!(other, ["delete k|", "get k|", "delete k|"]);
}
