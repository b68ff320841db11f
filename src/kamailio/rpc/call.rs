//! Call: a command that the host has called, with its arguments and its reply.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_double, c_int, c_void};
use std::{ptr, vec};

use super::super::host::guard::guard;
use super::super::host::layout::{Rpc, Str};
use super::super::process;
use super::Command;
use crate::admin::{Cause, Refused};
use crate::item::value::Value;
use crate::quoted::quoted;

/// The longest text of a fault that reaches every client whole. Module jsonrpcs cuts a text after
/// 127 bytes; from 255 bytes on, kamcmd gets no answer at all (`modules/ctl`: `FAULT_START_BUF`).
const MAX_FAULT: usize = 127;

/// The text of a fault: `reason`, or its beginning if it is too long. The log then has all of it.
fn within_a_fault(reason: &str) -> Cow<'_, str> {
    const MORE: &str = "... (see the log)";
    if reason.len() <= MAX_FAULT {
        return Cow::Borrowed(reason);
    }
    log::error!("{reason}");
    let most = MAX_FAULT - MORE.len();
    let end = (0..=most).rfind(|&at| reason.is_char_boundary(at));
    Cow::Owned([&reason[..end.unwrap_or(0)], MORE].concat())
}

/// The reply of a command that failed.
pub(super) struct RpcFault {
    /// The code, as in HTTP and SIP.
    code: c_int,
    /// One line that begins with what matters most.
    reason: Cow<'static, str>,
}

impl RpcFault {
    /// The command cannot be done as it is typed.
    fn of_arguments(reason: String) -> Self {
        Self {
            code: 400,
            reason: reason.into(),
        }
    }

    /// An argument is not UTF-8.
    const NOT_TEXT: Self = Self {
        code: 400,
        reason: Cow::Borrowed("invalid argument; accepted: UTF-8 text"),
    };

    /// The host had no room for a part of the reply: module ctl takes some 8 KiB for a structure. It would
    /// leave that part out without a word.
    const TOO_LONG: Self = Self {
        code: 500,
        reason: Cow::Borrowed(
            "the answer is too long for this way to ask; ask by HTTP (module jsonrpcs)",
        ),
    };

    /// The command panicked.
    const INTERNAL: Self = Self {
        code: 500,
        reason: Cow::Borrowed("internal error, see the log"),
    };
}

impl From<Refused> for RpcFault {
    fn from(refused: Refused) -> Self {
        Self {
            code: match refused.cause {
                Cause::Command => 400,
                Cause::Servers => 500,
            },
            reason: refused.reason.into(),
        }
    }
}

/// The name of an argument that is the value of an item.
const VALUE: &str = "value";

/// An argument as the client has given it.
#[derive(Debug)]
pub(super) enum Given {
    Text(Vec<u8>),
    Number(i64),
}

impl Given {
    /// Its bytes; of a number the decimal digits.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string().into_bytes(),
        }
    }

    /// It as the value of an item.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Integer(*number),
        }
    }
}

/// What the host has given for the next argument.
enum Scanned {
    Text(Vec<u8>),
    Number(i64),
    /// It cannot be given in this format.
    OtherType,
    /// There are no more arguments.
    End,
}

/// The arguments of a command, in their order: all that it needs, and none that it does not know.
#[derive(Debug)]
pub(super) struct Arguments(vec::IntoIter<Given>);

impl Arguments {
    /// The next one, with its type.
    pub(super) fn given(&mut self) -> Option<Given> {
        self.0.next()
    }

    /// The next one, which may be any bytes.
    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        self.0.next().map(Given::bytes)
    }

    /// The next one, which must be text.
    pub(super) fn text(&mut self) -> Result<Option<String>, RpcFault> {
        let text = self.bytes().map(String::from_utf8).transpose();
        text.map_err(|_| RpcFault::NOT_TEXT)
    }
}

/// The integer that a host has written as digits. Some of its modules take a negative one for unsigned
/// (`int2str`).
fn integer(digits: &[u8]) -> Option<i64> {
    let digits = str::from_utf8(digits).ok()?;
    let unsigned = || digits.parse().ok().map(u64::cast_signed);
    digits.parse().ok().or_else(unsigned)
}

