//! The page for Prometheus, for a variable of the script.

use std::ffi::c_int;

use super::super::argument::Argument;
use super::super::host::layout::SipMsg;
use super::super::host::symbols::host;
use super::super::process;
use super::super::pv_value::OwnValue;
use super::{Function, REFUSED};
use crate::admin::metrics;
use crate::error::Refusal;

/// Assigns the page to the variable.
pub(super) fn assign(function: &Function, variable: &Argument, msg: *mut SipMsg) -> c_int {
    let mut value = OwnValue::null(host().family);
    let written = process::with(|process| {
        let text = process.results.next();
        let written = metrics::page(&mut process.cache, text);
        value.as_host().set_text(text);
        written
    });
    let refuse = |why| {
        process::with(|process| process.cache.refuse(0, function, why));
        REFUSED
    };
    if let Some(Err(why)) = written {
        return refuse(why);
    }
    // The variable may be one of ours, so nothing of ours is in use here.
    if let Argument::Result(variable) = variable
        && variable.assign(msg, &mut value)
    {
        return 1;
    }
    refuse(Refusal::Result)
}
