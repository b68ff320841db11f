//! `replicas` together with large values, leases, the near cache, many items at once and deferred writes;
//! and in a partition.

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Builder, Forwarder, Kamailio, Memcached, Request, wait};

use super::cluster::{Cluster, DISTRIBUTIONS, TIMEOUT, run};
use super::watch::{row, wait_for_state};

const KEY: &str = "k";

fn start() -> Cluster {
    Cluster::start(DISTRIBUTIONS[0])
}

/// Two copies of each item.
fn builder(cluster: &Cluster) -> Builder {
    let builder = cluster
        .builder(0)
        .param("replicas", 2)
        .param("miss_failover", 600)
        .param("stall_limit", 200)
        .param("retry_interval", 100);
    scripts(builder)
}

fn scripts(builder: Builder) -> Builder {
    let write = "$mct($hdr(X-Key)) = $hdr(X-Value);";
    let read = "$avp(v) = $mct($hdr(X-Key));";
    builder
        .script("delete", "$mct($hdr(X-Key)) = $null;", &["$mcst"])
        .script("write", write, &["$mcst", "$pp"])
        .script("read", read, &["$mcst", "$avp(v)", "$pp"])
}

fn word(kamailio: &Kamailio, script: &str) -> String {
    let answer = run(kamailio, script, KEY);
    let word = answer["$mcst"].bytes().expect("a word");
    String::from_utf8_lossy(word).into_owned()
}

fn write(kamailio: &Kamailio, value: &str) -> String {
    let request = Request::about(KEY).header("X-Value", value);
    let answer = kamailio.run_with("write", request);
    String::from_utf8_lossy(answer["$mcst"].bytes().expect("a word")).into_owned()
}

#[track_caller]
fn assert_reads(kamailio: &Kamailio, value: &str) {
    let answer = run(kamailio, "read", KEY);
    assert_eq!(answer["$mcst"], "hit");
    assert_eq!(answer["$avp(v)"], value);
}

/// The servers that have this item.
fn holders(cluster: &Cluster, key: &str) -> BTreeSet<usize> {
    let has = |at: &usize| cluster.memcacheds[*at].item(key).is_some();
    (0..cluster.memcacheds.len()).filter(has).collect()
}

fn copies(cluster: &Cluster, key: &str) -> BTreeSet<usize> {
    cluster.order(key).into_iter().take(2).collect()
}

/// The server is back, and this node knows it.
fn restart(cluster: &Cluster, kamailio: &Kamailio, server: usize) {
    cluster.memcacheds[server].restart();
    wait_for_state(kamailio, cluster.memcacheds[server].address(), "active");
}

/// A value of three parts in a memcached of its own.
fn large() -> Memcached {
    let whole = Memcached::with(&["-I", "8m"]);
    let value: Vec<u8> = (0..2_500_001_u32)
        .map(|at| (at.wrapping_mul(at) / 7) as u8)
        .collect();
    whole.put(KEY, 1, 0, value);
    whole
}

/// The keys of the index and of the parts.
const PIECES: [&str; 4] = [KEY, "~1k/0", "~1k/1", "~1k/2"];

fn with_large_values(cluster: &Cluster, whole: &Memcached) -> Kamailio {
    let pool = "large_values=0;replicas=1;miss_failover=0";
    builder(cluster)
        .param("large_values", 1)
        // A busy machine may need longer for a part, and a copy that is late has missed it.
        .param("stall_limit", 700)
        .param("timeout", 5000)
        .param(
            "pool",
            format!("name=whole;servers={};{pool}", whole.address()),
        )
        .script("copy", "$mct(k) = $mct(whole=>k);", &["$mcst"])
        .script("touch", "mct_touch(\"k\", 5000);", &["$mcst"])
        .script("same", "", &["$(mct(k){s.md5})", "$(mct(whole=>k){s.md5})"])
        .start()
}

#[track_caller]
fn assert_same(kamailio: &Kamailio) {
    let answer = kamailio.run("same");
    assert_eq!(
        answer["$(mct(k){s.md5})"],
        answer["$(mct(whole=>k){s.md5})"]
    );
}

