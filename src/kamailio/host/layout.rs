//! The host's structures, as far as a module reads or writes them. Nothing here has behaviour.
//!
//! One layout of each serves every Kamailio from 5.3 to 6.1 on 64-bit machines, except for
//! [`PvValue32`] and [`PvValue64`]. The compiler asserts sizes and offsets. `build.rs` makes a C
//! header of the public items, `tests/layout/kamailio_layout.h`, and the test `layout` compares it
//! with figures of the host's own headers.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, AtomicPtr};

macro_rules! layout {
    ($type:ty: $size:literal { $($field:ident @ $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

mod functions;

pub(crate) use functions::{ANY_ROUTE, CmdExport, ScriptFunction};

/// `str` (`core/str.h`): a counted string. It need not end with NUL.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Str {
    /// The first byte.
    pub s: *mut c_char,
    /// The number of bytes.
    pub len: c_int,
}

/// `struct module_exports` (`core/sr_module.h`): what a module offers.
#[repr(C)]
pub(crate) struct ModuleExports {
    /// The name that `modparam` uses.
    pub name: *const c_char,
    /// Flags for `dlopen`; 0 = the loader's default.
    pub dlflags: u32,
    /// Script functions, or NULL.
    pub cmds: *const CmdExport,
    /// Parameters, or NULL.
    pub params: *const ParamExport,
    /// RPC commands, or NULL.
    pub rpc_methods: *const RpcExport,
    /// Pseudo-variables, or NULL.
    pub pv_items: *const PvExport,
    /// Called for SIP replies, or NULL.
    pub response_f: *const c_void,
    /// Called once before the fork; returns 0 for success.
    pub init_mod_f: Option<unsafe extern "C" fn() -> c_int>,
    /// Called in every process, or NULL.
    pub init_child_f: Option<unsafe extern "C" fn(c_int) -> c_int>,
    /// Called in the main process at shutdown, or NULL.
    pub destroy_mod_f: Option<unsafe extern "C" fn()>,
}

/// `param_export_t`: a row of the table of parameters. The last row has no name.
#[repr(C)]
pub(crate) struct ParamExport {
    /// The parameter's name.
    pub name: *const c_char,
    /// [`PARAM_STRING`] or [`PARAM_INT`], together with [`PARAM_USE_FUNC`].
    pub kind: u32,
    /// Called for each `modparam` with that name.
    pub callback: Option<unsafe extern "C" fn(kind: u32, value: *mut c_void) -> c_int>,
}

/// The parameter is a string: the callback's value is a `char *`.
pub(crate) const PARAM_STRING: u32 = 1;
/// The parameter is an integer: the callback's value is the integer itself.
pub(crate) const PARAM_INT: u32 = 2;
/// The row has a callback and not the address of a variable.
pub(crate) const PARAM_USE_FUNC: u32 = 0x8000_0000;

/// `pv_export_t` (`core/pvar.h`): a row of the table of pseudo-variables. The last row has no name.
#[repr(C)]
pub(crate) struct PvExport {
    /// The name without `$`.
    pub name: Str,
    /// `PVT_OTHER`. Its value depends on the version, so it is written when the module is loaded.
    pub kind: AtomicI32,
    /// Reads the variable.
    pub getf: Option<PvGetter>,
    /// Assigns to the variable. A variable without it is read-only.
    pub setf: Option<PvSetter>,
    /// Parses the name in parentheses.
    pub parse_name: Option<unsafe extern "C" fn(spec: *mut PvSpec, inner: *mut Str) -> c_int>,
    /// Parses an index in brackets, or NULL.
    pub parse_index: *const c_void,
    /// Called after parsing, or NULL.
    pub init_param: *const c_void,
    /// The argument of `init_param`.
    pub iparam: c_int,
}

/// A variable's getter. `value` is a zeroed [`PvValue32`] or [`PvValue64`].
pub(crate) type PvGetter =
    unsafe extern "C" fn(msg: *mut SipMsg, param: *mut PvParam, value: *mut c_void) -> c_int;

/// A variable's setter. `value` is NULL, a [`PvValue32`] or a [`PvValue64`].
pub(crate) type PvSetter = unsafe extern "C" fn(
    msg: *mut SipMsg,
    param: *mut PvParam,
    op: c_int,
    value: *mut c_void,
) -> c_int;

/// `struct sip_msg` (`core/parser/msg_parser.h`): a SIP message, of which the module reads what tells it
/// from others.
#[repr(C)]
pub(crate) struct SipMsg {
    /// Its number in the process that has received it.
    pub id: c_uint,
    /// That process.
    pub pid: c_int,
}

/// `struct action`: a statement of the script. The module only passes its address on.
pub(crate) struct Action {
    _opaque: [u8; 0],
}

/// `struct sr_kemi_eng`: a KEMI script's engine. The module only passes its address on.
pub(crate) struct KemiEngine {
    _opaque: [u8; 0],
}

/// `struct route_list` (`core/route.h`): the routes of one kind, by number.
#[repr(C)]
pub(crate) struct RouteList {
    /// The first statement of each; NULL for a route that the script names but does not define.
    pub rlist: *const *mut Action,
    _names: [u64; 3],
}

#[cfg(test)]
impl RouteList {
    /// A list for the fake host of the tests.
    pub(crate) const fn new(rlist: *const *mut Action) -> Self {
        Self {
            rlist,
            _names: [0; 3],
        }
    }
}

/// The value of the core's `route_type` while the route of an event runs.
pub(crate) const EVENT_ROUTE: c_int = 513;

/// `pv_name_t`: a variable's name.
#[repr(C)]
pub(crate) struct PvName {
    /// [`PV_NAME_OTHER`] for names whose data is the module's own.
    pub kind: c_int,
    /// Frees the name's data.
    pub nfree: Option<unsafe extern "C" fn(name: *mut PvName)>,
    /// The data. The members behind it belong to other kinds of names.
    pub dname: *mut c_void,
    _other: [u64; 2],
}

/// The name's data is what its own parser has stored.
pub(crate) const PV_NAME_OTHER: c_int = 2;

/// `pv_param_t`: name and index of a variable.
#[repr(C)]
pub(crate) struct PvParam {
    /// The name.
    pub pvn: PvName,
    _index: [u64; 2],
}

/// `pv_spec_t`: a parsed variable.
#[repr(C)]
pub(crate) struct PvSpec {
    /// The kind of variable.
    pub kind: c_int,
    /// The variable's getter.
    pub getf: Option<PvGetter>,
    /// The variable's setter.
    pub setf: Option<PvSetter>,
    /// The name and the index.
    pub pvp: PvParam,
    /// What is done with the value that is read, or NULL.
    pub trans: *mut c_void,
}

/// `pv_elem_t`: a piece of a format string, which is a text and the variable behind it.
#[repr(C)]
pub(crate) struct PvElem {
    /// The text.
    pub text: Str,
    /// The variable, or NULL.
    pub spec: *mut PvSpec,
    /// The next piece, or NULL.
    pub next: *mut PvElem,
}

/// `pv_value_t` up to Kamailio 5.6.
#[repr(C)]
pub(crate) struct PvValue32 {
    /// The string.
    pub rs: Str,
    /// The integer.
    pub ri: i32,
    /// Which of the two are set: any of [`PV_STR`], [`PV_INT`], [`PV_TYPE_INT`], or
    /// [`PV_NULL`].
    pub flags: c_int,
}

/// `pv_value_t` from Kamailio 5.7 on.
#[repr(C)]
pub(crate) struct PvValue64 {
    /// The string.
    pub rs: Str,
    /// The integer.
    pub ri: i64,
    /// Which of the two are set: any of [`PV_STR`], [`PV_INT`], [`PV_TYPE_INT`], or
    /// [`PV_NULL`].
    pub flags: c_int,
}

/// `$null`.
pub(crate) const PV_NULL: c_int = 1;
/// The value has a string.
pub(crate) const PV_STR: c_int = 4;
/// The value has an integer.
pub(crate) const PV_INT: c_int = 8;
/// The value counts as an integer, even if it also has a string.
pub(crate) const PV_TYPE_INT: c_int = 16;
/// The string was made for the reader, in the process's own memory; the reader frees it.
pub(crate) const PV_PKG: c_int = 32;
/// The same in shared memory.
pub(crate) const PV_SHM: c_int = 64;

/// A row of `log_level_info` (`core/dprint.h`).
#[repr(C)]
pub(crate) struct LogLevelInfo {
    /// The level's name.
    pub name: *const c_char,
    /// The level for syslog.
    pub syslog_level: c_int,
}

/// `ksr_logdata_t` (`core/dprint.h`, from 5.4): what a structured log engine gets.
#[repr(C)]
pub(crate) struct KsrLogData {
    /// The syslog level and facility.
    pub facility: c_int,
    /// The level.
    pub level: c_int,
    /// The level's name.
    pub lname: *const c_char,
    /// The name of the source file.
    pub file: *const c_char,
    /// The line in it.
    pub line: c_int,
    /// The module's name.
    pub module: *const c_char,
    /// The function's name.
    pub func: *const c_char,
    /// `module [file:line]: `
    pub locinfo: *const c_char,
    /// Always 0.
    pub pid: c_int,
    /// Always 0.
    pub idx: c_int,
}

/// `rpc_export_t` (`core/rpc.h`): a row of the table of RPC commands. The last row has no name.
#[repr(C)]
pub(crate) struct RpcExport {
    /// The command's name, which begins with the module's.
    pub name: *const c_char,
    /// Runs the command.
    pub function: Option<RpcFunction>,
    /// The description: two C strings, of which the second may be NULL.
    pub doc_str: *const [*const c_char; 2],
    /// [`RPC_RET_ARRAY`] or 0.
    pub flags: u32,
}

/// An RPC command. It passes `context` to the functions of [`Rpc`].
pub(crate) type RpcFunction = unsafe extern "C" fn(rpc: *const Rpc, context: *mut c_void);

/// The reply of the command is a list.
pub(crate) const RPC_RET_ARRAY: u32 = 1;

/// `rpc_t` (`core/rpc.h`): the functions with which a command reads its arguments and replies. They
/// return less than 0 on failure. A format has one letter for each argument: `d` is an int, `S` a
/// pointer to a [`Str`], `{` and `[` a pointer to the handle of a new structure or list. Behind `*` all
/// arguments are optional.
#[repr(C)]
pub(crate) struct Rpc {
    /// Replies with an error code and a reason.
    pub fault: unsafe extern "C" fn(*mut c_void, code: c_int, format: *const c_char, ...),
    _send: *const c_void,
    /// Adds values to the reply.
    pub add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    /// Reads arguments, and returns how many it has read.
    pub scan: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    _rpl_printf: *const c_void,
    /// Adds members to a structure, each a name and a value.
    pub struct_add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    /// Adds values to a list.
    pub array_add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    _struct_scan: *const c_void,
    _struct_printf: *const c_void,
    /// What it can do besides. Module ctl has no such function.
    pub capabilities: *const c_void,
    _delayed_ctx_new: *const c_void,
    _delayed_ctx_close: *const c_void,
}

/// `cfg_def_t` (`core/cfg/cfg.h`): a row of the table of values that operators can change while
/// Kamailio runs. The last row has no name. The host writes to the table.
#[repr(C)]
pub(crate) struct CfgDef {
    /// The value's name.
    pub name: *const c_char,
    /// [`CFG_INT`].
    pub kind: u32,
    /// The smallest value. If both limits are 0, there is no limit.
    pub min: c_int,
    /// The largest value.
    pub max: c_int,
    /// Called before a change and may refuse it, or NULL. The host does not show values that have
    /// such a function.
    pub on_change: *const c_void,
    /// Called in each process when it takes over a change, or NULL.
    pub on_set: Option<CfgOnSet>,
    /// The description.
    pub about: *const c_char,
}

/// Called after a change.
pub(crate) type CfgOnSet = unsafe extern "C" fn(group: *const Str, name: *const Str);

/// The value is an `int`.
pub(crate) const CFG_INT: u32 = 1;

/// `struct sr_module` (`core/sr_module.h`): an element of the list of loaded modules, as far as it
/// is the same in all versions.
#[repr(C)]
pub(crate) struct LoadedModule {
    _exports: *const c_void,
    /// What `dlopen` returned for the module; NULL for a module that is built in.
    pub handle: *mut c_void,
}

/// `module_version` and `module_flags`: `char *` variables that the loader reads.
///
/// cbindgen:ignore
pub(crate) type ExportedText = AtomicPtr<c_char>;

layout!(Str: 16 { s @ 0, len @ 8 });
layout!(SipMsg: 8 { id @ 0, pid @ 4 });
layout!(ModuleExports: 80 {
    name @ 0, dlflags @ 8, cmds @ 16, params @ 24, rpc_methods @ 32, pv_items @ 40,
    response_f @ 48, init_mod_f @ 56, init_child_f @ 64, destroy_mod_f @ 72,
});
layout!(ParamExport: 24 { name @ 0, kind @ 8, callback @ 16 });
layout!(PvExport: 72 {
    name @ 0, kind @ 16, getf @ 24, setf @ 32, parse_name @ 40, parse_index @ 48,
    init_param @ 56, iparam @ 64,
});
layout!(PvName: 40 { kind @ 0, nfree @ 8, dname @ 16 });
layout!(PvParam: 56 { pvn @ 0, _index @ 40 });
layout!(PvSpec: 88 { kind @ 0, getf @ 8, setf @ 16, pvp @ 24, trans @ 80 });
layout!(PvElem: 32 { text @ 0, spec @ 16, next @ 24 });
layout!(PvValue32: 24 { rs @ 0, ri @ 16, flags @ 20 });
layout!(PvValue64: 32 { rs @ 0, ri @ 16, flags @ 24 });
layout!(RouteList: 32 { rlist @ 0 });
layout!(LogLevelInfo: 16 { name @ 0, syslog_level @ 8 });
layout!(KsrLogData: 64 {
    facility @ 0, level @ 4, lname @ 8, file @ 16, line @ 24, module @ 32, func @ 40,
    locinfo @ 48, pid @ 56, idx @ 60,
});
layout!(RpcExport: 32 { name @ 0, function @ 8, doc_str @ 16, flags @ 24 });
layout!(Rpc: 96 { fault @ 0, add @ 16, scan @ 24, struct_add @ 40, array_add @ 48 });
layout!(CfgDef: 48 {
    name @ 0, kind @ 8, min @ 12, max @ 16, on_change @ 24, on_set @ 32, about @ 40,
});
layout!(LoadedModule: 16 { handle @ 8 });
layout!(ExportedText: 8 {});
