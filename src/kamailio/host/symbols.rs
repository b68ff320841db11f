//! `Symbols` are the core's functions and variables, found by name when the module is loaded.
//!
//! They are looked up with `dlsym`, not linked. This has three reasons: we can refuse a core that
//! lacks one of them with a message of our own, a test program can load the shared object, and unit
//! tests can install a host of their own.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem;

use once_cell::sync::OnceCell;

use super::family::Family;
use super::kemi_layout::KemiExport;
use super::layout::{
    Action, CfgDef, KemiEngine, KsrLogData, LogLevelInfo, PvElem, PvSpec, RouteList, SipMsg, Str,
};

/// The name of a symbol that the core does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing(pub &'static CStr);

macro_rules! symbols {
    ($($(#[$doc:meta])* $field:ident = $name:literal: $type:ty;)*) => {
        /// The symbols that every known core exports.
        pub(crate) struct Symbols {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Symbols {
            /// Finds all of them with `find`, which returns NULL for a symbol that is missing.
            ///
            /// # Safety
            /// `find` returns the address of the Kamailio core's symbol of that name, or of
            /// something of the same type.
            pub(crate) unsafe fn find(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, Missing> {
                Ok(Self {$(
                    $field: {
                        let address = find($name);
                        if address.is_null() {
                            return Err(Missing($name));
                        }
                        // SAFETY: by this function's contract it has this type. `transmute` checks
                        // that the type has the size of a pointer.
                        unsafe { mem::transmute::<*mut c_void, $type>(address) }
                    },
                )*})
            }
        }
    };
}

symbols! {
    /// Parses a format string. The result points into that string.
    pv_parse_format = c"pv_parse_format":
        unsafe extern "C" fn(text: *mut Str, elements: *mut *mut PvElem) -> c_int;
    /// Prints a format string into a buffer.
    pv_printf = c"pv_printf":
        unsafe extern "C" fn(*mut SipMsg, *mut PvElem, *mut c_char, len: *mut c_int) -> c_int;
    /// Frees a parsed format string.
    pv_elem_free_all = c"pv_elem_free_all": unsafe extern "C" fn(*mut PvElem) -> c_int;
    /// Reads a variable into a zeroed value.
    pv_get_spec_value = c"pv_get_spec_value":
        unsafe extern "C" fn(*mut SipMsg, *mut PvSpec, value: *mut c_void) -> c_int;
    /// Assigns a value to a variable.
    pv_set_spec_value = c"pv_set_spec_value":
        unsafe extern "C" fn(*mut SipMsg, *mut PvSpec, operator: c_int, value: *mut c_void) -> c_int;
    /// Frees a value's string, if it was made for the reader.
    pv_value_destroy = c"pv_value_destroy": unsafe extern "C" fn(value: *mut c_void);
    /// Reserves timer processes.
    register_basic_timers = c"register_basic_timers": unsafe extern "C" fn(count: c_int) -> c_int;
    /// Forks a timer process, which calls a function at intervals.
    fork_basic_utimer = c"fork_basic_utimer": unsafe extern "C" fn(
        rank: c_int,
        description: *mut c_char,
        make_sock: c_int,
        function: extern "C" fn(ticks: c_uint, param: *mut c_void),
        param: *mut c_void,
        interval: c_int,
    ) -> c_int;
    /// Has a function called before or after each run of the script, as `flags` say.
    register_script_cb = c"register_script_cb": unsafe extern "C" fn(
        function: unsafe extern "C" fn(*mut SipMsg, flags: c_uint, param: *mut c_void) -> c_int,
        flags: c_uint,
        param: *mut c_void,
    ) -> c_int;
    /// Registers a statistic. The core calls `read` whenever it needs the value.
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
    /// Declares values that operators can change while Kamailio runs.
    cfg_declare = c"cfg_declare": unsafe extern "C" fn(
        group: *mut c_char,
        rows: *mut CfgDef,
        values: *mut c_void,
        size: c_int,
        handle: *mut *mut c_void,
    ) -> c_int;
    /// The event routes of the script.
    event_rt = c"event_rt": *const RouteList;
    /// Not 0 once all arguments of functions that are constant in the script have been parsed.
    fixup_complete = c"fixup_complete": *const c_int;
    /// The kind of the route that is running.
    route_type = c"route_type": *mut c_int;
    /// Returns the number of a route, or -1. It does not write to the name.
    route_lookup = c"route_lookup":
        unsafe extern "C" fn(*const RouteList, name: *mut c_char) -> c_int;
    /// Runs a route. The context may be NULL.
    run_top_route = c"run_top_route":
        unsafe extern "C" fn(*mut Action, *mut SipMsg, context: *mut c_void) -> c_int;
    /// Returns a SIP message for scripts that run without one; each process has its own.
    faked_msg_get_next = c"faked_msg_get_next": unsafe extern "C" fn() -> *mut SipMsg;
    /// Removes what a script has set for a SIP message.
    ksr_msg_env_reset = c"ksr_msg_env_reset": unsafe extern "C" fn();
    /// Registers a table of functions for KEMI scripts. The core keeps it. Returns 0 for success.
    sr_kemi_modules_add = c"sr_kemi_modules_add": unsafe extern "C" fn(*const KemiExport) -> c_int;
    /// Returns the engine of the KEMI script, or NULL.
    sr_kemi_eng_get = c"sr_kemi_eng_get": unsafe extern "C" fn() -> *mut KemiEngine;
    /// Calls a function of the KEMI script. Returns less than 0 on failure.
    sr_kemi_route = c"sr_kemi_route": unsafe extern "C" fn(
        *mut KemiEngine,
        *mut SipMsg,
        route_type: c_int,
        function: *mut Str,
        data: *mut Str,
    ) -> c_int;
    /// Returns the log level of a module.
    get_debug_level = c"get_debug_level": unsafe extern "C" fn(*const c_char, c_int) -> c_int;
    /// Returns the log facility of a module.
    get_debug_facility = c"get_debug_facility": unsafe extern "C" fn(*const c_char, c_int) -> c_int;
    /// Returns this process's id.
    my_pid = c"my_pid": unsafe extern "C" fn() -> c_int;
    /// Sets the terminal's colour to that of a log level.
    dprint_color = c"dprint_color": unsafe extern "C" fn(level: c_int);
    /// Resets the terminal's colour.
    dprint_color_reset = c"dprint_color_reset": unsafe extern "C" fn();
    /// This process's number in the core's table.
    process_no = c"process_no": *const c_int;
    /// Whether the log goes to stderr.
    log_stderr = c"log_stderr": *const c_int;
    /// Whether the log on stderr has colours.
    log_color = c"log_color": *const c_int;
    /// The prefix that the script has set for each log line, or NULL.
    log_prefix_val = c"log_prefix_val": *const *const Str;
    /// The log levels, from -5 on.
    log_level_info = c"log_level_info": *const LogLevelInfo;
    /// Writes to syslog, or to what a module has put in its place.
    km_log_func = c"_km_log_func": *const unsafe extern "C" fn(c_int, *const c_char, ...);
}

/// The structured log function, which a module or an option of the core sets.
pub(crate) type SlogFunction = Option<unsafe extern "C" fn(*mut KsrLogData, *const c_char, ...)>;

/// The host that loaded us.
pub(crate) struct Host {
    /// The symbols that every core has.
    pub symbols: Symbols,
    /// The variable `_ksr_slog_func`, which exists from 5.4 on.
    pub slog_func: Option<*const SlogFunction>,
    /// The variable `dprint_crit`, with which the core prevents a log line from within a log line.
    /// Some builds do not have it.
    pub dprint_crit: Option<*mut c_int>,
    /// The family of its version, which decides on layouts.
    pub family: Family,
}

// SAFETY: the pointers lead to functions and variables of the program itself, which never move. One
// thread uses the variables (the fence's rule "one thread").
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

static HOST: OnceCell<Host> = OnceCell::new();

/// The host. It is known once the load-time constructor has run, in tests once [`install`] was
/// called.
pub(crate) fn host() -> &'static Host {
    HOST.get()
        .expect("only a host that we have recognised calls us")
}

/// The host, or `None` before it is known.
pub(crate) fn try_host() -> Option<&'static Host> {
    HOST.get()
}

/// Makes `host` the host until the program ends. A second call changes nothing.
pub(crate) fn install(host: Host) {
    let _ = HOST.set(host);
}
