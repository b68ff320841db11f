//! `replicas`: each of five servers is lost in turn while eight workers of two nodes read and write all keys, and
//! no key is lost.

use std::time::{Duration, Instant};

use support::{Answer, Builder, Kamailio, Request, during, wait};

use super::cluster::{Cluster, DISTRIBUTIONS};
use super::watch::wait_for_state;

/// How many keys one request reads or writes.
const AT_ONCE: usize = 20;

/// A loop over keys. Whatever is no hit with the value of the key, or is not stored, is counted.
fn over_keys(statements: &str) -> String {
    format!(
        "$var(at) = $(hdr(X-From){{s.int}});
         $var(end) = $(hdr(X-To){{s.int}});
         $var(bad) = 0;
         while ($var(at) < $var(end)) {{
             {statements}
             $var(at) = $var(at) + 1;
         }}"
    )
}

fn node(cluster: &Cluster) -> Builder {
    let bad = "{ $var(bad) = $var(bad) + 1; $var(how) = $mcst; $var(key) = $var(at); }";
    let read = format!("if ($mct(key-$var(at)) != \"v\" + $var(at)) {bad}");
    let write = format!("$mct(key-$var(at)) = \"v\" + $var(at); if ($mcst != \"stored\") {bad}");
    let told = ["$var(bad)", "$var(how)", "$var(key)"];
    cluster
        .builder(0)
        .global("max_while_loops=1000")
        .children(4)
        .param("replicas", 2)
        .param("miss_failover", 600)
        .param("stall_limit", 500)
        .param("retry_interval", 100)
        .script("read-some", &over_keys(&read), &told)
        .script("write-some", &over_keys(&write), &told)
}

/// Two nodes and what they keep in a cluster.
struct Site {
    cluster: Cluster,
    nodes: [Kamailio; 2],
    keys: usize,
}

impl Site {
    fn start(keys: usize) -> Site {
        let cluster = Cluster::start(DISTRIBUTIONS[0]);
        let nodes = [(); 2].map(|()| node(&cluster).start());
        let site = Site {
            cluster,
            nodes,
            keys,
        };
        site.write_all();
        site
    }

    /// Has a node do this with so many keys. Returns what went wrong.
    fn on_some(&self, script: &str, number: usize) -> Option<String> {
        let from = number * AT_ONCE % self.keys;
        let to = (from + AT_ONCE).min(self.keys);
        let request = Request::options()
            .header("X-From", from.to_string())
            .header("X-To", to.to_string())
            .wait_limit(Duration::from_secs(60));
        let answer: Answer = self.nodes[number % 2].run_with(script, request);
        let [bad, how, key] = ["$var(bad)", "$var(how)", "$var(key)"].map(|name| &answer[name]);
        (*bad != 0).then(|| {
            let log = self.nodes[number % 2].module_lines().join("\n");
            format!("{script}: {bad:?} of {from}..{to}; key {key:?}: {how:?}\n{log}")
        })
    }

    /// Has both nodes do this with all keys.
    fn on_all(&self, script: &str) -> Vec<String> {
        let requests = 0..self.keys.div_ceil(AT_ONCE);
        requests
            .filter_map(|number| self.on_some(script, number))
            .collect()
    }

    /// Writes all keys, until all of them have two copies: a server that is back may have to make up for missed
    /// writes first. When a node has seen to that, it may just have deleted what the other one has written; so all keys are
    /// written once more.
    fn write_all(&self) {
        let sets = || -> u64 {
            let memcacheds = self.cluster.memcacheds.iter();
            memcacheds.map(|it| it.stat("cmd_set")).sum()
        };
        let mut rounds = 0;
        wait::until("two copies of each key", Duration::from_secs(300), || {
            let before = sets();
            assert_eq!(self.on_all("write-some"), Vec::<String>::new());
            let is_good = sets() - before == 2 * self.keys as u64;
            rounds = if is_good { rounds + 1 } else { 0 };
            rounds == 2
        });
    }

    /// Eight callers read and write all keys in turn until the event is over. Returns what went wrong, and how many
    /// requests there were.
    fn under_load(&self, event: impl FnOnce()) -> (Vec<String>, usize) {
        let call = |number: usize| {
            let script = match number % 5 {
                0 => "write-some",
                _ => "read-some",
            };
            self.on_some(script, number)
        };
        let ((), failed) = during(8, call, |_| event());
        let requests = failed.len();
        (failed.into_iter().flatten().collect(), requests)
    }
}

#[test]
fn each_of_five_servers_may_be_lost_under_load() {
    assert_nothing_is_lost(500);
}

/// Takes some minutes.
#[test]
#[ignore = "slow: a part of `make endurance`"]
fn each_of_five_servers_may_be_lost_under_load_with_100_000_keys() {
    assert_nothing_is_lost(100_000);
}

/// Kills each server in turn while both nodes read and write all keys, reads all keys before it is back, and once
/// more afterwards.
fn assert_nothing_is_lost(keys: usize) {
    let site = Site::start(keys);
    let nothing = Vec::<String>::new();
    for (number, memcached) in site.cluster.memcacheds.iter().enumerate() {
        let begun = Instant::now();
        let (failed, requests) = site.under_load(|| {
            for node in &site.nodes {
                site.cluster.kill(node, number);
            }
            assert_eq!(site.on_all("read-some"), nothing, "without {number}");
            memcached.restart();
            for node in &site.nodes {
                wait_for_state(node, memcached.address(), "active");
            }
            assert_eq!(site.on_all("read-some"), nothing, "{number} is back");
        });
        assert_eq!(failed, nothing, "while {number} was lost");
        let (operations, time) = ((requests * AT_ONCE), begun.elapsed());
        println!("server {number}: {operations} operations beside, in {time:.1?}");
        site.write_all();
    }
}