#[test]
fn a_large_value_survives_the_loss_of_any_server() {
    let (cluster, whole) = (start(), large());
    let kamailio = with_large_values(&cluster, &whole);
    for server in 0..5 {
        assert_eq!(word(&kamailio, "copy"), "stored");
        for piece in PIECES {
            assert_eq!(holders(&cluster, piece), copies(&cluster, piece), "{piece}");
        }
        cluster.kill(&kamailio, server);
        assert_same(&kamailio);
        restart(&cluster, &kamailio, server);
        assert_same(&kamailio);
    }
    assert_eq!(word(&kamailio, "copy"), "stored");
    assert_eq!(word(&kamailio, "delete"), "deleted");
    assert_eq!(word(&kamailio, "read"), "miss");
    for piece in PIECES {
        assert_eq!(holders(&cluster, piece), BTreeSet::new(), "{piece}");
    }
}

#[test]
fn a_large_value_may_be_written_deleted_and_touched_without_any_server() {
    let (cluster, whole) = (start(), large());
    let kamailio = with_large_values(&cluster, &whole);
    for server in 0..5 {
        // A server that is back makes up for what it has missed before it gets anything.
        wait::until(
            "each part is at both copies",
            Duration::from_secs(10),
            || {
                let is_whole = |piece: &&str| holders(&cluster, piece) == copies(&cluster, piece);
                word(&kamailio, "copy") == "stored" && PIECES.iter().all(is_whole)
            },
        );
        assert_eq!(write(&kamailio, "small"), "stored");
        cluster.memcacheds[server].pause();
        assert_eq!(word(&kamailio, "copy"), "stored", "without {server}");
        assert_same(&kamailio);
        assert_eq!(word(&kamailio, "touch"), "touched", "without {server}");
        for piece in PIECES {
            for at in copies(&cluster, piece)
                .into_iter()
                .filter(|at| *at != server)
            {
                let told = cluster.memcacheds[at].command(format!("mg {piece} t\r\n"));
                let told = String::from_utf8_lossy(&told).into_owned();
                let left = told.trim().strip_prefix("HD t").map(str::parse::<u32>);
                assert!(matches!(left, Some(Ok(4000..=5000))), "{piece}: {told}");
            }
        }
        cluster.memcacheds[server].resume();
        wait_for_state(&kamailio, cluster.memcacheds[server].address(), "active");
        assert_same(&kamailio);
        cluster.memcacheds[server].pause();
        assert_eq!(word(&kamailio, "delete"), "deleted", "without {server}");
        cluster.memcacheds[server].resume();
        wait_for_state(&kamailio, cluster.memcacheds[server].address(), "active");
        assert_eq!(word(&kamailio, "read"), "miss", "{server} is back");
    }
}

fn with_leases(cluster: &Cluster) -> Kamailio {
    let lease = "$avp(v) = $null; mct_lease(\"$hdr(X-Key)\", \"$avp(v)\");";
    let invalidate = "mct_invalidate(\"$hdr(X-Key)\", 30);";
    builder(cluster)
        .script("lease", lease, &["$mcst", "$avp(v)"])
        .script("invalidate", invalidate, &["$mcst"])
        .start()
}

#[test]
fn what_the_holder_of_a_lease_has_computed_is_stored_at_both_copies() {
    let cluster = start();
    let kamailio = with_leases(&cluster);
    assert_eq!(word(&kamailio, "lease"), "lease");
    assert_eq!(write(&kamailio, "computed"), "stored");
    assert_eq!(holders(&cluster, KEY), copies(&cluster, KEY));
    for at in copies(&cluster, KEY) {
        cluster.memcacheds[at].assert_holds(KEY, 1, "computed");
    }
    cluster.kill(&kamailio, cluster.owner(KEY));
    assert_reads(&kamailio, "computed");
    assert_eq!(word(&kamailio, "lease"), "hit");
}

#[test]
fn the_lease_of_a_lost_server_is_over_and_the_next_copy_gives_another_one() {
    let cluster = start();
    let kamailio = with_leases(&cluster);
    let owner = cluster.owner(KEY);
    assert_eq!(word(&kamailio, "lease"), "lease");
    cluster.kill(&kamailio, owner);
    assert_eq!(write(&kamailio, "late"), "miss");
    let next = cluster.stand_in(KEY, &[owner]);
    assert!(cluster.memcacheds[next].item(KEY).is_none());
    assert_eq!(word(&kamailio, "lease"), "lease");
    assert_eq!(write(&kamailio, "computed"), "stored");
    restart(&cluster, &kamailio, owner);
    assert_reads(&kamailio, "computed");
    assert_eq!(holders(&cluster, KEY), copies(&cluster, KEY));
}

