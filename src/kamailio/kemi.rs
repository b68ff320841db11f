//! KEMI: the functions `KSR.memcached.*` of scripts in Lua, Python, JavaScript and so on.
//!
//! Arguments are data as a whole: a key is neither cut nor searched for variables. One list describes
//! the operations. It makes two functions of each: one for the default pool, and its twin `…_in` for the
//! pool whose name comes first.

use std::ffi::{c_int, c_void};

use super::host::family::Family;
use super::host::guard::guard;
use super::host::kemi_layout::KemiValue;
use super::host::layout::{SipMsg, Str};
use super::process;
use crate::admin::metrics::page;
use crate::admin::pools;
use crate::cache::{Operand, Verb};
use crate::item::value::Value;
use crate::quoted::quoted;
use crate::status::Status;
use answer::{Answer, LAST_READ, give};
use item::{FAILED, Item, find};
use table::{Function, Kind};

mod answer;
mod item;
mod table;

/// An argument of a callback.
trait Argument {
    const KIND: Kind;

    /// # Safety
    /// It is an argument of a callback that is running, and the result is not used after it.
    unsafe fn operand<'a>(self) -> Operand<'a>;
}

type Text = *mut Str;
type Number = c_int;

impl Argument for Text {
    const KIND: Kind = Kind::Text;

    unsafe fn operand<'a>(self) -> Operand<'a> {
        // SAFETY: by this function's contract.
        Some(Value::Text(unsafe { bytes(self) }))
    }
}

impl Argument for Number {
    const KIND: Kind = Kind::Number;

    unsafe fn operand<'a>(self) -> Operand<'a> {
        Some(Value::Integer(self.into()))
    }
}

/// The bytes of a text. What is no text in the script is empty.
///
/// # Safety
/// As for [`Argument::operand`].
unsafe fn bytes<'a>(text: Text) -> &'a [u8] {
    // SAFETY: the fence's rule "live arguments"; it is NULL or points to a text.
    unsafe { text.as_ref().map_or(&[], |text| text.bytes()) }
}

macro_rules! operations {
    ($($name:ident: $verb:ident($($argument:ident: $type:ident),*);)*) => {
        mod in_default_pool {
            use super::*;
            $(
                pub(super) unsafe extern "C" fn $name(
                    _: *mut SipMsg, key: Text, $($argument: $type),*
                ) -> c_int {
                    // SAFETY: the host calls this with its own arguments.
                    let (item, operands) = unsafe {
                        let item = Item { function: stringify!($name), pool: None, key: bytes(key) };
                        (item, [$($argument.operand()),*])
                    };
                    item.operate(Verb::$verb, &operands)
                }
            )*
        }

        mod in_named_pool {
            use super::*;
            $(
                pub(super) unsafe extern "C" fn $name(
                    _: *mut SipMsg, pool: Text, key: Text, $($argument: $type),*
                ) -> c_int {
                    // SAFETY: the host calls this with its own arguments.
                    let (item, operands) = unsafe {
                        let pool = Some(bytes(pool));
                        let item = Item { function: stringify!($name), pool, key: bytes(key) };
                        (item, [$($argument.operand()),*])
                    };
                    item.operate(Verb::$verb, &operands)
                }
            )*
        }

        /// The functions that operate on an item and return what it came to.
        const OPERATIONS: &[Function] = &[$(
            Function {
                name: concat!(stringify!($name), "\0"),
                returns: Kind::Number,
                function: in_default_pool::$name as *const c_void,
                takes: &[Kind::Text, $(<$type as Argument>::KIND),*],
            },
            Function {
                name: concat!(stringify!($name), "_in\0"),
                returns: Kind::Number,
                function: in_named_pool::$name as *const c_void,
                takes: &[Kind::Text, Kind::Text, $(<$type as Argument>::KIND),*],
            },
        )*];
    };
}

operations! {
    sets: Set(value: Text);
    seti: Set(value: Number);
    setxs: Set(value: Text, expire: Number);
    setxi: Set(value: Number, expire: Number);
    adds: Add(value: Text);
    addi: Add(value: Number);
    addxs: Add(value: Text, expire: Number);
    addxi: Add(value: Number, expire: Number);
    replaces: Replace(value: Text);
    replacei: Replace(value: Number);
    replacexs: Replace(value: Text, expire: Number);
    replacexi: Replace(value: Number, expire: Number);
    append: Append(text: Text);
    prepend: Prepend(text: Text);
    delete: Delete();
    touch: Touch(expire: Number);
    inc: Inc(by: Number);
    dec: Dec(by: Number);
    incx: Inc(by: Number, initial: Number, expire: Number);
    decx: Dec(by: Number, initial: Number, expire: Number);
    gets: Gets();
    lease: Lease();
    invalidate: Invalidate(seconds: Number);
    cas: Cas(value: Text, version: Text);
    casx: Cas(value: Text, version: Text, expire: Number);
}

