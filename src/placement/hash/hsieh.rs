//! Paul Hsieh's SuperFastHash in twemproxy's form. twemproxy has it by default, while libmemcached
//! is packaged without it.

use super::signed;

/// Starts at 0, so the hash of an empty key is 0. Only if three bytes are left at the end, the last
/// of them is signed.
pub(super) fn super_fast_hash(key: &[u8]) -> u32 {
    let (blocks, tail) = key.as_chunks::<4>();
    let mut hash = 0_u32;
    for &[a, b, c, d] in blocks {
        hash = hash.wrapping_add(pair(a, b));
        hash = hash << 16 ^ (pair(c, d) << 11 ^ hash);
        hash = hash.wrapping_add(hash >> 11);
    }
    match *tail {
        [a, b, c] => {
            hash = hash.wrapping_add(pair(a, b));
            hash ^= hash << 16;
            hash ^= signed(&c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(pair(a, b));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

fn pair(low: u8, high: u8) -> u32 {
    u32::from(u16::from_le_bytes([low, high]))
}
