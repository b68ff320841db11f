//! Two hashes by Bob Jenkins: one-at-a-time, which is libmemcached's default, and `hashlittle` of
//! lookup3, which libmemcached and twemproxy start with 13.

use super::{little_endian, signed};

/// The value with which libmemcached starts lookup3.
const INITIAL: u32 = 13;

pub(super) fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = key.iter().map(signed).fold(0_u32, |mut hash, byte| {
        hash = hash.wrapping_add(byte);
        hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// lookup3 keeps the last block of 1 to 12 bytes for its final mix, even if that block is full. If
/// the key is empty, there is no final mix.
pub(super) fn lookup3(key: &[u8]) -> u32 {
    let start = 0xdead_beef_u32
        .wrapping_add(key.len() as u32)
        .wrapping_add(INITIAL);
    let mut state = Lookup3([start; 3]);
    let mut rest = key;
    while let Some((block, after)) = rest.split_at_checked(12)
        && !after.is_empty()
    {
        state.absorb(block);
        state.mix();
        rest = after;
    }
    if !rest.is_empty() {
        state.absorb(rest);
        state.finish();
    }
    state.0[2]
}

/// The state of lookup3: the words that it calls a, b and c.
struct Lookup3([u32; 3]);

impl Lookup3 {
    fn absorb(&mut self, block: &[u8]) {
        for (word, bytes) in self.0.iter_mut().zip(block.chunks(4)) {
            *word = word.wrapping_add(little_endian(bytes));
        }
    }

    fn mix(&mut self) {
        let [mut a, mut b, mut c] = self.0;
        let step = |x: &mut u32, y: &mut u32, z: u32, by: u32| {
            *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
            *y = y.wrapping_add(z);
        };
        step(&mut a, &mut c, b, 4);
        step(&mut b, &mut a, c, 6);
        step(&mut c, &mut b, a, 8);
        step(&mut a, &mut c, b, 16);
        step(&mut b, &mut a, c, 19);
        step(&mut c, &mut b, a, 4);
        self.0 = [a, b, c];
    }

    fn finish(&mut self) {
        let [mut a, mut b, mut c] = self.0;
        let step = |x: &mut u32, y: u32, by: u32| {
            *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
        };
        step(&mut c, b, 14);
        step(&mut a, c, 11);
        step(&mut b, a, 25);
        step(&mut c, b, 16);
        step(&mut a, c, 4);
        step(&mut b, a, 14);
        step(&mut c, b, 24);
        self.0 = [a, b, c];
    }
}
