//! Words: a short text about a server that all processes share, such as why it is out of service.
//!
//! It is for people. A writer that finds another one at work leaves its own text out, and a reader that
//! is overtaken too often gets an empty text. The sequence number is odd while somebody writes; readers
//! copy the text and look at the number again, as in [`ServerList`](crate::shared::server_list). All
//! bits zero = an empty text.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::sys;

/// How many words of eight bytes a text has at most.
const WORDS: usize = 20;

/// A short text.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Words {
    sequence: AtomicU32,
    len: AtomicU32,
    words: [AtomicU64; WORDS],
}

impl Words {
    /// Replaces the text by the first 160 bytes of `text`.
    pub(crate) fn write(&self, text: &str) {
        let mut end = text.len().min(8 * WORDS);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text.as_bytes()[..end];
        let before = self.sequence.load(Ordering::Relaxed);
        if !before.is_multiple_of(2) {
            return;
        }
        let odd = before.wrapping_add(1);
        let taken =
            self.sequence
                .compare_exchange(before, odd, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return;
        }
        fence(Ordering::Release);
        for (to, from) in self.words.iter().zip(text.chunks(8)) {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            to.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        sys::preempt();
        self.len.store(end as u32, Ordering::Relaxed);
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// The text.
    pub(crate) fn read(&self) -> String {
        for _ in 0..100 {
            let before = self.sequence.load(Ordering::Acquire);
            let len = (self.len.load(Ordering::Relaxed) as usize).min(8 * WORDS);
            sys::preempt();
            let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
            let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).take(len).collect();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return String::from_utf8(bytes).unwrap_or_default();
            }
        }
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let words = Words::default();
        assert_eq!(words.read(), "");
        for text in ["cannot connect", "", "x", "12345678", "jürgen"] {
            words.write(text);
            assert_eq!(words.read(), text);
        }
        words.write(&"ü".repeat(200));
        assert_eq!(words.read(), "ü".repeat(80));
        words.write(&format!("x{}", "ü".repeat(200)));
        assert_eq!(words.read(), format!("x{}", "ü".repeat(79)));
    }

    #[test]
    fn a_writer_that_has_died_leaves_an_empty_text() {
        let words = Words::default();
        words.write("before");
        words.sequence.fetch_add(1, Ordering::Relaxed);
        words.write("after");
        assert_eq!(words.read(), "");
    }

    #[test]
    fn a_reader_never_sees_a_mixture() {
        let rounds = if cfg!(miri) { 20 } else { 5000 };
        let (words, texts) = (Words::default(), ["a".repeat(160), "b".repeat(90)]);
        words.write(&texts[0]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..rounds {
                    words.write(&texts[round % 2]);
                }
            });
            for _ in 0..rounds {
                let read = words.read();
                assert!(texts.contains(&read) || read.is_empty(), "{read}");
            }
        });
    }
}
