//! Storing: whether an offered value becomes the item.

use super::{Item, Items};

/// On which condition a value is stored, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Mode {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    /// Only in place of the version that the offer names.
    Cas,
}

/// A value that a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Offer {
    pub(in super::super) mode: Mode,
    pub(in super::super) item: Item,
    /// The version that it may replace or extend, 0 = none was named.
    pub(in super::super) cas: u64,
    /// It may also replace a later version, and is out of date then.
    pub(in super::super) may_be_stale: bool,
}

/// What has become of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stored {
    /// It is the item, with this version.
    Yes(u64),
    /// The condition does not hold.
    No,
    /// The item has another version.
    Exists,
    /// There is no item of any version.
    NotFound,
}

impl Items {
    pub(in super::super) fn store(&mut self, key: &[u8], offer: Offer) -> Stored {
        let Offer {
            mode,
            mut item,
            cas,
            may_be_stale,
        } = offer;
        let now = self.now();
        let Some(old) = self.get(key) else {
            return match mode {
                Mode::Set | Mode::Add => Stored::Yes(self.put(key, item)),
                Mode::Cas => Stored::NotFound,
                Mode::Replace | Mode::Append | Mode::Prepend => Stored::No,
            };
        };
        let is_same = cas == old.cas;
        match mode {
            Mode::Set | Mode::Replace => {}
            Mode::Add => {
                old.note_use(now);
                return Stored::No;
            }
            Mode::Cas if cas != 0 && is_same => {}
            Mode::Cas if cas != 0 && may_be_stale && cas < old.cas => {
                item.expires = old.expires;
                item.promised = old.promised;
                item.stale = true;
            }
            Mode::Cas => return Stored::Exists,
            Mode::Append | Mode::Prepend if cas != 0 && !is_same => return Stored::Exists,
            Mode::Append | Mode::Prepend => {
                let (first, second) = match mode {
                    Mode::Append => (&old.value, &item.value),
                    _ => (&item.value, &old.value),
                };
                item = Item {
                    value: [&first[..], second].concat(),
                    flags: old.flags,
                    expires: old.expires,
                    ..Item::default()
                };
                if !self.is_size_ok(key, item.flags, item.value.len()) {
                    return Stored::No;
                }
            }
        }
        Stored::Yes(self.put(key, item))
    }
}
