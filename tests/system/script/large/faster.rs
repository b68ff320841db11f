//! Large values together with what makes reads and writes faster or safer: copies, near cache, many keys at once,
//! deferred writes.

use super::*;

/// Reads `k` in each of the ways that there are, and compares it with the pool `whole`.
fn with_reads(builder: Builder) -> Builder {
    let whole = "$(mct(whole=>k){s.md5})";
    builder
        .script(
            "many",
            "mct_mget(\"k,small\"); $var(many) = $mcst;",
            &["$var(many)", "$(mct(k){s.md5})", whole, "$mct(small)"],
        )
        .script(
            "ahead",
            "mct_prefetch(\"k,small\");",
            &["$(mct(k){s.md5})", whole, "$mct(small)"],
        )
}

fn assert_read_in_all_ways(kamailio: &Kamailio) {
    assert_same(kamailio);
    for way in ["many", "ahead"] {
        let answer = kamailio.run(way);
        assert_eq!(
            answer["$(mct(k){s.md5})"], answer["$(mct(whole=>k){s.md5})"],
            "{way}"
        );
        assert_eq!(answer["$mct(small)"], "small", "{way}");
    }
}

#[test]
fn large_values_are_read_among_many_and_with_a_near_cache_and_deferred_writes() {
    // What becomes of a write of one item. Parts are always waited for.
    for (name, value, small) in [
        ("deferred_writes", 1, "sent"),
        ("near_size", 8, "stored"),
        ("compress_min", 100, "stored"),
    ] {
        let site = Site::start();
        site.split.put("small", 1, 0, "small");
        let kamailio = with_reads(site.builder()).param(name, value).start();
        for len in [2 * PART, PART + 1, 3 * PART, 7] {
            site.offer(len);
            let expected = if len > PART { "stored" } else { small };
            let written = kamailio.run("copy");
            assert_eq!(written["$mcst"], expected, "{name}: {len} bytes");
            assert_read_in_all_ways(&kamailio);
        }
        assert_eq!(kamailio.run("delete")["$mcst"], "deleted", "{name}");
        assert_eq!(null(&kamailio), "miss", "{name}");
    }
}

#[test]
fn each_part_is_kept_on_two_servers_and_either_may_be_lost() {
    let whole = Memcached::with(&["-I", "32m", "-m", "128"]);
    for lost in 0..3 {
        let servers = [(); 3].map(|()| Memcached::with(&["-m", "128"]));
        let list = servers.iter().map(Memcached::address).collect::<Vec<_>>();
        let builder = Kamailio::builder()
            .param("servers", list.join(","))
            .param("replicas", 2)
            .param("stall_limit", 100);
        let kamailio = with_reads(with_copy(builder, &whole))
            .script("small", "$mct(small) = \"small\";", &["$mcst"])
            .start();
        whole.put("k", 1, 0, noise(5 * PART));
        assert_eq!(kamailio.run("small")["$mcst"], "stored");
        assert_eq!(kamailio.run("copy")["$mcst"], "stored");
        for key in ["k", "~1k/0", "~1k/1", "~1k/2", "~1k/3", "~1k/4"] {
            let copies = servers.iter().filter(|it| it.item(key).is_some()).count();
            assert_eq!(copies, 2, "{key}");
        }
        servers[lost].pause();
        assert_read_in_all_ways(&kamailio);
        servers[lost].resume();
        assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
        assert_eq!(null(&kamailio), "miss");
    }
}
