//! Deferred writes to several copies.

use std::time::Duration;

use super::*;
use crate::health::State;

#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn a_deferred_write_that_all_copies_have_refused_is_none_that_one_has_missed() {
    let options = || Options {
        item_size: 1024,
        ..Options::default()
    };
    let servers = [options(), options()].map(Server::with);
    let numbers = [
        ("replicas", 2),
        ("deferred_writes", 1),
        ("timeout", 60_000),
        ("stall_limit", 30_000),
    ];
    let mut cache = configured(&[&servers[0], &servers[1]], &numbers);
    cache.save("k", "0");
    assert_eq!(cache.save("long", &"x".repeat(2000)), Status::Sent);
    // Both answers have come when the next write is sent.
    let deadline = Deadline::new(Moment::now(), Duration::from_secs(60));
    cache.settle(0, &deadline);
    assert_eq!(cache.counted("errors"), 2);
    assert_eq!(cache.save("k", "1"), Status::Sent);
    let mut members = cache.pools()[0].members().iter();
    assert!(members.all(|member| member.health().may_be_asked()));
}

/// Before the others have done the write, it may return and get back what they had.
#[test]
#[cfg_attr(miri, ignore = "uses sockets")]
fn while_a_copy_is_out_no_write_is_deferred_that_it_might_miss() {
    for (miss_failover, status) in [(0, Status::Sent), (-1, Status::Stored)] {
        let servers = [Server::start(), Server::start()];
        let numbers = [
            ("replicas", 2),
            ("deferred_writes", 1),
            ("miss_failover", miss_failover),
        ];
        let mut cache = configured(&[&servers[0], &servers[1]], &numbers);
        cache.save("k", "0");
        assert_eq!(cache.save("k", "1"), Status::Sent);
        let members = cache.pools()[0].members();
        members[1].server().set(State::Disabled);
        assert_eq!(cache.save("k", "2"), status, "{miss_failover}");
    }
}
