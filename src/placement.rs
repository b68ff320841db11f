//! `Placement` says which server a wire key belongs to: which of its bytes are hashed, which server
//! owns them, and which server stands in while that one is out of service.
//!
//! In a wire key the prefix stands directly before the key. So what is hashed is always a slice of
//! the wire key, and nothing is copied. This module neither checks keys nor makes digests of them,
//! because a wire key is legal already. Its caller tells it which servers are live.

pub(crate) mod hash;
pub(crate) mod ring;

use std::fmt;
use std::str::FromStr;

use crate::error::Refusal;
use crate::item::key::WireKey;
use crate::placement::hash::{KeyHash, System};
use crate::placement::ring::{Distribution, Points, Ring, is_new};
use crate::quoted::quoted;
use crate::server::ServerSpec;

/// libmemcached hashes prefix and key together up to this length.
const MAX_HASHED: usize = 250;

/// How often a modula key is rehashed before the servers are tried in order. If half of a pool's
/// servers are dead, one key in a million gets that far.
const REHASHES: u8 = 20;

/// How a pool places its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub distribution: Distribution,
    /// The key hash. The distribution's system must have it.
    pub hash: KeyHash,
    /// The text before every key on the wire (`key_prefix`).
    pub prefix: Box<[u8]>,
    /// True if the prefix takes part in choosing the server (`hash_prefix`).
    pub hash_prefix: bool,
    /// If set, only the part of a key between these two characters is hashed (`hash_tag`).
    pub hash_tag: Option<HashTag>,
}

impl Placement {
    /// The distribution with its default hash, no prefix and no hash tag.
    pub fn new(distribution: Distribution) -> Placement {
        Placement {
            distribution,
            hash: distribution.default_hash(),
            prefix: Box::default(),
            hash_prefix: true,
            hash_tag: None,
        }
    }

    /// The ring of those `servers` that are live, see [`Ring::build`].
    pub fn ring(&self, servers: &[ServerSpec], live: impl Fn(usize) -> bool) -> Option<Ring> {
        Ring::build(self.distribution, self.hash, servers, live)
    }

    /// The points of `servers`, for rings of those that are live at one time and another.
    pub(crate) fn points(&self, servers: &[ServerSpec]) -> Points {
        Points::new(self.distribution, self.hash, servers)
    }

    /// The wire key for `key`.
    ///
    /// # Errors
    /// Those of [`WireKey::new`].
    pub fn wire_key(&self, key: &[u8]) -> Result<WireKey, Refusal> {
        WireKey::from_parts(self.wire_parts(key))
    }

