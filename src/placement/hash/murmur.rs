//! MurmurHash2 and MurmurHash3 (x86, 32 bit), seeded as libmemcached and twemproxy do it: with a
//! multiple of the length. Unlike most hashes here, both take the bytes at the end as unsigned.

use super::little_endian;

fn seed(key: &[u8]) -> u32 {
    0xdead_beef_u32.wrapping_mul(key.len() as u32)
}

pub(super) fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;

    let (blocks, tail) = key.as_chunks::<4>();
    let mut hash = seed(key) ^ key.len() as u32;
    for &block in blocks {
        let mut word = u32::from_le_bytes(block).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !tail.is_empty() {
        hash = (hash ^ little_endian(tail)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

pub(super) fn murmur3(key: &[u8]) -> u32 {
    let scramble = |word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15);
        word.wrapping_mul(0x1b87_3593)
    };

    let (blocks, tail) = key.as_chunks::<4>();
    let mut hash = seed(key);
    for &block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= scramble(little_endian(tail));
    hash ^= key.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}
