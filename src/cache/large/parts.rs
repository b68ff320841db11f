//! Parts: how a value that is too large for one item is spread over several, as libmc does it.
//!
//! The item of the key is an index: it holds the number of the parts. Each part has a key of its own. libmc
//! gives no meaning to the flags from bit 16 on. There, index and parts of our values have a tag, which is a
//! hash of the whole value, so the parts of two values are never taken for one. The tag of libmc's values is 0.

use crate::error::Error;
use crate::item::forms::SPLIT;
use crate::item::key::WireKey;

/// The length of every part but the last, in bytes.
pub(super) const PART: usize = 1_000_000;

/// The largest number of parts.
const MOST: usize = 10;

/// The longest key whose value is split.
const MAX_KEY: usize = 200;

/// Where the tag begins in the flags.
const TAG: u32 = 16;

/// What an index says of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) struct Index {
    /// How many there are.
    pub(super) count: usize,
    /// The flags that each of them has.
    pub(super) part_flags: u32,
}

impl Index {
    /// The index of a value, or `None` if it is not split: it is too short, or it or its key is too long. Flags where
    /// the tag stands get lost.
    pub(super) fn of(key: &WireKey, flags: u32, value: &[u8]) -> Option<Self> {
        let count = value.len().div_ceil(PART);
        let is_split = (2..=MOST).contains(&count) && key.as_bytes().len() <= MAX_KEY;
        is_split.then(|| Self {
            count,
            part_flags: flags & !(u32::MAX << TAG) | tag(value) << TAG,
        })
    }

    /// The index that an item holds. libmc leaves NULs behind the number.
    ///
    /// # Errors
    /// [`Error::BrokenItem`]
    pub(super) fn read(key: &WireKey, flags: u32, text: &[u8]) -> Result<Self, Error> {
        let end = text.iter().rposition(|&byte| byte != 0);
        let count = match text[..end.map_or(0, |last| last + 1)] {
            [digit @ b'2'..=b'9'] => Some(usize::from(digit - b'0')),
            [b'1', b'0'] => Some(MOST),
            _ => None,
        };
        match count {
            Some(count) if key.as_bytes().len() <= MAX_KEY => Ok(Self {
                count,
                part_flags: flags & !SPLIT,
            }),
            _ => Err(Error::BrokenItem("the index of the large value is broken")),
        }
    }

    /// The flags of the whole value.
    pub(super) fn value_flags(self) -> u32 {
        self.part_flags & !(u32::MAX << TAG)
    }

    /// The flags of the item that holds it.
    pub(super) fn flags(self) -> u32 {
        self.part_flags | SPLIT
    }

    /// The keys of the parts of the value of `key`, which is short enough.
    pub(super) fn keys(self, key: &WireKey) -> impl Iterator<Item = WireKey> + use<> {
        let key = key.as_bytes();
        let head = [b"~", key.len().to_string().as_bytes(), key, b"/"].concat();
        (0..self.count).filter_map(move |number| {
            WireKey::new(&[], &[&head[..], number.to_string().as_bytes()].concat()).ok()
        })
    }

    /// True for the length of the part of that number, from 0.
    pub(super) fn is_length_of(self, number: usize, len: usize) -> bool {
        match number + 1 == self.count {
            true => (1..=PART).contains(&len),
            false => len == PART,
        }
    }

    /// True if the parts together are the value of this index, as far as it tells.
    pub(super) fn is_of(self, value: &[u8]) -> bool {
        match self.part_flags >> TAG {
            0 => true,
            written => written == tag(value),
        }
    }
}

