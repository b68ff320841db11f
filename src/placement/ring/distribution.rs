//! The distributions by name: which system each one imitates, which hash that
//! system takes when none is configured. No arithmetic here.

use std::fmt;
use std::str::FromStr;

use crate::placement::hash::{KeyHash, System, UnknownHash};

/// How keys are spread over servers, named as in the `distribution` parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// libmemcached's weighted ketama: a share of 160 MD5 points per server.
    /// An alias, if given, stands for host and port, as in twemproxy.
    #[default]
    Ketama,
    /// libmemcached's consistent distribution: 100 points of the key hash.
    KetamaUnweighted,
    /// libmemcached's spymemcached ring: as unweighted ketama, other texts.
    Spy,
    /// The spymemcached texts on the weighted ring.
    SpyWeighted,
    /// libmemcached's default: the hash modulo the number of servers.
    Modula,
    /// libmc: 100 MD5 points per server, aliases honoured.
    Libmc,
    /// twemproxy's ketama: weighted, servers in the order of their names.
    Twemproxy,
    /// twemproxy's modula: as many slots as weight, in the order of the names.
    TwemproxyModula,
}

use Distribution::*;

impl Distribution {
    /// All of them, in the order the documentation lists them.
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

    /// The word an operator writes.
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

    /// The system that places keys this way, and whose hash names count.
    pub fn system(self) -> System {
        match self {
            Ketama | KetamaUnweighted | Spy | SpyWeighted | Modula => System::Libmemcached,
            Libmc => System::Libmc,
            Twemproxy | TwemproxyModula => System::Twemproxy,
        }
    }

    /// The key hash the imitated system uses when none is configured.
    pub fn default_hash(self) -> KeyHash {
        match self {
            Ketama | SpyWeighted | Libmc => KeyHash::Md5,
            KetamaUnweighted | Spy | Modula => KeyHash::OneAtATime,
            Twemproxy | TwemproxyModula => KeyHash::Fnv1aLong,
        }
    }

    /// Reads the `hash` parameter: the name means what [`Self::system`] means.
    ///
    /// # Errors
    /// A name that system does not have.
    pub fn parse_hash(self, name: &str) -> Result<KeyHash, UnknownHash> {
        KeyHash::parse(self.system(), name)
    }

    /// Whether keys are placed by remainder, not by a ring.
    pub fn is_modula(self) -> bool {
        matches!(self, Modula | TwemproxyModula)
    }
}

impl FromStr for Distribution {
    type Err = UnknownDistribution;

    fn from_str(name: &str) -> Result<Self, UnknownDistribution> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownDistribution(name.to_owned()))
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDistribution(String);

impl fmt::Display for UnknownDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, known) = (
            self.0.escape_debug(),
            Distribution::ALL.map(Distribution::name),
        );
        write!(f, "invalid value '{name}'; accepted: {}", known.join(", "))
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