/// A command that the host has called: its arguments and its reply.
pub(super) struct Call {
    rpc: *const Rpc,
    context: *mut c_void,
    /// Whether the host had no room for a part of the reply.
    is_cut: Cell<bool>,
}

/// A structure in a reply.
pub(super) struct Structure<'a> {
    call: &'a Call,
    handle: *mut c_void,
}

impl Call {
    /// # Safety
    /// The host has called a command with these arguments, and the result is not used after that
    /// command has returned.
    pub(super) unsafe fn new(rpc: *const Rpc, context: *mut c_void) -> Self {
        Self {
            rpc,
            context,
            is_cut: Cell::new(false),
        }
    }

    /// Runs `command`. If it fails or panics, the reply is a fault.
    pub(super) fn answer(&self, command: &Command) {
        let done = guard(Err(RpcFault::INTERNAL), || {
            let arguments = self.arguments(command)?;
            process::with(|process| (command.run)(self, &mut process.cache, arguments))
                .unwrap_or(Err(RpcFault::INTERNAL))?;
            match self.is_cut.get() {
                true => Err(RpcFault::TOO_LONG),
                false => Ok(()),
            }
        });
        if let Err(RpcFault { code, reason }) = done {
            let reason = within_a_fault(&reason);
            let reason = Str::borrowed(reason.as_bytes());
            // SAFETY: by the contract of `new`. The format takes a length and a text.
            unsafe {
                let fault = (*self.rpc).fault;
                fault(self.context, code, c"%.*s".as_ptr(), reason.len, reason.s);
            }
        }
    }

    /// All arguments.
    ///
    /// # Errors
    /// One is missing or of a type that cannot be taken, or there are more than the command knows.
    fn arguments(&self, command: &Command) -> Result<Arguments, RpcFault> {
        let mut given = Vec::new();
        for (name, is_needed) in command.arguments() {
            match self.argument(name)? {
                Some(argument) => given.push(argument),
                None if is_needed => {
                    let missing = format!("missing argument: {name}");
                    return Err(RpcFault::of_arguments(missing));
                }
                None => return Ok(Arguments(given.into_iter())),
            }
        }
        let surplus = match self.next(false) {
            Scanned::End => return Ok(Arguments(given.into_iter())),
            Scanned::Text(surplus) => format!(" {}", quoted(&surplus)),
            Scanned::Number(surplus) => format!(" '{surplus}'"),
            Scanned::OtherType => String::new(),
        };
        Err(RpcFault::of_arguments(format!(
            "unexpected argument{surplus}; accepted: {}",
            command.usage()
        )))
    }

    /// The next argument, which has this name, or `None` if there are no more.
    ///
    /// # Errors
    /// It is neither text nor a whole number.
    fn argument(&self, name: &str) -> Result<Option<Given>, RpcFault> {
        match self.next(name == VALUE) {
            Scanned::End => Ok(None),
            Scanned::Text(text) => Ok(Some(Given::Text(text))),
            Scanned::Number(number) => Ok(Some(Given::Number(number))),
            Scanned::OtherType => Err(RpcFault::of_arguments(format!(
                "invalid argument {name}; accepted: text or a whole number"
            ))),
        }
    }

    /// The next argument.
    ///
    /// Only that of a value is asked for its type: module jsonrpcs logs an error when it is asked for
    /// text and has a number.
    fn next(&self, is_value: bool) -> Scanned {
        // SAFETY: by the contract of `new`.
        if unsafe { (*self.rpc).capabilities.is_null() } {
            return self.next_by_type();
        }
        if is_value && let text @ Scanned::Text(_) = self.scan(c"*S") {
            return text;
        }
        // A value was no text, and is still there.
        match self.scan(c"*.S") {
            Scanned::Text(text) => {
                let number = is_value.then(|| integer(&text)).flatten();
                number.map_or(Scanned::Text(text), Scanned::Number)
            }
            other => other,
        }
    }

    /// The next argument that module ctl has. Asked to make text of a number with a fraction, it would step over that, and
    /// say that there are no more.
    fn next_by_type(&self) -> Scanned {
        if let text @ Scanned::Text(_) = self.scan(c"*S") {
            return text;
        }
        let (mut number, mut fraction): (c_int, c_double) = (0, 0.0);
        // SAFETY: by the contract of `new`. The formats fill one int, and one double.
        unsafe {
            let scan = (*self.rpc).scan;
            if scan(self.context, c"*d".as_ptr(), &raw mut number) > 0 {
                return Scanned::Number(number.into());
            }
            if scan(self.context, c"*f".as_ptr(), &raw mut fraction) > 0 {
                return Scanned::OtherType;
            }
        }
        Scanned::End
    }

