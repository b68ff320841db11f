//! Diverted: the keys of writes that stand-ins have taken in place of one server, in memory that all
//! processes share.
//!
//! What the server still holds under such a key is out of date. Before it is asked again, the prober
//! deletes these keys there. The list is short: when it is full, or a key is too long for it, the whole
//! server is emptied instead.
//!
//! Why this is right: a writer notes the key before it counts the write in the health word, and both
//! before it asks the stand-in. The prober first takes the whole list, which begins a new round, then
//! deletes, then settles the word; if the word has counted one more write meanwhile, the prober begins
//! again. Each entry belongs to a round: a writer claims an entry, fills it and marks it as whole. A
//! writer that was too slow, or has died, leaves an entry that is not whole in its round, and that
//! means *empty the server*. All bits zero = an empty list.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::sys;

/// How many keys fit into the list.
const ENTRIES: usize = 32;

/// The longest key that fits, in words of eight bytes.
const WORDS: usize = 12;

/// The keys of diverted writes.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Diverted {
    /// The round in the upper half, how many entries were claimed in it in the lower half.
    claimed: AtomicU64,
    entries: [Entry; ENTRIES],
}

#[repr(C)]
#[derive(Debug, Default)]
struct Entry {
    /// See [`WRITING`].
    mark: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// What an entry holds: the round in the upper half; in the lower half [`WRITING`], or the length of a
/// whole key.
const WRITING: u64 = u32::MAX as u64;

/// What the server has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Writes to these keys.
    Keys(Vec<Vec<u8>>),
    /// More than the list can hold.
    Many,
}

impl Diverted {
    /// Notes a key.
    pub(crate) fn note(&self, key: &[u8]) {
        let claimed = self.claimed.fetch_add(1, Ordering::AcqRel);
        sys::preempt();
        let (round, at) = (claimed >> 32, (claimed & WRITING) as usize);
        let Some(entry) = self.entries.get(at).filter(|_| key.len() <= 8 * WORDS) else {
            return;
        };
        let mark = entry.mark.load(Ordering::Acquire);
        if mark >> 32 > round {
            // It was so slow that its round is over, and the entry another one's.
            return;
        }
        let writing = round << 32 | WRITING;
        let claim = entry
            .mark
            .compare_exchange(mark, writing, Ordering::AcqRel, Ordering::Relaxed);
        if mark & WRITING == WRITING || claim.is_err() {
            return;
        }
        for (to, from) in entry.words.iter().zip(key.chunks(8)) {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            to.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        sys::preempt();
        let whole = round << 32 | key.len() as u64;
        entry.mark.store(whole, Ordering::Release);
    }

    /// Notes more writes than the list can hold.
    pub(crate) fn note_many(&self) {
        self.claimed.fetch_add(ENTRIES as u64 + 1, Ordering::AcqRel);
    }

    /// True if something was noted since [`Self::take`].
    pub(crate) fn is_pending(&self) -> bool {
        self.claimed.load(Ordering::Acquire) & WRITING != 0
    }

    /// Takes all keys out; what is noted from now on belongs to another round.
    pub(crate) fn take(&self) -> Missed {
        let mut claimed = self.claimed.load(Ordering::Acquire);
        loop {
            let (round, count) = (claimed >> 32, (claimed & WRITING) as usize);
            let keys = self.keys(round, count);
            sys::preempt();
            let exchanged = self.claimed.compare_exchange(
                claimed,
                (round + 1) << 32,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match exchanged {
                Ok(_) => return keys.map_or(Missed::Many, Missed::Keys),
                Err(seen) => claimed = seen,
            }
        }
    }

    /// The keys of the first entries, if all of them are whole.
    fn keys(&self, round: u64, count: usize) -> Option<Vec<Vec<u8>>> {
        let entries = self.entries.get(..count)?.iter();
        entries.map(|entry| entry.key(round)).collect()
    }
}

impl Entry {
    fn key(&self, round: u64) -> Option<Vec<u8>> {
        let mark = self.mark.load(Ordering::Acquire);
        let len = mark & WRITING;
        if mark >> 32 != round || len == WRITING || len == 0 {
            return None;
        }
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed));
        let bytes = words.flat_map(u64::to_le_bytes);
        let key = bytes.take(len as usize).collect();
        fence(Ordering::Acquire);
        (self.mark.load(Ordering::Relaxed) == mark).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Missed {
        Missed::Keys(keys.iter().map(|key| key.as_bytes().to_vec()).collect())
    }

    #[test]
    fn keys_are_taken_once() {
        let diverted = Diverted::default();
        assert_eq!(diverted.take(), keys(&[]));
        diverted.note(b"one");
        diverted.note("k".repeat(8 * WORDS).as_bytes());
        assert!(diverted.is_pending());
        assert_eq!(diverted.take(), keys(&["one", &"k".repeat(8 * WORDS)]));
        assert!(!diverted.is_pending());
        assert_eq!(diverted.take(), keys(&[]));
        diverted.note(b"two");
        assert_eq!(diverted.take(), keys(&["two"]));
    }

    #[test]
    fn more_than_fits_empties_the_server() {
        let diverted = Diverted::default();
        (0..ENTRIES).for_each(|_| diverted.note(b"k"));
        assert!(matches!(diverted.take(), Missed::Keys(keys) if keys.len() == ENTRIES));
        (0..=ENTRIES).for_each(|_| diverted.note(b"k"));
        assert_eq!(diverted.take(), Missed::Many);
        diverted.note(&[b'k'; 8 * WORDS + 1]);
        assert_eq!(diverted.take(), Missed::Many);
        assert_eq!(diverted.take(), keys(&[]));
    }

    #[test]
    fn a_writer_that_was_stopped_empties_the_server() {
        let diverted = Diverted::default();
        diverted.note(b"one");
        // It has claimed an entry, and no more.
        diverted.claimed.fetch_add(1, Ordering::Relaxed);
        assert_eq!(diverted.take(), Missed::Many);
        // It has begun to write in an earlier round.
        diverted.entries[0].mark.store(WRITING, Ordering::Relaxed);
        diverted.note(b"two");
        assert_eq!(diverted.take(), Missed::Many);
    }

    #[test]
    fn a_writer_that_was_stopped_until_the_next_round_leaves_its_entries_alone() {
        let diverted = Diverted::default();
        diverted.take();
        diverted.note(b"one");
        // It has claimed the first entry in the round before, and goes on now.
        let claimed = diverted.claimed.swap(0, Ordering::Relaxed);
        diverted.note(b"another");
        diverted.claimed.store(claimed, Ordering::Relaxed);
        assert_eq!(diverted.take(), keys(&["one"]));
    }

    #[test]
    fn no_key_gets_lost_between_processes() {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let diverted = Diverted::default();
        let (mut found, mut many) = (0, 0);
        std::thread::scope(|scope| {
            let writers = [b"a", b"b"].map(|key| {
                let diverted = &diverted;
                scope.spawn(move || (0..rounds).for_each(|_| diverted.note(key)))
            });
            while !writers.iter().all(|writer| writer.is_finished()) {
                match diverted.take() {
                    Missed::Keys(keys) => {
                        assert!(keys.iter().all(|key| key == b"a" || key == b"b"));
                        found += keys.len();
                    }
                    Missed::Many => many += 1,
                }
            }
        });
        match diverted.take() {
            Missed::Keys(keys) => found += keys.len(),
            Missed::Many => many += 1,
        }
        assert!(found <= 2 * rounds);
        assert!(many > 0 || found == 2 * rounds, "{found}");
    }
}
