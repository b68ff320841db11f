//! Where each server's points lie: the texts that are hashed, how many there
//! are, and what becomes of them. All of it is other programs' doing, down to
//! the rounding; the tests compare it with those programs' answers.

use crate::placement::hash::{KeyHash, md5_words};
use crate::server::{Address, ServerSpec};

use super::Distribution::{self, *};

/// A position and the index of the server that owns it.
pub(super) type Point = (u32, u16);

/// Points per server where weights do not count.
const UNWEIGHTED: u32 = 100;

/// The points of `servers`, unsorted for a ring, ascending for modula. On a
/// ring the earlier of two equal positions is the one that counts.
pub(super) fn of(
    distribution: Distribution,
    hash: KeyHash,
    servers: &[(u16, &ServerSpec)],
) -> Vec<Point> {
    let servers = ordered(distribution, servers);
    match distribution {
        Ketama | SpyWeighted | Twemproxy => weighted(&servers),
        KetamaUnweighted | Spy => unweighted(&servers, |text| hash.hash(text)),
        Libmc => unweighted(&servers, |text| md5_words(text)[0]),
        Modula => slots(servers.iter().map(|server| (server.index, 1))),
        TwemproxyModula => slots(servers.iter().map(|server| (server.index, server.weight))),
    }
}

/// A server as the ring sees it.
struct Named {
    index: u16,
    weight: u32,
    text: String,
}

/// twemproxy keeps a pool sorted by name, shorter names first, whatever the
/// order in its file; everybody else keeps the configured order.
fn ordered(distribution: Distribution, servers: &[(u16, &ServerSpec)]) -> Vec<Named> {
    let named = servers.iter().map(|&(index, server)| Named {
        index,
        weight: u32::from(server.weight.max(1)),
        text: text(distribution, server),
    });
    let mut named: Vec<Named> = named.collect();
    if matches!(distribution, Twemproxy | TwemproxyModula) {
        named.sort_by(|a, b| (a.text.len(), &a.text).cmp(&(b.text.len(), &b.text)));
    }
    named
}

/// The text that stands for a server in front of `-0`, `-1`, … Only spymemcached
/// writes the port 11211; a unix socket shows each program's own idea of a port
/// that is not there.
fn text(distribution: Distribution, server: &ServerSpec) -> String {
    let address = |no_port: &str| match &server.address {
        Address::Tcp { .. } => server.address.short(),
        Address::Unix(path) => format!("{path}{no_port}"),
    };
    let alias_or_address = |no_port| server.alias.clone().unwrap_or_else(|| address(no_port));
    match distribution {
        Ketama => alias_or_address(":0"),
        KetamaUnweighted | Modula => address(":0"),
        Spy | SpyWeighted => match &server.address {
            Address::Tcp { host, port } => format!("/{host}:{port}"),
            Address::Unix(path) => format!("/{path}:0"),
        },
        Libmc => alias_or_address(""),
        Twemproxy | TwemproxyModula => alias_or_address(":"),
    }
}

/// Four MD5 points per text.
fn weighted(servers: &[Named]) -> Vec<Point> {
    let total: u32 = servers.iter().map(|server| server.weight).sum();
    let points = servers.iter().flat_map(|server| {
        let texts = 0..share(server.weight, total, servers.len());
        texts.flat_map(move |i| {
            let words = md5_words(format!("{}-{i}", server.text).as_bytes());
            words.map(|position| (position, server.index))
        })
    });
    points.collect()
}

/// How many texts a server gets: its share of 40 per server, in single
/// precision and rounded at each step exactly as the originals do it.
fn share(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    (share * 160.0 / 4.0 * servers as f32 + 1e-10).floor() as u32
}

/// One point per text.
fn unweighted(servers: &[Named], position: impl Fn(&[u8]) -> u32) -> Vec<Point> {
    let mut points = Vec::with_capacity(servers.len() * UNWEIGHTED as usize);
    for server in servers {
        let texts = (0..UNWEIGHTED).map(|i| format!("{}-{i}", server.text));
        points.extend(texts.map(|text| (position(text.as_bytes()), server.index)));
    }
    points
}

/// Modula's slots, numbered from 0, with only the last one of each server
/// kept: looking for the first point at or above a slot finds its server.
fn slots(servers: impl Iterator<Item = (u16, u32)>) -> Vec<Point> {
    let mut taken = 0;
    let last_slots = servers.map(|(server, slots)| {
        taken += slots;
        (taken - 1, server)
    });
    last_slots.collect()
}
