use proptest::prelude::*;

use super::*;
use crate::server::parse_list;

fn ring(distribution: Distribution, list: &str) -> Ring {
    let servers = parse_list(list).expect("a good list");
    Ring::build(distribution, distribution.default_hash(), &servers, |_| {
        true
    })
    .expect("a ring")
}

fn entries(ring: &Ring) -> Vec<(u32, u16)> {
    ring.points
        .iter()
        .copied()
        .zip(ring.owners.iter().copied())
        .collect()
}

fn points_of(ring: &Ring, server: u16) -> usize {
    ring.owners.iter().filter(|&&owner| owner == server).count()
}

const THREE_PORTS: &str = "127.0.0.1:11311,127.0.0.1:11312,127.0.0.1:11313";

/// An example of the weighted ring, computed by libmemcached.
#[test]
fn a_weighted_ring_is_libmemcacheds() {
    let ring = entries(&ring(Distribution::Ketama, THREE_PORTS));
    assert_eq!(ring.len(), 480);
    assert_eq!(ring[..3], [(2_285_296, 0), (7_109_577, 2), (15_880_820, 0)]);
    assert_eq!(ring[479], (4_290_534_711, 1));
    for point in [1_977_687_453, 3_410_391_504, 920_847_608, 931_916_242] {
        assert!(ring.contains(&(point, 0)), "{point} of 127.0.0.1:11311-0");
    }
}

#[test]
fn an_unweighted_ring_is_libmemcacheds() {
    let ring = entries(&ring(Distribution::KetamaUnweighted, THREE_PORTS));
    assert_eq!(ring.len(), 300);
    assert_eq!(
        ring[..3],
        [(55_620_628, 0), (68_893_965, 0), (73_945_786, 2)]
    );
    assert_eq!(ring[299], (4_289_113_043, 1));
    assert!(ring.contains(&(1_080_678_300, 0)), "127.0.0.1:11311-0");
}

#[test]
fn an_alias_stands_for_its_server_where_the_system_knows_aliases() {
    let list = "127.0.0.21 mc-a,127.0.0.22";
    assert!(entries(&ring(Distribution::Libmc, list)).contains(&(542_270_068, 0)));
    for (distribution, counts) in [
        (Distribution::Ketama, true),
        (Distribution::Libmc, true),
        (Distribution::Twemproxy, true),
        (Distribution::KetamaUnweighted, false),
        (Distribution::Spy, false),
        (Distribution::SpyWeighted, false),
    ] {
        let bare = entries(&ring(distribution, "127.0.0.21,127.0.0.22"));
        assert_eq!(
            entries(&ring(distribution, list)) != bare,
            counts,
            "{distribution}"
        );
    }
}

/// These results depend on single precision: their sum is not 160 for each server.
#[test]
fn shares_are_rounded_as_the_originals_round_them() {
    for (weights, expected) in [
        (&[1, 1, 1][..], &[160, 160, 160][..]),
        (&[1, 2, 5], &[60, 120, 300]),
        (&[1, 4, 2, 1, 7], &[52, 212, 104, 52, 372]),
        (&[1, 1000], &[0, 316]),
    ] {
        let items = weights
            .iter()
            .zip(1..)
            .map(|(weight, port)| format!("a:{port}:{weight}"));
        let ring = ring(Distribution::Ketama, &items.collect::<Vec<_>>().join(","));
        let shares = (0..)
            .take(weights.len())
            .map(|server| points_of(&ring, server));
        assert_eq!(shares.collect::<Vec<_>>(), expected, "weights {weights:?}");
    }
}

/// Without the middle one of the weights 1, 2, 5, the shares of the others change as well.
#[test]
fn ejecting_a_server_counts_live_servers_only() {
    let servers = parse_list("a:1:1,a:2:2,a:3:5").expect("a good list");
    let live = |server| server != 1;
    let ring = Ring::build(Distribution::Ketama, KeyHash::Md5, &servers, live).expect("a ring");
    assert_eq!(
        [0, 1, 2].map(|server| points_of(&ring, server)),
        [52, 0, 264]
    );
}

#[test]
fn twemproxy_orders_slots_by_length_of_name() {
    let ring = ring(
        Distribution::TwemproxyModula,
        "127.0.0.13:11222,127.0.0.12,127.0.0.9:1:2",
    );
    // 127.0.0.12, then 127.0.0.9:1 twice, then 127.0.0.13:11222.
    assert_eq!(
        [0, 1, 2, 3, 4].map(|hash| ring.owner(hash)),
        [1, 2, 2, 0, 1]
    );
    assert_eq!(
        ring.locate(6),
        Hit {
            point: 2,
            server: 2
        }
    );
}

#[test]
fn modula_takes_the_configured_order_and_no_weights() {
    let ring = ring(Distribution::Modula, "b:1:9,a:1,c:1");
    assert_eq!(
        [0, 1, 2, 3, u32::MAX].map(|hash| ring.owner(hash)),
        [0, 1, 2, 0, 0]
    );
}

