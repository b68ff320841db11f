//! CRC-32, and the CRC-16 of twemproxy, which differs from all others.
//!
//! Both use one table with 256 entries. Keys are short, and larger tables would push the ring out
//! of the processor's cache.

/// Reflected polynomial 0xedb88320, one entry per byte value.
const CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 {
                state >> 1 ^ 0xedb8_8320
            } else {
                state >> 1
            };
            bit += 1;
        }
        table[byte] = state;
        byte += 1;
    }
    table
};

/// CCITT polynomial 0x1021, most significant bit first.
const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut state = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 0x8000 != 0 {
                state << 1 ^ 0x1021
            } else {
                state << 1
            };
            bit += 1;
        }
        table[byte] = state;
        byte += 1;
    }
    table
};

/// The usual CRC-32: its state is complemented at the start and at the end.
pub(super) fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(!0, |state, &byte| {
        state >> 8 ^ CRC32[usize::from(state as u8 ^ byte)]
    })
}

/// twemproxy keeps the state in 32 bits and never cuts it. So bytes that a CRC-16 has shifted out
/// are still in the upper half of the result.
pub(super) fn crc16_uncut(key: &[u8]) -> u32 {
    key.iter().fold(0, |state: u32, &byte| {
        state << 8 ^ u32::from(CRC16[usize::from((state >> 8) as u8 ^ byte)])
    })
}
