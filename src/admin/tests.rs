use super::items::*;
use super::pools::*;
use super::servers::*;
use super::*;
use crate::cache::Cache;
use crate::config::{Given, Parameters};
use crate::health::State;
use crate::item::value::Numbers;
use crate::item::value::Value;
use crate::shared::Shared;

pub(super) fn cache(settings: &[(&str, &str)]) -> Cache {
    let mut parameters = Parameters::default();
    for (name, text) in settings {
        parameters.set(name, Given::Text(text)).unwrap();
    }
    let pools = parameters.settle();
    let shared = Shared::private(pools.len());
    Cache::new(pools, Numbers::Bits64, shared)
}

#[test]
fn servers_are_listed_by_pool() {
    let mut cache = cache(&[
        ("servers", "a:1:2 x,[::1]"),
        ("pool", "name=calls;servers=/run/mc"),
    ]);
    let rows = list(&mut cache, Selection::default()).unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {} '{}' {}",
                row.pool, row.address, row.alias, row.weight
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "default a:1 'x' 2",
            "default [::1]:11211 '' 1",
            "calls /run/mc '' 1"
        ]
    );
    let of = |pool, server| Selection {
        pool: Some(pool),
        server,
    };
    assert_eq!(list(&mut cache, of("calls", None)).unwrap().len(), 1);
    let refused = list(&mut cache, of("nix", None)).unwrap_err();
    assert_eq!(
        refused.reason,
        "unknown pool 'nix'; accepted: default, calls"
    );
    for name in ["x", "a:1"] {
        let one = list(&mut cache, of("default", Some(name))).unwrap();
        assert_eq!((one.len(), &one[0].address[..]), (1, "a:1"));
    }
    let refused = list(&mut cache, of("calls", Some("x"))).unwrap_err();
    assert!(refused.reason.starts_with("unknown server 'x'"));
}

#[test]
fn a_key_is_placed_as_operations_would() {
    let mut cache = cache(&[("servers", "a, b, c"), ("key_prefix", "p:")]);
    let placed = hash(&mut cache, b"k", None).unwrap();
    assert_eq!(
        (placed.pool.as_str(), placed.wire.as_str()),
        ("default", "p:k")
    );
    assert_eq!(placed.hash, cache.pools()[0].placement().hash(b"p:k"));
    assert_eq!(placed.failover.len(), 2);
    assert!(!placed.failover.contains(&placed.owner));
    let refused = hash(&mut cache, b"", None).unwrap_err();
    assert_eq!(refused.cause, Cause::Command);
}

#[test]
fn a_ring_without_servers_is_no_mistake_of_the_caller() {
    let mut cache = cache(&[("pool", "name=calls;servers=a, b;failover=2")]);
    assert!(hash(&mut cache, b"k", Some("calls")).is_ok());
    for server in ["a:11211", "b:11211"] {
        set_state(&mut cache, State::Disabled, server).unwrap();
    }
    let refused = hash(&mut cache, b"k", Some("calls")).unwrap_err();
    assert_eq!(
        (refused.cause, &refused.reason[..]),
        (Cause::Servers, "all servers are out of service")
    );
}

#[test]
fn operators_set_two_of_the_states() {
    for (word, expected) in [("active", State::Active), ("disabled", State::Disabled)] {
        assert_eq!(state(word), Ok(expected));
    }
    for word in ["", "inactive", "trying", "Active", "disabled "] {
        let refused = state(word).unwrap_err();
        let reason = format!("invalid state '{word}'; accepted: active or disabled");
        assert_eq!((refused.cause, refused.reason), (Cause::Command, reason));
    }
}

#[test]
fn a_long_word_of_an_operator_is_cut_in_the_answer() {
    let mut cache = cache(&[]);
    let (word, cut) = (
        "x".repeat(5000),
        format!("'{}...'; accepted: ", "x".repeat(200)),
    );
    let pool = Selection {
        pool: Some(&word),
        ..Selection::default()
    };
    for (refused, what) in [
        (state(&word).unwrap_err(), "invalid state "),
        (list(&mut cache, pool).unwrap_err(), "unknown pool "),
        (
            ping(&mut cache, Some(&word)).unwrap_err(),
            "unknown server ",
        ),
    ] {
        let start = [what, &cut].concat();
        assert!(refused.reason.starts_with(&start), "{}", refused.reason);
    }
}

