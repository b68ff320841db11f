//! The table of script functions, as a part of the [host's structures](super).

use std::ffi::{c_char, c_int, c_void};
use std::mem::offset_of;

use super::SipMsg;

/// `cmd_export_t` (`core/sr_module.h`): a row of the table of script functions. A function that can be
/// called with several numbers of arguments has a row for each. The last row has no name.
#[repr(C)]
pub(crate) struct CmdExport {
    /// The function's name.
    pub name: *const c_char,
    /// Runs the function.
    pub function: ScriptFunction,
    /// The number of arguments.
    pub param_no: c_int,
    /// Called for each argument, which is a C string at first. It may put another pointer in its
    /// place. It is called at the start for arguments that are constant, otherwise before each call.
    pub fixup: Option<Fixup>,
    /// Called after each call for the arguments that are not constant. It puts the C string back.
    pub free_fixup: Option<Fixup>,
    /// The kinds of routes that may call it: [`ANY_ROUTE`].
    pub flags: u32,
}

/// A function with as many arguments as its row says. It returns less than 0 for false, more for
/// true, and 0 to end the script. The host passes two arguments where there is only one; the second
/// one is NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union ScriptFunction {
    /// With up to two arguments.
    pub two: unsafe extern "C" fn(*mut SipMsg, *mut c_void, *mut c_void) -> c_int,
    /// With three arguments.
    pub three: unsafe extern "C" fn(*mut SipMsg, *mut c_void, *mut c_void, *mut c_void) -> c_int,
    /// With four arguments.
    pub four: unsafe extern "C" fn(
        *mut SipMsg,
        *mut c_void,
        *mut c_void,
        *mut c_void,
        *mut c_void,
    ) -> c_int,
    /// With five arguments.
    pub five: unsafe extern "C" fn(
        *mut SipMsg,
        *mut c_void,
        *mut c_void,
        *mut c_void,
        *mut c_void,
        *mut c_void,
    ) -> c_int,
}

/// Changes an argument. `number` is 1 for the first one. It returns less than 0 on failure.
pub(crate) type Fixup = unsafe extern "C" fn(argument: *mut *mut c_void, number: c_int) -> c_int;

/// Every kind of route.
pub(crate) const ANY_ROUTE: u32 = 0xffff_ffff;

layout!(CmdExport: 48 {
    name @ 0, function @ 8, param_no @ 16, fixup @ 24, free_fixup @ 32, flags @ 40,
});
