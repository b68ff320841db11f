//! The script of the fake host: three names of event routes and one KEMI function. The test sees
//! each run.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::super::host::kemi_layout::KemiExport;
use super::super::host::layout::{Action, KemiEngine, RouteList, SipMsg, Str};

thread_local! {
    static ON_RUN: RefCell<Option<OnRun>> = const { RefCell::new(None) };
    static KEMI: Cell<bool> = const { Cell::new(false) };
    static CALLBACKS: RefCell<Vec<(Callback, c_uint)>> = const { RefCell::new(Vec::new()) };
    static FUNCTIONS: Cell<*const KemiExport> = const { Cell::new(ptr::null()) };
}

/// The address of the symbol called `name`, if it belongs to the script; otherwise NULL.
pub(super) fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"fixup_complete" => FIXUP_COMPLETE.as_ptr().cast(),
        b"event_rt" => (&raw const EVENT_ROUTES).cast_mut().cast(),
        b"route_type" => ROUTE_TYPE.as_ptr().cast(),
        b"register_script_cb" => register_script_cb as *mut c_void,
        b"route_lookup" => route_lookup as *mut c_void,
        b"run_top_route" => run_top_route as *mut c_void,
        b"faked_msg_get_next" => faked_msg_get_next as *mut c_void,
        b"ksr_msg_env_reset" => ksr_msg_env_reset as *mut c_void,
        b"sr_kemi_modules_add" => sr_kemi_modules_add as *mut c_void,
        b"sr_kemi_eng_get" => sr_kemi_eng_get as *mut c_void,
        b"sr_kemi_route" => sr_kemi_route as *mut c_void,
        _ => ptr::null_mut(),
    }
}

/// A function that is called before or after the script runs.
type Callback = unsafe extern "C" fn(*mut SipMsg, c_uint, *mut c_void) -> c_int;

/// What a test does when a piece of the script runs.
type OnRun = Box<dyn FnMut(Run)>;

/// A piece of the script that runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The event route of that name.
    Route(String),
    /// The KEMI function of that name, with its argument.
    Function(String, String),
    /// The end of a run: what it has set for its SIP message is removed.
    Reset,
}

/// Removes what a test has set.
pub(super) fn reset() {
    ON_RUN.take();
    KEMI.set(false);
    CALLBACKS.take();
    FIXUP_COMPLETE.store(0, Ordering::Relaxed);
}

/// All arguments that are constant in the script have been parsed.
pub(super) fn complete() {
    FIXUP_COMPLETE.store(1, Ordering::Relaxed);
}

/// From now on, calls `body` for each piece of the script that runs.
pub(super) fn on_run(body: impl FnMut(Run) + 'static) {
    ON_RUN.set(Some(Box::new(body)));
}

/// Sets whether it is a KEMI script.
pub(super) fn set_kemi(is_kemi: bool) {
    KEMI.set(is_kemi);
}

/// The functions for KEMI scripts that were registered last.
pub(super) fn kemi_functions() -> &'static [KemiExport] {
    let first = FUNCTIONS.get();
    let mut count = 0;
    // SAFETY: a table that was registered stays. It ends with a row without a name.
    unsafe {
        while !(*first.add(count)).name.s.is_null() {
            count += 1;
        }
        std::slice::from_raw_parts(first, count)
    }
}

/// Runs `body` as a script of that kind, with the functions that were registered for its beginning and its end.
pub(super) fn run(kind: c_uint, body: impl FnOnce()) {
    let call = |flags: c_uint| {
        let callbacks = CALLBACKS.with_borrow(Clone::clone).into_iter();
        for (function, _) in callbacks.filter(|(_, wanted)| wanted & flags == flags) {
            // SAFETY: it was registered, and takes no parameter.
            let done = unsafe { function(ptr::null_mut(), flags, ptr::null_mut()) };
            assert_ne!(done, 0, "the message is dropped");
        }
    };
    call(1 << 30 | kind);
    body();
    call(1 << 31 | kind);
}

/// The kind of route that the core believes to be running.
pub(super) fn route_type() -> c_int {
    ROUTE_TYPE.load(Ordering::Relaxed)
}

/// Whether the script has been parsed.
static FIXUP_COMPLETE: AtomicI32 = AtomicI32::new(0);

/// The core's number for a route of requests.
static ROUTE_TYPE: AtomicI32 = AtomicI32::new(1);

/// The names of the event routes. The statement of each is its number, except for the first one,
/// which is NULL.
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

extern "C" fn register_script_cb(function: Callback, flags: c_uint, param: *mut c_void) -> c_int {
    assert!(param.is_null());
    CALLBACKS.with_borrow_mut(|callbacks| callbacks.push((function, flags)));
    0
}

unsafe extern "C" fn route_lookup(routes: *const RouteList, name: *mut c_char) -> c_int {
    assert_eq!(routes, &raw const EVENT_ROUTES.0);
    // SAFETY: it is the caller's text, which ends with NUL.
    let name = unsafe { CStr::from_ptr(name) };
    let number = ROUTE_NAMES.iter().position(|route| *route == name);
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

extern "C" fn sr_kemi_modules_add(functions: *const KemiExport) -> c_int {
    FUNCTIONS.set(functions);
    0
}

extern "C" fn sr_kemi_eng_get() -> *mut KemiEngine {
    if KEMI.get() {
        ptr::dangling_mut()
    } else {
        ptr::null_mut()
    }
}

/// Every function exists except `missing`.
unsafe extern "C" fn sr_kemi_route(
    engine: *mut KemiEngine,
    msg: *mut SipMsg,
    _: c_int,
    function: *mut Str,
    data: *mut Str,
) -> c_int {
    assert!(!engine.is_null() && !msg.is_null());
    // SAFETY: they are the caller's texts. KEMI engines read them as C strings, too.
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
