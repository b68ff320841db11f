//! `KeyArgument` is how a script names an item: `[pool =>] key [=> expire]`, from its parsing to a
//! key.
//!
//! It is parsed once, when the configuration is read. Its variables are evaluated for each use.
//! Whatever a script does with an item goes through [`KeyArgument::operate`], which is the only
//! place that records the status of the last operation.

use std::fmt::Display;

use once_cell::unsync::OnceCell;

use super::host::layout::SipMsg;
use super::process::{self, PARAMETERS, Process, SCRATCH_BUFFERS};
use super::script_text::ScriptText;
use crate::cache::Key;
use crate::error::{Error, Refusal};
use crate::item::key_parts::{BadKey, KeyParts};
use crate::item::lifetime::Lifetime;
use crate::status::{Outcome, Status};

/// A key argument of the script, parsed.
pub(crate) struct KeyArgument {
    /// Index of the pool.
    pool: usize,
    key: ScriptText,
    expire: Option<ScriptText>,
    /// The key, made at its first use, if the argument has no variables.
    fixed: OnceCell<Key>,
}

impl KeyArgument {
    /// Parses an argument's text.
    ///
    /// # Errors
    /// [`BadKey`] says what is wrong and what is accepted.
    pub(crate) fn parse(text: &str) -> Result<Self, BadKey> {
        let (pool, parts) = cut(text)?;
        let parse = |part: &str| {
            let parsed = ScriptText::parse(part);
            parsed.ok_or_else(|| {
                BadKey::because(format!(
                    "invalid variable in '{text}'; accepted: text and variables of the script"
                ))
            })
        };
        let key = parse(parts.key)?;
        let expire = parts.expire.map(parse).transpose()?;
        if let Some(ScriptText::Literal(seconds)) = &expire
            && Lifetime::parse(seconds).is_err()
        {
            return Err(bad_lifetime(text, parts));
        }
        Ok(Self {
            pool,
            key,
            expire,
            fixed: OnceCell::new(),
        })
    }

    /// True if the argument has a lifetime.
    pub(crate) fn has_lifetime(&self) -> bool {
        let is_empty =
            |text: &ScriptText| matches!(text, ScriptText::Literal(text) if text.is_empty());
        self.expire.as_ref().is_some_and(|expire| !is_empty(expire))
    }

    /// Evaluates the argument for `msg`, runs `operation` with the key, and records its status as
    /// that of the last operation. If there is no usable key, nothing is run, and a log line names
    /// `what`. Returns `None` before `mod_init`.
    ///
    /// # Errors
    /// A [`Refusal`] of the key, or the error of the operation.
    #[inline(always)]
    pub(crate) fn operate<T: Outcome>(
        &self,
        what: impl Display,
        msg: *mut SipMsg,
        operation: impl FnOnce(&mut Process, &Key) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let run = |process: &mut Process, key: Result<&Key, Refusal>| {
            let result = match key {
                Ok(key) => operation(process, key),
                Err(refusal) => Err(process.cache.refuse(self.pool, what, refusal)),
            };
            process.last = Some(Status::of(&result));
            result
        };
        if let Some(key) = self.fixed.get() {
            return process::with(|process| run(process, Ok(key)));
        }
        SCRATCH_BUFFERS.with(|key_room| {
            let mut expire_room = [0; MAX_EXPIRE];
            let texts = self.evaluate(msg, key_room, &mut expire_room);
            process::with(|process| match self.key(process, texts) {
                Ok(key) if self.is_fixed() => {
                    let key = self.fixed.get_or_init(|| process.cache.hashed(key));
                    run(process, Ok(key))
                }
                key => run(process, key.as_ref().map_err(|refusal| *refusal)),
            })
        })
    }

    /// Evaluates key and lifetime for `msg`.
    fn evaluate<'a>(
        &'a self,
        msg: *mut SipMsg,
        key_room: &'a mut [u8],
        expire_room: &'a mut [u8],
    ) -> Result<(&'a [u8], &'a [u8]), Refusal> {
        let key = self.key.evaluate(msg, key_room);
        let key = key.ok_or(Refusal::UnusableKey)?;
        let expire = match &self.expire {
            Some(expire) => expire.evaluate(msg, expire_room).ok_or(Refusal::Lifetime)?,
            None => &[],
        };
        Ok((key, expire))
    }

    fn key(
        &self,
        process: &Process,
        texts: Result<(&[u8], &[u8]), Refusal>,
    ) -> Result<Key, Refusal> {
        let (key, expire) = texts?;
        process.cache.key(self.pool, key, without_null(expire))
    }

    fn is_fixed(&self) -> bool {
        let literal = |text: &ScriptText| matches!(text, ScriptText::Literal(_));
        literal(&self.key) && self.expire.as_ref().is_none_or(literal)
    }
}

/// Cuts an argument. Returns the index of its pool and its parts. If the first part is not a pool,
/// it is recorded as a key, because no pool of that name may be declared later.
fn cut(text: &str) -> Result<(usize, KeyParts<'_>), BadKey> {
    let cut = PARAMETERS.with(|parameters| {
        let parameters = parameters.get_or_insert_default();
        let parts = KeyParts::cut(text, |name| parameters.pool_index(name).is_some())?;
        if let (None, Some(_)) = (parts.pool, parts.expire) {
            parameters.note_key(parts.key);
        }
        let pool = parts.pool.and_then(|pool| parameters.pool_index(pool));
        Ok((pool.unwrap_or_default(), parts))
    });
    cut.unwrap_or_else(|| {
        Err(BadKey::because(
            "the parameters are still being read".into(),
        ))
    })
}

fn bad_lifetime(text: &str, parts: KeyParts<'_>) -> BadKey {
    let (first, expire) = (parts.key, parts.expire.unwrap_or_default());
    // Most likely the first part was meant as a pool, and it is misspelt or declared further down.
    let hint = match parts.pool {
        None => format!("; '{first}' is not a declared pool"),
        Some(_) => String::new(),
    };
    BadKey::because(format!(
        "invalid lifetime '{expire}' in '{text}'; accepted: decimal seconds, 0 (never) or more, \
         or a variable that holds them{hint}"
    ))
}

/// The size of the buffer for a lifetime: any number fits, with blanks around it.
const MAX_EXPIRE: usize = 256;

/// The host evaluates a null variable to `<null>`. As a lifetime that means the default.
fn without_null(expire: &[u8]) -> &[u8] {
    if expire.trim_ascii() == b"<null>" {
        b""
    } else {
        expire
    }
}
