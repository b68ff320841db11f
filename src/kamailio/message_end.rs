//! The end of a SIP message: the script is done with it, so nothing uses the values any more that it has
//! read.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use super::host::guard::guard;
use super::host::layout::SipMsg;
use super::host::symbols::host;
use super::process;

/// After the script has run for a request (1) or a reply (4): flags of `core/script_cb.h`. Other kinds of
/// routes may run in the middle of these.
const AFTER_REQUESTS_AND_REPLIES: c_uint = 1 << 31 | 1 | 4;

/// Has the host call us at the end of each SIP message. False if it does not.
pub(super) fn register() -> bool {
    let flags = AFTER_REQUESTS_AND_REPLIES;
    // SAFETY: a function of the type that the host declares, which takes no parameter.
    unsafe { (host().symbols.register_script_cb)(end, flags, ptr::null_mut()) == 0 }
}

/// Answers that were not read are dropped, and values that were large give their memory back. The
/// statistics are brought up to date.
unsafe extern "C" fn end(_: *mut SipMsg, _flags: c_uint, _: *mut c_void) -> c_int {
    guard(1, || {
        process::with(|process| {
            process.cache.end_message();
            process.results.give_back();
        });
        1
    })
}
