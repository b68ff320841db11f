//! Tests with real servers: Kamailio, memcached, and what else talks to them.
//!
//! One crate, linked once. The path of a test has its module in it, so `cargo test health` runs a
//! folder, `cargo test stall` one file, and a test's own name that test alone.

/// What a configuration may say, and the configurations that we publish.
mod config {
    mod bad_pools; // servers, pools and placement that are refused, and in which words
    mod cache_db; // kamailio-cfg/cache-db.cfg
    mod examples; // those of kamailio-cfg that need several memcacheds
    mod grow; // kamailio-cfg/grow.cfg under load
    mod hot; // kamailio-cfg/hot.cfg: one number that everybody calls
    mod little_memory; // lists of servers for which there is no memory
    mod loading; // Kamailio loads the module, checks with it, and ends with it
    mod params; // numeric parameters: accepted, refused, and what they do
    mod pools; // named pools and lists of several servers
    mod readme; // the README's examples, and what it says of them
    mod recipes; // the recipes of the manual, with six callers at once
    mod reload; // `memcached.reload`: another list of servers under load
    mod runtime; // parameters that change while Kamailio runs
    mod servers; // addresses of servers: accepted, refused, reached
    mod servers_file; // paths that lead to no list, and lists of other systems
    mod suspended_call; // kamailio-cfg/async.cfg
}

mod manual; // README.md and doc/: true to what the module has, with links that lead somewhere

/// What a script writes and reads.
mod script {
    mod arguments; // the functions: from an argument in the script to key and value
    mod attempts; // failed logins, counted
    mod calls; // the functions: answers, return codes, and what memcached holds
    mod compression; // `compress_min`
    mod counters; // `$mcinc` and `$mcdec`
    pub mod engine; // Lua, Python and JavaScript
    mod forms; // values as other programs store them
    mod functions; // `$mct` as a parameter of functions
    mod items; // a memcached with items of every kind, for `functions` and `pv`
    mod kemi; // the variables in Lua
    mod kemi_functions; // `KSR.memcached.*`
    mod large; // `large_values`
    mod leases; // `mct_lease` and `mct_invalidate`
    mod lifetime; // `expire`, `=>` and `$mctex`
    mod many; // several items at once, and writes that do not wait
    mod names; // from `$mct(…)` to the key that memcached holds
    mod near; // the near cache: what is read from there, and what is not
    mod near_races; // eight readers and writers of a few keys with a near cache; without Kamailio
    mod near_stale; // what is read while a server is out
    mod pv; // `$mct` in expressions
    mod results; // the functions: variables that take what was read; what stops the start
    mod status; // `$mcst`
    mod storing; // writing and deleting: `mode`, `$null`, sizes
    mod value_limit; // values that are too large for us
    mod values; // strings and numbers
}

/// Servers that fail and come back.
mod health {
    mod bystanders; // what one silent server costs callers who do not use the cache
    pub mod callers; // callers who keep asking for keys
    mod clock; // a clock that jumps
    mod cluster; // five memcacheds, and where keys belong among them
    mod connect_timeout; // less time for a server that does not even accept
    mod copies; // `replicas`
    mod copies_lost; // each server is lost in turn, no key is
    mod copies_with; // `replicas` together with all else that a pool may have
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
    mod returned; // what a stand-in has stored, once the server is back
    mod shortage; // a process of ours without descriptors
    mod silence; // what a silent server costs, for `stall` and `network`
    mod stall; // a server that is there and does not answer
    mod system_calls; // calls of ours to the kernel that fail
    mod turned_away; // a memcached at its limit of connections
    pub mod watch; // health as an operator sees it; callers who do not use the cache
}

/// What a server requires of a new connection.
mod access {
    mod beside_openssl; // Kamailio's module tls, in the same process
    mod certificates; // whose is accepted, and whose is not
    mod credentials; // user and password
    mod pem_files; // files with a mistake, and what does not belong together
    mod rotation; // certificates that change while all is running, or end soon
    mod tampering; // somebody on the way who cuts and changes what TLS sends
    mod tls; // to a real memcached, of either version
}

/// Servers and callers that mean no good.
mod hostile {
    mod answers; // what no memcached should answer
    mod any_key; // whatever the bytes are, the exchange stays in step; without Kamailio
    mod injection; // no byte of a caller's becomes protocol
    mod kemi_data; // keys and values of `KSR.memcached.*`
    mod late; // replies that come after the timeout
    pub mod operation; // the five operations of the wire
    mod slow; // an operation costs its `timeout` and not a moment more
    mod tls; // servers that break the rules of TLS
    mod tls_anew; // servers that want to agree again
    mod tls_relay; // between the module and a memcached with TLS, for `tls`
}

/// What an operator sees and does.
mod operating {
    mod board; // the queries of doc/grafana.json, and a picture of what they give
    mod events; // `event_route[memcached:server-down]` and its kin
    mod growth; // `warm_from`: what a pool does not have comes over from another one
    pub mod http; // what Kamailio's web server answers
    mod item_faults; // where these commands cannot be done
    mod items; // `memcached.get`, `.set`, `.delete` and `.touch`
    mod latency_limit; // slow operations: logged with what they were waiting for, and counted
    mod log; // how our log lines look, how many there are, and what is never in them
    mod long_list; // `memcached.list` of very many servers
    mod metrics; // the page for Prometheus
    mod operator; // `memcached.list`, `.ping` and `.set_state`
    mod pools_and_servers; // `memcached.stats`, `.server_stats` and `.flush`; versions
    mod prometheus; // a real one: board and rules in an outage
    mod questions; // the manual's lines of shell for operators
    mod rpc; // `memcached.list` and `.hash` by kamcmd and JSON-RPC
    mod statistics; // what is counted, and every way to see it
}

/// Kamailio's processes: what each has, and what it may cost.
mod process {
    mod endurance; // no growth in memory or descriptors
    mod fork; // a connection of its own for every process
    mod memcheck; // below valgrind, for `make sanitize`
    mod processes; // where the variables work, and how many connections that takes
    mod routes; // the functions in every kind of route, and what these offer
}

/// Beside other programs on the same servers.
mod peers {
    mod client; // libmemcached, libmc and whoever speaks the protocol
    mod herd; // a hundred callers, one item that is not there
    mod placement; // the same keys on the same servers as theirs
    mod proxy; // a twemproxy with a dead memcached behind it
    mod races; // what one of all callers does, and what none of them may lose
    mod site; // five memcacheds, and ways to spread keys over them
    mod stock; // the C module that ours replaces
    mod values; // the values of other programs, by these programs
}
