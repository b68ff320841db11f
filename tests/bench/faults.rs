//! What a stopped memcached costs: `make bench-faults`.
fn main() {}