/// The tag of a value: 16 bits that are not all 0. Values are long, so four words of eight bytes are mixed in at
/// a time, each into a hash of its own.
fn tag(value: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(ODD).rotate_left(32);
    let (blocks, tail) = value.as_chunks::<32>();
    let mut last = [0; 32];
    last[..tail.len()].copy_from_slice(tail);
    let mut hashes = [value.len() as u64; 4];
    for block in blocks.iter().chain([&last]) {
        let (words, _) = block.as_chunks::<8>();
        for (hash, word) in hashes.iter_mut().zip(words) {
            *hash = mix(*hash, u64::from_le_bytes(*word));
        }
    }
    let hash = hashes.into_iter().chain([0]).fold(0, mix);
    ((hash & 0xffff) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> WireKey {
        WireKey::new(b"", text.as_bytes()).unwrap()
    }

    fn of(len: usize) -> Option<usize> {
        Index::of(&key("k"), 0, &vec![7; len]).map(|index| index.count)
    }

    #[test]
    fn a_value_of_more_than_one_million_bytes_is_split_up_to_ten_million() {
        assert_eq!(of(0), None);
        assert_eq!(of(1_000_000), None);
        assert_eq!(of(1_000_001), Some(2));
        assert_eq!(of(2_000_000), Some(2));
        assert_eq!(of(10_000_000), Some(10));
        assert_eq!(of(10_000_001), None);
        let value = [0; 1_000_001];
        assert!(Index::of(&key(&"k".repeat(200)), 0, &value).is_some());
        assert!(Index::of(&key(&"k".repeat(201)), 0, &value).is_none());
    }

    #[test]
    fn parts_have_the_keys_that_libmc_gives_them() {
        let keys = |key_text: &str, count| {
            let index = Index {
                count,
                part_flags: 0,
            };
            let keys = index.keys(&key(key_text));
            keys.map(|key| key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            keys("big_one_over", 2),
            ["~12big_one_over/0", "~12big_one_over/1"]
        );
        assert_eq!(keys("kam:noisy", 2), ["~9kam:noisy/0", "~9kam:noisy/1"]);
        assert_eq!(keys("k", 10)[9], "~1k/9");
        let longest = keys(&"k".repeat(200), 10);
        assert!(longest.iter().all(|key| key.starts_with("~200k")));
    }

    #[test]
    fn an_index_is_the_number_of_parts() {
        let read = |text: &str| Index::read(&key("k"), SPLIT | 17, text.as_bytes()).ok();
        for (text, count) in [("2", 2), ("10", 10), ("3\0", 3), ("4\0\0\0", 4)] {
            let part_flags = 17;
            assert_eq!(read(text), Some(Index { count, part_flags }), "{text:?}");
        }
        for text in [
            "",
            "\0",
            "0",
            "1",
            "11",
            "-2",
            "+2",
            "02",
            "2x",
            "2 ",
            "0x2",
            "25",
            "\x002",
            "99999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert!(Index::read(&key(&"k".repeat(201)), SPLIT, b"2").is_err());
    }

    #[test]
    fn the_tag_depends_on_the_value_and_on_its_length() {
        let mut value = vec![0; 1_500_000];
        let index = Index::of(&key("k"), 1, &value).unwrap();
        assert_eq!(index.flags() & 0xffff, SPLIT | 1);
        assert_ne!(index.part_flags >> TAG, 0);
        assert!(index.is_of(&value));
        assert!(!index.is_of(&value[..1_400_000]));
        assert!(!index.is_of(&value[..1_000_000]));
        value[1_234_567] = 1;
        assert!(!index.is_of(&value));
        let of_libmc = Index {
            count: 2,
            part_flags: 1,
        };
        assert!(of_libmc.is_of(&value));
    }

    #[test]
    fn flags_in_the_place_of_the_tag_get_lost() {
        let value = vec![7; 1_000_001];
        let index = Index::of(&key("k"), 0xffff_0001, &value).unwrap();
        assert_eq!(index, Index::of(&key("k"), 1, &value).unwrap());
        assert!(index.is_of(&value));
        assert_eq!(index.value_flags(), 1);
    }

    #[test]
    fn the_tag_of_a_stored_value_stays_what_it_is() {
        for (value, expected) in [
            ("", 1),
            ("a", 50567),
            ("12345678", 35782),
            ("123456789", 64767),
            ("0123456789abcdef0123456789abcdef!", 52895),
        ] {
            assert_eq!(tag(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn all_parts_but_the_last_are_full() {
        let index = Index {
            count: 2,
            part_flags: 0,
        };
        assert!(index.is_length_of(0, PART));
        assert!(!index.is_length_of(0, PART - 1));
        assert!(!index.is_length_of(0, PART + 1));
        assert!(index.is_length_of(1, 1));
        assert!(index.is_length_of(1, PART));
        assert!(!index.is_length_of(1, 0));
        assert!(!index.is_length_of(1, PART + 1));
    }
}
