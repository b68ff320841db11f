//! Slot: the place of one item of a near cache: its key, its value, and what is known of it.
//!
//! The sequence word's upper half counts the writers; its lower half is the number of the process that writes
//! now, or 0. A writer takes the word by one exchange. It goes on from there: contents, then the word
//! with nobody in it. A reader copies the contents between two looks at the word.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::clock::Moment;
use crate::item::key::WireKey;
use crate::sys;

/// How many bytes key and value may have together.
pub(crate) const ROOM: usize = 512;

/// The words for key and value. Each begins with a word of its own, so there is one more.
const WORDS: usize = ROOM / 8 + 1;

/// One writer, in a sequence word.
const WRITER: u64 = 1 << 32;

/// The place of an item. All bits zero = empty.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Slot {
    sequence: AtomicU64,
    age: AtomicU64,
    asked: AtomicU64,
    ends: AtomicU64,
    /// The client flags, and the lengths of key and value. No key has the length 0.
    shape: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            sequence: AtomicU64::default(),
            age: AtomicU64::default(),
            asked: AtomicU64::default(),
            ends: AtomicU64::default(),
            shape: AtomicU64::default(),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

/// What is known of an item that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The age of its set before the server was asked.
    pub(crate) age: u64,
    /// When the server was asked.
    pub(crate) asked: Moment,
    /// When its lifetime ends, if the server has told.
    pub(crate) ends: Moment,
    /// Its client flags.
    pub(crate) flags: u32,
}

impl Slot {
    /// Copies the item of that key, if it is here and wanted.
    #[inline(always)]
    pub(super) fn read(
        &self,
        key: &WireKey,
        is_wanted: impl Fn(&Kept) -> bool,
        value: &mut Vec<u8>,
    ) -> Option<Kept> {
        let before = self.sequence.load(Ordering::Acquire);
        if writer(before) != 0 && !sys::planted("half-written entries are read") {
            return None;
        }
        let shape = self.shape.load(Ordering::Relaxed);
        let kept = Kept {
            age: self.age.load(Ordering::Relaxed),
            asked: Moment::from_nanos(self.asked.load(Ordering::Relaxed)),
            ends: Moment::from_nanos(self.ends.load(Ordering::Relaxed)),
            flags: (shape >> 32) as u32,
        };
        let (key_len, value_len) = (shape as u16 as usize, (shape >> 16) as u16 as usize);
        if key_len != key.as_bytes().len() || !is_wanted(&kept) {
            return None;
        }
        let (of_key, others) = self.words.split_at_checked(key_len.div_ceil(8))?;
        let of_value = others.get(..value_len.div_ceil(8))?;
        let mut pairs = of_key.iter().zip(key.words());
        if !pairs.all(|(word, expected)| word.load(Ordering::Relaxed) == expected) {
            return None;
        }
        value.clear();
        value.reserve(8 * of_value.len());
        for word in of_value {
            sys::preempt();
            value.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        value.truncate(value_len);
        fence(Ordering::Acquire);
        let is_same = self.sequence.load(Ordering::Relaxed) == before
            || sys::planted("half-written entries are read");
        is_same.then_some(kept)
    }

    /// The sequence word.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    /// Whether a process is writing, or has died while it wrote.
    pub(super) fn is_taken(&self) -> bool {
        writer(self.sequence()) != 0
    }

    /// This process begins to write, if `sequence` is still the word and names nobody.
    pub(super) fn begin(&self, sequence: u64) -> Option<Writing<'_>> {
        (writer(sequence) == 0).then(|| self.take(sequence))?
    }

    /// This process takes the slot as long as `sequence` is its word.
    fn take(&self, sequence: u64) -> Option<Writing<'_>> {
        let next = (sequence & !(WRITER - 1)).wrapping_add(WRITER);
        let taken = next | u64::from(sys::process_id());
        let word = &self.sequence;
        word.compare_exchange(sequence, taken, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        fence(Ordering::Release);
        Some(Writing { slot: self, next })
    }

    /// Empties the slot if its writer has died, as `lives` tells.
    pub(super) fn release(&self, lives: impl Fn(u32) -> bool) {
        let sequence = self.sequence();
        sys::preempt();
        let writer = writer(sequence);
        if writer == 0 || lives(writer) {
            return;
        }
        if let Some(writing) = self.take(sequence) {
            self.shape.store(0, Ordering::Relaxed);
            writing.end();
        }
    }
}

/// The process that writes, or 0.
fn writer(sequence: u64) -> u32 {
    sequence as u32
}

/// A slot that this process writes. Nobody else does until it [ends](Self::end).
pub(super) struct Writing<'a> {
    slot: &'a Slot,
    /// The sequence word from then on.
    next: u64,
}

impl Writing<'_> {
    /// Replaces the item. Key and value have [`ROOM`].
    pub(super) fn write(&self, key: &WireKey, kept: Kept, value: &[u8]) {
        let slot = self.slot;
        let lengths = (value.len() as u64) << 16 | key.as_bytes().len() as u64;
        let shape = u64::from(kept.flags) << 32 | lengths;
        for (to, number) in [
            (&slot.age, kept.age),
            (&slot.asked, kept.asked.nanos()),
            (&slot.ends, kept.ends.nanos()),
            (&slot.shape, shape),
        ] {
            to.store(number, Ordering::Relaxed);
        }
        let value = value.chunks(8).map(|bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        });
        for (to, word) in slot.words.iter().zip(key.words().chain(value)) {
            sys::preempt();
            to.store(word, Ordering::Relaxed);
        }
    }

    /// The slot can be read again.
    pub(super) fn end(self) {
        self.slot.sequence.store(self.next, Ordering::Release);
    }
}

/// For the model: what there is of a slot, with a short key and value.
#[cfg(test)]
impl Slot {
    pub(super) const STATE: usize = 8;

    fn parts(&self) -> [&AtomicU64; Self::STATE] {
        let [first, second, third, ..] = &self.words;
        let Self {
            sequence,
            age,
            asked,
            ends,
            shape,
            ..
        } = self;
        [sequence, age, asked, ends, shape, first, second, third]
    }

    pub(super) fn state(&self) -> [u64; Self::STATE] {
        self.parts().map(|part| part.load(Ordering::Relaxed))
    }

    pub(super) fn set_state(&self, state: &[u64; Self::STATE]) {
        for (part, number) in self.parts().iter().zip(state) {
            part.store(*number, Ordering::Relaxed);
        }
    }

    /// Whoever has taken it goes on.
    pub(super) fn writing(&self) -> Writing<'_> {
        let next = self.sequence() & !(WRITER - 1);
        Writing { slot: self, next }
    }
}
