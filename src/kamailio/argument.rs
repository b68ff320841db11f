//! `Argument` is an argument of a script function, as its callbacks get it.
//!
//! An argument that is constant in the script is parsed once, at the start: `$` and `=>` in it have
//! their meaning. Everything else (an unquoted variable, an expression) the host evaluates before each
//! call, and hands over what came out. That may be what a caller has sent, so it is never parsed: it is
//! a key or a value as a whole.

use std::ffi::{CStr, c_char, c_void};

use super::host::layout::SipMsg;
use super::host::symbols::host;
use super::key_argument::KeyArgument;
use super::process::PARAMETERS;
use super::pv_value::{Assigned, OwnValue};
use super::result_variable::ResultVariable;
use super::script_text::{Format, ScriptText};
use crate::cache::Operand;
use crate::error::Refusal;
use crate::item::value::{Value, literal};
use crate::quoted::quoted;

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It names an item.
    Key,
    /// It names several items.
    Keys,
    /// It is a value, a number, a lifetime or a version.
    Operand,
    /// It is the variable that is assigned what was read.
    Result,
    /// It names a pool.
    Pool,
}

/// An argument.
pub(super) enum Argument {
    /// It names an item.
    Key(Box<KeyArgument>),
    /// It names several items.
    Keys(Vec<KeyArgument>),
    /// It has a value.
    Operand(OperandArgument),
    /// It is a variable that can be assigned.
    Result(ResultVariable),
    /// It is the pool of that index.
    Pool(usize),
    /// It should name a variable or a pool, but the host has evaluated it.
    Evaluated,
}

/// An argument that has a value.
pub(super) enum OperandArgument {
    /// A literal integer.
    Integer(i64),
    /// A literal text.
    Text(Vec<u8>),
    /// One variable, which keeps its type and its null.
    Variable(Format),
    /// A text with variables in it.
    Format(Format),
}

impl Argument {
    /// Parses an argument that is constant in the script.
    ///
    /// # Errors
    /// Says what is wrong and what is accepted.
    pub(super) fn parse(kind: Kind, text: &[u8]) -> Result<Self, String> {
        match kind {
            Kind::Key => {
                let key = KeyArgument::parse_key(key_text(text)?);
                key.map(|key| Self::Key(Box::new(key)))
                    .map_err(|bad| bad.to_string())
            }
            Kind::Keys => {
                let keys = KeyArgument::parse_list(key_text(text)?);
                keys.map(Self::Keys).map_err(|bad| bad.to_string())
            }
            Kind::Operand => OperandArgument::parse(text).map(Self::Operand),
            Kind::Result => ResultVariable::parse(text).map(Self::Result),
            Kind::Pool => pool(text).map(Self::Pool),
        }
    }

    /// True if it has a value.
    pub(super) fn is_operand(&self) -> bool {
        matches!(self, Self::Operand(_))
    }

    /// An argument that the host has evaluated for this call.
    fn evaluated(kind: Kind, text: &[u8]) -> Self {
        match kind {
            Kind::Key => Self::Key(Box::new(KeyArgument::whole(text))),
            Kind::Keys => Self::Keys(vec![KeyArgument::whole(text)]),
            Kind::Operand => Self::Operand(OperandArgument::Text(text.into())),
            Kind::Result | Kind::Pool => Self::Evaluated,
        }
    }
}

impl OperandArgument {
    fn parse(text: &[u8]) -> Result<Self, String> {
        match ScriptText::parse(text) {
            Some(ScriptText::Literal(text)) => Ok(match literal(&text) {
                Value::Integer(number) => Self::Integer(number),
                Value::Text(_) => Self::Text(text),
            }),
            Some(ScriptText::Format(format)) => Ok(match format.variable() {
                Some(_) => Self::Variable(format),
                None => Self::Format(format),
            }),
            None => Err(format!(
                "invalid variable in {}; accepted: text and variables of the script",
                quoted(text)
            )),
        }
    }

    /// Evaluates it for `msg`. The value of a variable stays in `value`. A text with variables is
    /// written to the beginning of `room`, which is shortened by it.
    ///
    /// # Errors
    /// [`Refusal::Argument`].
    pub(super) fn evaluate<'a>(
        &'a self,
        msg: *mut SipMsg,
        value: &'a mut OwnValue,
        room: &mut &'a mut [u8],
    ) -> Result<Operand<'a>, Refusal> {
        Ok(match self {
            Self::Integer(number) => Some(Value::Integer(*number)),
            Self::Text(text) => Some(Value::Text(text)),
            Self::Variable(variable) => match variable.read(msg, value) {
                Assigned::Null => None,
                Assigned::Value(value) => Some(value),
            },
            Self::Format(format) => {
                let len = format.print(msg, room).ok_or(Refusal::Argument)?.len();
                let (text, rest) = std::mem::take(room).split_at_mut(len);
                *room = rest;
                Some(Value::Text(text))
            }
        })
    }
}

/// The text of a key.
fn key_text(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text)
        .map_err(|_| format!("invalid key {}; accepted: UTF-8 text", quoted(text)))
}

/// The index of the pool of that name.
fn pool(name: &[u8]) -> Result<usize, String> {
    let index = PARAMETERS.with(|parameters| {
        let name = std::str::from_utf8(name).ok()?;
        parameters.get_or_insert_default().pool_index(name)
    });
    index.flatten().ok_or_else(|| {
        format!(
            "unknown pool {}; accepted: the name of a pool, which is no variable",
            quoted(name)
        )
    })
}

/// True once the host has parsed all arguments that are constant in the script. From then on it passes
/// values, also before it has started all modules: a route of another module may run in the middle of that.
fn script_is_parsed() -> bool {
    // SAFETY: it is a variable of the core's.
    unsafe { *host().symbols.fixup_complete != 0 }
}

/// What the host keeps in place of an argument's text.
struct Kept {
    argument: Argument,
    /// The text, which the host wants back.
    text: *mut c_char,
}

/// Puts a parsed argument in place of a C string.
///
/// # Errors
/// Says what is wrong and what is accepted. The C string is still there.
///
/// # Safety
/// `place` holds a C string of the host's.
pub(super) unsafe fn put(kind: Kind, place: *mut *mut c_void) -> Result<(), String> {
    // SAFETY: by this function's contract.
    let text: *mut c_char = unsafe { *place }.cast();
    // SAFETY: as above.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    let argument = match script_is_parsed() {
        false => Argument::parse(kind, bytes)?,
        true => Argument::evaluated(kind, bytes),
    };
    let kept = Box::into_raw(Box::new(Kept { argument, text }));
    // SAFETY: as above.
    unsafe { *place = kept.cast() };
    Ok(())
}

/// Puts the C string back.
///
/// # Safety
/// [`put`] has succeeded for `place`. References to the argument are not used any more.
pub(super) unsafe fn take_back(place: *mut *mut c_void) {
    // SAFETY: by this function's contract.
    unsafe {
        let kept = Box::from_raw((*place).cast::<Kept>());
        *place = kept.text.cast();
    }
}

/// The argument that is in place of a C string.
///
/// # Safety
/// [`put`] has put `pointer` there.
pub(super) unsafe fn get<'a>(pointer: *mut c_void) -> &'a Argument {
    // SAFETY: by this function's contract.
    unsafe { &(*pointer.cast::<Kept>()).argument }
}