#[test]
fn what_is_out_of_date_is_so_at_both_copies() {
    let cluster = start();
    let kamailio = with_leases(&cluster);
    assert_eq!(write(&kamailio, "old"), "stored");
    assert_eq!(word(&kamailio, "invalidate"), "touched");
    cluster.kill(&kamailio, cluster.owner(KEY));
    let answer = run(&kamailio, "lease", KEY);
    assert_eq!(answer["$mcst"], "lease");
    assert_eq!(answer["$avp(v)"], "old");
    assert_eq!(write(&kamailio, "new"), "stored");
    assert_reads(&kamailio, "new");
}

/// All workers read this.
#[track_caller]
fn assert_all_read(kamailio: &Kamailio, value: &str) {
    for answer in kamailio.run_on_every_worker("read", &Request::about(KEY)) {
        assert_eq!(answer["$mcst"], "hit");
        assert_eq!(answer["$avp(v)"], value);
    }
}

#[test]
fn the_near_cache_knows_what_was_written_to_either_copy() {
    let cluster = start();
    let kamailio = builder(&cluster)
        .children(4)
        .param("near_size", 100)
        .param("near_expire", 600_000)
        .param("near_stale", 600_000)
        .start();
    let owner = cluster.owner(KEY);
    assert_eq!(write(&kamailio, "first"), "stored");
    assert_all_read(&kamailio, "first");
    let asked = || -> u64 { cluster.memcacheds.iter().map(|it| it.stat("cmd_get")).sum() };
    let before = asked();
    assert_all_read(&kamailio, "first");
    assert_eq!(asked(), before);
    cluster.kill(&kamailio, owner);
    for value in ["second", "third"] {
        assert_eq!(write(&kamailio, value), "stored");
        assert_all_read(&kamailio, value);
    }
    restart(&cluster, &kamailio, owner);
    assert_all_read(&kamailio, "third");
    assert_eq!(write(&kamailio, "fourth"), "stored");
    assert_all_read(&kamailio, "fourth");
    assert_eq!(holders(&cluster, KEY), copies(&cluster, KEY));
    assert_eq!(word(&kamailio, "delete"), "deleted");
    for answer in kamailio.run_on_every_worker("read", &Request::about(KEY)) {
        assert_eq!(answer["$mcst"], "miss");
    }
}

#[test]
fn many_items_are_found_without_any_one_of_the_servers() {
    let cluster = start();
    let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let many = format!("mct_mget(\"{}\"); $var(rc) = $rc;", names.join(","));
    let lose: [fn(&Memcached); 2] = [Memcached::kill, Memcached::pause];
    for (server, lose) in lose.into_iter().enumerate() {
        let kamailio = builder(&cluster)
            .script("many", &many, &["$var(rc)", "$mct(m0)", "$mct(m39)"])
            .start();
        for name in &names {
            assert_eq!(run(&kamailio, "set", name)["$mcst"], "stored");
        }
        assert_eq!(kamailio.run("many")["$var(rc)"], 40);
        lose(&cluster.memcacheds[server]);
        for _ in 0..3 {
            let answer = kamailio.run("many");
            assert_eq!(answer["$var(rc)"], 40, "without {server}");
            assert_eq!(answer["$mct(m0)"], "m0");
            assert_eq!(answer["$mct(m39)"], "m39");
            assert!(answer.elapsed() < TIMEOUT, "{:?}", answer.elapsed());
        }
        cluster.memcacheds[server].resume();
        if server == 0 {
            cluster.memcacheds[server].restart();
        }
        wait_for_state(&kamailio, cluster.memcacheds[server].address(), "active");
        let answer = kamailio.run("many");
        assert_eq!(answer["$mct(m0)"], "m0", "{server} is back");
        assert_eq!(answer["$mct(m39)"], "m39", "{server} is back");
    }
}

