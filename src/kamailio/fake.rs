//! A host for unit tests: the symbols we need, so that callbacks run without a Kamailio.
//!
//! Its script has both event routes and one KEMI function; each run is handed to the test. Its
//! format strings know one variable, `$v`, and `$$`. It keeps the log lines. The module's state
//! belongs to one script thread, so tests take turns: each holds a [`Turn`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::abi::{Action, CfgDef, KemiEngine, LogLevelInfo, PvElem, RouteList, SipMsg, Str};
use super::sys::{self, Host, Symbols};
use super::version::Family;
use super::{log, process};
use crate::config::{Given, Parameters, Settings};
use crate::shared::Shared;
use crate::value::Numbers;

type CounterReader = unsafe extern "C" fn(u16, *mut c_void) -> i64;

/// A statistic's name, and what reads it.
type Registered = (String, CounterReader, *mut c_void);

/// A table of values that can be changed, and the values.
type Declared = (*mut CfgDef, *mut c_int);

thread_local! {
    static VARIABLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static COUNTERS: RefCell<Vec<Registered>> = const { RefCell::new(Vec::new()) };
    static DECLARED: Cell<Declared> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
    static ON_RUN: RefCell<Option<OnRun>> = const { RefCell::new(None) };
    static KEMI: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What a test does when a piece of the script is run.
type OnRun = Box<dyn FnMut(Run)>;

/// A piece of the script that is run.
#[derive(Debug, PartialEq, Eq)]
pub enum Run {
    /// The event route of that name.
    Route(String),
    /// The KEMI function of that name, with its argument.
    Function(String, String),
    /// The end of a run: what it has set is forgotten.
    Reset,
}

static TURNS: Mutex<()> = Mutex::new(());

/// One test's use of the module.
pub struct Turn {
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for this test's turn; the module then has a fresh cache, whose server is `servers`.
    pub fn with_servers(servers: &str) -> Self {
        static INSTALLED: Once = Once::new();
        let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        INSTALLED.call_once(|| {
            // SAFETY: functions and variables of the types that `Symbols` declares.
            let symbols = unsafe { Symbols::find(find) }.unwrap_or_else(|_| unreachable!());
            sys::install(Host {
                symbols,
                slog_func: None,
                dprint_crit: None,
                family: Family::F57,
            });
            log::install();
        });
        let mut parameters = Parameters::default();
        parameters.set("servers", Given::Text(servers)).unwrap();
        parameters.set("timeout", Given::Number(2000)).unwrap();
        LINES.take();
        COUNTERS.take();
        ON_RUN.take();
        KEMI.set(false);
        let turn = Self { _turn: turn };
        turn.start(parameters.settle());
        turn
    }

    /// Starts the module anew with these pools.
    pub fn start(&self, settings: Vec<Settings>) {
        let shared = Shared::private(settings.len());
        process::start(settings, Numbers::Bits64, shared);
    }

    /// A turn without a server: nothing listens on this port.
    pub fn without_server() -> Self {
        Self::with_servers("127.0.0.1:1")
    }

    /// Sets what `$v` expands to.
    pub fn set_variable(&self, bytes: &[u8]) {
        VARIABLE.replace(bytes.to_vec());
    }

    /// The statistics that were registered in this turn, with their values.
    pub fn counters(&self) -> BTreeMap<String, i64> {
        let registered = COUNTERS.with_borrow(Clone::clone);
        let values = registered.into_iter().map(|(name, read, param)| {
            // SAFETY: what was registered.
            (name, unsafe { read(0, param) })
        });
        values.collect()
    }

    /// Changes a declared value as the host would.
    pub fn tune(&self, name: &str, number: c_int) {
        let (rows, values) = DECLARED.get();
        let (group, wanted) = (Str::borrowed(b"memcached"), Str::borrowed(name.as_bytes()));
        // SAFETY: what was declared: as many values as rows before the empty one.
        unsafe {
            let mut row = rows;
            while CStr::from_ptr((*row).name).to_bytes() != name.as_bytes() {
                row = row.add(1);
            }
            *values.offset(row.offset_from(rows)) = number;
            if let Some(on_set) = (*row).on_set {
                on_set(&raw const group, &raw const wanted);
            }
        }
    }

    /// Calls `body` for each piece of the script that is run from now on.
    pub fn on_run(&self, body: impl FnMut(Run) + 'static) {
        ON_RUN.set(Some(Box::new(body)));
    }

    /// Whether the script is a KEMI script.
    pub fn set_kemi(&self, is_kemi: bool) {
        KEMI.set(is_kemi);
    }

    /// The kind of route that the core believes to be in.
    pub fn route_type(&self) -> c_int {
        ROUTE_TYPE.load(Ordering::Relaxed)
    }

    /// The log lines since the last call.
    pub fn lines(&self) -> Vec<String> {
        LINES.take()
    }
}

/// The address of the fake's symbol called `name`, or NULL.
pub fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"pv_parse_format" => pv_parse_format as *mut c_void,
        b"pv_printf" => pv_printf as *mut c_void,
        b"pv_elem_free_all" => pv_elem_free_all as *mut c_void,
        b"register_basic_timers" => register_basic_timers as *mut c_void,
        b"fork_basic_utimer" => fork_basic_utimer as *mut c_void,
        b"counter_register" => counter_register as *mut c_void,
        b"cfg_declare" => cfg_declare as *mut c_void,
        b"event_rt" => (&raw const EVENT_ROUTES).cast_mut().cast(),
        b"route_type" => ROUTE_TYPE.as_ptr().cast(),
        b"route_lookup" => route_lookup as *mut c_void,
        b"run_top_route" => run_top_route as *mut c_void,
        b"faked_msg_get_next" => faked_msg_get_next as *mut c_void,
        b"ksr_msg_env_reset" => ksr_msg_env_reset as *mut c_void,
        b"sr_kemi_eng_get" => sr_kemi_eng_get as *mut c_void,
        b"sr_kemi_route" => sr_kemi_route as *mut c_void,
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

// SAFETY: constant text.
unsafe impl Sync for Levels {}

/// The core's kind of a route for requests.
static ROUTE_TYPE: AtomicI32 = AtomicI32::new(1);

/// The names of the event routes; their statements are their numbers, but for a NULL first.
static ROUTE_NAMES: [&CStr; 3] = [
    c"other:event",
    c"memcached:server-down",
    c"memcached:server-up",
];

static EVENT_ROUTES: Routes = Routes(RouteList::new(&raw const STATEMENTS.0[0]));
static STATEMENTS: Statements = Statements([
    ptr::null_mut(),
    ptr::without_provenance_mut(1),
    ptr::without_provenance_mut(2),
]);

#[repr(transparent)]
struct Routes(RouteList);

// SAFETY: nothing in it changes.
unsafe impl Sync for Routes {}

struct Statements([*mut Action; 3]);

// SAFETY: as above.
unsafe impl Sync for Statements {}

unsafe extern "C" fn route_lookup(routes: *const RouteList, name: *mut c_char) -> c_int {
    assert_eq!(routes, &raw const EVENT_ROUTES.0);
    // SAFETY: the caller's text.
    let name = unsafe { CStr::from_ptr(name) };
    let number = ROUTE_NAMES.iter().position(|known| *known == name);
    number.map_or(-1, |number| number as c_int)
}

fn ran(run: Run) {
    let on_run = ON_RUN.take();
    if let Some(mut on_run) = on_run {
        on_run(run);
        ON_RUN.set(Some(on_run));
    }
}

unsafe extern "C" fn run_top_route(
    statements: *mut Action,
    msg: *mut SipMsg,
    context: *mut c_void,
) -> c_int {
    assert!(!msg.is_null() && context.is_null());
    let name = ROUTE_NAMES[statements.addr()];
    ran(Run::Route(name.to_string_lossy().into_owned()));
    0
}

extern "C" fn faked_msg_get_next() -> *mut SipMsg {
    ptr::dangling_mut()
}

extern "C" fn ksr_msg_env_reset() {
    ran(Run::Reset);
}

extern "C" fn sr_kemi_eng_get() -> *mut KemiEngine {
    if KEMI.get() {
        ptr::dangling_mut()
    } else {
        ptr::null_mut()
    }
}

/// Knows each function but `missing`.
unsafe extern "C" fn sr_kemi_route(
    engine: *mut KemiEngine,
    msg: *mut SipMsg,
    _: c_int,
    function: *mut Str,
    data: *mut Str,
) -> c_int {
    assert!(!engine.is_null() && !msg.is_null());
    // SAFETY: the caller's texts, which engines read as C strings.
    let [function, data] = [function, data].map(|text| unsafe {
        let (text, terminated) = ((*text).bytes(), CStr::from_ptr((*text).s));
        assert_eq!(text, terminated.to_bytes());
        String::from_utf8_lossy(text).into_owned()
    });
    if function == "missing" {
        return -1;
    }
    ran(Run::Function(function, data));
    0
}

extern "C" fn register_basic_timers(_: c_int) -> c_int {
    0
}

/// Forks nothing.
extern "C" fn fork_basic_utimer(
    _: c_int,
    _: *mut c_char,
    _: c_int,
    _: extern "C" fn(c_uint, *mut c_void),
    _: *mut c_void,
    _: c_int,
) -> c_int {
    -1
}

unsafe extern "C" fn counter_register(
    _: *mut u16,
    _: *const c_char,
    name: *const c_char,
    _: c_int,
    read: CounterReader,
    param: *mut c_void,
    _: *const c_char,
    _: c_int,
) -> c_int {
    // SAFETY: the caller's text.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    COUNTERS.with_borrow_mut(|known| known.push((name.into_owned(), read, param)));
    0
}

unsafe extern "C" fn cfg_declare(
    _: *mut c_char,
    rows: *mut CfgDef,
    values: *mut c_void,
    _: c_int,
    handle: *mut *mut c_void,
) -> c_int {
    DECLARED.set((rows, values.cast()));
    // SAFETY: the caller's pointer.
    unsafe { *handle = values };
    0
}

extern "C" fn get_debug_level(_: *const c_char, _: c_int) -> c_int {
    // Miri cannot call variadic functions, which every log line ends in.
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
    // SAFETY: the one format the module uses, and its one argument.
    let (format, text) = unsafe { (CStr::from_ptr(format), CStr::from_ptr(text)) };
    assert_eq!(format, c"%s\n");
    LINES.with_borrow_mut(|lines| lines.push(text.to_string_lossy().into_owned()));
}

/// One element for the whole text; it has a variable when the text has `$v`.
unsafe extern "C" fn pv_parse_format(text: *mut Str, elements: *mut *mut PvElem) -> c_int {
    // SAFETY: the caller's text, and room for a pointer.
    unsafe {
        let bytes = (*text).bytes();
        if bytes.ends_with(b"$") && !bytes.ends_with(b"$$") {
            return -1;
        }
        let has_variable = bytes.windows(2).any(|pair| pair == b"$v");
        let spec = if has_variable {
            ptr::dangling_mut()
        } else {
            ptr::null_mut()
        };
        let plain = String::from_utf8_lossy(bytes).replace("$$", "$");
        let text = CString::new(plain).unwrap_or_default().into_raw();
        let text = Str {
            s: text,
            len: CStr::from_ptr(text).count_bytes() as c_int,
        };
        *elements = Box::into_raw(Box::new(PvElem {
            text,
            spec,
            next: ptr::null_mut(),
        }));
    }
    0
}

unsafe extern "C" fn pv_printf(
    _: *mut SipMsg,
    elements: *mut PvElem,
    buffer: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: an element from above, a buffer of `*len` bytes.
    unsafe {
        let text = (*elements).text.bytes();
        let mut printed = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.windows(2).position(|pair| pair == b"$v") {
            printed.extend_from_slice(&rest[..at]);
            VARIABLE.with_borrow(|value| printed.extend_from_slice(value));
            rest = &rest[at + 2..];
        }
        printed.extend_from_slice(rest);
        if printed.len() >= *len as usize {
            return -2;
        }
        ptr::copy_nonoverlapping(printed.as_ptr().cast(), buffer, printed.len());
        *len = printed.len() as c_int;
    }
    0
}

unsafe extern "C" fn pv_elem_free_all(elements: *mut PvElem) -> c_int {
    // SAFETY: made by `pv_parse_format`.
    unsafe {
        let element = Box::from_raw(elements);
        drop(CString::from_raw(element.text.s));
    }
    0
}
