//! Large values that are written on a condition.

use support::Request;

use super::*;

/// With a script for each write on a condition of the value that the pool `whole` has.
fn site() -> (Site, Kamailio) {
    let site = Site::start();
    let kamailio = site
        .builder()
        .script("add", "mct_add(\"k\", \"$mct(whole=>k)\");", &["$mcst"])
        .script(
            "replace",
            "mct_replace(\"k\", \"$mct(whole=>k)\");",
            &["$mcst"],
        )
        .script(
            "cas",
            "mct_gets(\"k\", \"$var(x)\", \"$avp(version)\");
             if ($hdr(X-Between) != $null) { $mct(k) = $hdr(X-Between); }
             mct_cas(\"k\", \"$mct(whole=>k)\", \"$avp(version)\");",
            &["$mcst"],
        )
        .script("lease", "mct_lease(\"k\", \"$var(x)\");", &["$mcst"])
        .start();
    (site, kamailio)
}

#[test]
fn a_large_value_is_added_where_there_is_none() {
    let (site, kamailio) = site();
    site.offer(PART + 1);
    assert_eq!(kamailio.run("add")["$mcst"], "stored");
    assert_eq!(site.parts().len(), 2);
    assert_same(&kamailio);
    let stored = site.split.item("~1k/0").expect("stored").value;
    site.whole.put("k", 1, 0, "x".repeat(2 * PART));
    assert_eq!(kamailio.run("add")["$mcst"], "not_stored");
    assert!(site.split.item("~1k/0").expect("stored").value == stored);
    kamailio.assert_nothing_logged();
}

#[test]
fn a_large_value_replaces_what_is_there() {
    let (site, kamailio) = site();
    site.offer(PART + 1);
    assert_eq!(kamailio.run("replace")["$mcst"], "not_stored");
    assert!(site.split.is_empty(), "{:?}", site.split.keys());
    site.split.put("k", 1, 0, "old");
    assert_eq!(kamailio.run("replace")["$mcst"], "stored");
    assert_same(&kamailio);
    site.offer(3 * PART);
    assert_eq!(kamailio.run("replace")["$mcst"], "stored");
    assert_same(&kamailio);
    kamailio.assert_nothing_logged();
}

#[test]
fn a_large_value_is_stored_if_the_item_has_still_the_version_that_was_read() {
    let (site, kamailio) = site();
    site.offer(PART + 1);
    site.split.put("k", 1, 0, "old");
    let answer = kamailio.run_with("cas", Request::options().header("X-Between", "newer"));
    assert_eq!(answer["$mcst"], "exists");
    assert_eq!(site.split.text("k").as_deref(), Some("newer"));
    assert!(site.parts().is_empty());
    for len in [PART + 1, 3 * PART] {
        site.offer(len);
        assert_eq!(kamailio.run("cas")["$mcst"], "stored");
        assert_same(&kamailio);
    }
    kamailio.assert_nothing_logged();
}

#[test]
fn the_holder_of_a_lease_stores_a_large_value() {
    let (site, kamailio) = site();
    site.offer(PART + 1);
    assert_eq!(kamailio.run("lease")["$mcst"], "lease");
    assert_eq!(kamailio.run("copy")["$mcst"], "stored");
    assert_eq!(kamailio.run("lease")["$mcst"], "hit");
    assert_same(&kamailio);
    // Something newer has come in between.
    assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
    assert_eq!(kamailio.run("lease")["$mcst"], "lease");
    site.split.put("k", 1, 0, "newer");
    assert_eq!(kamailio.run("copy")["$mcst"], "exists");
    assert_eq!(site.split.text("k").as_deref(), Some("newer"));
    assert!(site.parts().is_empty());
    kamailio.assert_nothing_logged();
}
