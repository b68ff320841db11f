//! The points of each server on the ring: the texts that are hashed, their number, and what the
//! hash becomes.
//!
//! All of this imitates other programs exactly, including their rounding. The tests compare it with
//! the answers of those programs.

use crate::placement::hash::{KeyHash, md5_words};
use crate::server::{Address, ServerSpec};

use super::Distribution::{self, *};
use super::Ring;

/// A point of a server.
#[derive(Clone, Copy, Debug)]
struct Point {
    position: u32,
    /// The server, as an index into the configured list.
    server: u16,
    /// The number of the text that it was hashed from.
    text: u16,
}

/// The number of points of each server where weights do not count.
const UNWEIGHTED: u32 = 100;

/// The points of a list of servers. Each is hashed once, so that rings of some of the servers are soon
/// made.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    distribution: Distribution,
    hash: KeyHash,
    /// In the order in which their points are made.
    servers: Vec<Named>,
    /// How many texts of each server are hashed.
    hashed: Vec<u32>,
    /// In ascending order. If two positions on a ring are equal, the earlier one in this list counts.
    points: Vec<Point>,
}

/// A server as the ring sees it.
#[derive(Clone, Debug)]
struct Named {
    index: u16,
    weight: u32,
    text: String,
}

impl Points {
    /// The points of `servers`, which are not hashed yet. A server with an index above 65 535 has none.
    pub(crate) fn new(distribution: Distribution, hash: KeyHash, servers: &[ServerSpec]) -> Self {
        let servers = ordered(distribution, servers);
        Self {
            distribution,
            hash,
            hashed: vec![0; servers.len()],
            servers,
            points: Vec::new(),
        }
    }

    /// The ring of those servers for whose index `live` is true, see [`Ring::build`].
    pub(crate) fn ring(&mut self, live: impl Fn(usize) -> bool) -> Option<Ring> {
        let servers = self.servers.iter();
        let live: Vec<&Named> = servers.filter(|it| live(it.index.into())).collect();
        let sole = match live[..] {
            [only] => Some(only.index),
            _ => None,
        };
        let points: Vec<(u32, u16)> = match self.distribution {
            Modula => slots(live.iter().map(|server| (server.index, 1))),
            TwemproxyModula => slots(live.iter().map(|server| (server.index, server.weight))),
            _ => {
                let texts = self.texts(&live);
                self.hash(&texts);
                let belongs = |it: &&Point| u32::from(it.text) < texts[usize::from(it.server)];
                let points = self.points.iter().filter(belongs);
                points.map(|point| (point.position, point.server)).collect()
            }
        };
        Ring::of(points, self.distribution.is_modula(), sole)
    }

    /// How many texts each server has, by its index, in a ring of those that are live.
    fn texts(&self, live: &[&Named]) -> Vec<u32> {
        let mut texts = vec![0; self.servers.len()];
        let total = live.iter().map(|server| server.weight).sum();
        for server in live {
            texts[usize::from(server.index)] = match self.distribution {
                Ketama | SpyWeighted | Twemproxy => share(server.weight, total, live.len()),
                _ => UNWEIGHTED,
            };
        }
        texts
    }

    /// Hashes the texts up to these numbers, unless that is done.
    fn hash(&mut self, texts: &[u32]) {
        if texts.iter().zip(&self.hashed).all(|(new, old)| new <= old) {
            return;
        }
        for (old, new) in self.hashed.iter_mut().zip(texts) {
            *old = (*old).max(*new);
        }
        let mut points = Vec::new();
        for server in &self.servers {
            for text in 0..self.hashed[usize::from(server.index)] {
                let bytes = format!("{}-{text}", server.text).into_bytes();
                let mut add = |position| {
                    points.push(Point {
                        position,
                        server: server.index,
                        text: text as u16,
                    });
                };
                match self.distribution {
                    KetamaUnweighted | Spy => add(self.hash.hash(&bytes)),
                    Libmc => add(md5_words(&bytes)[0]),
                    _ => md5_words(&bytes).into_iter().for_each(add),
                }
            }
        }
        points.sort_by_key(|point| point.position);
        self.points = points;
    }
}

/// twemproxy sorts the servers of a pool by name, with shorter names first. All others keep the
/// configured order.
fn ordered(distribution: Distribution, servers: &[ServerSpec]) -> Vec<Named> {
    let named = (0..=u16::MAX).zip(servers).map(|(index, server)| Named {
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

/// The number of texts of a server: its share of 40 for each server. It is computed in single
/// precision and rounded at each step, exactly as the original programs do it.
fn share(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    (share * 160.0 / 4.0 * servers as f32 + 1e-10).floor() as u32
}

/// The slots of modula, numbered from 0. Of each server only the last slot is kept: the first point
/// at or above a slot then leads to its server.
fn slots(servers: impl Iterator<Item = (u16, u32)>) -> Vec<(u32, u16)> {
    let mut taken = 0;
    let last_slots = servers.map(|(server, slots)| {
        taken += slots;
        (taken - 1, server)
    });
    last_slots.collect()
}
