//! `miss_failover`: a server is back and empty. What its stand-in has stored meanwhile is found again, comes back for
//! the rest of its lifetime, goes on being counted, and does not come back once it was written or deleted.

use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Request};

use super::cluster::{Cluster, DISTRIBUTIONS, keys, run};
use super::watch::wait_for_state;

/// The server that is killed, and restarted empty.
const LOST: usize = 2;

/// A cluster of which that server is out, and the keys that it owns.
struct Outage {
    cluster: Cluster,
    kamailio: Kamailio,
    lost: Vec<String>,
    failover: i64,
}

impl Outage {
    fn begin(distribution: usize, failover: i64, with: impl Fn(Builder) -> Builder) -> Outage {
        let cluster = Cluster::start(DISTRIBUTIONS[distribution]);
        let builder = cluster
            .builder(failover)
            .param("miss_failover", 600)
            .param("rejoin", "flush")
            .param("retry_interval", 200)
            .script("delete", "$mct($hdr(X-Key)) = $null;", &["$mcst"])
            .script("touch", "mct_touch(\"$hdr(X-Key)\", 60);", &["$mcst"])
            .script("add", "mct_add(\"$hdr(X-Key)\", \"new\");", &["$mcst"]);
        let kamailio = with(builder).start();
        let owned = |key: &String| cluster.owner(key) == LOST;
        let lost: Vec<String> = keys(1000).into_iter().filter(owned).take(12).collect();
        assert_eq!(lost.len(), 12);
        cluster.kill(&kamailio, LOST);
        Outage {
            cluster,
            kamailio,
            lost,
            failover,
        }
    }

    /// The server is back.
    fn end(&self) {
        let server = &self.cluster.memcacheds[LOST];
        server.restart();
        wait_for_state(&self.kamailio, server.address(), "active");
    }

    fn owner(&self) -> &Memcached {
        &self.cluster.memcacheds[LOST]
    }

    fn stand_in(&self, key: &str) -> &Memcached {
        let at = match self.failover {
            1 => self.cluster.stand_in(key, &[LOST]),
            _ => self.cluster.owner_without(key, &[LOST]),
        };
        &self.cluster.memcacheds[at]
    }

    fn word(&self, script: &str, key: &str) -> String {
        let answer = run(&self.kamailio, script, key);
        let word = answer["$mcst"].bytes().expect("a word");
        String::from_utf8_lossy(word).into_owned()
    }

    fn repaired(&self) -> u64 {
        let shown = self.kamailio.rpc("memcached.stats", &["default"]);
        let mut lines = shown.lines().map(str::trim);
        let line = lines.find_map(|line| line.strip_prefix("repaired: "));
        line.and_then(|number| number.parse().ok()).expect(&shown)
    }
}

#[test]
fn what_a_stand_in_has_stored_is_found_again_and_comes_back() {
    for (distribution, failover) in [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2)] {
        let outage = Outage::begin(distribution, failover, |it| it.param("expire", 500));
        for key in &outage.lost {
            assert_eq!(outage.word("set", key), "stored", "{key}");
            assert!(outage.stand_in(key).text(key).is_some(), "{key}");
        }
        outage.end();
        assert!(outage.owner().is_empty());
        let all = outage.lost.len() as u64;
        for round in [1, 2] {
            for key in &outage.lost {
                let answer = run(&outage.kamailio, "get", key);
                assert_eq!(answer["$mcst"], "hit", "{key}, {round}");
                assert_eq!(answer["$mct($hdr(X-Key))"], *key);
            }
            assert_eq!(outage.repaired(), all, "{round}");
        }
        for key in &outage.lost {
            let item = outage.owner().item(key).expect("an item");
            assert_eq!(item.value, key.as_bytes());
            assert!((400..=500).contains(&item.ttl), "{}", item.ttl);
        }
        assert_eq!(outage.word("get", "nowhere"), "miss");
    }
}

