//! Number: what tells a connection from all others.

use std::sync::atomic::{AtomicU64, Ordering};

/// What tells a connection from all others that this process has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(u64);

impl Number {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
