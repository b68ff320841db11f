//! The statistics, registered with the host as the group `memcached`.
//!
//! Their values are in the module's own shared memory. The host calls us for a value, in the
//! process that needs it (`core/counters.c`), so every way to read statistics shows the same
//! values.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use super::NAME;
use super::host::guard::guard;
use super::host::symbols::host;
use super::process;
use crate::stats::{Statistic, TABLE};

/// `CNT_F_NO_RESET`: the host cannot set the statistic to 0.
const NO_RESET: c_int = 1;

/// Registers all statistics with the host, in `mod_init`.
///
/// # Errors
/// The host does not accept the statistic of this name.
pub(super) fn register() -> Result<(), &'static CStr> {
    for statistic in TABLE {
        let mut handle = 0;
        // SAFETY: this runs in `mod_init`, for which the core function is made. It copies the
        // texts, and passes the row, which is constant, to `read`.
        let registered = unsafe {
            (host().symbols.counter_register)(
                &raw mut handle,
                NAME.as_ptr(),
                statistic.name.as_ptr(),
                NO_RESET,
                read,
                ptr::from_ref(statistic).cast_mut().cast(),
                statistic.about.as_ptr(),
                0,
            )
        };
        if registered != 0 {
            return Err(statistic.name);
        }
    }
    Ok(())
}

unsafe extern "C" fn read(_handle: u16, row: *mut c_void) -> i64 {
    guard(0, || {
        // SAFETY: it is the row of the table that `register` has passed on.
        let statistic = unsafe { &*row.cast_const().cast::<Statistic>() };
        let value = process::with(|process| {
            process.cache.refresh();
            process.cache.statistic(statistic)
        });
        value.map_or(0, |value| i64::try_from(value).unwrap_or(i64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Turn;
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "uses a socket")]
    fn every_statistic_is_registered_and_read() {
        let turn = Turn::without_server();
        register().unwrap();
        let values = turn.statistics();
        assert_eq!(values.len(), TABLE.len());
        assert_eq!(values["servers_active"], 1);
        assert_eq!(values["gets"], 0);
        process::with(|process| {
            let key = process.cache.key(0, b"k", b"").unwrap();
            for _ in 0..2 {
                let got = process.cache.get(&key, &mut Vec::new());
                assert!(got.is_err());
            }
            let refused = process.cache.key(0, b"", b"").unwrap_err();
            process.cache.refuse(0, "a test", refused);
        });
        let values = turn.statistics();
        let counted: Vec<_> = values.iter().filter(|(_, value)| **value != 0).collect();
        let expected = [
            ("errors", 2),
            ("gets", 2),
            ("refused", 1),
            ("servers_inactive", 1),
            ("skipped", 1),
        ];
        let counted: Vec<_> = counted
            .into_iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        assert_eq!(counted, expected);
    }
}