/// What an operator has typed that is refused, and the beginning of the answer.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(refused: Result<T, Refused>, reason: &str) {
    let refused = refused.unwrap_err();
    assert!(refused.reason.starts_with(reason), "{}", refused.reason);
    assert_eq!(refused.cause, Cause::Command);
}

#[test]
fn what_is_named_wrong_is_refused_before_anything_is_sent() {
    let mut cache = cache(&[
        ("servers", "127.0.0.1:1 one, 127.0.0.1:2 calls"),
        ("pool", "name=calls;servers=127.0.0.1:3 one"),
    ]);
    let item = |key: &'static str, pool| Named {
        key: key.as_bytes(),
        pool,
    };
    let unknown = "unknown pool 'nix'; accepted: default, calls";
    assert_refused(get(&mut cache, item("k", Some("nix"))), unknown);
    assert_refused(delete(&mut cache, item("k", Some("nix"))), unknown);
    assert_refused(statistics(&mut cache, Some("nix")), unknown);
    assert_refused(get(&mut cache, item("", None)), "the key is empty");
    let lifetime = "refused: invalid lifetime; accepted: decimal seconds, 0 or more";
    for expire in ["60s", "-1", "1.5"] {
        let item = item("k", None);
        assert_refused(touch(&mut cache, item, expire.as_bytes()), lifetime);
        let set = set(&mut cache, item, Value::Text(b"v"), Some(expire.as_bytes()));
        assert_refused(set, lifetime);
    }
    assert_refused(touch(&mut cache, item("k", None), b""), lifetime);
    let both = "'calls' is a pool and a server; accepted: the address of the server";
    assert_refused(flush(&mut cache, "calls"), both);
    let neither = "unknown pool or server 'nix'; accepted: a pool, alias or address";
    assert_refused(flush(&mut cache, "nix"), neither);
    let several = "'one' is the alias of several servers; accepted: an address";
    assert_refused(tell(&mut cache, "one", About::Statistics), several);
    let word = "invalid word 'setting'; accepted: settings";
    assert_refused(About::named(Some("setting")), word);
    assert_eq!(About::named(None), Ok(About::Statistics));
    assert_eq!(About::named(Some("settings")), Ok(About::Settings));
}

#[test]
fn statistics_are_of_one_pool() {
    let mut cache = cache(&[("servers", "a"), ("pool", "name=calls;servers=b,c")]);
    cache.pools()[1].stats().hits.add(2);
    cache.pools()[1].stats().misses.add(1);
    let all = statistics(&mut cache, None).unwrap();
    let shown: Vec<_> = all
        .iter()
        .map(|it| (&*it.pool, &*it.hit_ratio, value(it, "gets")))
        .collect();
    assert_eq!(shown, [("default", "", 0), ("calls", "0.667", 3)]);
    let one = statistics(&mut cache, Some("calls")).unwrap();
    assert_eq!((one.len(), &one[0]), (1, &all[1]));
    assert_eq!(value(&one[0], "servers_active"), 2);
}

fn value(statistics: &Statistics, name: &str) -> u64 {
    let mut values = statistics.values.iter();
    let found = values.find(|(known, _)| known.to_str() == Ok(name));
    found.unwrap().1
}

#[test]
fn what_a_server_speaks_is_listed_once_it_is_known() {
    use crate::pool::Dialect;
    let mut cache = cache(&[
        ("servers", "a"),
        ("pool", "name=meta;servers=b;protocol=meta"),
        ("pool", "name=classic;servers=b;protocol=classic"),
    ]);
    let protocols = |cache: &mut Cache| -> Vec<_> {
        let rows = list(cache, Selection::default()).unwrap();
        rows.iter().map(|row| row.protocol).collect()
    };
    assert_eq!(protocols(&mut cache), ["", "meta", "classic"]);
    let server = cache.pools()[0].members()[0].server();
    server.note_dialect(Dialect::Meta, server.health().generation());
    server.note_version("1.6.18");
    assert_eq!(protocols(&mut cache), ["meta", "meta", "classic"]);
    let rows = list(&mut cache, Selection::default()).unwrap();
    assert_eq!((&*rows[0].version, &*rows[1].version), ("1.6.18", ""));
}
