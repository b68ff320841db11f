//! `KeyHash` is a hash function of keys, with 32 bits as result.
//!
//! Each one computes exactly what libmemcached 1.1.4, libmc 1.4.17 and twemproxy 0.5.0 compute on
//! amd64, including their mistakes: a hash decides which server has the data that other programs
//! wrote, so it must not be improved. Where one name means different things in different systems,
//! the imitated [`System`] decides. These hashes do not protect against chosen keys.

mod crc;
mod fnv;
mod hsieh;
mod jenkins;
mod murmur;

use std::fmt;

use crate::quoted::quoted;

/// The programs whose placement is imitated. Each has its own names of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Libmemcached,
    Libmc,
    Twemproxy,
}

/// A hash function. It gives the same result on every architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// Jenkins one-at-a-time over signed bytes.
    OneAtATime,
    /// The first four bytes of the MD5 digest, little-endian.
    Md5,
    /// CRC-32 cut to bits 16 to 30: only 32 768 values.
    Crc15,
    /// Standard CRC-32, all bits.
    Crc32,
    /// CCITT CRC-16, except that its state is not cut to 16 bits.
    Crc16,
    /// FNV-1, 32 bit, over signed bytes.
    Fnv1Signed,
    /// FNV-1a, 32 bit, over signed bytes.
    Fnv1aSigned,
    /// Standard FNV-1, 32 bit.
    Fnv1,
    /// Standard FNV-1a, 32 bit.
    Fnv1a,
    /// FNV-1, 64 bit, over signed bytes. The result is the low half.
    Fnv1Long,
    /// FNV-1a, 32 bit, over signed bytes, but with the low halves of the 64-bit constants. Despite
    /// its name it is not a 64-bit hash.
    Fnv1aLong,
    /// Bob Jenkins' lookup3 `hashlittle`, initial value 13.
    Jenkins,
    /// MurmurHash2, seeded with a multiple of the length.
    Murmur,
    /// MurmurHash3 x86_32, seeded in the same way.
    Murmur3,
    /// Paul Hsieh's SuperFastHash. One byte at the end is signed.
    Hsieh,
}

use KeyHash::*;

const LIBMEMCACHED: &[(&str, KeyHash)] = &[
    ("one_at_a_time", OneAtATime),
    ("md5", Md5),
    ("crc", Crc15),
    ("fnv1_64", Fnv1Long),
    ("fnv1a_64", Fnv1aLong),
    ("fnv1_32", Fnv1Signed),
    ("fnv1a_32", Fnv1aSigned),
    ("jenkins", Jenkins),
    ("murmur", Murmur),
    ("murmur3", Murmur3),
    ("hsieh", Hsieh),
    ("default", OneAtATime),
];

const LIBMC: &[(&str, KeyHash)] = &[
    ("md5", Md5),
    ("fnv1_32", Fnv1),
    ("fnv1a_32", Fnv1a),
    ("crc_32", Crc32),
];

const TWEMPROXY: &[(&str, KeyHash)] = &[
    ("one_at_a_time", OneAtATime),
    ("md5", Md5),
    ("crc16", Crc16),
    ("crc32", Crc15),
    ("crc32a", Crc32),
    ("fnv1_64", Fnv1Long),
    ("fnv1a_64", Fnv1aLong),
    ("fnv1_32", Fnv1Signed),
    ("fnv1a_32", Fnv1aSigned),
    ("hsieh", Hsieh),
    ("murmur", Murmur),
    ("jenkins", Jenkins),
];

impl System {
    /// All systems.
    const ALL: [System; 3] = [System::Libmemcached, System::Twemproxy, System::Libmc];

    /// The names of hashes that this system's configuration accepts, and what they mean.
    pub fn hashes(self) -> &'static [(&'static str, KeyHash)] {
        match self {
            System::Libmemcached => LIBMEMCACHED,
            System::Libmc => LIBMC,
            System::Twemproxy => TWEMPROXY,
        }
    }
}

