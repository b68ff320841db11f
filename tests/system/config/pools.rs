//! Named pools with settings of their own, and lists of several servers, in a real Kamailio: which
//! pool a variable means, what a pool takes from the plain parameters, what stands on the wire.

use std::time::Duration;

use kamailio_memcached::internals::{Distribution, Placement, parse_list};
use support::{Builder, FaultyServer, Kamailio, Memcached, Port, Request, Value};

/// A default pool and one called `calls`, each with a memcached.
fn two_pools() -> ([Memcached; 2], Builder) {
    let [default, calls] = [Memcached::start(), Memcached::start()];
    let builder = Kamailio::builder().memcached(&default).param(
        "pool",
        format!("name=calls;servers={};expire=300", calls.address()),
    );
    ([default, calls], builder)
}

fn ttl(memcached: &Memcached, key: &str) -> i64 {
    let item = memcached.item(key);
    item.unwrap_or_else(|| panic!("no {key}")).ttl
}

#[test]
fn every_variable_takes_a_pool_before_its_key() {
    let ([default, calls], builder) = two_pools();
    let kamailio = builder
        .script(
            "set",
            r#"$mct(calls=>k=>60) = "v";"#,
            &["$mct(calls=>k)", "$mct(k)"],
        )
        .script("touch", "$mctex(calls=>k) = 900;", &["$mcst"])
        .script("number", "$mct(calls => n) = 40;", &[])
        .script("inc", "$mcinc(calls=>n) = 3;", &["$mcinc(calls=>n)"])
        .script("dec", "$mcdec(calls=>n) = 1;", &["$mcdec(calls=>n)"])
        .script("delete", "$mct(calls=>k) = $null;", &["$mcst"])
        .start();
    assert_eq!(
        kamailio.run("set").values(),
        [Value::Str(b"v".into()), Value::Null]
    );
    assert!((55..=60).contains(&ttl(&calls, "k")));
    assert_eq!(kamailio.run("touch")["$mcst"], "touched");
    assert!((890..=900).contains(&ttl(&calls, "k")));
    kamailio.run("number");
    assert!(
        (290..=300).contains(&ttl(&calls, "n")),
        "the pool's lifetime"
    );
    assert_eq!(kamailio.run("inc")["$mcinc(calls=>n)"], 43);
    assert_eq!(kamailio.run("dec")["$mcdec(calls=>n)"], 42);
    assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
    assert_eq!(calls.keys(), [b"n"]);
    assert!(default.is_empty());
}

