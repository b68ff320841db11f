//! A host for unit tests: it has the symbols that we need, so that callbacks run without a
//! Kamailio.
//!
//! It has a [script](script), [variables](format), a [log](log_lines) and a [memcached](server). The module's state
//! belongs to one script thread, so only one test at a time may use it: the one that has the
//! [`Turn`].

mod call;
mod format;
mod log_lines;
mod script;
mod server;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::host::family::Family;
use super::host::kemi_layout::KemiExport;
use super::host::layout::{CfgDef, Str};
use super::host::symbols::{self, Host, Symbols};
use super::process;
use crate::config::{DeclaredPool, Given, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::shared::near::Table;

pub(super) use call::ScriptCall;
pub(super) use format::Held;
pub(super) use script::Run;
pub(super) use server::serve;

type StatisticReader = unsafe extern "C" fn(u16, *mut c_void) -> i64;

/// A statistic's name, and the function that reads it with its argument.
type Registered = (String, StatisticReader, *mut c_void);

/// A table of values that operators can change, and the values.
type Declared = (*mut CfgDef, *mut c_int);

thread_local! {
    static STATISTICS: RefCell<Vec<Registered>> = const { RefCell::new(Vec::new()) };
    static DECLARED: Cell<Declared> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

static TURNS: Mutex<()> = Mutex::new(());

/// The right of one test to use the module.
pub(super) struct Turn {
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits until no other test uses the module. Then the module gets a new cache with these
    /// `servers`.
    pub(super) fn with_servers(servers: &str) -> Self {
        static INSTALLED: Once = Once::new();
        let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        INSTALLED.call_once(|| {
            // SAFETY: the symbols are functions and variables of the types that `Symbols` declares.
            let symbols = unsafe { Symbols::find(find) }.unwrap_or_else(|_| unreachable!());
            symbols::install(Host {
                symbols,
                slog_func: None,
                dprint_crit: None,
                family: Family::F57,
            });
            super::host::log::install();
        });
        let mut parameters = Parameters::default();
        parameters.set("servers", Given::Text(servers)).unwrap();
        parameters.set("timeout", Given::Number(2000)).unwrap();
        log_lines::take();
        STATISTICS.take();
        script::reset();
        let turn = Self { _turn: turn };
        turn.start(parameters.settle());
        turn
    }

    /// Starts the module again with these pools.
    pub(super) fn start(&self, pools: Vec<DeclaredPool>) {
        let shared = Shared::private(pools.len());
        let tables = pools.iter().zip(shared).map(|(pool, shared)| {
            let items = pool.settings.near_size;
            Table::private(shared.near(), items)
        });
        let tables = tables.collect();
        process::start(pools, Numbers::Bits64, shared, tables);
    }

    /// A turn with a server at whose port nothing listens.
    pub(super) fn without_server() -> Self {
        Self::with_servers("127.0.0.1:1")
    }

    /// Sets `$v` to a string.
    pub(super) fn set_variable(&self, bytes: &[u8]) {
        self.set('v', Held::Text(bytes.to_vec()));
    }

    /// Sets the variable of that letter.
    pub(super) fn set(&self, letter: char, held: Held) {
        format::set(letter, held);
    }

    /// What the variable of that letter holds.
    pub(super) fn get(&self, letter: char) -> Held {
        format::get(letter as u8)
    }

    /// The statistics that were registered since this turn began, with their values.
    pub(super) fn statistics(&self) -> BTreeMap<String, i64> {
        let registered = STATISTICS.with_borrow(Clone::clone);
        let values = registered.into_iter().map(|(name, read, param)| {
            // SAFETY: it is a function that was registered, with its own argument.
            (name, unsafe { read(0, param) })
        });
        values.collect()
    }

    /// The names and ranges of the values that were declared last.
    pub(super) fn declared(&self) -> Vec<(String, c_int, c_int)> {
        let (mut row, _) = DECLARED.get();
        let mut declared = Vec::new();
        // SAFETY: the table was declared. It ends with an empty row, and its names are C strings.
        unsafe {
            while !(*row).name.is_null() {
                let name = CStr::from_ptr((*row).name).to_string_lossy();
                declared.push((name.into_owned(), (*row).min, (*row).max));
                row = row.add(1);
            }
        }
        declared
    }

    /// Changes a declared value as the host would.
    pub(super) fn tune(&self, name: &str, number: c_int) {
        let (rows, values) = DECLARED.get();
        let (group, wanted) = (Str::borrowed(b"memcached"), Str::borrowed(name.as_bytes()));
        // SAFETY: the values were declared with the table, one for each row but the empty one.
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

    /// From now on, calls `body` for each piece of the script that runs.
    pub(super) fn on_run(&self, body: impl FnMut(Run) + 'static) {
        script::on_run(body);
    }

    /// The core has parsed the script, and starts the modules.
    pub(super) fn complete_script(&self) {
        script::complete();
    }

    /// Runs `body` as a script of that kind (a flag of the core's), with the functions that were registered for
    /// its beginning and its end.
    pub(super) fn run_script(&self, kind: c_uint, body: impl FnOnce()) {
        script::run(kind, body);
    }

    /// Sets whether the script is a KEMI script.
    pub(super) fn set_kemi(&self, is_kemi: bool) {
        script::set_kemi(is_kemi);
    }

    /// The functions for KEMI scripts that were registered last.
    pub(super) fn kemi_functions(&self) -> &'static [KemiExport] {
        script::kemi_functions()
    }

    /// The module is loaded and has not started yet.
    pub(super) fn before_start(&self) {
        process::stop();
    }

    /// The kind of route that the core believes to be running.
    pub(super) fn route_type(&self) -> c_int {
        script::route_type()
    }

    /// The log lines since the last call.
    pub(super) fn lines(&self) -> Vec<String> {
        log_lines::take()
    }
}

/// The address of the fake's symbol called `name`, or NULL.
pub(super) fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"register_basic_timers" => register_basic_timers as *mut c_void,
        b"fork_basic_utimer" => fork_basic_utimer as *mut c_void,
        b"counter_register" => counter_register as *mut c_void,
        b"cfg_declare" => cfg_declare as *mut c_void,
        _ => {
            let found = [format::find, log_lines::find, script::find].map(|find| find(name));
            let found = found.into_iter().find(|address| !address.is_null());
            found.unwrap_or(ptr::null_mut())
        }
    }
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
    read: StatisticReader,
    param: *mut c_void,
    _: *const c_char,
    _: c_int,
) -> c_int {
    // SAFETY: it is the caller's text, which ends with NUL.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    STATISTICS.with_borrow_mut(|statistics| statistics.push((name.into_owned(), read, param)));
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
    // SAFETY: it is the caller's pointer.
    unsafe { *handle = values };
    0
}
