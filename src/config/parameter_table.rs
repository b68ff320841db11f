//! The table of parameters, with one row for each.
//!
//! To add a parameter takes three steps: a field of [`Settings`](super::Settings), a row here, and
//! the code that uses the field. The values are set in the order of the rows.

use std::time::Duration;

use super::checks;
use super::parameter::{Parameter, Scope, row};
use super::settings::{Failover, Rejoin};
use crate::item::lifetime::Lifetime;
use crate::wire::protocol::Store;

const MAX: i32 = i32::MAX;
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
        row(c"stall_limit")
            .about("time without an answer after which only one worker waits for the server")
            .number(1..=MAX, 200, |to, n| to.stall_limit = millis(n))
            .unit(MS)
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
        row(c"rejoin")
            .about("whether a server keeps its items over an outage")
            .word(&[
                ("keep", |to| to.rejoin = Rejoin::Keep),
                ("flush", |to| to.rejoin = Rejoin::Flush),
            ]),
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