#[test]
fn a_pools_name_alone_is_a_key_of_the_default_pool() {
    let ([default, calls], builder) = two_pools();
    let kamailio = builder
        .script("alone", r#"$mct(calls) = "a";"#, &[])
        .script("inside", r#"$mct(calls=>calls) = "b";"#, &[])
        .script("other", r#"$mct(other=>60) = "c";"#, &[])
        .start();
    kamailio.run("alone");
    kamailio.run("inside");
    kamailio.run("other");
    assert_eq!(default.text("calls").as_deref(), Some("a"));
    assert_eq!(calls.text("calls").as_deref(), Some("b"));
    assert!((55..=60).contains(&ttl(&default, "other")));
}

#[test]
fn the_default_pool_is_named_as_any_other() {
    let ([default, calls], builder) = two_pools();
    let kamailio = builder
        .script("set", r#"$mct(default=>k=>60) = "v";"#, &["$mct(k)"])
        .script("digits", "$mct(default=>60) = 1;", &[])
        .script("alone", "$mct(default) = 2;", &[])
        .start();
    assert_eq!(kamailio.run("set").values(), ["v"]);
    assert!((55..=60).contains(&ttl(&default, "k")));
    kamailio.run("digits");
    kamailio.run("alone");
    assert_eq!(default.text("60").as_deref(), Some("1"));
    assert_eq!(default.text("default").as_deref(), Some("2"));
    assert_eq!(default.len(), 3);
    assert!(calls.is_empty());
}

#[test]
fn only_literal_text_names_a_pool() {
    let ([default, calls], builder) = two_pools();
    let kamailio = builder
        .script("expiring", "$mct($hdr(X-Key)=>60) = 1;", &[])
        .script("whole", "$mct($hdr(X-Key)) = 1;", &[])
        .start();
    let with = |key: &str| Request::about(key);
    kamailio.run_with("expiring", with("calls"));
    kamailio.run_with("whole", with("calls=>k"));
    assert_eq!(default.keys(), [&b"calls"[..], b"calls=>k"]);
    assert!((55..=60).contains(&ttl(&default, "calls")));
    assert!(calls.is_empty());
}

#[test]
fn a_pool_takes_what_it_leaves_out_from_the_plain_parameters() {
    let memcached = Memcached::start();
    let address = memcached.address();
    // The order in the configuration plays no part.
    let kamailio = Kamailio::builder()
        .param("pool", format!("name=heir;servers={address}"))
        .param("expire", 100)
        .param("mode", 1)
        .param("stringify", 1)
        .param("key_prefix", "p:")
        .memcached(&memcached)
        .param(
            "pool",
            format!("name=own; expire=200; mode=0; stringify=0; key_prefix=; servers={address};"),
        )
        .script(
            "heir",
            "$mct(heir=>k) = 1; $mct(heir=>k) = 2;",
            &["$mct(heir=>k)"],
        )
        .script(
            "own",
            "$mct(own=>k) = 1; $mct(own=>k) = 2;",
            &["$mct(own=>k)"],
        )
        .start();
    assert_eq!(kamailio.run("heir")["$mct(heir=>k)"], "1");
    assert_eq!(kamailio.run("own")["$mct(own=>k)"], 2);
    assert_eq!(memcached.keys(), [&b"k"[..], b"p:k"]);
    assert!((95..=100).contains(&ttl(&memcached, "p:k")));
    assert!((195..=200).contains(&ttl(&memcached, "k")));
}

#[test]
fn a_pool_has_its_own_deadline_and_its_own_outages() {
    let memcached = Memcached::start();
    let silent = FaultyServer::silent();
    let nobody = Port::free();
    let kamailio = Kamailio::builder()
        .memcached(&memcached)
        .param(
            "pool",
            format!("name=slow;timeout=50;servers={}", silent.address()),
        )
        .param("pool", format!("name=gone;servers={}", nobody.v4()))
        .script("slow", "", &["$mct(slow=>k)", "$mcst"])
        .script("gone", "", &["$mct(gone=>k)", "$mcst"])
        .script("good", "$mct(k) = 1;", &["$mct(k)", "$mcst"])
        .start();
    let slow = kamailio.run("slow");
    assert_eq!(slow["$mcst"], "timeout");
    assert!(slow.elapsed() < Duration::from_secs(2), "{slow:?}");
    assert_eq!(kamailio.run("gone")["$mcst"], "down");
    assert_eq!(kamailio.run("good")["$mcst"], "hit");
}

#[test]
fn the_prefix_stands_on_the_wire_and_never_in_the_digest() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::builder()
        .memcached(&memcached)
        .param("key_prefix", "kam:")
        .script("set", "$mct($hdr(X-Key)) = 1;", &["$mct($hdr(X-Key))"])
        .script("literal", "$mct(literal) = 1;", &[])
        .start();
    let set = |key: &str| {
        let answer = kamailio.run_with("set", Request::about(key));
        assert_eq!(answer["$mct($hdr(X-Key))"], 1, "{key}");
    };
    let digest = |key: &str| format!("kam:{:x}", md5::compute(key));
    let (longest, folded) = ("a".repeat(249 - 4), "b".repeat(250 - 4));
    set("k");
    set(&longest);
    set(&folded);
    set("with a blank");
    kamailio.run("literal");
    let mut expected = vec![
        "kam:k".to_owned(),
        format!("kam:{longest}"),
        digest(&folded),
        digest("with a blank"),
        "kam:literal".to_owned(),
    ];
    expected.sort();
    let held = memcached.keys().into_iter().map(String::from_utf8);
    assert_eq!(held.collect::<Result<Vec<_>, _>>(), Ok(expected));
}

#[test]
fn the_longest_prefix_leaves_room_for_a_digest() {
    let memcached = Memcached::start();
    let prefix = "p".repeat(200);
    let builder = Kamailio::builder().memcached(&memcached);
    let builder = builder.param("key_prefix", prefix.as_str());
    assert_eq!(builder.eval("$mct(a b) = 2;", "$mct(a b)"), 2);
    let digest = md5::compute("a b");
    assert_eq!(memcached.keys(), [format!("{prefix}{digest:x}").as_bytes()]);
}

/// What the library says of a list, key by key, is what happens in Kamailio; so a literal key,
/// hashed when the script is read, lies where the same key out of a header does.
#[test]
fn each_key_lies_on_the_one_server_that_the_ring_names() {
    let memcached: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
    let items = memcached.iter().zip([1, 2, 3, 4, 5]);
    let items: Vec<String> = items
        .map(|(server, weight)| format!("{}:{weight}", server.address()))
        .collect();
    let list = items.join(",");
    let servers = parse_list(&list).expect("a good list");
    for distribution in Distribution::ALL {
        let placement = Placement::new(distribution);
        let ring = placement.ring(&servers, |_| true).expect("a ring");
        let owned_by = |server: usize| {
            let keys = (0..).map(|number| format!("{distribution}-{number}"));
            let mut keys = keys.filter(|key| placement.owner(&ring, key.as_bytes()) == server);
            keys.next().expect("keys have no end")
        };
        let keys: Vec<String> = (0..5).map(owned_by).collect();
        let literals: String = keys.iter().map(|key| format!("$mct({key}) = 1;")).collect();
        let kamailio = Kamailio::builder()
            .param("servers", list.as_str())
            .param("distribution", distribution.name())
            .script("literals", &literals, &["$mcst"])
            .script("read", "", &["$mct($hdr(X-Key))"])
            .start();
        assert_eq!(kamailio.run("literals")["$mcst"], "stored");
        for (server, key) in memcached.iter().zip(&keys) {
            let read = kamailio.run_with("read", Request::about(key));
            assert_eq!(read.values(), [Value::Int(1)], "{key}");
            assert_eq!(server.keys(), [key.as_bytes()]);
            server.remove(key);
        }
    }
}

#[test]
fn a_list_may_mix_all_kinds_of_addresses() {
    let memcached = [Memcached::start(), Memcached::v6(), Memcached::unix()];
    let [v4, v6, unix] = memcached.each_ref().map(Memcached::address);
    let kamailio = Kamailio::builder()
        .param("servers", format!(" {v4}:2 one ,{v6}, {unix}:1 three"))
        .script(
            "set",
            "$mct($hdr(X-Key)) = $hdr(X-Key);",
            &["$mct($hdr(X-Key))"],
        )
        .start();
    for number in 0..60 {
        let key = format!("k{number}");
        let request = Request::about(&key);
        assert_eq!(
            kamailio.run_with("set", request).values(),
            [Value::Str(key.into())]
        );
    }
    let held = memcached.each_ref().map(Memcached::len);
    assert_eq!(held.iter().sum::<usize>(), 60);
    assert!(held.iter().all(|&share| share > 0), "{held:?}");
}

#[test]
fn a_servers_file_takes_the_place_of_the_list() {
    let memcached = [Memcached::start(), Memcached::start()];
    let scratch = support::Host::current().scratch();
    let text = memcached
        .each_ref()
        .map(|server| format!("{} # one\n", server.address()));
    let file = scratch.write("servers", format!("# the servers\n\n{}", text.concat()));
    let file = support::Host::current().inside(&file);
    let literals: String = (0..40)
        .map(|number| format!("$mct(k{number}) = 1;"))
        .collect();
    let answer = Kamailio::builder()
        .param("servers_file", file.display().to_string())
        .eval(&literals, "$mcst");
    assert_eq!(answer, "stored");
    let held = memcached.each_ref().map(Memcached::len);
    assert_eq!(held.iter().sum::<usize>(), 40);
    assert!(held.iter().all(|&share| share > 0), "{held:?}");
}

#[test]
fn a_hash_tag_keeps_related_keys_together() {
    let memcached: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
    let list: Vec<&str> = memcached.iter().map(Memcached::address).collect();
    let set = "$mct(plan:{$hdr(X-Key)}) = 1; $mct({$hdr(X-Key)}:calls) = 1;";
    let kamailio = Kamailio::builder()
        .param("servers", list.join(","))
        .param("hash_tag", "{}")
        .script("set", set, &["$mcst"])
        .start();
    for number in 0..20 {
        let request = Request::about(number.to_string());
        assert_eq!(kamailio.run_with("set", request)["$mcst"], "stored");
    }
    for server in memcached {
        assert_eq!(server.len() % 2, 0, "{}", server.address());
    }
}
