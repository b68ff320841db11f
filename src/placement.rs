//! From a wire key to its server: which of the key's bytes are hashed, which
//! server owns them, who stands in when that one is out. The prefix and the
//! key lie side by side on the wire, so what is hashed is always a slice of
//! it: nothing is copied.
//!
//! The key on the wire is legal before it comes here; this neither checks nor
//! digests keys, and learns from its caller which servers are live.

pub(crate) mod hash;
pub(crate) mod ring;

use std::fmt;
use std::str::FromStr;

use crate::error::Refusal;
use crate::item::key::WireKey;
use crate::placement::hash::{KeyHash, System};
use crate::placement::ring::{Distribution, Ring};
use crate::server::ServerSpec;

/// The longest prefix and key that libmemcached hashes together.
const MAX_HASHED: usize = 250;

/// How often a modula key is rehashed before its neighbours are asked. Half of
/// a pool's servers dead, one key in a million gets that far.
const REHASHES: u8 = 20;

/// A pool's rules for keys; the same for all its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub distribution: Distribution,
    /// The key hash, one that the distribution's system has.
    pub hash: KeyHash,
    /// Put before every key on the wire (`key_prefix`).
    pub prefix: Box<[u8]>,
    /// Whether the prefix takes part in choosing the server (`hash_prefix`).
    pub hash_prefix: bool,
    /// Hash only what stands between two bytes (`hash_tag`).
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

    /// The ring of the live ones among `servers`, see [`Ring::build`].
    pub fn ring(&self, servers: &[ServerSpec], live: impl Fn(usize) -> bool) -> Option<Ring> {
        Ring::build(self.distribution, self.hash, servers, live)
    }

    /// The key to send for `key`.
    ///
    /// # Errors
    /// Those of [`WireKey::new`].
    pub fn wire_key(&self, key: &[u8]) -> Result<WireKey, Refusal> {
        WireKey::from_parts(self.wire_parts(key))
    }

    /// What stands on the wire for a key of any length, to be written one after
    /// the other: a mark, the prefix and the rest of the key. Only libmc has a
    /// mark, a leading `?` that stays in front of both.
    pub fn wire_parts<'a>(&'a self, key: &'a [u8]) -> [&'a [u8]; 3] {
        match key.split_at_checked(1) {
            Some((b"?", rest)) if self.distribution == Distribution::Libmc => {
                [b"?", &self.prefix, rest]
            }
            _ => [b"", &self.prefix, key],
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

    /// The server that owns a wire key, live or not; a sole server owns it
    /// unhashed. Never allocates.
    pub fn owner(&self, ring: &Ring, wire: &[u8]) -> usize {
        ring.sole().unwrap_or_else(|| ring.owner(self.hash(wire)))
    }

    /// The server to ask for a wire key when only some are `live`: its owner,
    /// else the next distinct one on the ring (`failover=1`). The ring stays as
    /// configured, so the keys of live servers never move. With modula a key's
    /// stand-in is chosen by rehashing it with a counter put before it. `hash`
    /// is [`Self::hash`] of `wire`. None if no server of the ring is live; that
    /// answer costs a full turn.
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
        if self.distribution.is_modula() {
            let mut rehashed = (0..REHASHES).map(|counter| ring.owner(self.rehash(counter, wire)));
            if let Some(stand_in) = rehashed.find(|&server| live(server)) {
                return Some(stand_in);
            }
        }
        ring.walk(hash).find(|&server| live(server))
    }

    /// All servers in the order [`Self::first_live`] tries them, for people.
    pub fn failover_order(&self, ring: &Ring, wire: &[u8]) -> Vec<usize> {
        let hash = self.hash(wire);
        let mut order = Vec::new();
        while let Some(next) = self.first_live(ring, wire, hash, |server| !order.contains(&server))
        {
            order.push(next);
        }
        order
    }

    /// A wire key that does not begin with the prefix is one of libmc's with a
    /// `?`; libmc itself always hashes the prefix, so no peer minds its loss.
    fn without_prefix<'k>(&self, wire: &'k [u8]) -> &'k [u8] {
        match wire.strip_prefix(&*self.prefix) {
            Some(key) => key,
            None => wire.get(1 + self.prefix.len()..).unwrap_or_default(),
        }
    }

    /// libmemcached takes 0 for the hash of a prefix and key that do not fit
    /// its buffer together. Such keys reach no server, but they are placed.
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

/// twemproxy's hash tag: the two bytes that enclose the part to be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashTag {
    open: u8,
    close: u8,
}

impl HashTag {
    /// What stands between the first opening byte and the first closing one
    /// after it; all of `key` if that is nothing.
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

    /// Two printable ASCII characters, which may be the same one twice.
    fn from_str(text: &str) -> Result<Self, BadHashTag> {
        match *text.as_bytes() {
            [open, close] if open.is_ascii_graphic() && close.is_ascii_graphic() => {
                Ok(HashTag { open, close })
            }
            _ => Err(BadHashTag(text.to_owned())),
        }
    }
}

/// A hash tag that is not two characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHashTag(String);

impl fmt::Display for BadHashTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.escape_debug();
        write!(
            f,
            "invalid value '{text}'; accepted: two printable ASCII characters such as {{}}"
        )
    }
}

impl std::error::Error for BadHashTag {}

#[cfg(test)]
mod tests;
