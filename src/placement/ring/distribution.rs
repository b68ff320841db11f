//! `Distribution` is a way to spread keys over servers: the system that it imitates, and the hash
//! which that system uses by default.

use std::fmt;
use std::str::FromStr;

use crate::placement::hash::{KeyHash, System, UnknownHash};
use crate::quoted::quoted;

/// How keys are spread over servers. The names are those of the parameter `distribution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// libmemcached's weighted ketama: MD5 points, 160 for each server of average weight. If a
    /// server has an alias, that stands for host and port, as in twemproxy.
    #[default]
    Ketama,
    /// libmemcached's consistent distribution: 100 points for each server, made with the key hash.
    KetamaUnweighted,
    /// libmemcached's spymemcached ring: like unweighted ketama, but with other texts.
    Spy,
    /// The spymemcached texts on the weighted ring.
    SpyWeighted,
    /// libmemcached's default: the hash modulo the number of servers.
    Modula,
    /// libmc: 100 MD5 points for each server. If a server has an alias, that stands for its
    /// address.
    Libmc,
    /// twemproxy's ketama: weighted, with the servers sorted by name.
    Twemproxy,
    /// twemproxy's modula: each server has as many slots as its weight, with the servers sorted by
    /// name.
    TwemproxyModula,
}

use Distribution::*;

impl Distribution {
    /// All of them, in the order of the documentation.
    pub const ALL: [Distribution; 8] = [
        Ketama,
        KetamaUnweighted,
        Spy,
        SpyWeighted,
        Modula,
        Libmc,
        Twemproxy,
        TwemproxyModula,
    ];

    /// The name that an operator writes.
    pub fn name(self) -> &'static str {
        match self {
            Ketama => "ketama",
            KetamaUnweighted => "ketama_unweighted",
            Spy => "spy",
            SpyWeighted => "spy_weighted",
            Modula => "modula",
            Libmc => "libmc",
            Twemproxy => "twemproxy",
            TwemproxyModula => "twemproxy_modula",
        }
    }

    /// The system that places keys in this way. Names of hashes have that system's meaning.
    pub fn system(self) -> System {
        match self {
            Ketama | KetamaUnweighted | Spy | SpyWeighted | Modula => System::Libmemcached,
            Libmc => System::Libmc,
            Twemproxy | TwemproxyModula => System::Twemproxy,
        }
    }

    /// The key hash that the imitated system uses by default.
    pub fn default_hash(self) -> KeyHash {
        match self {
            Ketama | SpyWeighted | Libmc => KeyHash::Md5,
            KetamaUnweighted | Spy | Modula => KeyHash::OneAtATime,
            Twemproxy | TwemproxyModula => KeyHash::Fnv1aLong,
        }
    }

    /// Reads the parameter `hash`. The name has the meaning that it has in [`Self::system`].
    ///
    /// # Errors
    /// No system has the name.
    pub fn parse_hash(self, name: &str) -> Result<KeyHash, UnknownHash> {
        KeyHash::parse(self.system(), name)
    }

    /// True if keys are placed by the remainder of a division, not on a ring.
    pub fn is_modula(self) -> bool {
        matches!(self, Modula | TwemproxyModula)
    }
}

impl FromStr for Distribution {
    type Err = UnknownDistribution;

    fn from_str(name: &str) -> Result<Self, UnknownDistribution> {
        let named = Self::ALL.into_iter().find(|one| one.name() == name);
        named.ok_or_else(|| UnknownDistribution(name.to_owned()))
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not one of a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDistribution(String);

impl fmt::Display for UnknownDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, all) = (quoted(&self.0), Distribution::ALL.map(Distribution::name));
        write!(f, "invalid value {name}; accepted: {}", all.join(", "))
    }
}

impl std::error::Error for UnknownDistribution {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for distribution in Distribution::ALL {
            assert_eq!(distribution.name().parse(), Ok(distribution));
        }
    }

    #[test]
    fn a_default_hash_is_one_the_system_has() {
        for distribution in Distribution::ALL {
            let name = distribution.default_hash().name(distribution.system());
            let name = name.expect("the system knows its default");
            assert_eq!(
                distribution.parse_hash(name),
                Ok(distribution.default_hash())
            );
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let refusal = "Ketama".parse::<Distribution>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "invalid value 'Ketama'; accepted: ketama, ketama_unweighted, spy, \
             spy_weighted, modula, libmc, twemproxy, twemproxy_modula"
        );
    }
}