/// What the servers of a key's copies hold, once it is that.
#[track_caller]
fn wait_for_copies(cluster: &Cluster, servers: &BTreeSet<usize>, value: Option<&str>) {
    let is_so = |at: &usize| cluster.memcacheds[*at].text(KEY).as_deref() == value;
    wait::until("the copies", wait::WAIT_LIMIT, || servers.iter().all(is_so));
}

#[test]
fn deferred_writes_reach_both_copies_and_are_made_up_for() {
    let cluster = start();
    let kamailio = builder(&cluster).param("deferred_writes", 1).start();
    let both = copies(&cluster, KEY);
    for lost in both.clone() {
        // The first write opens connections, and a server may still have to make up for one.
        wait::until("both copies", wait::WAIT_LIMIT, || {
            let is_there = |at: &usize| cluster.memcacheds[*at].text(KEY).is_some();
            write(&kamailio, "first") == "sent" && both.iter().all(is_there)
        });
        wait_for_copies(&cluster, &both, Some("first"));
        cluster.memcacheds[lost].pause();
        assert_eq!(write(&kamailio, "second"), "sent");
        assert_reads(&kamailio, "second");
        let deleted = word(&kamailio, "delete"); // `sent` while the lost copy counts as active.
        assert!(["sent", "deleted"].contains(&&*deleted), "{deleted}");
        assert_eq!(word(&kamailio, "read"), "miss", "without {lost}");
        cluster.memcacheds[lost].resume();
        wait_for_state(&kamailio, cluster.memcacheds[lost].address(), "active");
        assert_eq!(word(&kamailio, "read"), "miss", "{lost} is back");
        wait_for_copies(&cluster, &both, None);
    }
}

#[test]
fn a_restart_that_nobody_has_noticed_is_one_if_the_other_copy_is_always_asked() {
    let cluster = start();
    for (miss_failover, expected) in [(600, "miss"), (-1, "hit")] {
        let kamailio = builder(&cluster)
            .param("miss_failover", miss_failover)
            .start();
        assert_eq!(write(&kamailio, "v"), "stored");
        cluster.memcacheds[cluster.owner(KEY)].restart();
        assert_eq!(word(&kamailio, "read"), expected, "{miss_failover}");
    }
}

/// A node that reaches two memcacheds by ways of its own.
struct Node {
    ways: [Forwarder; 2],
    kamailio: Kamailio,
}

impl Node {
    fn to(memcacheds: &[Memcached; 2]) -> Node {
        let ways = memcacheds.each_ref().map(|it| Forwarder::to(it.address()));
        let [a, b] = ways.each_ref().map(Forwarder::address);
        let kamailio = scripts(Kamailio::builder().rpc())
            .param("servers", format!("{a} a, {b} b"))
            .param("replicas", 2)
            .param("retry_interval", 100)
            .start();
        Node { ways, kamailio }
    }

    /// Asks until the node has noticed that one way is closed.
    fn notice(&self, way: usize) {
        let address = self.ways[way].address();
        wait::until("the node to notice", wait::WAIT_LIMIT, || {
            run(&self.kamailio, "delete", "other");
            row(&self.kamailio, &address).state == "inactive"
        });
    }
}

#[test]
fn what_both_sides_of_a_partition_have_written_is_lost() {
    let memcacheds = [Memcached::start(), Memcached::start()];
    let nodes = [Node::to(&memcacheds), Node::to(&memcacheds)];
    assert_eq!(write(&nodes[0].kamailio, "before"), "stored");
    for (at, node) in nodes.iter().enumerate() {
        assert_reads(&node.kamailio, "before");
        node.ways[1 - at].refuse();
        node.notice(1 - at);
    }
    for (at, node) in nodes.iter().enumerate() {
        let value = format!("of side {at}");
        assert_eq!(write(&node.kamailio, &value), "stored");
        assert_reads(&node.kamailio, &value);
    }
    for (at, node) in nodes.iter().enumerate() {
        node.ways[1 - at].accept();
        wait_for_state(&node.kamailio, &node.ways[1 - at].address(), "active");
    }
    for node in &nodes {
        assert_eq!(word(&node.kamailio, "read"), "miss");
    }
    assert!(memcacheds.iter().all(|it| it.item(KEY).is_none()));
}
