//! The same keys on the same servers as other people's clients: what the module writes, they
//! read, and the other way round, over five memcacheds of which each must hold exactly the keys
//! that both sides look for there.
//!
//! libmemcached and twemproxy come from Debian, libmc from the Python package index.

use std::time::Duration;

use support::{FaultyServer, Kamailio, Request, Value};

use super::client::{Connection, Peer};
use super::site::Servers::*;
use super::site::{Site, write};

#[test]
fn libmemcacheds_weighted_ketama_is_ketama() {
    let site = Site::start();
    let peer = ["distribution=ketama"];
    site.agrees(&[], Weighted, &mut site.libmemcached(&peer, Weighted));
}

#[test]
fn libmemcacheds_weighted_ketama_may_have_another_key_hash() {
    let site = Site::start();
    let peer = ["distribution=ketama", "hash=murmur3"];
    let peer = &mut site.libmemcached(&peer, Weighted);
    site.agrees(&[("hash", "murmur3")], Weighted, peer);
}

#[test]
fn libmemcacheds_consistent_distribution_is_ketama_unweighted() {
    let site = Site::start();
    for hash in ["one_at_a_time", "fnv1a_64"] {
        let ours = [("distribution", "ketama_unweighted"), ("hash", hash)];
        let words = [&format!("hash={hash}"), "distribution=ketama_unweighted"];
        site.agrees(&ours, Plain, &mut site.libmemcached(&words, Plain));
    }
}

#[test]
fn libmemcacheds_default_is_modula() {
    let site = Site::start();
    let peer = &mut site.libmemcached(&["distribution=modula"], Weighted);
    site.agrees(&[("distribution", "modula")], Weighted, peer);
}

#[test]
fn libmemcacheds_spymemcached_rings_are_spy_and_spy_weighted() {
    let site = Site::start();
    let peer = &mut site.libmemcached(&["distribution=spy"], Plain);
    site.agrees(&[("distribution", "spy")], Plain, peer);
    let peer = &mut site.libmemcached(&["distribution=spy_weighted"], Weighted);
    site.agrees(&[("distribution", "spy_weighted")], Weighted, peer);
}

#[test]
fn libmemcacheds_namespace_is_a_key_prefix_that_is_not_hashed() {
    let site = Site::start();
    let ours = [("key_prefix", "kam:"), ("hash_prefix", "0")];
    let peer = ["distribution=ketama", "namespace=kam:"];
    site.agrees(&ours, Weighted, &mut site.libmemcached(&peer, Weighted));
}

#[test]
fn libmemcacheds_hashed_namespace_is_a_key_prefix() {
    let site = Site::start();
    let peer = ["distribution=ketama", "namespace=kam:", "hash_namespace"];
    let peer = &mut site.libmemcached(&peer, Weighted);
    site.agrees(&[("key_prefix", "kam:")], Weighted, peer);
}

#[test]
fn libmc_is_libmc() {
    let site = Site::start();
    let libmc = ("distribution", "libmc");
    site.agrees(&[libmc], Plain, &mut site.libmc(&[], Plain));
    for hash in ["crc_32", "fnv1a_32"] {
        let peer = &mut site.libmc(&[&format!("hash={hash}")], Plain);
        site.agrees(&[libmc, ("hash", hash)], Plain, peer);
    }
}

#[test]
fn libmcs_aliases_stand_for_the_servers() {
    let site = Site::start();
    let peer = &mut site.libmc(&[], Aliased);
    site.agrees(&[("distribution", "libmc")], Aliased, peer);
}

#[test]
fn libmcs_prefix_is_a_key_prefix() {
    let site = Site::start();
    let ours = [("distribution", "libmc"), ("key_prefix", "kam:")];
    site.agrees(&ours, Plain, &mut site.libmc(&["prefix=kam:"], Plain));
}

#[test]
fn libmc_puts_a_question_mark_before_its_prefix_and_so_do_we() {
    let site = Site::start();
    let ours = [("distribution", "libmc"), ("key_prefix", "kam:")];
    let kamailio = site.kamailio(&ours, Plain);
    let mut peer = site.libmc(&["prefix=kam:"], Plain);
    for number in 0..20 {
        let key = format!("?{number}");
        write(&kamailio, &key, "ours");
        assert_eq!(peer.get(&key).as_deref(), Some("ours"), "{key}");
        site.server_of(&format!("?kam:{number}"));
    }
}