impl KeyHash {
    /// What `system` means by the hash called `name`. If it does not have that name, the name means
    /// what it means in the first other system that has it.
    ///
    /// # Errors
    /// No system has the name.
    pub fn parse(system: System, name: &str) -> Result<KeyHash, UnknownHash> {
        let meaning = |system: System| {
            let found = system.hashes().iter().find(|(other, _)| *other == name);
            found.map(|&(_, hash)| hash)
        };
        meaning(system)
            .or_else(|| System::ALL.into_iter().find_map(meaning))
            .ok_or_else(|| UnknownHash(name.to_owned()))
    }

    /// The name of this hash in `system`, if it has one.
    pub fn name(self, system: System) -> Option<&'static str> {
        let found = system.hashes().iter().find(|&&(_, hash)| hash == self);
        found.map(|&(name, _)| name)
    }

    /// Hashes a key of any length, including an empty one. Never allocates.
    pub fn hash(self, key: &[u8]) -> u32 {
        match self {
            OneAtATime => jenkins::one_at_a_time(key),
            Md5 => md5_words(key)[0],
            Crc15 => crc::crc32(key) >> 16 & 0x7fff,
            Crc32 => crc::crc32(key),
            Crc16 => crc::crc16_uncut(key),
            Fnv1Signed => fnv::fnv1(key.iter().map(signed)),
            Fnv1aSigned => fnv::fnv1a(key.iter().map(signed)),
            Fnv1 => fnv::fnv1(key.iter().map(unsigned)),
            Fnv1a => fnv::fnv1a(key.iter().map(unsigned)),
            Fnv1Long => fnv::fnv1_long(key),
            Fnv1aLong => fnv::fnv1a_long(key.iter().map(signed)),
            Jenkins => jenkins::lookup3(key),
            Murmur => murmur::murmur2(key),
            Murmur3 => murmur::murmur3(key),
            Hsieh => hsieh::super_fast_hash(key),
        }
    }
}

/// The MD5 digest as four little-endian words, for four points of a ring.
pub(crate) fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest = md5::compute(bytes).0;
    let (words, _) = digest.as_chunks::<4>();
    std::array::from_fn(|i| u32::from_le_bytes(words[i]))
}

