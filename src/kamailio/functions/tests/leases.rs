//! Functions: leases.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "uses a socket")]
fn a_lease_is_a_number_of_its_own_and_the_old_value_is_assigned() {
    let (address, server) = serve(&[
        "MN\r\n",
        "VA 0 f0 c7 kk W\r\n\r\n",
        "STORED\r\n",
        "VA 2 f0 c8 kk\r\n41\r\n",
        "HD\r\n",
        "VA 2 f0 c9 kk W X\r\n41\r\n",
        "VA 2 f0 c9 kk Z X\r\n41\r\n",
        "VA 0 f0 c7 kk Z\r\n\r\n",
    ]);
    let turn = Turn::with_servers(&address);
    for (name, arguments, code, word, value) in [
        ("mct_lease", ["k", "$v"], 2, Status::Lease, Held::Null),
        ("mct_set", ["k", "41"], 1, Status::Stored, Held::Null),
        ("mct_lease", ["k", "$v"], 1, Status::Hit, Held::Integer(41)),
        (
            "mct_invalidate",
            ["k", "30"],
            1,
            Status::Touched,
            Held::Integer(41),
        ),
        (
            "mct_lease",
            ["k", "$v"],
            2,
            Status::Lease,
            Held::Integer(41),
        ),
        (
            "mct_lease",
            ["k", "$v"],
            1,
            Status::Stale,
            Held::Integer(41),
        ),
        ("mct_lease", ["k", "$v"], -1, Status::Miss, Held::Null),
    ] {
        assert_eq!(call(name, &arguments), code, "{name}");
        assert_eq!((status(), turn.get('v')), (Some(word), value), "{name}");
    }
    drop(turn);
    let lease = "mg k N10 v f c k\r\n";
    let expected = [
        "mn\r\n",
        lease,
        "cas k 0 10800 2 7\r\n41\r\n",
        lease,
        "md k I T30\r\n",
        lease,
        lease,
        lease,
    ];
    assert_eq!(server.join().unwrap(), expected);
}

#[test]
fn a_pool_may_have_placeholders_as_soon_as_the_script_asks_for_leases() {
    let turn = Turn::without_server();
    let are_used = || process::with(|process| process.cache.pools()[0].leases().are_used());
    for (name, arguments, expected) in [
        ("mct_get", [&b"k"[..], b"$v"], false),
        ("mct_lease", [b"k", b"$v"], true),
    ] {
        let parsed = ScriptCall::parse(name, &arguments);
        assert!(parsed.is_ok(), "{name}");
        assert_eq!(are_used(), Some(expected), "{name}");
    }
    drop(turn);
}
