//! `Item` is what a function was called for: a key, and the pool that it names.

use std::ffi::c_int;
use std::fmt;

use super::super::host::guard::guard;
use super::super::host::layout::SipMsg;
use super::super::process;
use super::answer::LAST_READ;
use crate::cache::{Cache, Key, Operand, Verb};
use crate::error::{Error, Refusal};
use crate::quoted::quoted;
use crate::status::Status;

/// The item that a function was called for.
pub(super) struct Item<'a> {
    /// The function's name, without `_in`.
    pub(super) function: &'static str,
    /// The name of its pool; `None` = the default pool.
    pub(super) pool: Option<&'a [u8]>,
    /// The key, any bytes.
    pub(super) key: &'a [u8],
}

/// How log lines name the call.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KSR.memcached.{}", self.function)?;
        match self.pool {
            Some(pool) => write!(f, "_in with pool {}", quoted(pool)),
            None => Ok(()),
        }
    }
}

impl Item<'_> {
    /// Operates on the item. Returns the number for the script.
    pub(super) fn operate(&self, verb: Verb, operands: &[Operand<'_>]) -> c_int {
        guard(FAILED, || {
            let status = self.perform(verb, operands);
            status.map_or(FAILED, Status::return_code)
        })
    }

    /// Operates on the item, and keeps what was read. `None` before `mod_init`.
    pub(super) fn perform(&self, verb: Verb, operands: &[Operand<'_>]) -> Option<Status> {
        process::with(|process| {
            let key = self.key(&mut process.cache);
            let result = LAST_READ.with(|last| {
                last.keep(verb, |text| process.cache.call(verb, &key?, operands, text))
            })?;
            Some(process.record(&result))
        })
        .flatten()
    }

    /// Asks for the item ahead, for a message. `None` if it was refused, and before `mod_init`.
    pub(super) fn ask(&self, msg: *mut SipMsg) -> Option<()> {
        process::with(|process| {
            let key = self.key(&mut process.cache).ok()?;
            process.set_message(msg);
            process.cache.prefetch(&[key]);
            Some(())
        })
        .flatten()
    }

    fn key(&self, cache: &mut Cache) -> Result<Key, Error> {
        let pool = self.pool.map_or(Ok(0), |name| find(cache, name));
        let key = pool.and_then(|pool| cache.key(pool, self.key, b""));
        key.map_err(|refusal| cache.refuse(pool.unwrap_or_default(), self, refusal))
    }
}

/// What a function returns that cannot do its work: the request was refused.
pub(super) const FAILED: c_int = -3;

/// The index of the pool of that name.
///
/// # Errors
/// [`Refusal::Pool`].
pub(super) fn find(cache: &Cache, pool: &[u8]) -> Result<usize, Refusal> {
    let mut pools = cache.pools().iter();
    let found = pools.position(|declared| declared.settings().name.as_bytes() == pool);
    found.ok_or(Refusal::Pool)
}
