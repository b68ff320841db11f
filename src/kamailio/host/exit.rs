//! The end of the process, in which the host has no call for modules.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::guard::guard;

/// The status of a process that has failed, as the host has it.
const FAILED: c_int = 255;

unsafe extern "C" {
    /// The C library calls `function` with the status of the process and `data` when that ends by `exit`, or at the
    /// end of `main`.
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), data: *mut c_void) -> c_int;
}

/// When the process would end well, `check` is asked first: if that is false, it fails. Its children inherit this.
pub(in crate::kamailio) fn before(check: fn() -> bool) {
    // SAFETY: the function lives as long as the process, also if Kamailio closes the module: it is linked with
    // `nodelete`. What is handed over is an address alone.
    unsafe { on_exit(end, check as *mut c_void) };
}

extern "C" fn end(status: c_int, check: *mut c_void) {
    // SAFETY: `before` has handed it over.
    let check = unsafe { std::mem::transmute::<*mut c_void, fn() -> bool>(check) };
    if status != 0 || guard(true, check) {
        return;
    }
    // SAFETY: both need nothing. What was printed gets out, and no other function for the end is called twice.
    unsafe {
        libc::fflush(ptr::null_mut());
        libc::_exit(FAILED);
    }
}
