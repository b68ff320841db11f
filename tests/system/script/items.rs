//! Items of every kind, one of which names another.

use support::Memcached;

/// A memcached that holds them.
pub fn memcached() -> Memcached {
    let memcached = Memcached::start();
    memcached.put("name", 1, 0, "alice");
    memcached.put("alice", 1, 0, "wonderland");
    memcached.put("n", 0, 0, "7");
    memcached.put("minus", 0, 0, "-12");
    memcached.put("empty", 1, 0, "");
    memcached.put("big", 0, 0, "5000000000");
    memcached
}