#[test]
fn a_point_owns_the_hashes_up_to_itself() {
    let ring = ring(Distribution::Ketama, THREE_PORTS);
    let (first, second, last) = (2_285_296, 7_109_577, 4_290_534_711);
    assert_eq!(
        ring.locate(0),
        Hit {
            point: first,
            server: 0
        }
    );
    assert_eq!(
        ring.locate(first),
        Hit {
            point: first,
            server: 0
        }
    );
    assert_eq!(
        ring.locate(first + 1),
        Hit {
            point: second,
            server: 2
        }
    );
    assert_eq!(
        ring.locate(last),
        Hit {
            point: last,
            server: 1
        }
    );
    assert_eq!(
        ring.locate(last + 1),
        Hit {
            point: first,
            server: 0
        }
    );
    assert_eq!(ring.walk(last).take(3).collect::<Vec<_>>(), [1, 0, 2]);
}

/// Among a thousand points of a 15-bit hash some are equal.
#[test]
fn of_equal_points_the_earlier_server_counts() {
    let items: Vec<String> = (1..=10).map(|length| "a".repeat(length)).collect();
    let servers = parse_list(&items.join(",")).expect("a good list");
    let hash = KeyHash::Crc15;
    let ring = Ring::build(Distribution::KetamaUnweighted, hash, &servers, |_| true);
    let ring = ring.expect("a ring");
    let entries = entries(&ring);
    let ties = entries
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
    let ties: Vec<_> = ties.collect();
    assert!(!ties.is_empty());
    for tie in ties {
        assert!(tie[0].1 < tie[1].1);
        assert!(ring.owner(tie[0].0) <= usize::from(tie[0].1));
    }
}

#[test]
fn a_ring_without_servers_cannot_be_had() {
    let servers = parse_list("a,b").expect("a good list");
    for distribution in Distribution::ALL {
        let build = |live: fn(usize) -> bool| {
            Ring::build(distribution, distribution.default_hash(), &servers, live)
        };
        assert!(build(|_| false).is_none(), "{distribution}");
        assert_eq!(
            build(|server| server == 1).and_then(|ring| ring.sole()),
            Some(1)
        );
        assert_eq!(build(|_| true).and_then(|ring| ring.sole()), None);
    }
}

fn any_pool() -> impl Strategy<Value = (Distribution, Vec<ServerSpec>)> {
    let weights = proptest::collection::vec(1..=1000_u16, 1..12);
    (0..Distribution::ALL.len(), weights).prop_map(|(distribution, weights)| {
        let items = weights
            .iter()
            .enumerate()
            .map(|(i, weight)| format!("mc{i}:11211:{weight}"));
        let list = items.collect::<Vec<_>>().join(",");
        (
            Distribution::ALL[distribution],
            parse_list(&list).expect("a good list"),
        )
    })
}

proptest! {
    #[test]
    fn an_owner_is_always_a_live_server(
        (distribution, servers) in any_pool(),
        live in any::<u16>(),
        hash in any::<u32>(),
    ) {
        let is_live = |server: usize| live >> server & 1 == 1;
        let ring = Ring::build(distribution, distribution.default_hash(), &servers, is_live);
        let some_live = (0..servers.len()).any(is_live);
        prop_assert_eq!(ring.is_some(), some_live);
        if let Some(ring) = ring {
            prop_assert!(is_live(ring.owner(hash)));
            prop_assert_eq!(ring.locate(hash).server, ring.owner(hash));
            prop_assert_eq!(ring.walk(hash).next(), Some(ring.owner(hash)));
            prop_assert!(ring.walk(hash).all(is_live));
            prop_assert!(ring.sole().is_none_or(|sole| sole == ring.owner(hash)));
        }
    }

    #[test]
    fn hashes_between_two_points_have_one_owner(
        (distribution, servers) in any_pool(),
        hash in any::<u32>(),
    ) {
        let ring = Ring::build(distribution, distribution.default_hash(), &servers, |_| true);
        let ring = ring.expect("a live server");
        let hit = ring.locate(hash);
        prop_assert_eq!(ring.owner(hit.point), hit.server);
    }
}

proptest! {
    /// Servers fail and come back. The points were hashed when others were live.
    #[test]
    fn a_ring_of_known_points_is_the_ring_that_is_made_anew(
        (distribution, servers) in any_pool(),
        turns in prop::collection::vec(any::<u16>(), 1..6),
    ) {
        let hash = distribution.default_hash();
        let mut points = Points::new(distribution, hash, &servers);
        for bits in turns {
            let is_live = |server: usize| bits >> server & 1 == 1;
            let known = points.ring(is_live);
            let anew = Ring::build(distribution, hash, &servers, is_live);
            prop_assert_eq!(format!("{:?}", known), format!("{:?}", anew));
        }
    }
}
