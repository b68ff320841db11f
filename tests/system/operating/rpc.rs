//! `memcached.list` and `memcached.hash` over kamcmd and JSON-RPC: what an operator is shown must
//! be what the ring says and where the keys lie.

use kamailio_memcached::internals::{Distribution, Placement, Ring, ServerSpec, parse_list};
use serde_json::{Value as Json, json};
use support::{Builder, Kamailio, Memcached, Request};

const SERVERS: &str = "127.0.0.1:20001:3 one, [::1]:20002, /run/mc:2 three, mc.example.com:20004:7";

fn with_two_pools() -> Builder {
    Kamailio::builder().rpc().param("servers", SERVERS).param(
        "pool",
        "name=calls;servers=a:1,b:2;distribution=modula;key_prefix=c:",
    )
}

/// The result of a call that must succeed.
#[track_caller]
fn result(kamailio: &Kamailio, method: &str, params: &Json) -> Json {
    let text = kamailio.jsonrpc(method, &params.to_string());
    let response: Json = serde_json::from_str(&text).expect("JSON");
    assert!(response["error"].is_null(), "{text}");
    response["result"].clone()
}

/// The fault of a call that must fail, over both ways.
#[track_caller]
fn fault(kamailio: &Kamailio, method: &str, arguments: &[&str]) -> String {
    let shown = kamailio.try_rpc(method, arguments).expect_err("a fault");
    let text = kamailio.jsonrpc(method, &json!(arguments).to_string());
    let response: Json = serde_json::from_str(&text).expect("JSON");
    let (code, message) = (&response["error"]["code"], &response["error"]["message"]);
    let message = message
        .as_str()
        .unwrap_or_else(|| panic!("no fault: {text}"));
    assert_eq!(shown, format!("error: {code} - {message}"));
    shown
}

/// A member of a structure as kamcmd shows it.
fn member<'t>(shown: &'t str, name: &str) -> &'t str {
    let start = format!("\t{name}: ");
    let found = shown.lines().find_map(|line| line.strip_prefix(&start));
    found.unwrap_or_else(|| panic!("no {name} in {shown}"))
}

#[test]
fn all_servers_are_listed_pool_by_pool() {
    let kamailio = with_two_pools().start();
    let listed = |params: Json| -> Vec<String> {
        let rows = result(&kamailio, "memcached.list", &params);
        let rows = rows.as_array().expect("a list").iter().map(|row| {
            let (pool, address) = (&row["pool"], &row["address"]);
            let (alias, weight) = (&row["alias"], &row["weight"]);
            format!("{pool} {address} {alias} {weight}").replace('"', "'")
        });
        rows.collect()
    };
    let default = [
        "'default' '127.0.0.1:20001' 'one' 3",
        "'default' '[::1]:20002' '' 1",
        "'default' '/run/mc' 'three' 2",
        "'default' 'mc.example.com:20004' '' 7",
    ];
    let calls = ["'calls' 'a:1' '' 1", "'calls' 'b:2' '' 1"];
    assert_eq!(listed(json!([])), [&default[..], &calls].concat());
    assert_eq!(listed(json!(["default"])), default);
    assert_eq!(listed(json!(["calls"])), calls);

    let shown = kamailio.rpc("memcached.list", &["calls"]);
    assert_eq!(shown.matches("pool: calls").count(), 2, "{shown}");
    assert_eq!(member(&shown, "address"), "a:1");
    assert_eq!(member(&shown, "weight"), "1");
}

#[test]
fn a_key_is_shown_where_the_ring_has_it() {
    let kamailio = with_two_pools().start();
    for (pool, list, placement) in [
        ("default", SERVERS, Placement::new(Distribution::Ketama)),
        ("calls", "a:1,b:2", {
            let prefix = b"c:"[..].into();
            Placement {
                prefix,
                ..Placement::new(Distribution::Modula)
            }
        }),
    ] {
        let servers = parse_list(list).expect("a good list");
        let ring = placement.ring(&servers, |_| true).expect("a ring");
        let expected = Expected {
            placement,
            servers,
            ring,
        };
        // Among forty hashes some are beyond 2^31.
        for number in 0..40 {
            let key = format!("key-{number}");
            let expected = expected.of(pool, &key);
            let params = json!([key, pool]);
            assert_eq!(result(&kamailio, "memcached.hash", &params), expected);
            let shown = kamailio.rpc("memcached.hash", &[&key, pool]);
            for name in ["pool", "key", "hash", "point", "owner"] {
                assert_eq!(
                    json!(member(&shown, name)),
                    expected[name],
                    "{name} of {key}"
                );
            }
            for server in expected["failover"].as_array().expect("a list") {
                assert!(shown.contains(server.as_str().expect("a label")), "{shown}");
            }
        }
    }
}

