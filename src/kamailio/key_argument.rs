//! Variable: what stands between a variable's parentheses, from its parsing to a key.
//!
//! Parsed once, when the configuration is read (`core/pvapi.c`: `parse_name`), and kept by the host
//! in the variable's name. What varies in it is evaluated for each use.

use std::ffi::c_int;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::unsync::OnceCell;

use super::format::Text;
use super::host::guard::guard;
use super::host::layout::{PV_NAME_OTHER, PvName, PvParam, PvSpec, SipMsg, Str};
use super::process::{self, PARAMETERS, Process, SCRATCH_BUFFERS};
use crate::cache::Key;
use crate::error::Refusal;
use crate::item::key::{BadName, Name};
use crate::item::lifetime::Lifetime;

/// What stands between the parentheses of a variable, parsed.
pub(super) struct Variable {
    /// Which variable it is, without `$`.
    name: &'static str,
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
        write!(f, "${}({})", self.name, self.text)
    }
}

impl Variable {
    fn parse(variable: &'static str, text: &str) -> Option<Self> {
        let (pool, name) = cut(text)?
            .map_err(|bad| log::error!("bad name of a variable: {bad}"))
            .ok()?;
        let part = |part: &str| {
            let parsed = Text::parse(part);
            if parsed.is_none() {
                log::error!("bad name of a variable: '{text}' is no format string");
            }
            parsed
        };
        let key = part(name.key)?;
        let expire = match name.expire {
            Some(expire) => Some(part(expire)?),
            None => None,
        };
        if let Some(Text::Literal(seconds)) = &expire
            && Lifetime::parse(seconds).is_err()
        {
            log_bad_lifetime(text, name);
            return None;
        }
        let has_expire = name.expire.is_some_and(|expire| !expire.is_empty());
        let variable = Self {
            name: variable,
            text: text.to_owned(),
            pool,
            key,
            expire,
            fixed: OnceCell::new(),
        };
        if has_expire && variable.name != WITH_LIFETIME {
            variable.warn_of_lifetime();
        }
        Some(variable)
    }

    /// The C module took such names in silence, so they are no error.
    fn warn_of_lifetime(&self) {
        // Names that are made while running may be as many as there are callers.
        let is_running = process::with(|_| ()).is_some();
        if !is_running || !WARNED.swap(true, Ordering::Relaxed) {
            log::warn!(
                "the lifetime in '{self}' has no effect; these have one: \
                 $mct(key=>seconds) = value, $mctex(key) = seconds"
            );
        }
    }

    /// The variable that a callback was called for.
    ///
    /// # Safety
    /// `param` is the argument of a callback of a variable that has [`parse_name`].
    pub(super) unsafe fn of<'a>(param: *mut PvParam) -> &'a Self {
        // SAFETY: the fence's rule "own data": `parse_name` has put it there.
        unsafe { &*(*param).pvn.dname.cast::<Self>() }
    }

    /// Evaluates the name for `msg` and calls `body` with the key; without a usable key, and
    /// before `mod_init`, it notes the refusal and returns `None`.
    pub(super) fn with_key<R>(
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

/// Cuts a name, with the index of its pool. What could have been a pool is remembered as a key.
fn cut(text: &str) -> Option<Result<(usize, Name<'_>), BadName>> {
    PARAMETERS.with(|parameters| {
        let parameters = parameters.get_or_insert_default();
        let name = Name::cut(text, |name| parameters.pool_index(name).is_some())?;
        if let (None, Some(_)) = (name.pool, name.expire) {
            parameters.note_key(name.key);
        }
        let pool = name.pool.and_then(|pool| parameters.pool_index(pool));
        Ok((pool.unwrap_or_default(), name))
    })
}

fn log_bad_lifetime(text: &str, name: Name<'_>) {
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
}

/// The variable that stores, and so the one for which a name's lifetime means something.
const WITH_LIFETIME: &str = "mct";

/// Whether the running host has been told that other variables' lifetimes have no effect.
static WARNED: AtomicBool = AtomicBool::new(false);

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

macro_rules! parsers {
    ($($variable:ident)*) => {
        /// What parses a name, for the host: one each, as the host does not say which variable
        /// it is parsing.
        pub(super) mod parse_name {
            use super::*;
            $(
                pub(crate) unsafe extern "C" fn $variable(spec: *mut PvSpec, inner: *mut Str) -> c_int {
                    // SAFETY: the host's own arguments.
                    unsafe { parse(stringify!($variable), spec, inner) }
                }
            )*
        }
    };
}

parsers! { mct mcinc mcdec mctex }

/// # Safety
/// The arguments of a variable's `parse_name`.
unsafe fn parse(variable: &'static str, spec: *mut PvSpec, inner: *mut Str) -> c_int {
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
        let Some(variable) = Variable::parse(variable, text) else {
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
