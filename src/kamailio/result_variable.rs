//! `ResultVariable` is a variable of the script that a function assigns what it has read.

use super::host::layout::{PvSpec, SipMsg};
use super::host::symbols::host;
use super::pv_value::OwnValue;
use super::script_text::{Format, ScriptText};
use crate::quoted::quoted;

/// A variable that can be assigned.
pub(super) struct ResultVariable {
    /// The variable. The host keeps it as long as the format.
    spec: *mut PvSpec,
    _format: Format,
}

impl ResultVariable {
    /// Parses the name of a variable.
    ///
    /// # Errors
    /// Says what is wrong and what is accepted.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let refused = |what: &str| {
            Err(format!(
                "{what} {}; accepted: a variable that can be assigned, in quotes, such as \"$var(x)\"",
                quoted(text)
            ))
        };
        let Some(ScriptText::Format(format)) = ScriptText::parse(text) else {
            return refused("no variable:");
        };
        let Some(spec) = format.variable() else {
            return refused("not one variable alone:");
        };
        // SAFETY: the host has made it for the format.
        let PvSpec { setf, trans, .. } = unsafe { &*spec };
        if setf.is_none() {
            return refused("read-only variable:");
        }
        if !trans.is_null() {
            // The host would assign to the variable as if there was no transformation.
            return refused("variable with a transformation:");
        }
        Ok(Self {
            spec,
            _format: format,
        })
    }

    /// Assigns `value`. Returns false if the variable does not take it.
    pub(super) fn assign(&self, msg: *mut SipMsg, value: &mut OwnValue) -> bool {
        let set = host().symbols.pv_set_spec_value;
        // SAFETY: the host made the variable. The value is filled, in the host's layout.
        (unsafe { set(msg, self.spec, ASSIGN, value.as_ptr()) }) >= 0
    }
}

/// What modules of the host pass as operator of an assignment.
const ASSIGN: std::ffi::c_int = 0;
