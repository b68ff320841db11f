//! `Variable` is one of `$mct(…)`, `$mcinc(…)`, `$mcdec(…)`, `$mctex(…)` as it is written in the
//! script.
//!
//! It is parsed once, when the configuration is read (`core/pvapi.c`: `parse_name`), and the host
//! keeps it as the data of the variable's name.

use std::ffi::c_int;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::host::guard::guard;
use super::host::layout::{PV_NAME_OTHER, PvName, PvParam, PvSpec, Str};
use super::key_argument::KeyArgument;
use super::process;
use crate::quoted::quoted;

/// A variable with the key argument between its parentheses.
pub(crate) struct Variable {
    /// Which variable it is, without `$`.
    name: &'static str,
    /// The argument.
    pub(crate) key: KeyArgument,
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}({})", self.name, self.key)
    }
}

impl Variable {
    fn parse(name: &'static str, text: &str) -> Option<Self> {
        let key = KeyArgument::parse(text);
        let key = key.map_err(|bad| log::error!("invalid name of a variable: {bad}"));
        let variable = Self {
            name,
            key: key.ok()?,
        };
        if variable.key.has_lifetime() && name != WITH_LIFETIME {
            variable.warn_of_lifetime();
        }
        Some(variable)
    }

    /// The lifetime is no error, because the stock module accepted it without a word.
    fn warn_of_lifetime(&self) {
        // Names that are made while the host runs may be as many as there are calls, so only the
        // first one is logged.
        let is_running = process::with(|_| ()).is_some();
        if !is_running || !WARNED.swap(true, Ordering::Relaxed) {
            log::warn!(
                "the lifetime in '{self}' has no effect; accepted: \
                 $mct(key=>seconds) = value, $mctex(key) = seconds"
            );
        }
    }

    /// The variable that a callback was called for.
    ///
    /// # Safety
    /// `param` is the argument of a callback of a variable that has [`parse_name`].
    pub(crate) unsafe fn of<'a>(param: *mut PvParam) -> &'a Self {
        // SAFETY: the fence's rule "own data": `parse_name` has put it there.
        unsafe { &*(*param).pvn.dname.cast::<Self>() }
    }
}

/// The variable that stores. Only for this one the lifetime of a name has a meaning.
const WITH_LIFETIME: &str = "mct";

/// True if it was logged, while the host runs, that the lifetime of such a name has no effect.
static WARNED: AtomicBool = AtomicBool::new(false);

macro_rules! parsers {
    ($($variable:ident)*) => {
        /// The callbacks that parse a name. Each variable has its own, because the host does not
        /// say which variable it parses.
        pub(super) mod parse_name {
            use super::*;
            $(
                pub(crate) unsafe extern "C" fn $variable(spec: *mut PvSpec, inner: *mut Str) -> c_int {
                    // SAFETY: the host calls this with its own arguments.
                    unsafe { parse(stringify!($variable), spec, inner) }
                }
            )*
        }
    };
}

parsers! { mct mcinc mcdec mctex }

/// Parses a name.
///
/// # Safety
/// The arguments are those of a variable's `parse_name`.
unsafe fn parse(variable: &'static str, spec: *mut PvSpec, inner: *mut Str) -> c_int {
    guard(-1, || {
        // SAFETY: the fence's rule "live arguments".
        let inner = unsafe { (*inner).bytes() };
        let Ok(text) = std::str::from_utf8(inner) else {
            log::error!(
                "invalid name of a variable: {}; accepted: UTF-8 text",
                quoted(inner)
            );
            return -1;
        };
        let Some(variable) = Variable::parse(variable, text) else {
            return -1;
        };
        // SAFETY: the host wants us to fill in the specification. It will call `free_name` for it.
        let name = unsafe { &mut (*spec).pvp.pvn };
        name.kind = PV_NAME_OTHER;
        name.dname = Box::into_raw(Box::new(variable)).cast();
        name.nfree = Some(free_name);
        0
    })
}

unsafe extern "C" fn free_name(name: *mut PvName) {
    guard((), || {
        // SAFETY: the fence's rule "own data": `parse` has made it, and the host does not use it
        // again.
        drop(unsafe { Box::from_raw((*name).dname.cast::<Variable>()) });
    });
}
