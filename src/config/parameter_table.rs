//! The table of parameters, with one row for each.
//!
//! To add a parameter takes three steps: a field of [`Settings`](super::Settings), a row here, and
//! the code that uses the field. The values are set in the order of the rows.

use std::num::NonZeroU32;
use std::time::Duration;

use super::checks;
use super::parameter::{Parameter, Scope, row};
use super::settings::{Failover, Protocol, Rejoin};
use crate::health::latency::LatencyLimit;
use crate::item::compression;
use crate::item::forms::ItemForm;
use crate::item::lifetime::Lifetime;
use crate::wire::protocol::{MAX_VALUE, Store};

const MAX: i32 = i32::MAX;

/// The most servers that keep an item.
const MAX_REPLICAS: i32 = 3;

/// The longest time that a server does not take for a date: 30 days.
const MAX_RELATIVE: i32 = 30 * 24 * 60 * 60;

/// The largest `compress_min`: none but 0, if this build cannot compress.
const MOST_COMPRESS_MIN: i32 = if compression::IS_BUILT_IN {
    MAX_VALUE as i32
} else {
    0
};
const MS: &str = "milliseconds";
const SECONDS: &str = "seconds";

impl Parameter {
    /// All parameters.
    pub const ALL: &'static [Self] = &[
        row(c"servers")
            .about("servers of the pool")
            .text(
                "a list of servers",
                Some("localhost:11211"),
                checks::servers,
            )
            .scope(Scope::Own),
        // After `servers`, because its list replaces that one.
        row(c"servers_file")
            .about("file with the servers of the pool")
            .text("a path", None, checks::servers_file)
            .scope(Scope::Own),
        // Three hours. The stock module documents this default, but its code uses another one.
        row(c"expire")
            .about("default lifetime of items")
            .number(0..=MAX, 10_800, |to, n| to.expire = lifetime(n))
            .unit(SECONDS)
            .names(&[(0, "never")])
            .changeable(),
        row(c"mode")
            .about("whether an assignment may replace an item")
            .number(0..=1, 0, |to, n| {
                to.mode = if n == 1 { Store::Add } else { Store::Set };
            })
            .names(&[(0, "set"), (1, "add")]),
        row(c"timeout")
            .about("longest time of a whole operation")
            .number(1..=MAX, 5000, |to, n| to.timeout = millis(n))
            .unit(MS)
            .changeable(),
        row(c"memory")
            .about("no effect; accepted for old configurations")
            .number(0..=1, 0, |to, n| to.memory = n == 1)
            .scope(Scope::Plain),
        row(c"stringify")
            .about("whether numbers are read as strings")
            .number(0..=1, 0, |to, n| to.stringify = n == 1),
        row(c"pool").about("an additional pool").pool(),
        row(c"distribution")
            .about("how keys are spread over the servers")
            .text(
                "the name of a distribution",
                Some("ketama"),
                checks::distribution,
            ),
        // After `distribution`, which determines what the name of a hash means.
        row(c"hash")
            .about("hash function for keys")
            .text("the name of a hash", None, checks::hash),
        row(c"key_prefix").about("text in front of every key").text(
            checks::PREFIX_FORM,
            Some(""),
            checks::key_prefix,
        ),
        row(c"hash_prefix")
            .about("whether the prefix counts in the choice of the server")
            .number(0..=1, 1, |to, n| to.placement.hash_prefix = n == 1),
        row(c"hash_tag")
            .about("characters around the part of a key that is hashed")
            .text("two characters", Some(""), checks::hash_tag),
        row(c"failover")
            .about("which server serves the keys of a server that is out of service")
            .number(0..=2, 0, |to, n| {
                to.failover = match n {
                    0 => Failover::Off,
                    1 => Failover::NextServer,
                    _ => Failover::NewRing,
                };
            })
            .names(&[(0, "off"), (1, "next server"), (2, "new ring")]),
        row(c"replicas")
            .about("on how many servers each item is kept")
            .number(1..=MAX_REPLICAS, 1, |to, n| {
                to.replicas = n.unsigned_abs() as usize
            })
            .unit("servers"),
        row(c"miss_failover")
            .about("time after a server's return in which its misses are asked for at its stand-in")
            .number(-1..=MAX, 0, |to, n| {
                to.miss_failover = match n {
                    -1 => Duration::MAX,
                    n => seconds(n),
                };
                if n != 0 {
                    to.expect_sources();
                }
            })
            .unit(SECONDS)
            .names(&[(-1, "always")])
            .changeable(),
        row(c"stall_limit")
            .about("time without an answer after which only one worker waits for the server")
            .number(1..=MAX, 200, |to, n| to.stall_limit = millis(n))
            .unit(MS)
            .changeable(),
        row(c"latency_limit")
            .about("time from which on an operation is slow, and logged")
            .number(0..=MAX, 0, |to, n| {
                to.latency_limit = match n {
                    0 => LatencyLimit::default(),
                    _ => LatencyLimit::new(millis(n)),
                };
            })
            .unit(MS)
            .names(&[(0, "off")])
            .changeable(),
        row(c"inactive_threshold")
            .about("failures in a row that make a server inactive")
            .number(1..=1000, 1, |to, n| {
                to.rules.inactive_threshold = threshold(n)
            }),
        row(c"probing_threshold")
            .about("good probes in a row that make a server active again")
            .number(1..=1000, 1, |to, n| {
                to.rules.probing_threshold = threshold(n)
            }),
        row(c"retry_interval")
            .about("time between probes of an inactive server")
            .number(-1..=MAX, 1000, |to, n| {
                to.retry_interval = (n != -1).then(|| millis(n))
            })
            .unit(MS)
            .names(&[(-1, "never")])
            .changeable(),
        row(c"retry_max")
            .about("longest time between probes of a server that stays inactive")
            .number(0..=MAX, 0, |to, n| to.retry_max = millis(n))
            .unit(MS)
            .names(&[(0, "always retry_interval")])
            .changeable(),
        row(c"ping_interval")
            .about("time between probes of an active server")
            .number(0..=MAX, 0, |to, n| {
                to.ping_interval = (n != 0).then(|| seconds(n))
            })
            .unit(SECONDS)
            .names(&[(0, "never")])
            .changeable(),
        row(c"connect_timeout")
            .about("longest time of connecting, within the timeout")
            .number(0..=MAX, 0, |to, n| {
                to.connect_timeout = (n != 0).then(|| millis(n))
            })
            .unit(MS)
            .names(&[(0, "all of the timeout")])
            .changeable(),
        row(c"tcp_keepalive")
            .about("idle time after which the kernel looks whether a connection works")
            .number(0..=32_767, 60, |to, n| {
                to.tcp_keepalive = (n != 0).then(|| seconds(n))
            })
            .unit(SECONDS)
            .names(&[(0, "off")]),
        row(c"spin")
            .about("time for which an answer is asked for again before the worker sleeps")
            .number(-1..=1000, -1, |to, n| {
                to.spin = u64::try_from(n).ok().map(Duration::from_micros);
            })
            .unit("microseconds")
            .names(&[(-1, "50 over a unix socket, else never"), (0, "never")]),
        row(c"value_limit")
            .about("longest value that is read")
            .number(1..=MAX_VALUE as i32, 32 << 20, |to, n| {
                to.value_limit = n.unsigned_abs()
            })
            .unit("bytes"),
        row(c"compress_min")
            .about("length from which on values are compressed")
            .number(0..=MOST_COMPRESS_MIN, 0, |to, n| {
                to.compress_min = NonZeroU32::new(n.unsigned_abs())
            })
            .unit("bytes")
            .names(&[(0, "never")]),
        row(c"large_values")
            .about("whether values above 1 MB are stored in parts")
            .number(0..=1, 0, |to, n| to.large_values = n == 1)
            .names(&[(0, "no"), (1, "yes")]),
        row(c"values")
            .about("whose form of values is read and written")
            .word(&[
                ("kamailio", |to| to.values = ItemForm::Kamailio),
                ("libmc", |to| to.values = ItemForm::Libmc),
                ("pylibmc", |to| to.values = ItemForm::Pylibmc),
                ("pymemcache", |to| to.values = ItemForm::Pymemcache),
                ("php", |to| to.values = ItemForm::Php),
                ("dalli", |to| to.values = ItemForm::Dalli),
                ("raw", |to| to.values = ItemForm::Raw),
            ]),
        row(c"rejoin")
            .about("whether a server keeps its items over an outage")
            .word(&[
                ("keep", |to| to.rejoin = Rejoin::Keep),
                ("flush", |to| to.rejoin = Rejoin::Flush),
            ]),
        row(c"protocol")
            .about("whether the servers speak meta commands")
            .word(&[
                ("auto", |to| to.protocol = Protocol::Auto),
                ("meta", |to| to.protocol = Protocol::Meta),
                ("classic", |to| to.protocol = Protocol::Classic),
            ]),
        row(c"lease_time")
            .about("how long one caller may compute an item alone")
            .number(1..=MAX_RELATIVE, 10, |to, n| {
                to.lease_time = n.unsigned_abs()
            })
            .unit(SECONDS)
            .changeable(),
        row(c"lease_early")
            .about("how long before its end one caller is told to compute an item")
            .number(0..=MAX_RELATIVE, 0, |to, n| {
                to.lease_early = n.unsigned_abs()
            })
            .unit(SECONDS)
            .names(&[(0, "not before its end")])
            .changeable(),
        row(c"credentials_file")
            .about("file with the user and password for the servers")
            .text("a path", None, checks::credentials_file),
        row(c"tls")
            .about("whether the way to the servers is encrypted")
            .number(0..=1, 0, |to, n| to.tls.is_on = n == 1)
            .names(&[(0, "plain"), (1, "TLS")]),
        row(c"tls_ca")
            .about("file with the authorities that are trusted")
            .text("a path", None, checks::tls_ca),
        row(c"tls_verify")
            .about("whether the certificates of servers are verified")
            .number(0..=1, 1, |to, n| to.tls.verifies = n == 1)
            .names(&[(0, "no"), (1, "yes")]),
        row(c"tls_name")
            .about("the name that the certificates of all servers have")
            .text("a name or an IP address", None, checks::tls_name),
        row(c"tls_cert")
            .about("file with our certificate")
            .text("a path", None, checks::tls_cert),
        row(c"tls_key")
            .about("file with the key of our certificate")
            .text("a path", None, checks::tls_key),
        row(c"near_size")
            .about("items that the node keeps in its own memory after they were read")
            .number(0..=1_000_000, 0, |to, n| to.near_size = n.unsigned_abs())
            .unit("items")
            .names(&[(0, "none")]),
        row(c"near_expire")
            .about("time that such an item is used without asking its server")
            .number(1..=MAX, 1000, |to, n| to.near_expire = millis(n))
            .unit(MS)
            .changeable(),
        row(c"near_stale")
            .about("time after that for which it is used while its server cannot be asked")
            .number(0..=MAX, 0, |to, n| to.near_stale = millis(n))
            .unit(MS)
            .names(&[(0, "none")])
            .changeable(),
        row(c"deferred_writes")
            .about("whether plain writes do not wait for the answer")
            .number(0..=1, 0, |to, n| to.deferred_writes = n == 1)
            .names(&[(0, "they wait"), (1, "they do not")]),
        row(c"warm_from")
            .about("the pool that is asked for what this one does not have")
            .text("the name of a pool", None, checks::warm_from)
            .scope(Scope::Own),
        row(c"event_callback")
            .about("KEMI function to call for events")
            .text(
                "the name of a function of the KEMI script",
                None,
                checks::event_callback,
            )
            .scope(Scope::Plain),
    ];

    /// The index of the row called `name`.
    pub(super) fn position(name: &str) -> Option<usize> {
        Self::ALL.iter().position(|row| row.name() == name)
    }
}

fn lifetime(number: i32) -> Lifetime {
    Lifetime::from(number.unsigned_abs())
}

fn millis(number: i32) -> Duration {
    Duration::from_millis(number.unsigned_abs().into())
}

fn seconds(number: i32) -> Duration {
    Duration::from_secs(number.unsigned_abs().into())
}

fn threshold(number: i32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
