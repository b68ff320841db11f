//! The parameters' names, as the operator writes them.

/// The parameters' names.
pub(crate) const NAMES: [&str; 22] = [
    "servers",
    "servers_file",
    "expire",
    "mode",
    "timeout",
    "memory",
    "stringify",
    "pool",
    "distribution",
    "hash",
    "key_prefix",
    "hash_prefix",
    "hash_tag",
    "failover",
    "stall_limit",
    "inactive_threshold",
    "probing_threshold",
    "retry_interval",
    "ping_interval",
    "connect_timeout",
    "rejoin",
    "event_callback",
];
