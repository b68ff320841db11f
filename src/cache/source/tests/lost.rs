//! A server is asked to store what comes over, and its answer is lost.

use super::*;

/// It may have stored the item before it hung up. What nobody can look at is left: a newer item might be removed with
/// it.
#[test]
fn what_may_have_come_over_and_was_removed_at_the_stand_in_is_removed_too() {
    const LOST: &[&str] = &[MISS, "hang up", MISS];
    const THERE: &[&str] = &["VALUE k 1 1 9\r\nv\r\nEND\r\n", STORED];
    const REMOVAL: &[&str] = &["gets k|", "cas k 0 2592001 0 9||"];
    for (now, read, replies, removal) in [
        (MISS, Read::Miss, THERE, REMOVAL),
        (VALUE, Read::Hit(Found::Text), &[], &[]),
        ("SERVER_ERROR busy\r\n", Read::Hit(Found::Text), &[], &[]),
    ] {
        let owner = [LOST, replies].concat().leak();
        let mut pair = Pair::new(ALWAYS, owner, vec![VALUE, now].leak());
        assert_eq!(pair.get(), read, "{now}");
        assert_eq!(pair.owner().diverted(), 0, "{now}");
        let [owner, _] = pair.said();
        let asked = ["add k 1 10800 1|v|", "get kamailio-memcached:0|"];
        assert_eq!(owner[1..], [&asked, removal].concat(), "{now}");
    }
}
