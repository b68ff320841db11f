//! Call: an operation by its name, with its operands as the caller has them.
//!
//! Functions of the script, functions of KEMI scripts and RPC commands all come this way, so what an operand
//! means is said once. A caller has the key made first, and puts the answer where it belongs.

use super::{Cache, Key};
use crate::error::{Error, Refusal};
use crate::item::lifetime::Lifetime;
use crate::item::value::{Found, Value, integer_or_text, operand, put_decimal, unsigned};
use crate::status::{Outcome, Status};
use crate::wire::protocol::{Store, Way};

/// What is done with an item. The operands of each stand behind it, those that may be left out in
/// brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Reads it.
    Get,
    /// Reads it and its version.
    Gets,
    /// Writes it: value `[lifetime]`. A null value removes it.
    Set,
    /// Writes it where nothing is stored: value `[lifetime]`.
    Add,
    /// Writes it where something is stored: value `[lifetime]`.
    Replace,
    /// Extends it: text.
    Append,
    /// Extends it at its beginning: text.
    Prepend,
    /// Writes it if it still has that version: value, version `[lifetime]`.
    Cas,
    /// Removes it.
    Delete,
    /// Changes its lifetime: lifetime.
    Touch,
    /// Reads it, and perhaps gets its lease.
    Lease,
    /// Marks it as out of date: for how long it may still be read.
    Invalidate,
    /// Counts it up: by `[initial, lifetime]`. With `initial`, a missing one is created.
    Inc,
    /// Counts it down: by `[initial, lifetime]`.
    Dec,
}

/// An operand as the caller has it; `None` = null.
pub(crate) type Operand<'a> = Option<Value<'a>>;

/// What an operation has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What it came to.
    pub status: Status,
    /// The value that was read, or the number after counting. Its text is in the caller's buffer.
    pub value: Option<Found>,
    /// The version that was read.
    pub version: Option<u64>,
}

impl Outcome for Answer {
    fn status(&self) -> Status {
        self.status
    }
}