#[test]
fn what_is_deleted_or_written_does_not_come_back() {
    for failover in [1, 2] {
        let outage = Outage::begin(0, failover, |it| it);
        let [deleted, written, touched, added] = &outage.lost[..4] else {
            panic!("four keys: {:?}", outage.lost);
        };
        for key in &outage.lost {
            assert_eq!(outage.word("set", key), "stored", "{key}");
        }
        outage.end();
        assert_eq!(outage.word("delete", deleted), "deleted");
        assert_eq!(outage.word("get", deleted), "miss");
        assert_eq!(outage.word("delete", deleted), "miss");
        assert_eq!(outage.word("set", written), "stored");
        assert_eq!(outage.word("touch", touched), "touched");
        for key in [deleted, written, touched] {
            assert_eq!(outage.stand_in(key).text(key), None, "{key}");
        }
        let ttl = outage.owner().item(touched).expect("an item").ttl;
        assert!((50..=60).contains(&ttl), "{ttl}");
        assert_eq!(outage.word("add", added), "not_stored");
        assert_eq!(outage.owner().text(added).as_deref(), Some(&added[..]));
        // It is lost once more, but not by an outage.
        outage.owner().command("flush_all\r\n");
        for key in [deleted, written, touched] {
            assert_eq!(outage.word("get", key), "miss", "{key}");
        }
    }
}

#[test]
fn a_counter_goes_on_for_all_workers_at_once() {
    let outage = Outage::begin(0, 1, |it| it.children(8));
    let key = &outage.lost[0];
    outage.stand_in(key).put(key, 0, 0, "100");
    outage.end();
    let request = Request::about(key);
    for answer in outage.kamailio.run_at_once("count", 80, &request) {
        assert_eq!(answer["$mcst"], "counted");
    }
    assert_eq!(outage.owner().text(key).as_deref(), Some("180"));
    assert_eq!(outage.repaired(), 1);
}

#[test]
fn nobody_is_asked_before_an_outage_and_when_its_time_is_over() {
    let outage = Outage::begin(0, 1, |it| it);
    let placed = |key: &str| outage.kamailio.rpc("memcached.hash", &[key]);
    let (key, other) = (&outage.lost[0], outage.cluster.key_of(LOST + 1));
    outage.stand_in(key).put(key, 1, 0, "v");
    let stand_in = format!("miss_failover: {}", outage.stand_in(key).address());
    assert!(!placed(key).contains("miss_failover"), "it is asked first");
    outage.end();
    assert!(placed(key).contains(&stand_in), "{}", placed(key));
    assert!(
        !placed(&other).contains("miss_failover"),
        "it was never out"
    );
    let listed = outage.kamailio.rpc("memcached.list", &[]);
    let times = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("returned:"));
    let times: Vec<&str> = times.map(str::trim).collect();
    let known = times.iter().filter(|time| !time.is_empty()).count();
    assert_eq!((times.len(), known), (5, 1), "{listed}");
    let tune = |seconds| {
        let tuned = ["memcached", "miss_failover", seconds];
        outage.kamailio.rpc("cfg.set_now_int", &tuned);
    };
    tune("0");
    assert_eq!(outage.word("get", key), "miss");
    tune("600");
    assert_eq!(outage.word("get", key), "hit");
}

#[test]
fn a_stand_in_that_is_silent_or_gone_costs_no_more_than_its_own_answer() {
    let outage = Outage::begin(0, 1, |it| it.param("stall_limit", 100));
    let [key, other, ..] = &outage.lost[..] else {
        panic!("two keys: {:?}", outage.lost);
    };
    let stand_in = outage.stand_in(key);
    outage.end();
    stand_in.pause();
    let answer = run(&outage.kamailio, "get", key);
    assert_eq!(answer["$mcst"], "miss");
    assert!(answer.elapsed() < Duration::from_millis(2300));
    assert_eq!(outage.word("set", other), "stored");
    assert_eq!(outage.word("get", other), "hit");
    stand_in.kill();
    assert_eq!(outage.word("get", key), "miss");
    assert_eq!(outage.word("set", key), "stored");
    assert_eq!(outage.word("get", key), "hit");
}

#[test]
fn without_failover_it_has_no_effect_and_the_start_says_so() {
    let check = Kamailio::builder().param("miss_failover", 60).check();
    assert!(check.ok, "{}", check.output);
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached).param("miss_failover", 60).start();
    let line = "pool 'default': miss_failover has no effect without failover";
    assert!(kamailio.log().contains(line), "{}", kamailio.log());
    let pool = format!(
        "name=calls;servers={};miss_failover=-1",
        memcached.address()
    );
    let check = Kamailio::builder().param("pool", pool).check();
    assert!(check.ok, "{}", check.output);
}
