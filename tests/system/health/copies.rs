//! `replicas`: each item is on its owner and on the next server, and either may be lost or silent.

use std::collections::BTreeSet;

use support::Builder;

use super::cluster::{Cluster, DISTRIBUTIONS, keys, run};
use super::watch::wait_for_state;

/// Two copies of each item.
fn builder(cluster: &Cluster) -> Builder {
    cluster
        .builder(0)
        .param("replicas", 2)
        .param("stall_limit", 100)
        .param("retry_interval", 100)
        .script("delete", "$mct($hdr(X-Key)) = $null;", &["$mcst"])
        .script("add", "mct_add(\"$hdr(X-Key)\", \"added\");", &["$mcst"])
        .script("touch", "mct_touch(\"$hdr(X-Key)\", 60);", &["$mcst"])
        .script(
            "create",
            "mct_inc(\"$hdr(X-Key)\", \"1\", \"$avp(n)\", \"1\", \"60\");",
            &["$mcst", "$avp(n)"],
        )
}

/// The servers that have this item.
fn holders(cluster: &Cluster, key: &str) -> BTreeSet<usize> {
    let has = |at: &usize| cluster.memcacheds[*at].item(key).is_some();
    (0..cluster.memcacheds.len()).filter(has).collect()
}

fn copies(cluster: &Cluster, key: &str) -> BTreeSet<usize> {
    cluster.order(key).into_iter().take(2).collect()
}

#[test]
fn what_is_done_with_an_item_is_done_on_its_owner_and_the_next_server() {
    for distribution in DISTRIBUTIONS {
        let cluster = Cluster::start(distribution);
        let kamailio = builder(&cluster).start();
        for key in keys(12) {
            assert_eq!(run(&kamailio, "set", &key)["$mcst"], "stored");
            assert_eq!(holders(&cluster, &key), copies(&cluster, &key), "{key}");
            assert_eq!(run(&kamailio, "touch", &key)["$mcst"], "touched");
            assert_eq!(run(&kamailio, "delete", &key)["$mcst"], "deleted");
            assert_eq!(holders(&cluster, &key), BTreeSet::new(), "{key}");
            assert_eq!(run(&kamailio, "add", &key)["$mcst"], "stored");
            assert_eq!(run(&kamailio, "add", &key)["$mcst"], "not_stored");
            assert_eq!(holders(&cluster, &key), copies(&cluster, &key), "{key}");
            let counter = format!("n-{key}");
            for _ in 0..3 {
                assert_eq!(run(&kamailio, "create", &counter)["$mcst"], "counted");
            }
            assert_eq!(run(&kamailio, "count", &counter)["$mcst"], "counted");
            for at in copies(&cluster, &counter) {
                let number = cluster.memcacheds[at].text(&counter);
                assert_eq!(number.as_deref(), Some("4"), "{counter}");
            }
        }
    }
}

#[test]
fn operators_see_the_copies_of_a_key() {
    let cluster = Cluster::start(DISTRIBUTIONS[0]);
    let kamailio = builder(&cluster).start();
    let order = cluster.order("any");
    let address = |at: usize| cluster.memcacheds[order[at]].address();
    let shown = kamailio.rpc("memcached.hash", &["any"]);
    let copies = shown.split_once("copies: {").expect(&shown).1;
    let copies = copies.split_once('}').expect(&shown).0;
    let copies: Vec<&str> = copies.split_whitespace().collect();
    assert_eq!(copies, [address(0), address(1)]);
    let shown = kamailio.rpc("memcached.list", &[]);
    assert_eq!(shown.matches("replicas: 2\n").count(), 5, "{shown}");
}

#[test]
fn a_key_is_read_and_written_at_the_next_copy_while_its_owner_is_silent() {
    let cluster = Cluster::start(DISTRIBUTIONS[0]);
    let kamailio = builder(&cluster).start();
    let mut keys = keys(1000);
    keys.retain(|key| cluster.owner(key) == 1);
    keys.truncate(12);
    assert_eq!(keys.len(), 12);
    for key in &keys {
        assert_eq!(run(&kamailio, "set", key)["$mcst"], "stored");
    }
    cluster.memcacheds[1].pause();
    for key in &keys {
        let answer = run(&kamailio, "get", key);
        assert_eq!(answer["$mct($hdr(X-Key))"], *key);
    }
    for key in &keys {
        assert_eq!(run(&kamailio, "delete", key)["$mcst"], "deleted");
    }
    cluster.memcacheds[1].resume();
    wait_for_state(&kamailio, cluster.memcacheds[1].address(), "active");
    for key in &keys {
        assert_eq!(run(&kamailio, "get", key)["$mcst"], "miss", "{key}");
    }
}
