//! Memory: whether there is enough of it for what is made of many small things.
//!
//! Rust's collections end the process, and Kamailio with it, if they get no memory. What may be long, such as a
//! value, takes its room with `try_reserve`. A list of servers with its ring, or a page of metrics, is
//! made of many strings and vectors: who makes one asks here first whether there is room for all of it.

use std::hint::black_box;

/// What to say if there is not enough.
pub(crate) const TOO_LITTLE: &str = "there is not enough memory";

/// True if so many bytes can be had now.
pub(crate) fn has(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let is_there = room.try_reserve_exact(bytes).is_ok();
    // A compiler may leave out room that nobody uses.
    black_box(&room);
    is_there
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn what_is_more_than_there_can_be_is_not_there() {
        assert!(has(0));
        assert!(has(1 << 20));
        assert!(!has(1 << 60));
    }
}
