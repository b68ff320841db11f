//! `Many` is one call of a script function that asks for several items.

use std::ffi::c_int;

use super::super::host::layout::SipMsg;
use super::super::key_argument::KeyArgument;
use super::super::process;
use super::{Function, REFUSED};
use crate::cache::{Items, Key};
use crate::status::Status;

/// A call of a function that asks for several items.
pub(super) struct Many<'a> {
    pub(super) function: &'static Function,
    pub(super) keys: &'a [KeyArgument],
    pub(super) msg: *mut SipMsg,
}

impl Many<'_> {
    /// Asks for the items and waits for the answers. Returns how many were found.
    pub(super) fn get(&self) -> c_int {
        let keys = self.keys();
        let found = process::with(|process| {
            process.set_message(self.msg);
            let found = process.cache.get_many(&keys);
            let mut status = process.record(&found);
            if status == Status::Miss && keys.len() < self.keys.len() {
                status = Status::Refused;
                process.last = Some(status);
            }
            match found {
                Ok(Items(found @ 1..)) => c_int::try_from(found).unwrap_or(c_int::MAX),
                _ => status.return_code(),
            }
        });
        found.unwrap_or(REFUSED)
    }

    /// Asks for the items and does not wait.
    pub(super) fn prefetch(&self) -> c_int {
        let keys = self.keys();
        let asked = process::with(|process| {
            process.set_message(self.msg);
            process.cache.prefetch(&keys);
        });
        match asked.is_some() && keys.len() == self.keys.len() {
            true => 1,
            false => REFUSED,
        }
    }

    /// The keys that can be used.
    fn keys(&self) -> Vec<Key> {
        let usable =
            |key: &KeyArgument| key.usable(format_args!("{}(\"{key}\")", self.function), self.msg);
        self.keys.iter().filter_map(usable).collect()
    }
}
