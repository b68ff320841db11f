//! The pseudo-variables: `$mct`, `$mcinc`, `$mcdec`, `$mctex`, `$mcst`, `$mcev`.
//!
//! A table and thin callbacks: evaluate the name, ask the cache, hand back the answer.

use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use once_cell::unsync::OnceCell;

use super::abi::{
    PV_NAME_OTHER, PvExport, PvGetter, PvName, PvParam, PvSetter, PvSpec, SipMsg, Str,
};
use super::events;
use super::format::Text;
use super::guard::guard;
use super::process::{self, PARAMETERS, Process, SCRATCH_BUFFERS};
use super::pv_value::{Assigned, HostValue};
use super::sys::host;
use super::version::Family;
use crate::cache::Key;
use crate::error::Refusal;
use crate::key::Name;
use crate::protocol::Way;
use crate::value::Found;

/// The table that the module exports.
pub struct Table([PvExport; 7]);

// SAFETY: the pointers in it are to constant text; the one thing that changes is atomic.
unsafe impl Sync for Table {}

/// The variables.
pub static TABLE: Table = Table([
    keyed(c"mct", get_item, Some(assign_item)),
    keyed(c"mcinc", get_item, Some(count_up)),
    keyed(c"mcdec", get_item, Some(count_down)),
    keyed(c"mctex", get_null, Some(assign_lifetime)),
    row(c"mcst", get_status, None, None),
    row(c"mcev", events::get_field, None, Some(events::parse_field)),
    row(c"", get_null, None, None),
]);

impl Table {
    /// For the module's exports.
    pub const fn rows(&self) -> *const PvExport {
        self.0.as_ptr()
    }

    /// Writes what differs by host.
    pub fn adapt(&self, family: Family) {
        for row in &self.0 {
            row.kind.store(family.pvt_other(), Ordering::Relaxed);
        }
    }
}

type NameParser = unsafe extern "C" fn(*mut PvSpec, *mut Str) -> c_int;

const fn keyed(name: &'static CStr, getf: PvGetter, setf: Option<PvSetter>) -> PvExport {
    row(name, getf, setf, Some(parse_name))
}

/// A row of the table; the empty name ends it.
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

/// What stands between the parentheses of a variable, parsed.
struct Variable {
    /// As written, for log lines.
    text: String,
    /// Index of the pool.
    pool: usize,
    key: Text,
    expire: Option<Text>,
    /// The key, once made, if no part of it varies.
    fixed: OnceCell<Key>,
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variable with the name '{}'", self.text)
    }
}

impl Variable {
    fn parse(text: &str) -> Option<Self> {
        let name = PARAMETERS.with(|parameters| {
            let parameters = parameters.get_or_insert_default();
            let name = Name::cut(text, |name| parameters.pool_index(name).is_some());
            if let Ok(Name {
                pool: None,
                key,
                expire: Some(_),
            }) = name
            {
                parameters.note_key(key);
            }
            let pool = |name: Name<'_>| name.pool.and_then(|pool| parameters.pool_index(pool));
            name.map(|name| (pool(name).unwrap_or_default(), name))
        })?;
        let (pool, name) = name
            .map_err(|bad| log::error!("bad name of a variable: {bad}"))
            .ok()?;
        let unusable = || log::error!("bad name of a variable: '{text}' is no format string");
        let part = |part: &str| {
            Text::parse(part).or_else(|| {
                unusable();
                None
            })
        };
        let key = part(name.key)?;
        let expire = match name.expire {
            Some(expire) => Some(part(expire)?),
            None => None,
        };
        if let Some(Text::Literal(seconds)) = &expire
            && crate::lifetime::Lifetime::parse(seconds).is_err()
        {
            let (first, expire) = (name.key, name.expire.unwrap_or_default());
            // Most likely a pool was meant, mistyped or declared further down.
            let hint = match name.pool {
                None => format!("; '{first}' is not a declared pool"),
                Some(_) => String::new(),
            };
            log::error!(
                "bad name of a variable: lifetime '{expire}' in '{text}' is refused; accepted: \
                 decimal seconds, 0 (never) or more, or a variable that holds them{hint}"
            );
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            pool,
            key,
            expire,
            fixed: OnceCell::new(),
        })
    }

    /// The variable that a callback was called for.
    ///
    /// # Safety
    /// `param` is the argument of a callback of a variable that has [`parse_name`].
    unsafe fn of<'a>(param: *mut PvParam) -> &'a Self {
        // SAFETY: the fence's rule "own data": `parse_name` has put it there.
        unsafe { &*(*param).pvn.dname.cast::<Self>() }
    }

    /// Evaluates the name for `msg` and calls `body` with the key; without a usable key, and
    /// before `mod_init`, it notes the refusal and returns `None`.
    fn with_key<R>(
        &self,
        msg: *mut SipMsg,
        body: impl FnOnce(&mut Process, &Key) -> R,
    ) -> Option<R> {
        if let Some(key) = self.fixed.get() {
            return process::with(|process| body(process, key));
        }
        SCRATCH_BUFFERS.with(|key_room| {
            let mut expire_room = [0; MAX_EXPIRE];
            let texts = self.texts(msg, key_room, &mut expire_room);
            process::with(|process| self.use_key(process, texts, body)).flatten()
        })
    }

    /// The texts of key and lifetime for `msg`.
    fn texts<'a>(
        &'a self,
        msg: *mut SipMsg,
        key_room: &'a mut [u8],
        expire_room: &'a mut [u8],
    ) -> Result<(&'a [u8], &'a [u8]), Refusal> {
        let key = evaluate(&self.key, msg, key_room).ok_or(Refusal::UnusableKey)?;
        let expire = match &self.expire {
            Some(expire) => evaluate(expire, msg, expire_room).ok_or(Refusal::Lifetime)?,
            None => &[],
        };
        Ok((key, expire))
    }

    fn use_key<R>(
        &self,
        process: &mut Process,
        texts: Result<(&[u8], &[u8]), Refusal>,
        body: impl FnOnce(&mut Process, &Key) -> R,
    ) -> Option<R> {
        let key =
            texts.and_then(|(key, expire)| process.cache.key(self.pool, key, without_null(expire)));
        match key {
            Ok(key) if self.is_fixed() => {
                let key = self.fixed.get_or_init(|| process.cache.hashed(key));
                Some(body(process, key))
            }
            Ok(key) => Some(body(process, &key)),
            Err(refusal) => {
                process.cache.refuse(self.pool, self, refusal);
                None
            }
        }
    }

    fn is_fixed(&self) -> bool {
        let literal = |text: &Text| matches!(text, Text::Literal(_));
        literal(&self.key) && self.expire.as_ref().is_none_or(literal)
    }
}

