//! The fence: everything that knows Kamailio, and the only place besides `sys` with `unsafe`.
//!
//! Rules here. A callback has three steps: guard and convert, one call into the library below the
//! fence, convert back. No panic crosses into C ([`host::guard`]). Layouts are chosen when the
//! module is loaded ([`host::version`]), never assumed. What crosses inward is bytes, integers and
//! our own enums.
//!
//! Promises of the host that `SAFETY:` reasons rely on, by name:
//! * **one thread**: scripts, variables and module callbacks of a process run on one thread, one
//!   after the other (`core/pt.c`: processes, not threads, in all known versions);
//! * **live arguments**: pointers handed to a callback are valid during the call. What they point
//!   to is laid out as [`host::layout`] says for the version that was found;
//! * **own data**: what `parse_name` stored in a variable's name comes back unchanged to the
//!   variable's getter, setter and `nfree`, and is not used after `nfree` (`core/pvar.c`); what a
//!   `fixup` stored in place of a function's argument comes back unchanged to the function and to
//!   `free_fixup` (`core/action.c`, `core/route.c`).
#![allow(unsafe_code)]

mod argument;
mod cfg;
mod config_check;
mod events;
mod functions;
mod host;
mod kemi;
mod key_argument;
mod message_end;
mod module;
mod params;
mod prober_process;
mod process;
mod pv;
mod pv_value;
mod result_variable;
mod rpc;
mod script_text;
mod statistics;
mod variable;

#[cfg(test)]
mod fake;

/// The module's name. It is also the name of the stock module, which this one replaces.
const NAME: &std::ffi::CStr = c"memcached";
