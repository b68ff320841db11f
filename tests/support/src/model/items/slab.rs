//! The memory of an item: how much it takes, and of which class that is.

use super::Item;

/// What is before the key, with the version number.
const HEADER: usize = 48 + 8;

/// Items that are larger lie in several pieces.
const LARGEST_PIECE: usize = 512 << 10;

/// The bytes of an item: with its header, its key and a NUL, its flags if it has any, and a line
/// end.
pub(super) fn size(key: usize, flags: u32, value: usize) -> usize {
    let flags = if flags == 0 { 0 } else { 4 };
    HEADER + key + 1 + flags + value + 2
}

pub(super) fn total(key: &[u8], item: &Item) -> usize {
    size(key.len(), item.flags, item.value.len())
}

/// True for an item that lies in several pieces.
pub(super) fn is_in_pieces(total: usize) -> bool {
    total > LARGEST_PIECE
}

/// The class of an item: each is a quarter larger than the one before.
pub(super) fn class(total: usize) -> usize {
    let (mut class, mut size) = (1, 96_usize);
    while size as f64 <= LARGEST_PIECE as f64 / 1.25 {
        size = size.next_multiple_of(8);
        if total <= size {
            return class;
        }
        size = (size as f64 * 1.25) as usize;
        class += 1;
    }
    class
}
