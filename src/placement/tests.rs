use proptest::prelude::*;

use super::*;
use crate::server::parse_list;

fn with_prefix(distribution: Distribution, prefix: &str) -> Placement {
    let prefix = prefix.as_bytes().into();
    Placement {
        prefix,
        ..Placement::new(distribution)
    }
}

fn wire(placement: &Placement, key: &str) -> Vec<u8> {
    placement.wire_parts(key.as_bytes()).concat()
}

#[test]
fn the_prefix_stands_before_the_key() {
    let ketama = with_prefix(Distribution::Ketama, "kam:");
    assert_eq!(wire(&ketama, "k"), b"kam:k");
    assert_eq!(wire(&ketama, "?k"), b"kam:?k");
    assert_eq!(wire(&ketama, ""), b"kam:");
}

#[test]
fn libmc_keeps_a_question_mark_before_the_prefix() {
    let libmc = with_prefix(Distribution::Libmc, "kam:");
    assert_eq!(wire(&libmc, "?k"), b"?kam:k");
    assert_eq!(wire(&libmc, "?"), b"?kam:");
    assert_eq!(wire(&libmc, "k?"), b"kam:k?");
    assert_eq!(libmc.hash_input(b"?kam:k"), b"?kam:k");
}

#[test]
fn an_unhashed_prefix_leaves_the_key() {
    for distribution in Distribution::ALL {
        let mut placement = with_prefix(distribution, "kam:");
        placement.hash_prefix = false;
        assert_eq!(placement.hash_input(b"kam:k"), b"k");
        assert_eq!(placement.hash_input(b"kam:"), b"");
        assert_eq!(placement.hash_input(b"ka"), b"");
        assert_eq!(
            placement.hash(b"kam:k"),
            Placement::new(distribution).hash(b"k")
        );
    }
    let mut libmc = with_prefix(Distribution::Libmc, "kam:");
    libmc.hash_prefix = false;
    assert_eq!(libmc.hash_input(&wire(&libmc, "?k")), b"k");
}

#[test]
fn a_tag_picks_the_part_to_hash() {
    let apply = |tag: &str, key: &'static str| {
        let tag: HashTag = tag.parse().expect("a good tag");
        std::str::from_utf8(tag.apply(key.as_bytes())).expect("cut between ASCII bytes")
    };
    assert_eq!(apply("{}", "a{b}c"), "b");
    assert_eq!(apply("{}", "{b}{c}"), "b");
    assert_eq!(apply("{}", "}{b}"), "b");
    assert_eq!(apply("{}", "a{{b}}c"), "{b");
    assert_eq!(apply("{}", "a{}{b}"), "a{}{b}");
    assert_eq!(apply("{}", "a{b"), "a{b");
    assert_eq!(apply("{}", "ab}"), "ab}");
    assert_eq!(apply("||", "a|b|c"), "b");
    assert_eq!(apply("{}", ""), "");
}

#[test]
fn a_tag_is_looked_for_after_an_unhashed_prefix() {
    let mut placement = with_prefix(Distribution::Twemproxy, "{p}");
    placement.hash_tag = "{}".parse().ok();
    assert_eq!(placement.hash_input(b"{p}a{b}"), b"p");
    placement.hash_prefix = false;
    assert_eq!(placement.hash_input(b"{p}a{b}"), b"b");
}

#[test]
fn a_tag_is_two_characters() {
    for bad in ["", "{", "{}}", "ü", "{ ", "\n\n"] {
        assert!(bad.parse::<HashTag>().is_err(), "{bad:?}");
    }
    assert_eq!(
        "{".parse::<HashTag>().unwrap_err().to_string(),
        "invalid value '{'; accepted: two printable ASCII characters such as {}"
    );
}

/// It happens only with a prefix that is hashed, and only if libmemcached is imitated.
#[test]
fn what_does_not_fit_libmemcacheds_buffer_hashes_to_0() {
    let long = wire(&with_prefix(Distribution::Ketama, "kam:"), &"k".repeat(247));
    assert_eq!(with_prefix(Distribution::Ketama, "kam:").hash(&long), 0);
    assert_ne!(
        with_prefix(Distribution::Ketama, "kam:").hash(&long[..250]),
        0
    );
    assert_ne!(with_prefix(Distribution::Ketama, "").hash(&long), 0);
    assert_ne!(with_prefix(Distribution::Libmc, "kam:").hash(&long), 0);
    assert_ne!(with_prefix(Distribution::Twemproxy, "kam:").hash(&long), 0);
}

