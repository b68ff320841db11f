//! memcached has dropped a part of a large value.

use super::*;

/// Each way to store it anew, the word for that, and the value of the item then.
#[test]
fn what_has_lost_a_part_is_stored_anew_by_those_who_ask_whether_it_is_there() {
    let site = Site::start();
    let kamailio = site
        .builder()
        .script("lease", "mct_lease(\"k\", \"$var(v)\");", &["$mcst"])
        .script("set", "mct_set(\"k\", \"new\");", &["$mcst"])
        .script("add", "mct_add(\"k\", \"new\");", &["$mcst"])
        .script("large", "mct_add(\"k\", \"$mct(whole=>k)\");", &["$mcst"])
        .start();
    let word = |script: &str| kamailio.run(script)["$mcst"].clone();
    site.offer(3 * PART);
    let lose = |part: usize| {
        assert_eq!(word("copy"), "stored");
        assert_eq!(word("add"), "not_stored", "all parts are there");
        site.split.command(format!("delete ~1k/{part}\r\n"));
        assert_eq!(word("read"), "miss");
    };
    lose(0);
    assert_eq!(word("lease"), "lease");
    assert_eq!(word("set"), "stored");
    site.split.assert_holds("k", 1, "new");
    lose(1);
    assert_eq!(word("add"), "stored");
    site.split.assert_holds("k", 1, "new");
    lose(2);
    assert_eq!(word("large"), "stored");
    assert_eq!(site.parts().len(), 3);
    let same = kamailio.run("same");
    assert_eq!(same["$(mct(k){s.md5})"], same["$(mct(whole=>k){s.md5})"]);
    kamailio.assert_nothing_logged();
}
