//! The functions of the native script, `mct_get` and its kin: their table and their callbacks.
//!
//! A callback finds its parsed arguments; the [call](Call) does the rest.

use std::ffi::{CStr, c_int, c_void};
use std::fmt::{self, Display};
use std::ptr;

use super::argument::{self, Argument, Kind};
use super::host::guard::guard;
use super::host::layout::{ANY_ROUTE, CmdExport, ScriptFunction, SipMsg};
use super::process;
use crate::admin::pools;
use crate::cache::Verb;
use crate::error::Refusal;
use crate::status::Status;

mod call;
mod many;
mod page;

use call::Call;
use many::Many;

/// A function of the script.
struct Function {
    name: &'static CStr,
    does: Does,
    /// What its arguments are for. Which of them may be left out, the [table](TABLE) says.
    arguments: &'static [Kind],
}

/// What a function does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// An operation on the item that the first argument names.
    Operation(Verb),
    /// Asks for the items that the first argument names, and waits for the answers.
    GetMany,
    /// The same without waiting.
    Prefetch,
    /// Empties a pool.
    Flush,
    /// Writes the page for Prometheus.
    Metrics,
}

const FUNCTIONS: [Function; 18] = {
    use Kind::{Key, Keys, Operand, Pool, Result};
    [
        operation(c"mct_get", Verb::Get, &[Key, Result]),
        operation(c"mct_gets", Verb::Gets, &[Key, Result, Result]),
        operation(c"mct_set", Verb::Set, &[Key, Operand, Operand]),
        operation(c"mct_add", Verb::Add, &[Key, Operand, Operand]),
        operation(c"mct_replace", Verb::Replace, &[Key, Operand, Operand]),
        operation(c"mct_append", Verb::Append, &[Key, Operand]),
        operation(c"mct_prepend", Verb::Prepend, &[Key, Operand]),
        operation(c"mct_cas", Verb::Cas, &[Key, Operand, Operand, Operand]),
        operation(c"mct_del", Verb::Delete, &[Key]),
        operation(c"mct_touch", Verb::Touch, &[Key, Operand]),
        operation(
            c"mct_inc",
            Verb::Inc,
            &[Key, Operand, Result, Operand, Operand],
        ),
        operation(
            c"mct_dec",
            Verb::Dec,
            &[Key, Operand, Result, Operand, Operand],
        ),
        operation(c"mct_lease", Verb::Lease, &[Key, Result]),
        operation(c"mct_invalidate", Verb::Invalidate, &[Key, Operand]),
        Function {
            name: c"mct_mget",
            does: Does::GetMany,
            arguments: &[Keys],
        },
        Function {
            name: c"mct_prefetch",
            does: Does::Prefetch,
            arguments: &[Keys],
        },
        Function {
            name: c"mct_flush",
            does: Does::Flush,
            arguments: &[Pool],
        },
        Function {
            name: c"mct_metrics",
            does: Does::Metrics,
            arguments: &[Result],
        },
    ]
};

const fn operation(name: &'static CStr, verb: Verb, arguments: &'static [Kind]) -> Function {
    Function {
        name,
        does: Does::Operation(verb),
        arguments,
    }
}

/// The type of the table that the module exports.
#[repr(transparent)]
pub(super) struct FunctionTable([CmdExport; 27]);

// SAFETY: the pointers in it lead to constant text and functions.
unsafe impl Sync for FunctionTable {}

impl FunctionTable {
    /// The first row, for the module's exports.
    pub(super) const fn rows(&self) -> *const CmdExport {
        self.0.as_ptr()
    }

    /// The rows without the last one.
    #[cfg(test)]
    pub(super) fn list(&self) -> &[CmdExport] {
        self.0.split_last().map_or(&[], |(_, rows)| rows)
    }
}

/// The functions, each with the numbers of arguments with which it may be called.
pub(super) static TABLE: FunctionTable = FunctionTable([
    row::<{ of(c"mct_get") }>(2),
    row::<{ of(c"mct_gets") }>(3),
    row::<{ of(c"mct_set") }>(2),
    row::<{ of(c"mct_set") }>(3),
    row::<{ of(c"mct_add") }>(2),
    row::<{ of(c"mct_add") }>(3),
    row::<{ of(c"mct_replace") }>(2),
    row::<{ of(c"mct_replace") }>(3),
    row::<{ of(c"mct_append") }>(2),
    row::<{ of(c"mct_prepend") }>(2),
    row::<{ of(c"mct_cas") }>(3),
    row::<{ of(c"mct_cas") }>(4),
    row::<{ of(c"mct_del") }>(1),
    row::<{ of(c"mct_touch") }>(2),
    row::<{ of(c"mct_inc") }>(2),
    row::<{ of(c"mct_inc") }>(3),
    row::<{ of(c"mct_inc") }>(5),
    row::<{ of(c"mct_dec") }>(2),
    row::<{ of(c"mct_dec") }>(3),
    row::<{ of(c"mct_dec") }>(5),
    row::<{ of(c"mct_lease") }>(2),
    row::<{ of(c"mct_invalidate") }>(2),
    row::<{ of(c"mct_mget") }>(1),
    row::<{ of(c"mct_prefetch") }>(1),
    row::<{ of(c"mct_flush") }>(1),
    row::<{ of(c"mct_metrics") }>(1),
    CmdExport {
        name: ptr::null(),
        ..row::<0>(2)
    },
]);