#[test]
fn a_stand_in_for_modula_is_found_by_rehashing() {
    let placement = Placement::new(Distribution::Modula);
    let servers = parse_list("a,b,c,d,e").expect("a good list");
    let ring = placement.ring(&servers, |_| true).expect("a ring");
    let hash = placement.hash(b"k");
    let owner = ring.owner(hash);
    let rehashed = (0..).map(|counter| format!("{counter}k"));
    let expected = rehashed
        .map(|key| ring.owner(placement.hash(key.as_bytes())))
        .find(|&server| server != owner);
    let stand_in = placement.first_live(&ring, b"k", hash, |server| server != owner);
    assert_eq!(stand_in, expected);
}

/// A hash with few values may lead only to dead servers when a key is hashed again.
#[test]
fn a_live_server_is_always_found() {
    for distribution in Distribution::ALL {
        for &(_, hash) in distribution.system().hashes() {
            let placement = Placement {
                hash,
                ..Placement::new(distribution)
            };
            let items: Vec<String> = (1..=50).map(|port| format!("a:{port}")).collect();
            let servers = parse_list(&items.join(",")).expect("a good list");
            let ring = placement.ring(&servers, |_| true).expect("a ring");
            let hash = placement.hash(b"k");
            let found = placement.first_live(&ring, b"k", hash, |server| server == 17);
            assert_eq!(found, Some(17), "{distribution} {:?}", placement.hash);
            assert_eq!(placement.first_live(&ring, b"k", hash, |_| false), None);
        }
    }
}

/// A ring has up to 160 points for each.
#[test]
fn of_a_thousand_servers_each_is_tried_once() {
    for distribution in Distribution::ALL {
        let placement = Placement::new(distribution);
        let items: Vec<String> = (1..=1000).map(|port| format!("a:{port}")).collect();
        let servers = parse_list(&items.join(",")).expect("a good list");
        let ring = placement.ring(&servers, |_| true).expect("a ring");
        let tried = std::cell::RefCell::new(Vec::new());
        let is_live = |server| {
            tried.borrow_mut().push(server);
            false
        };
        assert_eq!(
            placement.first_live(&ring, b"k", placement.hash(b"k"), is_live),
            None
        );
        assert_eq!(tried.into_inner(), placement.failover_order(&ring, b"k"));
        let mut all = placement.failover_order(&ring, b"k");
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000), "{distribution}");
    }
}

proptest! {
    #[test]
    fn any_wire_key_is_placed(
        distribution in 0..Distribution::ALL.len(),
        prefix in "[a-z?{}]{0,4}",
        hash_prefix in any::<bool>(),
        key in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut placement = with_prefix(Distribution::ALL[distribution], &prefix);
        placement.hash_prefix = hash_prefix;
        placement.hash_tag = "{}".parse().ok();
        let servers = parse_list("a,b,c").expect("a good list");
        let ring = placement.ring(&servers, |_| true).expect("a ring");
        for wire in [placement.wire_parts(&key).concat(), key] {
            prop_assert!(placement.owner(&ring, &wire) < 3);
        }
    }

    /// The ring does not change, so the death of one server moves only the keys of that server.
    #[test]
    fn failing_over_leaves_the_keys_of_live_servers_alone(
        distribution in 0..Distribution::ALL.len(),
        dead in 0..5_usize,
        key in "[a-z]{1,12}",
    ) {
        let placement = Placement::new(Distribution::ALL[distribution]);
        let servers = parse_list("a,b,c,d,e").expect("a good list");
        let ring = placement.ring(&servers, |_| true).expect("a ring");
        let hash = placement.hash(key.as_bytes());
        let owner = placement.owner(&ring, key.as_bytes());
        let found = placement.first_live(&ring, key.as_bytes(), hash, |server| server != dead);
        prop_assert_ne!(found, Some(dead));
        if owner != dead {
            prop_assert_eq!(found, Some(owner));
        }

        let order = placement.failover_order(&ring, key.as_bytes());
        prop_assert_eq!(order.first(), Some(&owner));
        let mut all = order.clone();
        all.sort_unstable();
        prop_assert_eq!(all, [0, 1, 2, 3, 4]);
        if owner == dead {
            prop_assert_eq!(found, order.get(1).copied());
        }
    }
}