impl Cache {
    /// Does `verb` with the item of that key. Of the operands that may be left out, `operands` has only
    /// those that were given. The value that was read is in `text`.
    ///
    /// # Errors
    /// The [`Refusal`] of an operand; the errors of the operation.
    #[inline(always)]
    pub(crate) fn call(
        &mut self,
        verb: Verb,
        key: &Key,
        operands: &[Operand<'_>],
        text: &mut Vec<u8>,
    ) -> Result<Answer, Error> {
        match verb {
            // The one that is called most, and it has no operands.
            Verb::Get => self.read(key, text),
            _ => self.call_other(verb, key, operands, text),
        }
    }

    #[inline(never)]
    fn read(&mut self, key: &Key, text: &mut Vec<u8>) -> Result<Answer, Error> {
        let read = self.get(key, text)?;
        Ok(Answer {
            status: read.status(),
            value: read.found(),
            version: None,
        })
    }

    /// The same for every other verb.
    #[inline(never)]
    fn call_other(
        &mut self,
        verb: Verb,
        key: &Key,
        operands: &[Operand<'_>],
        text: &mut Vec<u8>,
    ) -> Result<Answer, Error> {
        let given = |at: usize| operands.get(at).copied();
        let lasting;
        let key = match given(verb.lifetime_at()).map(lifetime).transpose() {
            Ok(None) => key,
            Ok(expire) => {
                lasting = Key { expire, ..*key };
                &lasting
            }
            Err(refusal) => return Err(self.refuse_operand(verb, key, refusal)),
        };
        let (first, second) = (given(0).flatten(), given(1));
        let done = match verb {
            Verb::Get => return self.read(key, text),
            Verb::Gets => {
                return self.gets(key, text).map(|found| match found {
                    Some((found, version)) => Answer {
                        status: Status::Hit,
                        value: Some(found),
                        version: Some(version),
                    },
                    None => Answer::without_value(Status::Miss),
                });
            }
            Verb::Lease => return self.lease(key, text),
            Verb::Inc => return self.count_by(verb, Way::Up, key, first, second, text),
            Verb::Dec => return self.count_by(verb, Way::Down, key, first, second, text),
            Verb::Set if first.is_none() => self.delete(key),
            Verb::Delete => self.delete(key),
            Verb::Touch => {
                let to = key.expire.unwrap_or_default();
                self.change_lifetime(key, to)
            }
            Verb::Invalidate => self.invalidate(key, key.expire.unwrap_or_default()),
            Verb::Set => self.write(verb, Store::Set, key, first),
            Verb::Add => self.write(verb, Store::Add, key, first),
            Verb::Replace => self.write(verb, Store::Replace, key, first),
            Verb::Append => self.write(verb, Store::Append, key, first),
            Verb::Prepend => self.write(verb, Store::Prepend, key, first),
            Verb::Cas => self.compare_and_set(key, first, second.flatten()),
        };
        done.map(Answer::without_value)
    }

    fn write(
        &mut self,
        verb: Verb,
        store: Store,
        key: &Key,
        value: Operand<'_>,
    ) -> Result<Status, Error> {
        match value {
            Some(value) if verb == Verb::Set => self.put(store, key, value).map(|it| it.status()),
            Some(value) => self.store(store, key, value).map(|it| it.status()),
            None => Err(self.refuse_operand(verb, key, Refusal::NullValue)),
        }
    }

    fn compare_and_set(
        &mut self,
        key: &Key,
        value: Operand<'_>,
        version: Operand<'_>,
    ) -> Result<Status, Error> {
        match (value, version.and_then(unsigned)) {
            (Some(value), Some(version)) => {
                let stored = self.store_version(key, value, version);
                stored.map(|it| it.status())
            }
            (None, _) => Err(self.refuse_operand(Verb::Cas, key, Refusal::NullValue)),
            (_, None) => Err(self.refuse_operand(Verb::Cas, key, Refusal::Version)),
        }
    }

    /// `initial` is `None` if it was left out.
    fn count_by(
        &mut self,
        verb: Verb,
        way: Way,
        key: &Key,
        by: Operand<'_>,
        initial: Option<Operand<'_>>,
        text: &mut Vec<u8>,
    ) -> Result<Answer, Error> {
        let Some(by) = by.and_then(operand) else {
            return Err(self.refuse_operand(verb, key, Refusal::Operand));
        };
        let counted = match initial.map(|initial| initial.and_then(unsigned)) {
            None => self.count(way, key, Value::Integer(by))?,
            Some(Some(initial)) => self.count_or_create(way, key, by, initial)?,
            Some(None) => return Err(self.refuse_operand(verb, key, Refusal::Initial)),
        };
        let found = counted.map(|number| {
            text.clear();
            put_decimal(number, text);
            integer_or_text(text, || self.numbers_of(key))
        });
        Ok(Answer {
            status: counted.status(),
            value: found,
            version: None,
        })
    }

    #[cold]
    fn refuse_operand(&mut self, verb: Verb, key: &Key, refusal: Refusal) -> Error {
        let what = format_args!("{} of key '{}'", verb.name(), key.wire);
        self.refuse(key.pool, what, refusal)
    }
}

impl Answer {
    pub(super) fn without_value(status: Status) -> Self {
        Self {
            status,
            value: None,
            version: None,
        }
    }
}

impl Verb {
    /// Its name in log lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Gets => "gets",
            Self::Set => "set",
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Prepend => "prepend",
            Self::Cas => "cas",
            Self::Delete => "delete",
            Self::Touch => "touch",
            Self::Lease => "lease",
            Self::Invalidate => "invalidate",
            Self::Inc => "inc",
            Self::Dec => "dec",
        }
    }

    /// True if it reads the item, or the number that it has counted to.
    pub(crate) fn reads(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Gets | Self::Lease | Self::Inc | Self::Dec
        )
    }

    /// Which of its operands is a lifetime, if it is given.
    fn lifetime_at(self) -> usize {
        match self {
            Self::Touch | Self::Invalidate => 0,
            Self::Set | Self::Add | Self::Replace => 1,
            Self::Cas | Self::Inc | Self::Dec => 2,
            Self::Get | Self::Gets | Self::Lease | Self::Append | Self::Prepend | Self::Delete => {
                usize::MAX
            }
        }
    }
}

/// An integer or its decimal text.
fn lifetime(given: Operand<'_>) -> Result<Lifetime, Refusal> {
    let seconds = given.and_then(operand).ok_or(Refusal::Lifetime)?;
    Lifetime::new(seconds)
}

#[cfg(test)]
pub(super) mod tests;
