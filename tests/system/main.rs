//! Tests with real servers: Kamailio, memcached, and what else talks to them.
//!
//! One crate, linked once. The path of a test has its module in it, so `cargo test health` runs a
//! folder, `cargo test stall` one file, and a test's own name that test alone.

/// What a configuration may say, and the configurations that we publish.
mod config {
    mod bad_pools; // servers, pools and placement that are refused, and in which words
    mod cache_db; // kamailio-cfg/cache-db.cfg
    mod examples; // those of kamailio-cfg that need several memcacheds
    mod loading; // Kamailio loads the module, checks with it, and ends with it
    mod params; // numeric parameters: accepted, refused, and what they do
    mod pools; // named pools and lists of several servers
    mod readme; // the README's examples, and what it says of them
    mod recipes; // the recipes of the manual, with six callers at once
    mod reload; // `memcached.reload`: another list of servers under load
    mod runtime; // parameters that change while Kamailio runs
    mod servers; // addresses of servers: accepted, refused, reached
}

mod manual; // README.md and doc/: true to what the module has, with links that lead somewhere

/// What a script writes and reads.
mod script {
    mod attempts; // failed logins, counted
    mod counters; // `$mcinc` and `$mcdec`
    mod functions; // `$mct` as a parameter of functions
    mod items; // a memcached with items of every kind, for `functions` and `pv`
    mod kemi; // the variables in Lua
    mod lifetime; // `expire`, `=>` and `$mctex`
    mod names; // from `$mct(…)` to the key that memcached holds
    mod pv; // `$mct` in expressions
    mod status; // `$mcst`
    mod storing; // writing and deleting: `mode`, `$null`, sizes
    mod values; // strings and numbers
}

/// Servers that fail and come back.
mod health {
    mod bystanders; // what one silent server costs callers who do not use the cache
    pub mod callers; // callers who keep asking for keys
    mod cluster; // five memcacheds, and where keys belong among them
    mod connect_timeout; // less time for a server that does not even accept
    mod failover; // who serves the keys of servers that are out
    mod forgotten; // a firewall forgets connections
    mod idle; // connections that the server closes, a unix socket that comes and goes
    mod large_value; // what is arriving is no stall
    mod missed_writes; // what stand-ins have taken is never undone
    mod network; // dropped packets, a machine without power
    mod one_slow_key; // behind a proxy one of many servers is stuck
    mod outage; // a server that is gone is out for all workers
    mod paused_worker; // a process of ours that is stopped in the middle
    mod probed; // what the prober asks, and what it says of a server that stays out
    mod recovery; // the prober brings it back
    mod refused; // refusals and hang-ups cost one operation
    mod rejoin; // what a server still holds when it returns
    mod resolving; // servers that are given by name
    mod restart; // a memcached that ends and comes back between operations
    mod shortage; // a process of ours without descriptors
    mod silence; // what a silent server costs, for `stall` and `network`
    mod stall; // a server that is there and does not answer
    mod turned_away; // a memcached at its limit of connections
    pub mod watch; // health as an operator sees it; callers who do not use the cache
}

/// Servers and callers that mean no good.
mod hostile {
    mod answers; // what no memcached should answer
    mod any_key; // whatever the bytes are, the exchange stays in step; without Kamailio
    mod injection; // no byte of a caller's becomes protocol
    mod late; // replies that come after the timeout
    pub mod operation; // the five operations of the wire
    mod slow; // an operation costs its `timeout` and not a moment more
}

/// What an operator sees and does.
mod operating {
    mod events; // `event_route[memcached:server-down]` and its kin
    mod log; // how our log lines look, how many there are, and what is never in them
    mod long_list; // `memcached.list` of very many servers
    mod operator; // `memcached.list`, `.ping` and `.set_state`
    mod rpc; // `memcached.list` and `.hash` by kamcmd and JSON-RPC
    mod statistics; // what is counted, and every way to see it
}

/// Kamailio's processes: what each has, and what it may cost.
mod process {
    mod endurance; // no growth in memory or descriptors
    mod fork; // a connection of its own for every process
    mod memcheck; // below valgrind, for `make sanitize`
    mod processes; // where the variables work, and how many connections that takes
}

/// Beside other programs on the same servers.
mod peers {
    mod client; // libmemcached, libmc and whoever speaks the protocol
    mod placement; // the same keys on the same servers as theirs
    mod proxy; // a twemproxy with a dead memcached behind it
    mod site; // five memcacheds, and ways to spread keys over them
    mod stock; // the C module that ours replaces
}
