//! Roster: a pool's list of servers, as text, in memory that all processes share.
//!
//! Any process may replace the text, every process notices at its next operation, and noticing
//! costs one load: the sequence number is odd while the list is being written and higher after
//! each change. Readers copy the text and look at the number again; a reader that was
//! overtaken goes on with the list it has, so nobody ever waits. Writers exclude each other by
//! making the number odd; a writer that died there would leave the old list in use everywhere,
//! but Kamailio itself ends when one of its processes dies.
//!
//! Everything here is an atomic, so reading while somebody writes is no data race; the fences
//! order the bytes between the two looks at the number (the "seqlock" of Boehm, "Can seqlocks get
//! along with programming language memory models?", 2012). All bits zero = an empty list.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};

use crate::server::{MAX_LIST, MAX_SERVERS};

/// The longest text in bytes: the longest list, with the number of a slot before each server.
pub(crate) const MAX_TEXT: usize = MAX_LIST + MAX_SERVERS * "999 ".len();

/// A list of servers as text, one a line, with the number of its version.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Roster {
    sequence: AtomicU32,
    len: AtomicU32,
    text: [AtomicU8; MAX_TEXT],
}

/// Why a list was not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWritten {
    /// Its text is longer than [`MAX_TEXT`].
    TooLong,
    /// Somebody else is writing just now.
    Busy,
}

impl std::fmt::Display for NotWritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "the list is too long; accepted: {MAX_TEXT} bytes in all"),
            Self::Busy => f.write_str("the list is being changed by somebody else; try again"),
        }
    }
}

impl Roster {
    /// The number of the list's present version.
    pub(crate) fn version(&self) -> u32 {
        self.sequence.load(Ordering::Acquire)
    }

    /// The list with the number of its version, or `None` while it is being replaced.
    pub(crate) fn read(&self) -> Option<(u32, String)> {
        let version = self.version();
        let len = (self.len.load(Ordering::Relaxed) as usize).min(MAX_TEXT);
        let bytes = self.text[..len]
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect();
        fence(Ordering::Acquire);
        let whole = version.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == version;
        whole.then_some((version, String::from_utf8(bytes).ok()?))
    }

    /// Replaces the text.
    ///
    /// # Errors
    /// [`NotWritten`]; the text is then as it was.
    pub(crate) fn write(&self, text: &str) -> Result<(), NotWritten> {
        if text.len() > MAX_TEXT {
            return Err(NotWritten::TooLong);
        }
        let version = self.sequence.load(Ordering::Relaxed);
        let odd = version.wrapping_add(1);
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        if !version.is_multiple_of(2)
            || self
                .sequence
                .compare_exchange(version, odd, acquire, relaxed)
                .is_err()
        {
            return Err(NotWritten::Busy);
        }
        fence(Ordering::Release);
        for (to, from) in self.text.iter().zip(text.bytes()) {
            to.store(from, Ordering::Relaxed);
        }
        self.len.store(text.len() as u32, Ordering::Relaxed);
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// An empty one.
    pub(crate) const fn new() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            len: AtomicU32::new(0),
            text: [const { AtomicU8::new(0) }; MAX_TEXT],
        }
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_with_a_new_version() {
        let roster = Box::new(Roster::new());
        assert_eq!(roster.read(), Some((0, String::new())));
        roster.write("a\nb").unwrap();
        assert_eq!(roster.read(), Some((roster.version(), "a\nb".into())));
        assert_ne!(roster.version(), 0);
    }

    #[test]
    fn a_text_that_does_not_fit_changes_nothing() {
        let roster = Box::new(Roster::new());
        assert_eq!(
            roster.write(&"x".repeat(MAX_TEXT + 1)),
            Err(NotWritten::TooLong)
        );
        assert_eq!(roster.read(), Some((0, String::new())));
    }

    #[test]
    fn readers_never_see_half_a_text() {
        let (rounds, size) = if cfg!(miri) { (20, 20) } else { (5000, 2000) };
        let roster = Box::new(Roster::new());
        let texts = ["a".repeat(size / 20), "b".repeat(size)];
        roster.write(&texts[0]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..rounds {
                        let _ = roster.write(&texts[round % 2]);
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..rounds {
                    if let Some((_, text)) = roster.read() {
                        assert!(texts.contains(&text), "{text}");
                    }
                }
            });
        });
        assert!(roster.version().is_multiple_of(2));
    }
}
