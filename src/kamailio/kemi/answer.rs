//! `Answer` is what a function returns that may return a string, a number, or nothing: what this process
//! has read last.
//!
//! The engine copies the answer as soon as the function returns (`core/kemi.h`: `sr_kemi_xval_t`). So each
//! process has one place for it, and its text stays where the read has put it.

use std::ffi::c_int;
use std::ops::RangeInclusive;
use std::ptr;

use super::super::host::guard::guard;
use super::super::host::kemi_layout::{KEMI_INT, KEMI_NONE, KEMI_STR, KemiUnion, KemiValue};
use super::super::host::layout::Str;
use super::super::host::symbols::host;
use super::super::process::{self, ProcessCell};
use crate::cache::{self, Verb};
use crate::error::Error;
use crate::item::value::{Found, put_decimal};

/// What this process has read last.
pub(super) static LAST_READ: ProcessCell<LastRead> = ProcessCell::new(LastRead {
    value: None,
    text: Vec::new(),
    version: Vec::new(),
});

/// What was read.
pub(super) struct LastRead {
    /// The value; `None` if there was none.
    value: Option<Found>,
    /// Its text.
    text: Vec<u8>,
    /// The version in decimal digits; empty if no version was read.
    version: Vec<u8>,
}

impl LastRead {
    /// Performs the operation `verb`, and keeps what it has read.
    pub(super) fn keep(
        &mut self,
        verb: Verb,
        perform: impl FnOnce(&mut Vec<u8>) -> Result<cache::Answer, Error>,
    ) -> Result<cache::Answer, Error> {
        if !verb.reads() {
            return perform(&mut Vec::new());
        }
        process::empty(&mut self.text);
        let answer = perform(&mut self.text);
        let read = answer.as_ref().ok();
        self.value = read.and_then(|answer| answer.value);
        if verb == Verb::Gets {
            self.version.clear();
            if let Some(version) = read.and_then(|answer| answer.version) {
                put_decimal(version, &mut self.version);
            }
        }
        answer
    }

    /// The script is done with its message: if the text is large, it is given back, and its value forgotten.
    pub(super) fn give_back(&mut self) {
        if process::give_back(std::slice::from_mut(&mut self.text)) {
            self.value = None;
        }
    }

    /// This process has read nothing yet.
    pub(super) fn forget(&mut self) {
        self.value = None;
        self.version.clear();
    }

    /// The value as an answer.
    pub(super) fn value(&self) -> Option<Answer> {
        Some(match self.value? {
            Found::Integer(number) => Answer::number(number, &self.text),
            Found::Text => Answer::text(&self.text),
            Found::Null => return None,
        })
    }

    /// The version as an answer.
    pub(super) fn version(&self) -> Option<Answer> {
        (!self.version.is_empty()).then(|| Answer::text(&self.version))
    }
}

/// The numbers that every language holds exactly: those of Lua and JavaScript are doubles
/// (`modules/app_lua`: `lua_pushnumber`).
const EXACT: RangeInclusive<i64> = -1 << 53..=1 << 53;

/// An answer to the script.
pub(super) struct Answer(KemiValue);

impl Answer {
    /// Lua's `nil`, Python's `None`, JavaScript's `null`.
    pub(super) fn nothing() -> Self {
        Self::new(host().family.kemi_null(), KemiUnion { l: 0 })
    }

    /// A string, which must stay as it is until the engine has copied the answer.
    pub(super) fn text(text: &[u8]) -> Self {
        let s = Str::borrowed(text);
        Self::new(KEMI_STR, KemiUnion { s })
    }

    /// A number or, where the script would lose some of its digits, these digits.
    fn number(number: i64, digits: &[u8]) -> Self {
        match (c_int::try_from(number), host().family.kemi_long()) {
            (Ok(n), _) => Self::new(KEMI_INT, KemiUnion { n }),
            (Err(_), Some(long)) if EXACT.contains(&number) => {
                Self::new(long, KemiUnion { l: number })
            }
            _ => Self::text(digits),
        }
    }

    fn new(kind: c_int, value: KemiUnion) -> Self {
        Self(KemiValue { kind, value })
    }
}

/// Makes the answer and gives it to the engine.
pub(super) fn give(make: impl FnOnce() -> Option<Answer>) -> *mut KemiValue {
    static GIVEN: ProcessCell<KemiValue> = ProcessCell::new(KemiValue {
        kind: KEMI_NONE,
        value: KemiUnion { l: 0 },
    });
    let answer = guard(None, make).unwrap_or_else(Answer::nothing);
    let given = GIVEN.with(|given| {
        *given = answer.0;
        ptr::from_mut(given)
    });
    given.unwrap_or(ptr::null_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(size: usize) -> LastRead {
        LastRead {
            value: Some(Found::Text),
            text: Vec::with_capacity(size),
            version: Vec::new(),
        }
    }

    #[test]
    fn at_the_end_of_a_message_a_large_text_is_given_back_and_a_small_one_kept() {
        let (mut large, mut small) = (read(process::LARGE + 1), read(process::LARGE));
        large.give_back();
        assert_eq!((large.value, large.text.capacity()), (None, 0));
        small.give_back();
        let kept = (Some(Found::Text), process::LARGE);
        assert_eq!((small.value, small.text.capacity()), kept);
    }
}