/// Room for the text of a lifetime: any number, with blanks around it.
const MAX_EXPIRE: usize = 256;

fn evaluate<'a>(text: &'a Text, msg: *mut SipMsg, room: &'a mut [u8]) -> Option<&'a [u8]> {
    match text {
        Text::Literal(bytes) => Some(bytes),
        Text::Format(format) => format.print(msg, room),
    }
}

/// A null variable prints as `<null>`; as lifetime it is none.
fn without_null(expire: &[u8]) -> &[u8] {
    if expire.trim_ascii() == b"<null>" {
        b""
    } else {
        expire
    }
}

unsafe extern "C" fn parse_name(spec: *mut PvSpec, inner: *mut Str) -> c_int {
    guard(-1, || {
        // SAFETY: the fence's rule "live arguments".
        let inner = unsafe { (*inner).bytes() };
        let Ok(text) = std::str::from_utf8(inner) else {
            log::error!(
                "bad name of a variable: '{}' is not UTF-8",
                inner.escape_ascii()
            );
            return -1;
        };
        let Some(variable) = Variable::parse(text) else {
            return -1;
        };
        // SAFETY: the specification is ours to fill in; the host calls `free_name` for it.
        let name = unsafe { &mut (*spec).pvp.pvn };
        name.kind = PV_NAME_OTHER;
        name.dname = Box::into_raw(Box::new(variable)).cast();
        name.nfree = Some(free_name);
        0
    })
}

unsafe extern "C" fn free_name(name: *mut PvName) {
    guard((), || {
        // SAFETY: the fence's rule "own data": made by `parse_name`, not used again.
        drop(unsafe { Box::from_raw((*name).dname.cast::<Variable>()) });
    });
}

unsafe extern "C" fn get_item(msg: *mut SipMsg, param: *mut PvParam, value: *mut c_void) -> c_int {
    // SAFETY: the fence's rule "live arguments".
    let mut answer = unsafe { HostValue::new(host().family, value) };
    answer.set_null();
    guard(0, || {
        // SAFETY: as above.
        unsafe { Variable::of(param) }.with_key(msg, |process, key| {
            let text = process.results.next();
            match process.cache.get(key, text) {
                Some(Found::Integer(number)) => answer.set_integer(number, text),
                Some(Found::Text) => answer.set_text(text),
                None => {}
            }
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
            if let Some(status) = process.cache.last() {
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
            Assigned::Value(value) => process.cache.store(key, value),
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
    // SAFETY: the caller's arguments.
    unsafe {
        assign(msg, param, value, |process, key, assigned| match assigned {
            Assigned::Null => {
                let what = "counting by $null";
                process.cache.refuse(key.pool(), what, Refusal::Operand);
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
                process.cache.refuse(key.pool(), what, Refusal::Operand);
            }
            Assigned::Value(lifetime) => process.cache.touch(key, lifetime),
        })
    }
}

/// What all setters do: evaluate the name, read the value, call `operation`, and tell the core
/// of a failure only where the script asked for something that cannot be.
///
/// # Safety
/// The arguments of a setter of a variable with a name.
unsafe fn assign(
    msg: *mut SipMsg,
    param: *mut PvParam,
    value: *mut c_void,
    operation: impl FnOnce(&mut Process, &Key, Assigned<'_>),
) -> c_int {
    guard(-1, || {
        // SAFETY: by this function's contract.
        let (variable, assigned) =
            unsafe { (Variable::of(param), Assigned::read(host().family, value)) };
        variable.with_key(msg, |process, key| operation(process, key, assigned));
        let last = process::with(|process| process.cache.last()).flatten();
        if last.is_none_or(|status| status.fails_assignment()) {
            -1
        } else {
            0
        }
    })
}

#[cfg(test)]
mod tests;
