//! The log of the fake host, which keeps its lines for the test.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::super::host::layout::LogLevelInfo;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The address of the symbol called `name`, if it belongs to the log; otherwise NULL.
pub(super) fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"get_debug_level" => get_debug_level as *mut c_void,
        b"get_debug_facility" => get_debug_facility as *mut c_void,
        b"my_pid" => my_pid as *mut c_void,
        b"dprint_color" => dprint_color as *mut c_void,
        b"dprint_color_reset" => dprint_color_reset as *mut c_void,
        b"process_no" => (&raw const PROCESS_NO).cast_mut().cast(),
        b"log_stderr" | b"log_color" => (&raw const ZERO).cast_mut().cast(),
        b"log_prefix_val" => (&raw const LOG_PREFIX).cast_mut().cast(),
        b"log_level_info" => (&raw const LEVELS).cast_mut().cast(),
        b"_km_log_func" => (&raw const KM_LOG).cast_mut().cast(),
        _ => ptr::null_mut(),
    }
}

/// The lines since the last call.
pub(super) fn take() -> Vec<String> {
    LINES.take()
}

static PROCESS_NO: c_int = 3;
static ZERO: c_int = 0;
static LOG_PREFIX: usize = 0;
static KM_LOG: extern "C" fn(c_int, *const c_char, *const c_char) = km_log;
static LEVELS: Levels = Levels({
    const fn level(name: &'static CStr, syslog_level: c_int) -> LogLevelInfo {
        LogLevelInfo {
            name: name.as_ptr(),
            syslog_level,
        }
    }
    [
        level(c"ALERT", 1),
        level(c"BUG", 2),
        level(c"CRITICAL", 2),
        level(c"CRITICAL", 2),
        level(c"ERROR", 3),
        level(c"WARNING", 4),
        level(c"NOTICE", 5),
        level(c"INFO", 6),
        level(c"DEBUG", 7),
    ]
});

#[repr(transparent)]
struct Levels([LogLevelInfo; 9]);

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for Levels {}

extern "C" fn get_debug_level(_: *const c_char, _: c_int) -> c_int {
    // Miri cannot call variadic functions, and every log line ends in one. At this level there is
    // none.
    if cfg!(miri) { -9 } else { 3 }
}

extern "C" fn get_debug_facility(_: *const c_char, _: c_int) -> c_int {
    0
}

extern "C" fn my_pid() -> c_int {
    4711
}

extern "C" fn dprint_color(_: c_int) {}

extern "C" fn dprint_color_reset() {}

extern "C" fn km_log(_: c_int, format: *const c_char, text: *const c_char) {
    // SAFETY: the module uses only this format, which has one argument.
    let (format, text) = unsafe { (CStr::from_ptr(format), CStr::from_ptr(text)) };
    assert_eq!(format, c"%s\n");
    LINES.with_borrow_mut(|lines| lines.push(text.to_string_lossy().into_owned()));
}
