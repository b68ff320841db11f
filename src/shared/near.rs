//! Near: items that this node has read lately, in memory that all its processes share.
//!
//! A [`Table`] has sets of [`WAYS`] slots; a key belongs to one set, and may be in any slot of it. Nobody
//! ever waits here: a reader that is disturbed finds nothing, a writer that is disturbed keeps nothing.
//! This is why what is found is right:
//!
//! * **Nothing is found that this node has changed since.** Each set has an *age*, which grows with every
//!   change of a key of the set: a [`Change`] raises it when the operation ends, however it ends, and before
//!   it returns. (A second part, the epoch, grows when all items are removed; the age is the sum.) Whoever
//!   asks a server for an item notes the age *before* it asks, and the entry bears that age. An entry is found
//!   only if its age is the present one, which is loaded after the entry's own. Both parts only grow, so equal
//!   sums mean that neither has grown. So if a change has returned before a read begins, the entry that is
//!   found was asked for after the change was done, or after it had failed. A read that was under way
//!   meanwhile leaves an entry that nobody finds.
//! * **A deferred write** has returned before it is done. Its set is marked as [pending](Pending) before it is
//!   sent, and the age is raised when it has returned. Whoever asks a server afterwards finds the mark when it
//!   has the answer, and keeps nothing, or finds that the age was raised once more: that comes before the mark
//!   is taken away. A write that is [lost](Change::lose), and one whose
//!   answer nobody receives in time, count until twice the `timeout` is over.
//! * **Nothing half-written is found.** The sequence word of a slot names the process that writes it, else 0,
//!   and counts the writers. A reader takes what it has copied only if the word is the same before and
//!   after, and names nobody.
//! * **Nothing stays locked.** A process that dies while it writes leaves its number in the word. Whoever
//!   finds the slot taken says so in the head of the table, and the prober, which knows who lives, empties
//!   the slot. Until then its set has one slot less.
//!
//! Tags are hints that save a look into slots; what counts is in the slot. All bits zero = an empty table.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::Moment;
use crate::item::key::WireKey;
use crate::sys;

mod change;
mod pending;
mod slot;

use pending::Pending;
use slot::Writing;

pub(crate) use change::Change;
pub use slot::Slot;
pub(crate) use slot::{Kept, ROOM};

/// The number of slots in which a key may be.
pub const WAYS: usize = 4;

/// What there is once for each table.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Head {
    /// The part of the age that all sets have together.
    epoch: AtomicU64,
    /// A set in which somebody has found a slot taken: its index and 1, or 0.
    suspect: AtomicU64,
}

/// A set, without its slots.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Set {
    /// The part of the age that is the set's own.
    generation: AtomicU64,
    /// Its deferred writes.
    pending: Pending,
    /// Of each slot, the key's hash, which is never 0, and the age of the entry, 32 bits each.
    tags: [AtomicU64; WAYS],
    /// When each slot was used last, in [ticks].
    used: [AtomicU32; WAYS],
}

/// The items of a pool that were read lately.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    head: &'static Head,
    sets: &'static [Set],
    /// [`WAYS`] for each set.
    slots: &'static [Slot],
    /// Makes hashes that nobody outside can foresee.
    seed: u64,
}

/// Where a key belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    set: usize,
    /// The part of the hash that is in tags.
    hash: u32,
}

/// How long after an entry was used it is noted that it is used again, in [ticks]. So processes that
/// read the same entry seldom write to memory that the others read.
const REST: u32 = 8;

/// A moment in units of about a millisecond; only differences have a meaning.
fn ticks(moment: Moment) -> u32 {
    (moment.nanos() >> 20) as u32
}

impl Table {
    /// How many sets a table of so many items has.
    pub fn sets(items: u32) -> usize {
        (items as usize).div_ceil(WAYS)
    }

    /// A table in this memory, with [`WAYS`] slots for each set; `None` without a set.
    pub fn new(head: &'static Head, sets: &'static [Set], slots: &'static [Slot]) -> Option<Self> {
        let fits = !sets.is_empty() && slots.len() == sets.len() * WAYS;
        fits.then(|| Self {
            head,
            sets,
            slots,
            seed: sys::random_number(),
        })
    }

    /// A table in this process's own memory, for programs that share nothing; `None` for no item.
    pub fn private(head: &'static Head, items: u32) -> Option<Self> {
        let sets = Self::sets(items);
        let slots: Vec<_> = (0..sets * WAYS).map(|_| Slot::default()).collect();
        let sets: Vec<_> = (0..sets).map(|_| Set::default()).collect();
        Self::new(head, sets.leak(), slots.leak())
    }

    /// Where `key` belongs.
    #[inline(always)]
    pub(crate) fn place(&self, key: &WireKey) -> Place {
        // Word by word, multiplied to 128 bits, of which both halves go on.
        let mut hash = self.seed;
        for word in key.words() {
            let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
            hash = (product >> 64) as u64 ^ product as u64;
        }
        let low = hash & u64::from(u32::MAX);
        Place {
            set: ((low * self.sets.len() as u64) >> 32) as usize,
            hash: (hash >> 32) as u32 | 1,
        }
    }

    /// The present age of a set.
    #[inline(always)]
    pub(crate) fn age(&self, place: Place) -> u64 {
        let generation = self.sets[place.set].generation.load(Ordering::Acquire);
        generation.wrapping_add(self.head.epoch.load(Ordering::Acquire))
    }

