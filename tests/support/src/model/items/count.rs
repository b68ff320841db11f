//! Counting.

use super::super::number::unsigned64;
use super::{Item, Items, slab};

/// By how much to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// After the largest number comes 0.
    Up(u64),
    /// Not below 0.
    Down(u64),
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Counted {
    /// The number, and the item that has made room for a longer one. If there is none, the item
    /// itself was changed.
    Number(String, Option<Item>),
    NotFound,
    NotANumber,
    OtherVersion,
}

impl Items {
    /// Counts the item at `key` if it has version `cas`, 0 = any.
    pub(in super::super) fn count(&mut self, key: &[u8], step: Step, cas: u64) -> Counted {
        let now = self.now();
        let Some(item) = self.get(key) else {
            return Counted::NotFound;
        };
        if item.value.is_empty() || slab::is_in_pieces(slab::total(key, item)) {
            return Counted::NotANumber;
        }
        if cas != 0 && cas != item.cas {
            return Counted::OtherVersion;
        }
        // A line end is behind the value.
        let text = [&item.value[..], b"\r\n"].concat();
        let Some(value) = unsigned64(&text) else {
            return Counted::NotANumber;
        };
        let number = match step {
            Step::Up(by) => value.wrapping_add(by),
            Step::Down(by) => value.saturating_sub(by),
        };
        let number = number.to_string();
        if number.len() <= item.value.len() {
            item.value.fill(b' ');
            item.value[..number.len()].copy_from_slice(number.as_bytes());
            item.note_use(now);
            let cas = self.next_cas();
            self.held(key).expect("it is there").cas = cas;
            return Counted::Number(number, None);
        }
        let mut old = item.clone();
        let new = Item {
            value: number.clone().into(),
            flags: old.flags,
            expires: old.expires,
            ..Item::default()
        };
        old.cas = self.put(key, new);
        Counted::Number(number, Some(old))
    }
}
