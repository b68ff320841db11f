//! The pseudo-variables `$mct`, `$mcinc`, `$mcdec`, `$mctex`, `$mcst` and `$mcev`: their table and
//! their callbacks.
//!
//! A callback has the name evaluated, asks the cache, and returns the answer.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::events;
use super::host::family::Family;
use super::host::guard::guard;
use super::host::layout::{PvExport, PvGetter, PvParam, PvSetter, PvSpec, SipMsg, Str};
use super::host::symbols::host;
use super::process::{self, Process};
use super::pv_value::{Assigned, HostValue};
use super::variable::{Variable, parse_name};
use crate::cache::Key;
use crate::error::{Error, Refusal};
use crate::item::value::Found;
use crate::status::Outcome;
use crate::wire::protocol::Way;

/// The type of the table that the module exports.
pub(super) struct PvTable([PvExport; 7]);

// SAFETY: the pointers in it lead to constant text. The only value that changes is atomic.
unsafe impl Sync for PvTable {}

/// The variables.
pub(super) static TABLE: PvTable = PvTable([
    keyed(c"mct", parse_name::mct, get_item, assign_item),
    keyed(c"mcinc", parse_name::mcinc, get_item, count_up),
    keyed(c"mcdec", parse_name::mcdec, get_item, count_down),
    keyed(c"mctex", parse_name::mctex, get_null, assign_lifetime),
    row(c"mcst", get_status, None, None),
    row(c"mcev", events::get_field, None, Some(events::parse_field)),
    row(c"", get_null, None, None),
]);

impl PvTable {
    /// The first row, for the module's exports.
    pub(super) const fn rows(&self) -> *const PvExport {
        self.0.as_ptr()
    }

    /// Writes the values that depend on the host's version.
    pub(super) fn adapt(&self, family: Family) {
        for row in &self.0 {
            row.kind.store(family.pvt_other(), Ordering::Relaxed);
        }
    }
}

type NameParser = unsafe extern "C" fn(*mut PvSpec, *mut Str) -> c_int;

const fn keyed(
    name: &'static CStr,
    parse_name: NameParser,
    getf: PvGetter,
    setf: PvSetter,
) -> PvExport {
    row(name, getf, Some(setf), Some(parse_name))
}

/// A row of the table. The last row has an empty name.
const fn row(
    name: &'static CStr,
    getf: PvGetter,
    setf: Option<PvSetter>,
    parse_name: Option<NameParser>,
) -> PvExport {
    let len = name.count_bytes();
    let s = if len == 0 {
        ptr::null_mut()
    } else {
        name.as_ptr().cast_mut()
    };
    PvExport {
        name: Str {
            s,
            len: len as c_int,
        },
        kind: AtomicI32::new(0),
        getf: Some(getf),
        setf,
        parse_name,
        parse_index: ptr::null(),
        init_param: ptr::null(),
        iparam: 0,
    }
}

unsafe extern "C" fn get_item(msg: *mut SipMsg, param: *mut PvParam, value: *mut c_void) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    let mut answer = unsafe { HostValue::new(host().family, value) };
    answer.set_null();
    guard(0, || {
        // SAFETY: as above.
        let variable = unsafe { Variable::of(param) };
        variable.key.operate(variable, msg, |process, key| {
            let text = process.results.next();
            let read = process.cache.get(key, text);
            match read.as_ref().ok().and_then(|read| read.found()) {
                Some(Found::Integer(number)) => answer.set_integer(number, text),
                Some(Found::Text) => answer.set_text(text),
                Some(Found::Null) | None => {}
            }
            read
        });
        0
    })
}

unsafe extern "C" fn get_null(_: *mut SipMsg, _: *mut PvParam, value: *mut c_void) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    unsafe { HostValue::new(host().family, value) }.set_null();
    0
}

unsafe extern "C" fn get_status(_: *mut SipMsg, _: *mut PvParam, value: *mut c_void) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    let mut answer = unsafe { HostValue::new(host().family, value) };
    answer.set_null();
    guard(0, || {
        process::with(|process| {
            if let Some(status) = process.last {
                let text = process.results.next();
                text.extend_from_slice(status.word().as_bytes());
                answer.set_text(text);
            }
        });
        0
    })
}

unsafe extern "C" fn assign_item(
    msg: *mut SipMsg,
    param: *mut PvParam,
    _op: c_int,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    unsafe {
        assign(msg, param, value, |process, key, assigned| match assigned {
            Assigned::Null => process.cache.delete(key),
            Assigned::Value(value) => process.cache.assign(key, value).map(|it| it.status()),
        })
    }
}

unsafe extern "C" fn count_up(
    msg: *mut SipMsg,
    param: *mut PvParam,
    _op: c_int,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    unsafe { count(msg, param, value, Way::Up) }
}

unsafe extern "C" fn count_down(
    msg: *mut SipMsg,
    param: *mut PvParam,
    _op: c_int,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    unsafe { count(msg, param, value, Way::Down) }
}

unsafe fn count(msg: *mut SipMsg, param: *mut PvParam, value: *mut c_void, way: Way) -> c_int {
    // SAFETY: by the contract of the callbacks that call this.
    unsafe {
        assign(msg, param, value, |process, key, assigned| match assigned {
            Assigned::Null => {
                let what = "counting by $null";
                Err(process.cache.refuse(key.pool(), what, Refusal::Operand))
            }
            Assigned::Value(by) => process.cache.count(way, key, by),
        })
    }
}

unsafe extern "C" fn assign_lifetime(
    msg: *mut SipMsg,
    param: *mut PvParam,
    _op: c_int,
    value: *mut c_void,
) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    unsafe {
        assign(msg, param, value, |process, key, assigned| match assigned {
            Assigned::Null => {
                let what = "a lifetime of $null";
                Err(process.cache.refuse(key.pool(), what, Refusal::Operand))
            }
            Assigned::Value(lifetime) => process.cache.touch(key, lifetime),
        })
    }
}

/// The part that all setters share: evaluates the name, reads the value and calls `operation`. The
/// core is told of a failure only if the script asked for something impossible.
///
/// # Safety
/// The arguments are those of the setter of a variable with a name.
unsafe fn assign<T: Outcome>(
    msg: *mut SipMsg,
    param: *mut PvParam,
    value: *mut c_void,
    operation: impl FnOnce(&mut Process, &Key, Assigned<'_>) -> Result<T, Error>,
) -> c_int {
    guard(-1, || {
        // SAFETY: by this function's contract.
        let (variable, assigned) =
            unsafe { (Variable::of(param), Assigned::read(host().family, value)) };
        let status = variable.key.operate(variable, msg, |process, key| {
            operation(process, key, assigned)
        });
        let done = status.is_some_and(|status| !status.fails_assignment());
        if done { 0 } else { -1 }
    })
}

#[cfg(test)]
mod tests;
