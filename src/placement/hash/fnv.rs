//! Fowler–Noll–Vo hashes, in the five forms that the imitated programs use.
//!
//! The 32-bit forms get bytes that the caller has widened, either signed or unsigned. That is the
//! only difference between libmemcached and libmc.

const OFFSET: u32 = 2_166_136_261;
const PRIME: u32 = 16_777_619;
const LONG_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const LONG_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Multiplies, then mixes the byte in.
pub(super) fn fnv1(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(OFFSET, |state, byte| state.wrapping_mul(PRIME) ^ byte)
}

/// Mixes the byte in, then multiplies.
pub(super) fn fnv1a(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(OFFSET, |state, byte| (state ^ byte).wrapping_mul(PRIME))
}

/// FNV-1 in 64 bits over signed bytes. Returns the low half.
pub(super) fn fnv1_long(key: &[u8]) -> u32 {
    let state = key.iter().fold(LONG_OFFSET, |state, byte| {
        let byte = i64::from(byte.cast_signed()).cast_unsigned();
        state.wrapping_mul(LONG_PRIME) ^ byte
    });
    state as u32
}

/// The `fnv1a_64` of libmemcached and twemproxy. They keep offset, prime and state in 32 bits, and
/// of the prime that leaves only 435.
pub(super) fn fnv1a_long(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(LONG_OFFSET as u32, |state, byte| {
        (state ^ byte).wrapping_mul(LONG_PRIME as u32)
    })
}
