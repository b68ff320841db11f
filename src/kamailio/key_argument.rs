//! `KeyArgument` is how a script names an item: `[pool =>] key [=> expire]`, from its parsing to a
//! key.
//!
//! It is parsed once, when the configuration is read. Its variables are evaluated for each use.
//! Whatever it does with an item goes through [`KeyArgument::operate`].

use std::fmt::{self, Display};

use once_cell::unsync::OnceCell;

use super::host::layout::SipMsg;
use super::process::{self, PARAMETERS, Process, SCRATCH_BUFFERS};
use super::script_text::ScriptText;
use crate::cache::Key;
use crate::config::Parameters;
use crate::error::{Error, Refusal};
use crate::item::key_parts::{BadKey, KeyParts, cut_list};
use crate::item::lifetime::Lifetime;
use crate::quoted::{quoted, shown};
use crate::status::{Outcome, Status};

/// A key argument of the script, parsed. Its `Display` is the argument as written.
pub(crate) struct KeyArgument {
    text: Vec<u8>,
    /// Index of the pool.
    pool: usize,
    key: ScriptText,
    expire: Option<ScriptText>,
    /// The key, made at its first use, if the argument has no variables.
    fixed: OnceCell<Key>,
}

impl fmt::Display for KeyArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.text).fmt(f)
    }
}

impl KeyArgument {
    /// Parses an argument's text.
    ///
    /// # Errors
    /// [`BadKey`] says what is wrong and what is accepted.
    pub(crate) fn parse(text: &str) -> Result<Self, BadKey> {
        let (pool, parts) = cut(text)?;
        let parse = |part: &str| parse_part(part, text);
        let key = parse(parts.key)?;
        let expire = parts.expire.map(parse).transpose()?;
        if let Some(ScriptText::Literal(seconds)) = &expire
            && Lifetime::parse(seconds).is_err()
        {
            return Err(bad_lifetime(text, parts));
        }
        Ok(Self::new(text.as_bytes(), pool, key, expire))
    }

    /// Parses an argument that has no lifetime, `[pool =>] key`.
    ///
    /// # Errors
    /// [`BadKey`] says what is wrong and what is accepted.
    pub(crate) fn parse_key(text: &str) -> Result<Self, BadKey> {
        let (pool, parts) = with_parameters(|parameters| {
            let parts = KeyParts::cut_key(text, |name| parameters.pool_index(name).is_some())?;
            Ok((pool_of(parameters, parts), parts))
        })?;
        let key = parse_part(parts.key, text)?;
        Ok(Self::new(text.as_bytes(), pool, key, None))
    }