    /// The entry of `key`, if there is one that nobody has changed since, and that is wanted. Its value
    /// replaces what `value` holds; without an entry, what `value` then holds has no meaning.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        place: Place,
        key: &WireKey,
        now: Moment,
        is_wanted: impl Fn(&Kept) -> bool,
        value: &mut Vec<u8>,
    ) -> Option<Kept> {
        let set = &self.sets[place.set];
        let tag = tag(place.hash, self.age(place));
        for (way, candidate) in set.tags.iter().enumerate() {
            if candidate.load(Ordering::Relaxed) != tag {
                continue;
            }
            let slot = &self.slots[place.set * WAYS + way];
            let Some(kept) = slot.read(key, &is_wanted, value) else {
                continue;
            };
            sys::preempt();
            if kept.age == self.age(place) {
                let used = &set.used[way];
                if unused(used, now) >= REST {
                    used.store(ticks(now), Ordering::Relaxed);
                }
                return Some(kept);
            }
        }
        None
    }

    /// Whether somebody is just writing what may be the entry of a key of that place.
    #[cold]
    pub(crate) fn is_being_written(&self, place: Place) -> bool {
        let tag = tag(place.hash, self.age(place));
        let slots = &self.slots[place.set * WAYS..];
        let mut ways = self.sets[place.set].tags.iter().zip(slots);
        ways.any(|(candidate, slot)| candidate.load(Ordering::Relaxed) == tag && slot.is_taken())
    }

    /// Keeps what a server was asked at that moment and has answered, if it is short enough, and nobody has changed it
    /// since.
    pub(crate) fn put(&self, place: Place, key: &WireKey, kept: Kept, value: &[u8], asked: Moment) {
        let is_long = key.as_bytes().len() + value.len() > ROOM;
        if is_long || self.sets[place.set].pending.are_any(asked) || kept.age != self.age(place) {
            return;
        }
        let way = self.sets[place.set].best_way(tag(place.hash, kept.age), asked);
        if let Some(writing) = self.take(place, way) {
            writing.write(key, kept, value);
            self.finish(writing, place, way, kept.age, asked);
        }
    }

    /// Takes that slot. If it is taken, the prober is told.
    fn take(&self, place: Place, way: usize) -> Option<Writing<'_>> {
        let slot = &self.slots[place.set * WAYS + way];
        let writing = slot.begin(slot.sequence());
        if writing.is_none() {
            let suspect = place.set as u64 + 1;
            self.head.suspect.store(suspect, Ordering::Relaxed);
        }
        writing
    }

    /// The slot can be found, and read again.
    fn finish(&self, writing: Writing<'_>, place: Place, way: usize, age: u64, now: Moment) {
        let set = &self.sets[place.set];
        set.tags[way].store(tag(place.hash, age), Ordering::Relaxed);
        set.used[way].store(ticks(now), Ordering::Relaxed);
        writing.end();
    }

    /// Somebody begins to change an item that belongs there.
    #[inline(always)]
    pub(crate) fn change(&self, place: Place) -> Change {
        Change::begin(&self.sets[place.set].generation)
    }

    /// The same `now` for a change that is still under way when its operation returns, until that moment at
    /// most.
    #[inline(never)]
    pub(crate) fn change_later(&self, place: Place, now: Moment, until: Moment) -> Change {
        let Set {
            generation,
            pending,
            ..
        } = &self.sets[place.set];
        match sys::planted("what is sent counts as done") {
            true => Change::begin(generation),
            false => Change::begin_pending(generation, pending, (now, until)),
        }
    }

    /// Somebody begins to remove all items.
    pub(crate) fn change_all(&self) -> Change {
        Change::begin(&self.head.epoch)
    }

    /// Empties slots in whose midst processes have died, as `lives` tells, if somebody has found one.
    pub(crate) fn release(&self, lives: impl Fn(u32) -> bool) {
        if self.head.suspect.load(Ordering::Relaxed) == 0 {
            return;
        }
        let suspect = self.head.suspect.swap(0, Ordering::Relaxed) as usize;
        let slots = suspect
            .checked_sub(1)
            .and_then(|set| self.slots.chunks_exact(WAYS).nth(set));
        for slot in slots.into_iter().flatten() {
            slot.release(&lives);
        }
    }

    /// How many entries there are that nobody has changed since they were put in.
    pub(crate) fn used(&self) -> usize {
        let epoch = self.head.epoch.load(Ordering::Relaxed);
        let used = |set: &Set| {
            let generation = set.generation.load(Ordering::Relaxed);
            let age = generation.wrapping_add(epoch) as u32;
            let tags = set.tags.iter().map(|tag| tag.load(Ordering::Relaxed));
            tags.filter(|tag| *tag != 0 && *tag as u32 == age).count()
        };
        self.sets.iter().map(used).sum()
    }

    /// How many entries there may be.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The size of its memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(self.sets) + size_of_val(self.slots)
    }
}

impl Set {
    /// The slot for an entry with that tag: one that the same key has, else one whose entry was changed, else
    /// the one that was not used for the longest time.
    fn best_way(&self, new: u64, now: Moment) -> usize {
        let worth = |way: &usize| {
            let tag = self.tags[*way].load(Ordering::Relaxed);
            match tag {
                _ if tag >> 32 == new >> 32 => 0,
                _ if tag as u32 != new as u32 => 1,
                _ => 2 + u64::from(!unused(&self.used[*way], now)),
            }
        };
        (0..WAYS).min_by_key(worth).unwrap_or_default()
    }
}

/// For how many [ticks] an entry was not used until that moment. It may have been used later than that.
fn unused(used: &AtomicU32, until: Moment) -> u32 {
    let since = ticks(until).wrapping_sub(used.load(Ordering::Relaxed));
    since.cast_signed().max(0).cast_unsigned()
}

/// The tag of an entry of that age.
fn tag(hash: u32, age: u64) -> u64 {
    u64::from(hash) << 32 | u64::from(age as u32)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
