//! Leases: what all processes know of the leases of a pool: whether anybody asks for them, and what the log
//! has said. All bits zero = nobody does.

use std::sync::atomic::{AtomicBool, Ordering};

/// One pool's part of the shared memory.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Leases {
    are_used: AtomicBool,
    /// The log has said that a server of the pool does not speak meta commands.
    is_said: AtomicBool,
}

impl Leases {
    /// From now on, items of the pool may be placeholders.
    pub(crate) fn expect(&self) {
        if !self.are_used() {
            self.are_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether items of the pool may be placeholders.
    pub(crate) fn are_used(&self) -> bool {
        self.are_used.load(Ordering::Relaxed)
    }

    /// True once.
    pub(crate) fn is_first_without_meta(&self) -> bool {
        !self.is_said.load(Ordering::Relaxed) && !self.is_said.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_used_from_the_first_time_on_and_one_line_says_what_servers_cannot_do() {
        let leases = Leases::default();
        assert!(!leases.are_used());
        leases.expect();
        leases.expect();
        assert!(leases.are_used());
        assert!(leases.is_first_without_meta());
        assert!(!leases.is_first_without_meta());
    }
}