    /// The next argument as text, if the host can give it in this format.
    fn scan(&self, format: &CStr) -> Scanned {
        // It stays as it is when there are no more arguments, or gets a text of module ctl that is none.
        let mut text = Str::borrowed(b"");
        // SAFETY: by the contract of `new`. The callers' formats fill one `Str`.
        let count = unsafe { ((*self.rpc).scan)(self.context, format.as_ptr(), &raw mut text) };
        if text.s.is_null() {
            // Module jsonrpcs says so of null, true, false, lists and objects, and does not step on.
            return Scanned::OtherType;
        }
        if count < 1 {
            return Scanned::End;
        }
        // SAFETY: it is the host's text, which stays until the command returns.
        Scanned::Text(unsafe { text.bytes() }.to_vec())
    }

    /// The host has returned this for a part of the reply.
    fn note(&self, added: c_int) {
        if added < 0 {
            self.is_cut.set(true);
        }
    }

    /// Adds a structure to the reply.
    pub(super) fn structure(&self) -> Structure<'_> {
        let mut handle = ptr::null_mut::<c_void>();
        // SAFETY: by the contract of `new`. The format fills one pointer.
        unsafe { ((*self.rpc).add)(self.context, c"{".as_ptr(), &raw mut handle) };
        Structure { call: self, handle }
    }
}

impl Structure<'_> {
    pub(super) fn text(&self, name: &CStr, text: &str) {
        let mut value = Str::borrowed(text.as_bytes());
        self.add(c"S", name, (&raw mut value).cast());
    }

    /// Adds a number, the largest `int` in place of a larger one: module xhttp_rpc knows no format of
    /// numbers but `d` (`print_value`).
    pub(super) fn number(&self, name: &CStr, number: u32) {
        let number = c_int::try_from(number).unwrap_or(c_int::MAX);
        if !self.handle.is_null() {
            // SAFETY: the handle belongs to this reply. The format takes a name and an int.
            let added = unsafe {
                ((*self.call.rpc).struct_add)(self.handle, c"d".as_ptr(), name.as_ptr(), number)
            };
            self.call.note(added);
        }
    }

    pub(super) fn texts(&self, name: &CStr, texts: &[String]) {
        let mut list = ptr::null_mut::<c_void>();
        self.add(c"[", name, (&raw mut list).cast());
        for text in texts.iter().filter(|_| !list.is_null()) {
            let mut value = Str::borrowed(text.as_bytes());
            // SAFETY: the handle belongs to this reply. The format takes one `Str`, which the host
            // copies.
            let added =
                unsafe { ((*self.call.rpc).array_add)(list, c"S".as_ptr(), &raw mut value) };
            self.call.note(added);
        }
    }

    /// Adds a member. `value` points to what `format` says.
    fn add(&self, format: &CStr, name: &CStr, value: *mut c_void) {
        if !self.handle.is_null() {
            // SAFETY: the handle belongs to this reply. The callers' formats take a name and a
            // pointer to what they say, which the host copies or fills before this returns.
            let added = unsafe {
                ((*self.call.rpc).struct_add)(self.handle, format.as_ptr(), name.as_ptr(), value)
            };
            self.call.note(added);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_sign() {
        for (digits, number) in [
            ("5", Some(5)),
            ("-5", Some(-5)),
            ("18446744073709551611", Some(-5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("1.5", None),
        ] {
            assert_eq!(integer(digits.as_bytes()), number, "{digits}");
        }
    }

    #[test]
    fn a_long_fault_is_cut_between_characters() {
        let fits = "x".repeat(MAX_FAULT);
        assert_eq!(within_a_fault(&fits), fits);
        let cut = within_a_fault(&"é".repeat(MAX_FAULT)).into_owned();
        assert!(cut.len() <= MAX_FAULT, "{}", cut.len());
        assert!(
            cut.starts_with("éé") && cut.ends_with("é... (see the log)"),
            "{cut}"
        );
    }
}