/// What the library says of keys in a pool.
struct Expected {
    placement: Placement,
    servers: Vec<ServerSpec>,
    ring: Ring,
}

impl Expected {
    fn of(&self, pool: &str, key: &str) -> Json {
        let wire = [&self.placement.prefix[..], key.as_bytes()].concat();
        let order = self.placement.failover_order(&self.ring, &wire);
        let labels = order.iter().map(|&index| {
            let server = &self.servers[index];
            server
                .alias
                .clone()
                .unwrap_or_else(|| server.address.to_string())
        });
        let labels: Vec<String> = labels.collect();
        let hash = self.placement.hash(&wire);
        json!({
            "pool": pool,
            "key": String::from_utf8(wire).expect("ASCII"),
            "hash": hash.to_string(),
            "point": self.ring.locate(hash).point.to_string(),
            "owner": labels[0],
            "failover": labels[1..],
        })
    }
}

#[test]
fn a_key_lies_where_it_is_shown() {
    let memcached: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
    let list: Vec<&str> = memcached.iter().map(Memcached::address).collect();
    let kamailio = Kamailio::builder()
        .rpc()
        .param("servers", list.join(","))
        .param("key_prefix", "p:")
        .script("set", "$mct($hdr(X-Key)) = 1;", &["$mcst"])
        .start();
    for number in 0..20 {
        let key = format!("sip:jürgen{number}@example.com");
        kamailio.run_with("set", Request::about(&key));
        let placed = result(&kamailio, "memcached.hash", &json!([key]));
        let owner = memcached
            .iter()
            .find(|server| placed["owner"] == server.address());
        let owner = owner.unwrap_or_else(|| panic!("no such server: {placed}"));
        assert_eq!(owner.text(format!("p:{key}")).as_deref(), Some("1"));
    }
}

#[test]
fn the_key_on_the_wire_is_shown() {
    let kamailio = with_two_pools().start();
    let wire =
        |key: &str| result(&kamailio, "memcached.hash", &json!([key, "calls"]))["key"].clone();
    let long = "k".repeat(300);
    assert_eq!(wire("k"), "c:k");
    assert_eq!(wire(&long), format!("c:{:x}", md5::compute(&long)));
    assert_eq!(wire("a b"), format!("c:{:x}", md5::compute("a b")));
    assert_eq!(wire("5"), "c:5");
    let number = result(&kamailio, "memcached.hash", &json!([5, "calls"]));
    assert_eq!(number["key"], "c:5");
}

/// kamcmd takes digits for a number and cuts them before we see them. `key` then says so.
#[test]
fn the_key_that_is_meant_is_shown_where_kamcmd_cuts_digits() {
    let kamailio = with_two_pools().start();
    let shown = |key: &str| member(&kamailio.rpc("memcached.hash", &[key]), "key").to_owned();
    assert_eq!(shown("s:0049301234567"), "0049301234567");
    assert_eq!(shown("0042"), "42");
    assert_ne!(shown("0049301234567"), "0049301234567");
}

#[test]
fn a_sole_server_owns_every_key() {
    let kamailio = Kamailio::builder()
        .rpc()
        .param("servers", "a:1 only")
        .start();
    let placed = result(&kamailio, "memcached.hash", &json!(["k"]));
    assert_eq!(
        (&placed["owner"], &placed["failover"]),
        (&json!("only"), &json!([]))
    );
}

#[test]
fn what_cannot_be_answered_is_a_fault_with_words() {
    let kamailio = with_two_pools().start();
    let unknown = "error: 400 - unknown pool 'nix'; accepted: default, calls";
    assert_eq!(fault(&kamailio, "memcached.list", &["nix"]), unknown);
    assert_eq!(fault(&kamailio, "memcached.hash", &["k", "nix"]), unknown);
    assert_eq!(fault(&kamailio, "memcached.reload", &["nix"]), unknown);
    let missing = "error: 400 - missing argument: key";
    assert_eq!(fault(&kamailio, "memcached.hash", &[]), missing);
    let empty = kamailio
        .try_rpc("memcached.hash", &["s:"])
        .expect_err("a fault");
    assert!(empty.contains("the key is empty"), "{empty}");
    let none = fault(&kamailio, "memcached.reload", &[]);
    assert!(none.contains("no pool has a servers_file"), "{none}");
    let none = fault(&kamailio, "memcached.reload", &["calls"]);
    assert!(
        none.contains("pool 'calls': it has no servers_file"),
        "{none}"
    );

    // kamcmd would get no answer at all, JSON half of one, if the whole name came back.
    let long = fault(&kamailio, "memcached.list", &[&"x".repeat(1000)]);
    assert!(
        long.starts_with("error: 400 - unknown pool 'xxx") && long.ends_with("(see the log)"),
        "{long}"
    );
}
