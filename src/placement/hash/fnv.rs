//! Fowler–Noll–Vo in the five forms the field uses. The 32 bit loops take
//! bytes that the caller has widened already, signed or unsigned: that choice
//! is the whole difference between libmemcached and libmc.

const OFFSET: u32 = 2_166_136_261;
const PRIME: u32 = 16_777_619;
const LONG_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const LONG_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Multiply, then mix the byte in.
pub(super) fn fnv1(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(OFFSET, |state, byte| state.wrapping_mul(PRIME) ^ byte)
}

/// Mix the byte in, then multiply.
pub(super) fn fnv1a(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(OFFSET, |state, byte| (state ^ byte).wrapping_mul(PRIME))
}

/// FNV-1 in 64 bits over signed bytes, of which the low half is returned.
pub(super) fn fnv1_long(key: &[u8]) -> u32 {
    let state = key.iter().fold(LONG_OFFSET, |state, byte| {
        let byte = i64::from(byte.cast_signed()).cast_unsigned();
        state.wrapping_mul(LONG_PRIME) ^ byte
    });
    state as u32
}

/// What libmemcached and twemproxy call `fnv1a_64`: they store offset, prime
/// and state in 32 bits, which leaves a prime of only 435.
pub(super) fn fnv1a_long(bytes: impl Iterator<Item = u32>) -> u32 {
    bytes.fold(LONG_OFFSET as u32, |state, byte| {
        (state ^ byte).wrapping_mul(LONG_PRIME as u32)
    })
}
