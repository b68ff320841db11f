//! Host: the core's functions and variables, found by name when the module is loaded.
//!
//! Looked up with `dlsym` instead of being linked: a core without one of them is then refused in
//! words of ours, the file loads into a test program, and tests put a host of their own here.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem;

use once_cell::sync::OnceCell;

use super::family::Family;
use super::layout::{
    Action, CfgDef, KemiEngine, KsrLogData, LogLevelInfo, PvElem, RouteList, SipMsg, Str,
};

/// A symbol that the core does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing(pub &'static CStr);

macro_rules! symbols {
    ($($(#[$doc:meta])* $field:ident = $name:literal: $type:ty;)*) => {
        /// The symbols that every known core exports.
        pub(crate) struct Symbols {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Symbols {
            /// Finds them all with `find`, which returns NULL for what is not there.
            ///
            /// # Safety
            /// What `find` returns for a name must be the address of a Kamailio core's symbol of
            /// that name, or of one of the same type.
            pub(crate) unsafe fn find(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, Missing> {
                Ok(Self {$(
                    $field: {
                        let address = find($name);
                        if address.is_null() {
                            return Err(Missing($name));
                        }
                        // SAFETY: by this function's contract; all fields are of pointer size,
                        // which `transmute` checks.
                        unsafe { mem::transmute::<*mut c_void, $type>(address) }
                    },
                )*})
            }
        }
    };
}

symbols! {
    /// Parses a format string; keeps pointers into it.
    pv_parse_format = c"pv_parse_format":
        unsafe extern "C" fn(text: *mut Str, elements: *mut *mut PvElem) -> c_int;
    /// Prints a format string into a buffer.
    pv_printf = c"pv_printf":
        unsafe extern "C" fn(*mut SipMsg, *mut PvElem, *mut c_char, len: *mut c_int) -> c_int;
    /// Frees a parsed format string.
    pv_elem_free_all = c"pv_elem_free_all": unsafe extern "C" fn(*mut PvElem) -> c_int;
    /// Reserves timer processes.
    register_basic_timers = c"register_basic_timers": unsafe extern "C" fn(count: c_int) -> c_int;
    /// Forks a timer process, which calls a function again and again.
    fork_basic_utimer = c"fork_basic_utimer": unsafe extern "C" fn(
        rank: c_int,
        description: *mut c_char,
        make_sock: c_int,
        function: extern "C" fn(ticks: c_uint, param: *mut c_void),
        param: *mut c_void,
        interval: c_int,
    ) -> c_int;
    /// Makes a statistic known, whose value is asked for by callback.
    counter_register = c"counter_register": unsafe extern "C" fn(
        handle: *mut u16,
        group: *const c_char,
        name: *const c_char,
        flags: c_int,
        read: unsafe extern "C" fn(handle: u16, param: *mut c_void) -> i64,
        param: *mut c_void,
        about: *const c_char,
        register_flags: c_int,
    ) -> c_int;
    /// Offers values that can be changed while running.
    cfg_declare = c"cfg_declare": unsafe extern "C" fn(
        group: *mut c_char,
        rows: *mut CfgDef,
        values: *mut c_void,
        size: c_int,
        handle: *mut *mut c_void,
    ) -> c_int;
    /// The event routes of the script.
    event_rt = c"event_rt": *const RouteList;
    /// The kind of route that is being run.
    route_type = c"route_type": *mut c_int;
    /// The number of a route, or -1; does not write to the name.
    route_lookup = c"route_lookup":
        unsafe extern "C" fn(*const RouteList, name: *mut c_char) -> c_int;
    /// Runs a route; the context may be NULL.
    run_top_route = c"run_top_route":
        unsafe extern "C" fn(*mut Action, *mut SipMsg, context: *mut c_void) -> c_int;
    /// This process's request for scripts that are run without one.
    faked_msg_get_next = c"faked_msg_get_next": unsafe extern "C" fn() -> *mut SipMsg;
    /// Forgets what a script has set for a request.
    ksr_msg_env_reset = c"ksr_msg_env_reset": unsafe extern "C" fn();
    /// The engine of the KEMI script, or NULL.
    sr_kemi_eng_get = c"sr_kemi_eng_get": unsafe extern "C" fn() -> *mut KemiEngine;
    /// Calls a function of the KEMI script; less than 0 on failure.
    sr_kemi_route = c"sr_kemi_route": unsafe extern "C" fn(
        *mut KemiEngine,
        *mut SipMsg,
        route_type: c_int,
        function: *mut Str,
        data: *mut Str,
    ) -> c_int;
    /// The log level that holds for a module.
    get_debug_level = c"get_debug_level": unsafe extern "C" fn(*const c_char, c_int) -> c_int;
    /// The log facility that holds for a module.
    get_debug_facility = c"get_debug_facility": unsafe extern "C" fn(*const c_char, c_int) -> c_int;
    /// This process's id.
    my_pid = c"my_pid": unsafe extern "C" fn() -> c_int;
    /// Switches the terminal's colour to that of a level.
    dprint_color = c"dprint_color": unsafe extern "C" fn(level: c_int);
    /// Switches it back.
    dprint_color_reset = c"dprint_color_reset": unsafe extern "C" fn();
    /// This process's number.
    process_no = c"process_no": *const c_int;
    /// Whether the log goes to stderr.
    log_stderr = c"log_stderr": *const c_int;
    /// Whether it is coloured there.
    log_color = c"log_color": *const c_int;
    /// What the script has put before each line, or NULL.
    log_prefix_val = c"log_prefix_val": *const *const Str;
    /// The levels, from -5 on.
    log_level_info = c"log_level_info": *const LogLevelInfo;
    /// Writes to syslog, or where a module has turned it to.
    km_log_func = c"_km_log_func": *const unsafe extern "C" fn(c_int, *const c_char, ...);
}

/// The structured log function; a module or an option sets it.
pub(crate) type SlogFunction = Option<unsafe extern "C" fn(*mut KsrLogData, *const c_char, ...)>;

/// The core that loaded us.
pub(crate) struct Host {
    /// What every core has.
    pub symbols: Symbols,
    /// `_ksr_slog_func`, from 5.4 on.
    pub slog_func: Option<*const SlogFunction>,
    /// `dprint_crit`, the guard against log lines from within a log line; some builds have none.
    pub dprint_crit: Option<*mut c_int>,
    /// Its layouts.
    pub family: Family,
}

// SAFETY: the pointers are to functions and variables of the program itself, which stay where they
// are; the variables are used by one thread (the fence's rule "one thread").
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

static HOST: OnceCell<Host> = OnceCell::new();

/// The host; there is one from the load-time constructor on, in tests from [`install`] on.
pub(crate) fn host() -> &'static Host {
    HOST.get()
        .expect("callbacks are called by a host that was recognised")
}

/// The host, if there is one yet.
pub(crate) fn try_host() -> Option<&'static Host> {
    HOST.get()
}

/// Makes `host` the one for the rest of the program's life; a second one is ignored.
pub(crate) fn install(host: Host) {
    let _ = HOST.set(host);
}
