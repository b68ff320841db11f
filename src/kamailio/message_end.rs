//! The end of a SIP message: the script is done with it, so nothing uses the values any more that it has
//! read.
//!
//! For a request or a reply that this process receives, the script ends once; other kinds of routes may run in
//! the middle of it. Without such a message, the script runs for a transaction: for a request that was suspended
//! and goes on (`modules/tm/t_suspend.c`: `t_continue_helper`), or in a failure_route after a timeout. Module tm
//! calls both a failure.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::host::guard::guard;
use super::host::layout::SipMsg;
use super::host::symbols::host;
use super::{kemi, process};

/// Flags of `core/script_cb.h`: before and after the script runs.
const BEFORE: c_uint = 1 << 30;
const AFTER: c_uint = 1 << 31;

/// The same: for a request or a reply that was received, and for a transaction.
const RECEIVED: c_uint = 1 | 4;
const TRANSACTION: c_uint = 2;

/// Whether the script runs for a message that this process has received, whose end is still to come.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Has the host call us at the end of each SIP message. False if it does not.
pub(super) fn register() -> bool {
    [BEFORE | RECEIVED, AFTER | RECEIVED | TRANSACTION]
        .into_iter()
        .all(|flags| {
            // SAFETY: a function of the type that the host declares, which takes no parameter.
            unsafe { (host().symbols.register_script_cb)(note, flags, ptr::null_mut()) == 0 }
        })
}

/// The script begins or has ended, as `flags` say.
unsafe extern "C" fn note(_: *mut SipMsg, flags: c_uint, _: *mut c_void) -> c_int {
    guard(1, || {
        let has_ended = flags & AFTER != 0;
        if flags & RECEIVED != 0 {
            RUNS.store(!has_ended, Ordering::Relaxed);
        }
        if has_ended && !RUNS.load(Ordering::Relaxed) {
            end();
        }
        1
    })
}

/// Answers that were not read are dropped, and values that were large give their memory back. The
/// statistics are brought up to date.
fn end() {
    process::with(|process| {
        process.cache.end_message();
        process.results.give_back();
    });
    kemi::give_back();
}

#[cfg(test)]
mod tests {
    use super::super::fake::Turn;
    use super::*;

    const REPLY: c_uint = 4;

    fn ask_ahead() {
        process::with(|process| {
            let key = process.cache.key(0, b"k", b"").unwrap();
            process.cache.prefetch(&[key]);
        });
    }

    fn has_asked() -> bool {
        process::with(|process| process.cache.has_asked()).unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses a socket")]
    fn a_request_that_was_suspended_ends_when_it_has_gone_on() {
        let turn = Turn::without_server();
        assert!(register());
        turn.run_script(TRANSACTION, || {
            ask_ahead();
            assert!(has_asked());
        });
        assert!(!has_asked());
    }

    #[test]
    #[cfg_attr(miri, ignore = "uses a socket")]
    fn a_failure_route_in_the_middle_of_a_message_is_not_its_end() {
        let turn = Turn::without_server();
        assert!(register());
        turn.run_script(REPLY, || {
            ask_ahead();
            turn.run_script(TRANSACTION, || {});
            assert!(has_asked());
        });
        assert!(!has_asked());
    }
}