/// A byte as C's `char`, which is signed on amd64, widened to 32 bits: 0xff becomes 0xffff_ffff. On
/// other architectures the imitated programs get other results for bytes above 0x7f.
fn signed(byte: &u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

fn unsigned(byte: &u8) -> u32 {
    u32::from(*byte)
}

/// Up to four bytes as a little-endian number. Missing bytes count as zero.
fn little_endian(bytes: &[u8]) -> u32 {
    let most_significant_first = bytes.iter().rev();
    most_significant_first.fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// A name of a hash that no system has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownHash(String);

impl fmt::Display for UnknownHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<&str> = Vec::new();
        for &(name, _) in System::ALL.iter().flat_map(|system| system.hashes()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        let name = quoted(&self.0);
        write!(f, "invalid value {name}; accepted: {}", all.join(", "))
    }
}

impl std::error::Error for UnknownHash {}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"sip:alice@example.com";
    const UTF8: &str = "sip:jürgen@example.com";

    /// The answers of the original programs for two keys, of which one is not ASCII.
    #[test]
    fn known_answers() {
        let answers = [
            (OneAtATime, 829_528_631, 3_861_404_988),
            (Md5, 1_648_695_942, 1_961_759_625),
            (Crc15, 3_283, 1_363),
            (Crc32, 2_362_686_273, 89_341_429),
            (Crc16, 2_553_496_379, 1_204_326_223),
            (Fnv1Signed, 2_298_980_298, 1_118_847_769),
            (Fnv1, 2_298_980_298, 1_941_879_577),
            (Fnv1aSigned, 2_081_726_528, 3_698_680_717),
            (Fnv1a, 2_081_726_528, 3_446_113_165),
            (Fnv1Long, 1_029_315_018, 3_908_395_897),
            (Fnv1aLong, 3_815_053_984, 3_681_887_661),
            (Jenkins, 735_511_944, 3_733_692_043),
            (Murmur, 4_270_554_310, 3_379_028_816),
            (Murmur3, 342_994_738, 1_454_579_747),
            (Hsieh, 3_124_745_602, 4_194_408_560),
        ];
        for (hash, plain, utf8) in answers {
            assert_eq!(hash.hash(PLAIN), plain, "{hash:?} of the ASCII key");
            assert_eq!(
                hash.hash(UTF8.as_bytes()),
                utf8,
                "{hash:?} of the UTF-8 key"
            );
        }
    }

    /// The answers of libhashkit on amd64 for bytes above 0x7f in the last, incomplete block of a
    /// key. There it matters whether a `char` is signed.
    #[test]
    fn bytes_above_ascii_in_a_tail() {
        let key = b"abcd\x81\x82\xff";
        let answers = [
            (OneAtATime, 2_366_438_043),
            (Fnv1Signed, 1_805_918_279),
            (Fnv1aSigned, 1_230_870_151),
            (Fnv1Long, 2_479_964_423),
            (Fnv1aLong, 1_248_495_623),
            (Jenkins, 4_161_788_026),
            (Murmur, 651_375_518),
            (Murmur3, 3_058_152_499),
        ];
        for (hash, answer) in answers {
            assert_eq!(hash.hash(key), answer, "{hash:?}");
        }
    }

    #[test]
    fn an_empty_key_is_hashed_too() {
        assert_eq!(OneAtATime.hash(b""), 0);
        assert_eq!(Crc32.hash(b""), 0);
        assert_eq!(Fnv1a.hash(b""), 2_166_136_261);
        assert_eq!(Fnv1aLong.hash(b""), 0x8422_2325);
        assert_eq!(Jenkins.hash(b""), 0xdead_beef_u32.wrapping_add(13));
        assert_eq!(Hsieh.hash(b""), 0);
        assert_eq!(Murmur3.hash(b""), 0);
    }

    #[test]
    fn a_name_means_what_its_system_means() {
        let parse = |system, name| KeyHash::parse(system, name).ok();

        assert_eq!(parse(System::Libmemcached, "fnv1_32"), Some(Fnv1Signed));
        assert_eq!(parse(System::Libmc, "fnv1_32"), Some(Fnv1));
        assert_eq!(parse(System::Libmemcached, "crc"), Some(Crc15));
        assert_eq!(parse(System::Twemproxy, "crc32"), Some(Crc15));
        assert_eq!(parse(System::Twemproxy, "crc32a"), Some(Crc32));
        assert_eq!(parse(System::Libmc, "crc_32"), Some(Crc32));
        assert_eq!(parse(System::Libmemcached, "default"), Some(OneAtATime));
        assert_eq!(OneAtATime.name(System::Libmemcached), Some("one_at_a_time"));
        assert_eq!(Crc15.name(System::Libmc), None);
        assert_eq!(parse(System::Libmc, "crc32"), Some(Crc15));
        assert_eq!(parse(System::Twemproxy, "crc_32"), Some(Crc32));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let refusal = KeyHash::parse(System::Libmc, "murmur\n").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "invalid value 'murmur\\n'; accepted: one_at_a_time, md5, crc, fnv1_64, fnv1a_64, fnv1_32, \
             fnv1a_32, jenkins, murmur, murmur3, hsieh, default, crc16, crc32, crc32a, crc_32"
        );
    }

    #[test]
    fn names_are_found_again() {
        for system in [System::Libmemcached, System::Libmc, System::Twemproxy] {
            for &(name, hash) in system.hashes() {
                assert_eq!(KeyHash::parse(system, name), Ok(hash));
                let own = hash.name(system).expect("a listed hash has a name");
                assert_eq!(KeyHash::parse(system, own), Ok(hash));
            }
        }
    }
}