#[test]
fn twemproxys_ketama_is_twemproxy() {
    let site = Site::start();
    let twemproxy = ("distribution", "twemproxy");
    for servers in [Weighted, Both] {
        let proxy = site.twemproxy(&["distribution: ketama"], servers);
        let peer = &mut Connection::open(&proxy.address());
        site.agrees(&[twemproxy], servers, peer);
    }
    let proxy = site.twemproxy(&["distribution: ketama", "hash: crc32a"], Both);
    let peer = &mut Connection::open(&proxy.address());
    site.agrees(&[twemproxy, ("hash", "crc32a")], Both, peer);
}

#[test]
fn twemproxys_modula_is_twemproxy_modula() {
    let site = Site::start();
    let modula = ("distribution", "twemproxy_modula");
    for servers in [Weighted, Both] {
        let proxy = site.twemproxy(&["distribution: modula"], servers);
        let peer = &mut Connection::open(&proxy.address());
        site.agrees(&[modula], servers, peer);
    }
}

#[test]
fn twemproxys_hash_tag_keeps_what_belongs_together_on_one_server() {
    let site = Site::start();
    let ours = [("distribution", "twemproxy"), ("hash_tag", "{}")];
    let proxy = site.twemproxy(&["distribution: ketama", "hash_tag: \"{}\""], Both);
    let mut peer = Connection::open(&proxy.address());
    site.agrees(&ours, Both, &mut peer);

    let kamailio = site.kamailio(&ours, Both);
    for caller in ["alice", "bob", "carol", "dave"] {
        let keys = ["plan", "calls", "dnd"].map(|what| format!("{what}:{{{caller}}}"));
        for key in &keys {
            write(&kamailio, key, caller);
            assert_eq!(peer.get(key).as_deref(), Some(caller), "{key}");
        }
        let servers = keys.map(|key| site.server_of(&key));
        assert!(servers.iter().all(|&server| server == servers[0]));
    }
}

/// twemproxy closes a connection on what it does not know, and on keys beyond 250 bytes: the
/// connection that was made first must have served everything.
#[test]
fn every_operation_works_through_a_twemproxy() {
    let site = Site::start();
    let proxy = site.twemproxy(&["distribution: ketama"], Weighted);
    let relay = FaultyServer::relay(&proxy.address(), Duration::ZERO);
    let kamailio = Kamailio::builder()
        .param("servers", relay.address())
        .param(
            "pool",
            format!("name=add;mode=1;servers={}", relay.address()),
        )
        .script("set", "$mct($hdr(X-Key)) = $hdr(X-Value);", &["$mcst"])
        .script("get", "", &["$mct($hdr(X-Key))", "$mcst"])
        .script("touch", "$mctex($hdr(X-Key)) = 300;", &["$mcst"])
        .script("number", "$mct($hdr(X-Key)) = 40;", &["$mcst"])
        .script("inc", "$mcinc($hdr(X-Key)) = 3;", &["$mcst"])
        .script("dec", "$mcdec($hdr(X-Key)) = 1;", &["$mcst"])
        .script("delete", "$mct($hdr(X-Key)) = $null;", &["$mcst"])
        .script("add", "$mct(add=>$hdr(X-Key)) = $hdr(X-Value);", &["$mcst"])
        .start();
    let step = |script: &str, key: &str, outcome: &str| {
        let request = Request::about(key);
        let answer = kamailio.run_with(script, request.header("X-Value", "v"));
        assert_eq!(answer["$mcst"], outcome, "{script} of {key}");
        answer.values()[0].clone()
    };
    let long = "k".repeat(300);
    for key in ["short", &"k".repeat(249), &long, "jürgen", "a b"] {
        step("touch", key, "miss");
        step("inc", key, "miss");
        step("delete", key, "miss");
        step("set", key, "stored");
        assert_eq!(step("get", key, "hit"), "v");
        step("touch", key, "touched");
        step("inc", key, "not_a_number");
        step("number", key, "stored");
        step("inc", key, "counted");
        step("dec", key, "counted");
        assert_eq!(step("get", key, "hit"), 42);
        step("delete", key, "deleted");
        assert_eq!(step("get", key, "miss"), Value::Null);
    }
    assert_eq!(relay.connections(), 1, "the proxy has hung up");
    step("add", "once", "stored");
    step("add", "once", "not_stored");
    assert_eq!(relay.connections(), 2, "one for each pool");
}
