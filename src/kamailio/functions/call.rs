//! `Call` is one call of a script function: it evaluates the arguments, has the cache do the operation,
//! and assigns what was read.

use std::ffi::c_int;
use std::fmt::{self, Display};

use super::super::argument::Argument;
use super::super::host::layout::SipMsg;
use super::super::host::symbols::host;
use super::super::key_argument::KeyArgument;
use super::super::process::{Process, SCRATCH_BUFFERS};
use super::super::pv_value::OwnValue;
use super::{Function, REFUSED};
use crate::cache::{Key, Operand, Verb};
use crate::error::{Error, Refusal};
use crate::item::value::{Found, put_decimal};
use crate::status::Status;

/// A call of a function that does an operation.
pub(super) struct Call<'a> {
    pub(super) function: &'static Function,
    pub(super) verb: Verb,
    pub(super) key: &'a KeyArgument,
    pub(super) msg: *mut SipMsg,
}

/// The function and its first argument, as they are in the script.
impl Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(\"{}\")", self.function, self.key)
    }
}

/// The largest number of arguments that have a value.
const MAX_OPERANDS: usize = 3;

/// The largest number of arguments that are assigned.
const MAX_RESULTS: usize = 2;

impl Call<'_> {
    /// Does it with the arguments behind the key.
    #[inline(always)]
    pub(super) fn run(&self, arguments: &[&Argument]) -> c_int {
        let mut read = own_values();
        let has_operands = arguments.iter().any(|argument| argument.is_operand());
        let status = if has_operands {
            self.evaluate_and_operate(arguments, &mut read)
        } else {
            let operands = Operands::evaluate(self.msg, arguments, &mut [], &mut []);
            self.operate(operands, &mut read)
        };
        let status = self.assign(arguments, &mut read, status);
        status.map_or(REFUSED, Status::return_code)
    }

    #[inline(never)]
    fn evaluate_and_operate(
        &self,
        arguments: &[&Argument],
        read: &mut [OwnValue; MAX_RESULTS],
    ) -> Option<Status> {
        SCRATCH_BUFFERS.with(|room| {
            let mut held = own_values::<MAX_OPERANDS>();
            let operands = Operands::evaluate(self.msg, arguments, &mut held, room);
            self.operate(operands, read)
        })
    }

    /// Does it with these operands. What was read is in `read`.
    #[inline(always)]
    fn operate(
        &self,
        operands: Result<Operands<'_>, Refusal>,
        [value, version]: &mut [OwnValue; MAX_RESULTS],
    ) -> Option<Status> {
        self.key.operate(self, self.msg, |process, key| {
            let operands = operands.map_err(|refusal| self.refuse(process, key, refusal))?;
            let text = process.results.next();
            let answer = process.cache.call(self.verb, key, operands.given(), text)?;
            match answer.value {
                Some(Found::Integer(number)) => value.as_host().set_integer(number, text),
                Some(Found::Text) => value.as_host().set_text(text),
                Some(Found::Null) | None => {}
            }
            if let Some(number) = answer.version {
                let text = process.results.next();
                put_decimal(number, text);
                version.as_host().set_text(text);
            }
            Ok(answer)
        })
    }

    /// Assigns what was read. A variable that does not take a value makes the call refused.
    #[inline(always)]
    fn assign(
        &self,
        arguments: &[&Argument],
        read: &mut [OwnValue; MAX_RESULTS],
        mut status: Option<Status>,
    ) -> Option<Status> {
        let results = arguments.iter().filter_map(|argument| match argument {
            Argument::Result(variable) => Some(variable),
            _ => None,
        });
        for (variable, value) in results.zip(read) {
            if !variable.assign(self.msg, value) && !value.is_null() {
                status = self.key.operate(self, self.msg, |process, key| {
                    Err::<Status, _>(self.refuse(process, key, Refusal::Result))
                });
            }
        }
        status
    }

    #[cold]
    fn refuse(&self, process: &mut Process, key: &Key, refusal: Refusal) -> Error {
        process.cache.refuse(key.pool(), self, refusal)
    }
}

fn own_values<const N: usize>() -> [OwnValue; N] {
    let family = host().family;
    std::array::from_fn(|_| OwnValue::null(family))
}

/// The values of a call's arguments.
struct Operands<'a> {
    values: [Operand<'a>; MAX_OPERANDS],
    count: usize,
}

impl<'a> Operands<'a> {
    /// Evaluates the arguments that have a value. It stays in `held`, or is written to `room`.
    #[inline(always)]
    fn evaluate(
        msg: *mut SipMsg,
        arguments: &[&'a Argument],
        held: &'a mut [OwnValue],
        room: &'a mut [u8],
    ) -> Result<Self, Refusal> {
        let mut operands = Self {
            values: [None; MAX_OPERANDS],
            count: 0,
        };
        let (mut held, mut room) = (held.iter_mut(), room);
        for argument in arguments {
            match argument {
                Argument::Operand(operand) => {
                    let held = held.next().ok_or(Refusal::Argument)?;
                    operands.values[operands.count] = operand.evaluate(msg, held, &mut room)?;
                    operands.count += 1;
                }
                Argument::Result(_) => {}
                _ => return Err(Refusal::Result),
            }
        }
        Ok(operands)
    }

    fn given(&self) -> &[Operand<'a>] {
        &self.values[..self.count]
    }
}
