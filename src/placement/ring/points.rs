//! The points of each server on the ring: the texts that are hashed, their number, and what the
//! hash becomes.
//!
//! All of this imitates other programs exactly, including their rounding. The tests compare it with
//! the answers of those programs.

use crate::placement::hash::{KeyHash, md5_words};
use crate::server::{Address, ServerSpec};

use super::Distribution::{self, *};

/// A position, and the index of the server that has it.
pub(super) type Point = (u32, u16);

/// The number of points of each server where weights do not count.
const UNWEIGHTED: u32 = 100;

/// The points of `servers`, in ascending order with modula, otherwise in any order. If two
/// positions on a ring are equal, the earlier one in this list counts.
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

/// twemproxy sorts the servers of a pool by name, with shorter names first. All others keep the
/// configured order.
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

/// The text for a server, which is hashed with `-0`, `-1`, … behind it. Only spymemcached writes
/// the port 11211. A unix socket has no port, and every program writes something else in its place.
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

/// Four points of MD5 for each text.
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

/// The number of texts of a server: its share of 40 for each server. It is computed in single
/// precision and rounded at each step, exactly as the original programs do it.
fn share(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    (share * 160.0 / 4.0 * servers as f32 + 1e-10).floor() as u32
}

/// One point for each text.
fn unweighted(servers: &[Named], position: impl Fn(&[u8]) -> u32) -> Vec<Point> {
    let mut points = Vec::with_capacity(servers.len() * UNWEIGHTED as usize);
    for server in servers {
        let texts = (0..UNWEIGHTED).map(|i| format!("{}-{i}", server.text));
        points.extend(texts.map(|text| (position(text.as_bytes()), server.index)));
    }
    points
}

/// The slots of modula, numbered from 0. Of each server only the last slot is kept: the first point
/// at or above a slot then leads to its server.
fn slots(servers: impl Iterator<Item = (u16, u32)>) -> Vec<Point> {
    let mut taken = 0;
    let last_slots = servers.map(|(server, slots)| {
        taken += slots;
        (taken - 1, server)
    });
    last_slots.collect()
}