    /// The parts of a wire key, in the order in which they are sent: a mark, the prefix, and the
    /// rest of the key. They may have any length. Only libmc uses a mark: a leading `?` of the key,
    /// which it sends before the prefix.
    pub fn wire_parts<'a>(&'a self, key: &'a [u8]) -> [&'a [u8]; 3] {
        match key.split_at_checked(1) {
            Some((b"?", rest)) if self.distribution == Distribution::Libmc => {
                [b"?", &self.prefix, rest]
            }
            _ => [b"", &self.prefix, key],
        }
    }

    /// The key that a wire key was made of; that of a digest is the digest.
    pub(crate) fn key_text(&self, wire: &[u8]) -> Vec<u8> {
        match wire.strip_prefix(&*self.prefix) {
            Some(key) => key.to_vec(),
            None => [b"?", self.without_prefix(wire)].concat(),
        }
    }

    /// The part of a wire key that chooses the server.
    pub fn hash_input<'k>(&self, wire: &'k [u8]) -> &'k [u8] {
        let input = if self.hash_prefix {
            wire
        } else {
            self.without_prefix(wire)
        };
        self.hash_tag.map_or(input, |tag| tag.apply(input))
    }

    /// The hash of a wire key. Never allocates.
    pub fn hash(&self, wire: &[u8]) -> u32 {
        if self.is_overlong(wire) {
            return 0;
        }
        self.hash.hash(self.hash_input(wire))
    }

    /// The server that owns a wire key, whether it is live or not. A sole server owns every key, so
    /// nothing is hashed. Never allocates.
    pub fn owner(&self, ring: &Ring, wire: &[u8]) -> usize {
        ring.sole().unwrap_or_else(|| ring.owner(self.hash(wire)))
    }

    /// The server to ask for a wire key if only some servers are `live` (`failover=1`): its owner,
    /// or else the next live one on the ring. The ring does not change, so the keys of live servers
    /// stay where they are. With modula, a stand-in is found by hashing the key again with a number
    /// in front of it.
    ///
    /// `hash` is [`Self::hash`] of `wire`. Returns `None` if no server of the ring is live; this
    /// takes one full turn of the ring.
    pub fn first_live(
        &self,
        ring: &Ring,
        wire: &[u8],
        hash: u32,
        live: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let owner = ring.owner(hash);
        if live(owner) {
            return Some(owner);
        }
        let mut others = self.in_order(ring, wire, hash).skip(1);
        others.find(|&server| live(server))
    }

    /// The servers in the order in which [`Self::first_live`] tries them, each once: the owner, the one that
    /// stands in for it, and so on. Where an item has several copies, they are on the first ones of these.
    /// `hash` is [`Self::hash`] of `wire`.
    pub(crate) fn in_order<'a>(
        &'a self,
        ring: &'a Ring,
        wire: &'a [u8],
        hash: u32,
    ) -> impl Iterator<Item = usize> + 'a {
        let rehashes = match self.distribution.is_modula() {
            true => 0..REHASHES,
            false => 0..0,
        };
        let rehashed = rehashes.map(move |counter| ring.owner(self.rehash(counter, wire)));
        let mut met = Vec::new();
        std::iter::once(ring.owner(hash))
            .chain(rehashed)
            .chain(ring.walk(hash))
            .filter(move |&server| is_new(&mut met, server))
            .take(ring.servers())
    }

    /// All servers of the ring in that order. For operators.
    pub fn failover_order(&self, ring: &Ring, wire: &[u8]) -> Vec<usize> {
        self.in_order(ring, wire, self.hash(wire)).collect()
    }

    /// If a wire key does not begin with the prefix, it begins with libmc's `?`, which is then
    /// removed, too. libmc itself always hashes the prefix, so this affects no other
    /// program.
    fn without_prefix<'k>(&self, wire: &'k [u8]) -> &'k [u8] {
        match wire.strip_prefix(&*self.prefix) {
            Some(key) => key,
            None => wire.get(1 + self.prefix.len()..).unwrap_or_default(),
        }
    }

    /// True if prefix and key together do not fit into libmemcached's buffer. libmemcached then
    /// takes 0 as the hash. It never sends such a key, but it can be asked where the key belongs.
    fn is_overlong(&self, wire: &[u8]) -> bool {
        wire.len() > MAX_HASHED
            && self.hash_prefix
            && !self.prefix.is_empty()
            && self.distribution.system() == System::Libmemcached
    }

    fn rehash(&self, counter: u8, wire: &[u8]) -> u32 {
        let mut input = counter.to_string().into_bytes();
        input.extend_from_slice(self.hash_input(wire));
        self.hash.hash(&input)
    }
}

impl Default for Placement {
    fn default() -> Self {
        Self::new(Distribution::default())
    }
}

/// twemproxy's hash tag: the two characters around the part of a key that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashTag {
    open: u8,
    close: u8,
}

impl HashTag {
    /// The bytes between the first opening character and the first closing one after it. If there
    /// are none, the whole key.
    pub fn apply(self, key: &[u8]) -> &[u8] {
        let position = |bytes: &[u8], wanted| bytes.iter().position(|&byte| byte == wanted);
        let inside = position(key, self.open).and_then(|open| {
            let tail = &key[open + 1..];
            position(tail, self.close).map(|close| &tail[..close])
        });
        inside.filter(|inside| !inside.is_empty()).unwrap_or(key)
    }
}

impl FromStr for HashTag {
    type Err = BadHashTag;

    /// Reads two printable ASCII characters. They may be the same.
    fn from_str(text: &str) -> Result<Self, BadHashTag> {
        match *text.as_bytes() {
            [open, close] if open.is_ascii_graphic() && close.is_ascii_graphic() => {
                Ok(HashTag { open, close })
            }
            _ => Err(BadHashTag(text.to_owned())),
        }
    }
}

/// A text that is not a hash tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHashTag(String);

impl fmt::Display for BadHashTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid value {}; accepted: two printable ASCII characters such as {{}}",
            quoted(&self.0)
        )
    }
}

impl std::error::Error for BadHashTag {}

#[cfg(test)]
mod tests;