    /// Parses a list of such arguments.
    ///
    /// # Errors
    /// [`BadKey`] says what is wrong and what is accepted.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, BadKey> {
        let keys = cut_list(text)?;
        keys.into_iter().map(Self::parse_key).collect()
    }

    /// A key of the default pool, whatever its bytes are. Nothing is cut and nothing is evaluated.
    pub(crate) fn whole(key: &[u8]) -> Self {
        Self::new(key, 0, ScriptText::Literal(key.into()), None)
    }

    fn new(text: &[u8], pool: usize, key: ScriptText, expire: Option<ScriptText>) -> Self {
        Self {
            text: text.to_vec(),
            pool,
            key,
            expire,
            fixed: OnceCell::new(),
        }
    }

    /// True if the argument has a lifetime.
    pub(crate) fn has_lifetime(&self) -> bool {
        let is_empty =
            |text: &ScriptText| matches!(text, ScriptText::Literal(text) if text.is_empty());
        self.expire.as_ref().is_some_and(|expire| !is_empty(expire))
    }

    /// The index of its pool.
    pub(crate) fn pool(&self) -> usize {
        self.pool
    }

    /// Evaluates the argument for `msg`, runs `operation` with the key, and records its status as
    /// that of the last operation. If there is no usable key, nothing is run, and a log line names
    /// `what`. Returns the status; `None` before `mod_init`.
    #[inline(always)]
    pub(crate) fn operate<T: Outcome>(
        &self,
        what: impl Display,
        msg: *mut SipMsg,
        operation: impl FnOnce(&mut Process, &Key) -> Result<T, Error>,
    ) -> Option<Status> {
        let evaluated;
        let key = match self.fixed.get() {
            Some(key) => Ok(key),
            None => {
                evaluated = self.evaluated(msg)?;
                match &evaluated {
                    Ok(key) if self.is_fixed() => Ok(self.fixed.get_or_init(|| *key)),
                    key => key.as_ref().map_err(|refusal| *refusal),
                }
            }
        };
        process::with(|process| {
            process.follow_message(msg);
            let result = match key {
                Ok(key) => operation(process, key),
                Err(refusal) => Err(process.cache.refuse(self.pool, what, refusal)),
            };
            process.record(&result)
        })
    }

    /// The key for `msg`. If it cannot be used, a log line names `what`. `None` then, and before `mod_init`.
    pub(crate) fn usable(&self, what: impl Display, msg: *mut SipMsg) -> Option<Key> {
        if let Some(key) = self.fixed.get() {
            return Some(*key);
        }
        match self.evaluated(msg)? {
            Ok(key) if self.is_fixed() => Some(*self.fixed.get_or_init(|| key)),
            Ok(key) => Some(key),
            Err(refusal) => {
                process::with(|process| process.cache.refuse(self.pool, what, refusal));
                None
            }
        }
    }

    /// The key for `msg`; hashed if it is the same for all messages. `None` before `mod_init`.
    #[inline(never)]
    fn evaluated(&self, msg: *mut SipMsg) -> Option<Result<Key, Refusal>> {
        SCRATCH_BUFFERS.with(|key_room| {
            let mut expire_room = [0; MAX_EXPIRE];
            let texts = self.evaluate(msg, key_room, &mut expire_room);
            process::with(|process| {
                let key = self.key(process, texts)?;
                Ok(match self.is_fixed() {
                    true => process.cache.hashed(key),
                    false => key,
                })
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
    with_parameters(|parameters| {
        let parts = KeyParts::cut(text, |name| parameters.pool_index(name).is_some())?;
        if let (None, Some(_)) = (parts.pool, parts.expire) {
            parameters.note_key(parts.key);
        }
        Ok((pool_of(parameters, parts), parts))
    })
}

/// The index of the pool that the parts name, else of the default pool.
fn pool_of(parameters: &Parameters, parts: KeyParts<'_>) -> usize {
    let named = parts.pool.and_then(|pool| parameters.pool_index(pool));
    named.unwrap_or_default()
}

fn with_parameters<T>(
    body: impl FnOnce(&mut Parameters) -> Result<T, BadKey>,
) -> Result<T, BadKey> {
    let done = PARAMETERS.with(|parameters| body(parameters.get_or_insert_default()));
    done.unwrap_or_else(|| {
        Err(BadKey::because(
            "the parameters are still being read".into(),
        ))
    })
}

/// Parses a part of an argument.
fn parse_part(part: &str, argument: &str) -> Result<ScriptText, BadKey> {
    let parsed = ScriptText::parse(part.as_bytes());
    parsed.ok_or_else(|| {
        BadKey::because(format!(
            "invalid variable in {}; accepted: text and variables of the script",
            quoted(argument)
        ))
    })
}

fn bad_lifetime(text: &str, parts: KeyParts<'_>) -> BadKey {
    let (first, expire) = (parts.key, parts.expire.unwrap_or_default());
    // Most likely the first part was meant as a pool, and it is misspelt or declared further down.
    let hint = match parts.pool {
        None => format!("; {} is not a declared pool", quoted(first)),
        Some(_) => String::new(),
    };
    BadKey::because(format!(
        "invalid lifetime {} in {}; accepted: decimal seconds, 0 (never) or more, or a variable \
         that holds them{hint}",
        quoted(expire),
        quoted(text)
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