/// The other functions. The host passes at most two arguments to a function that returns a value.
const OTHERS: &[Function] = &[
    reading("get\0", get as *const c_void, &[Kind::Text]),
    reading("get_in\0", get_in as *const c_void, &[Kind::Text; 2]),
    reading("gete\0", gete as *const c_void, &[Kind::Text]),
    reading("gete_in\0", gete_in as *const c_void, &[Kind::Text; 2]),
    reading("value\0", value as *const c_void, &[]),
    reading("version\0", version as *const c_void, &[]),
    reading("status\0", status as *const c_void, &[]),
    reading("metrics\0", metrics as *const c_void, &[]),
    Function {
        name: "prefetch\0",
        returns: Kind::Number,
        function: prefetch as *const c_void,
        takes: &[Kind::Text],
    },
    Function {
        name: "prefetch_in\0",
        returns: Kind::Number,
        function: prefetch_in as *const c_void,
        takes: &[Kind::Text; 2],
    },
    Function {
        name: "flush\0",
        returns: Kind::Number,
        function: flush as *const c_void,
        takes: &[Kind::Text],
    },
];

const fn reading(name: &'static str, function: *const c_void, takes: &'static [Kind]) -> Function {
    Function {
        name,
        returns: Kind::Any,
        function,
        takes,
    }
}

/// Registers all functions with the host, while it loads the module. Returns false if the host does not
/// accept them.
pub(super) fn register(family: Family) -> bool {
    table::register(OPERATIONS.iter().chain(OTHERS), family)
}

/// This process has just been forked: it has read nothing itself.
pub(super) fn leave_to_parent() {
    LAST_READ.with(|last| last.forget());
}

/// The script is done with its message, and with what it has read.
pub(super) fn give_back() {
    LAST_READ.with(|last| last.give_back());
}

unsafe extern "C" fn get(msg: *mut SipMsg, key: Text) -> *mut KemiValue {
    // SAFETY: the host calls this with its own arguments.
    let key = unsafe { bytes(key) };
    give(|| read("get", msg, None, key))
}

unsafe extern "C" fn get_in(msg: *mut SipMsg, pool: Text, key: Text) -> *mut KemiValue {
    // SAFETY: the host calls this with its own arguments.
    let (pool, key) = unsafe { (bytes(pool), bytes(key)) };
    give(|| read("get", msg, Some(pool), key))
}

unsafe extern "C" fn gete(msg: *mut SipMsg, key: Text) -> *mut KemiValue {
    // SAFETY: the host calls this with its own arguments.
    let key = unsafe { bytes(key) };
    give(|| read("gete", msg, None, key).or_else(empty))
}

unsafe extern "C" fn gete_in(msg: *mut SipMsg, pool: Text, key: Text) -> *mut KemiValue {
    // SAFETY: the host calls this with its own arguments.
    let (pool, key) = unsafe { (bytes(pool), bytes(key)) };
    give(|| read("gete", msg, Some(pool), key).or_else(empty))
}

/// Reads an item.
fn read(
    function: &'static str,
    msg: *mut SipMsg,
    pool: Option<&[u8]>,
    key: &[u8],
) -> Option<Answer> {
    process::with(|process| process.follow_message(msg));
    let item = Item {
        function,
        pool,
        key,
    };
    match item.perform(Verb::Get, &[]) {
        Some(Status::Hit | Status::Stale) => LAST_READ.with(|last| last.value()).flatten(),
        _ => None,
    }
}

fn empty() -> Option<Answer> {
    Some(Answer::text(b""))
}

unsafe extern "C" fn value(_: *mut SipMsg) -> *mut KemiValue {
    give(|| LAST_READ.with(|last| last.value()).flatten())
}

unsafe extern "C" fn version(_: *mut SipMsg) -> *mut KemiValue {
    give(|| LAST_READ.with(|last| last.version()).flatten())
}

unsafe extern "C" fn status(_: *mut SipMsg) -> *mut KemiValue {
    give(|| {
        let status = process::with(|process| process.last).flatten()?;
        Some(Answer::text(status.word().as_bytes()))
    })
}

unsafe extern "C" fn metrics(_: *mut SipMsg) -> *mut KemiValue {
    give(|| {
        let written = process::with(|process| {
            let text = process.results.next();
            page(&mut process.cache, text).ok()?;
            Some(Answer::text(text))
        });
        written.flatten()
    })
}

unsafe extern "C" fn prefetch(msg: *mut SipMsg, key: Text) -> c_int {
    // SAFETY: the host calls this with its own arguments.
    let key = unsafe { bytes(key) };
    ask(msg, None, key)
}

unsafe extern "C" fn prefetch_in(msg: *mut SipMsg, pool: Text, key: Text) -> c_int {
    // SAFETY: the host calls this with its own arguments.
    let (pool, key) = unsafe { (bytes(pool), bytes(key)) };
    ask(msg, Some(pool), key)
}

/// Asks for an item, to read it later.
fn ask(msg: *mut SipMsg, pool: Option<&[u8]>, key: &[u8]) -> c_int {
    guard(FAILED, || {
        let function = "prefetch";
        let item = Item {
            function,
            pool,
            key,
        };
        item.ask(msg).map_or(FAILED, |()| 1)
    })
}

unsafe extern "C" fn flush(_: *mut SipMsg, pool: Text) -> c_int {
    guard(FAILED, || {
        // SAFETY: the host calls this with its own arguments.
        let name = unsafe { bytes(pool) };
        let status = process::with(|process| {
            let result = match find(&process.cache, name) {
                Ok(pool) => pools::empty(&mut process.cache, pool),
                Err(refusal) => {
                    let what = format_args!("KSR.memcached.flush of pool {}", quoted(name));
                    Err(process.cache.refuse(0, what, refusal))
                }
            };
            process.record(&result)
        });
        status.map_or(FAILED, Status::return_code)
    })
}

#[cfg(test)]
mod tests;