/// The index of the function of that name.
const fn of(name: &CStr) -> usize {
    let (name, mut index) = (name.to_bytes(), 0);
    loop {
        let known = FUNCTIONS[index].name.to_bytes();
        let mut same = 0;
        while same < name.len() && same < known.len() && name[same] == known[same] {
            same += 1;
        }
        if same == name.len() && same == known.len() {
            return index;
        }
        index += 1;
    }
}

/// The row of a function that is called with `count` arguments.
const fn row<const F: usize>(count: usize) -> CmdExport {
    assert!(count <= FUNCTIONS[F].arguments.len());
    let function = match count {
        1 => ScriptFunction { two: one::<F> },
        2 => ScriptFunction { two: two::<F> },
        3 => ScriptFunction { three: three::<F> },
        4 => ScriptFunction { four: four::<F> },
        5 => ScriptFunction { five: five::<F> },
        _ => panic!("no function has so many arguments"),
    };
    CmdExport {
        name: FUNCTIONS[F].name.as_ptr(),
        function,
        param_no: count as c_int,
        fixup: Some(fixup::<F>),
        free_fixup: Some(free_fixup),
        flags: ANY_ROUTE,
    }
}

impl Function {
    /// The script calls it with this argument.
    fn announce(&self, argument: &Argument) {
        let leases = Does::Operation(Verb::Lease);
        let invalidates = Does::Operation(Verb::Invalidate);
        if let (true, Argument::Key(key)) = ([leases, invalidates].contains(&self.does), argument) {
            process::with(|process| process.cache.expect_leases(key.pool()));
        }
    }
}

/// An argument of a callback: what [`fixup`] has made of it.
type Passed = *mut c_void;

/// Makes the callback for a number of arguments.
macro_rules! callback {
    ($name:ident: $($argument:ident)*; $($unused:ident)?) => {
        unsafe extern "C" fn $name<const F: usize>(
            msg: *mut SipMsg,
            $($argument: Passed,)*
            $($unused: Passed)?
        ) -> c_int {
            // SAFETY: the host calls this with its own arguments.
            unsafe { run(&FUNCTIONS[F], msg, [$($argument),*]) }
        }
    };
}

callback!(one: a; _none);
callback!(two: a b;);
callback!(three: a b c;);
callback!(four: a b c d;);
callback!(five: a b c d e;);

/// Parses an argument of the function.
unsafe extern "C" fn fixup<const F: usize>(place: *mut *mut c_void, number: c_int) -> c_int {
    guard(-1, || {
        let function = &FUNCTIONS[F];
        let kind = usize::try_from(number - 1).ok();
        let kind = kind.and_then(|index| function.arguments.get(index));
        let Some(kind) = kind else {
            return -1;
        };
        // SAFETY: the fence's rule "live arguments".
        match unsafe { argument::put(*kind, place) } {
            Ok(()) => {
                // SAFETY: as above; it was put there.
                function.announce(unsafe { argument::get(*place) });
                0
            }
            Err(bad) => {
                log::error!("{function}, argument {number}: {bad}");
                -1
            }
        }
    })
}

unsafe extern "C" fn free_fixup(place: *mut *mut c_void, _number: c_int) -> c_int {
    guard(-1, || {
        // SAFETY: the host calls this after the call, for what `fixup` has put there.
        unsafe { argument::take_back(place) };
        0
    })
}

/// What a function returns that has no answer, because its request is refused.
const REFUSED: c_int = -3;

/// Runs a function.
///
/// # Safety
/// The arguments are those of a callback of a function that has [`fixup`].
#[inline(always)]
unsafe fn run<const N: usize>(
    function: &'static Function,
    msg: *mut SipMsg,
    passed: [Passed; N],
) -> c_int {
    guard(REFUSED, || {
        // SAFETY: by this function's contract.
        let arguments = passed.map(|passed| unsafe { argument::get(passed) });
        match (function.does, arguments[0]) {
            (Does::Operation(verb), Argument::Key(key)) => {
                let call = Call {
                    function,
                    verb,
                    key,
                    msg,
                };
                call.run(&arguments[1..])
            }
            (does, Argument::Keys(keys)) => {
                let many = Many {
                    function,
                    keys,
                    msg,
                };
                match does {
                    Does::Prefetch => many.prefetch(),
                    _ => many.get(),
                }
            }
            (Does::Metrics, argument) => page::assign(function, argument, msg),
            (_, argument) => flush(function, argument),
        }
    })
}

fn flush(function: &Function, pool: &Argument) -> c_int {
    let done = process::with(|process| {
        let flushed = match pool {
            Argument::Pool(index) => pools::empty(&mut process.cache, *index),
            _ => Err(process.cache.refuse(0, function, Refusal::PoolArgument)),
        };
        let status = Status::of(&flushed);
        process.last = Some(status);
        status.return_code()
    });
    done.unwrap_or(REFUSED)
}

impl Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.to_string_lossy())
    }
}

#[cfg(test)]
mod tests;
