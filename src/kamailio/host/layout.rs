//! The host's structures, as far as a module has to know them; no behaviour.
//!
//! One layout each serves every Kamailio from 5.3 to 6.1 on 64-bit machines, except
//! [`PvValue32`] and [`PvValue64`]. Sizes and offsets are asserted when this is compiled, and compared with
//! the figures of the host's headers by the test of the C header, which `build.rs` makes of the
//! public items here.

use std::ffi::{c_char, c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicI32, AtomicPtr};

/// `str` (`core/str.h`): a counted string, not NUL-terminated.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Str {
    /// First byte.
    pub s: *mut c_char,
    /// Number of bytes.
    pub len: c_int,
}

/// `struct module_exports` (`core/sr_module.h`): what a module offers.
#[repr(C)]
pub(crate) struct ModuleExports {
    /// Name that `modparam` uses.
    pub name: *const c_char,
    /// Flags for `dlopen`; 0 = the loader's own.
    pub dlflags: u32,
    /// Script functions, or NULL.
    pub cmds: *const c_void,
    /// Parameters, or NULL.
    pub params: *const ParamExport,
    /// RPC commands, or NULL.
    pub rpc_methods: *const RpcExport,
    /// Pseudo-variables, or NULL.
    pub pv_items: *const PvExport,
    /// Called for SIP replies, or NULL.
    pub response_f: *const c_void,
    /// Called once before the fork; 0 = ok.
    pub init_mod_f: Option<unsafe extern "C" fn() -> c_int>,
    /// Called in every process, or NULL.
    pub init_child_f: Option<unsafe extern "C" fn(c_int) -> c_int>,
    /// Called in the main process at shutdown, or NULL.
    pub destroy_mod_f: Option<unsafe extern "C" fn()>,
}

/// `param_export_t`: a row of the parameter table; the last one has no name.
#[repr(C)]
pub(crate) struct ParamExport {
    /// Name.
    pub name: *const c_char,
    /// [`PARAM_STRING`] or [`PARAM_INT`], with [`PARAM_USE_FUNC`].
    pub kind: u32,
    /// The callback.
    pub callback: Option<unsafe extern "C" fn(kind: u32, value: *mut c_void) -> c_int>,
}

/// A parameter given as string: the callback's value is a `char *`.
pub(crate) const PARAM_STRING: u32 = 1;
/// A parameter given as integer: the callback's value is the integer itself.
pub(crate) const PARAM_INT: u32 = 2;
/// The row has a callback, not a variable.
pub(crate) const PARAM_USE_FUNC: u32 = 0x8000_0000;

/// `pv_export_t` (`core/pvar.h`): a row of the table of pseudo-variables; the last has no name.
#[repr(C)]
pub(crate) struct PvExport {
    /// Name without `$`.
    pub name: Str,
    /// `PVT_OTHER`; its number differs by version, so it is written when the module is loaded.
    pub kind: AtomicI32,
    /// Reads the variable.
    pub getf: Option<PvGetter>,
    /// Assigns to it; without one it is read-only.
    pub setf: Option<PvSetter>,
    /// Parses what stands in parentheses.
    pub parse_name: Option<unsafe extern "C" fn(spec: *mut PvSpec, inner: *mut Str) -> c_int>,
    /// Parses an index in brackets, or NULL.
    pub parse_index: *const c_void,
    /// Called after parsing, or NULL.
    pub init_param: *const c_void,
    /// Argument of `init_param`.
    pub iparam: c_int,
}

/// A variable's getter; `value` is a [`PvValue32`] or [`PvValue64`], zeroed.
pub(crate) type PvGetter =
    unsafe extern "C" fn(msg: *mut SipMsg, param: *mut PvParam, value: *mut c_void) -> c_int;

/// A variable's setter; `value` is NULL, a [`PvValue32`] or a [`PvValue64`].
pub(crate) type PvSetter = unsafe extern "C" fn(
    msg: *mut SipMsg,
    param: *mut PvParam,
    op: c_int,
    value: *mut c_void,
) -> c_int;

/// `struct sip_msg`: handed through, never looked into.
pub(crate) struct SipMsg {
    _opaque: [u8; 0],
}

/// `struct action`: a statement of the script, handed through, never looked into.
pub(crate) struct Action {
    _opaque: [u8; 0],
}

/// `struct sr_kemi_eng`: a KEMI script's engine, handed through, never looked into.
pub(crate) struct KemiEngine {
    _opaque: [u8; 0],
}

/// `struct route_list` (`core/route.h`): the routes of one kind, by number.
#[repr(C)]
pub(crate) struct RouteList {
    /// The first statement of each, NULL for a route that is only referred to.
    pub rlist: *const *mut Action,
    _names: [u64; 3],
}

#[cfg(test)]
impl RouteList {
    /// A list for a host of the tests' own.
    pub(crate) const fn new(rlist: *const *mut Action) -> Self {
        Self {
            rlist,
            _names: [0; 3],
        }
    }
}

/// The value of the core's `route_type` while an event's route is run.
pub(crate) const EVENT_ROUTE: c_int = 513;

/// `pv_name_t`: a variable's name.
#[repr(C)]
pub(crate) struct PvName {
    /// [`PV_NAME_OTHER`] for names with data of ours.
    pub kind: c_int,
    /// Frees the name's data.
    pub nfree: Option<unsafe extern "C" fn(name: *mut PvName)>,
    /// The data; what follows belongs to other kinds of names.
    pub dname: *mut c_void,
    _other: [u64; 2],
}

/// The name's data is the parser's own.
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
    /// Kind of variable.
    pub kind: c_int,
    /// Its getter.
    pub getf: Option<PvGetter>,
    /// Its setter.
    pub setf: Option<PvSetter>,
    /// Name and index.
    pub pvp: PvParam,
    _trans: *mut c_void,
}

/// `pv_elem_t`: a piece of a format string, text before a variable.
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
    /// Which of them holds: any of [`PV_STR`], [`PV_INT`], [`PV_TYPE_INT`],
    /// or [`PV_NULL`].
    pub flags: c_int,
}

/// `pv_value_t` from Kamailio 5.7 on.
#[repr(C)]
pub(crate) struct PvValue64 {
    /// The string.
    pub rs: Str,
    /// The integer.
    pub ri: i64,
    /// Which of them holds: any of [`PV_STR`], [`PV_INT`], [`PV_TYPE_INT`],
    /// or [`PV_NULL`].
    pub flags: c_int,
}

/// `$null`.
pub(crate) const PV_NULL: c_int = 1;
/// The value has a string.
pub(crate) const PV_STR: c_int = 4;
/// The value has an integer.
pub(crate) const PV_INT: c_int = 8;
/// The value is an integer first.
pub(crate) const PV_TYPE_INT: c_int = 16;

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
    /// Syslog level and facility.
    pub facility: c_int,
    /// Level.
    pub level: c_int,
    /// The level's name.
    pub lname: *const c_char,
    /// File name.
    pub file: *const c_char,
    /// Line in it.
    pub line: c_int,
    /// Module.
    pub module: *const c_char,
    /// Function.
    pub func: *const c_char,
    /// `module [file:line]: `
    pub locinfo: *const c_char,
    /// 0.
    pub pid: c_int,
    /// 0.
    pub idx: c_int,
}

/// `rpc_export_t` (`core/rpc.h`): a row of the table of RPC commands; the last has no name.
#[repr(C)]
pub(crate) struct RpcExport {
    /// Name with the module's in front.
    pub name: *const c_char,
    /// The command.
    pub function: Option<RpcFunction>,
    /// What it does: two C strings, of which the second may be NULL.
    pub doc_str: *const [*const c_char; 2],
    /// [`RPC_RET_ARRAY`] or 0.
    pub flags: u32,
}

/// An RPC command; `context` is handed back to the functions of [`Rpc`].
pub(crate) type RpcFunction = unsafe extern "C" fn(rpc: *const Rpc, context: *mut c_void);

/// The command's reply is a list.
pub(crate) const RPC_RET_ARRAY: u32 = 1;

/// `rpc_t` (`core/rpc.h`): how a command reads its arguments and replies. Each returns less than
/// 0 on failure; formats are a letter an argument: `d` int, `u` unsigned, `S` [`Str`] pointer,
/// `{` and `[` pointer to the handle of a new structure or list, `*` what follows may be missing.
#[repr(C)]
pub(crate) struct Rpc {
    /// Replies with an error code and its reason.
    pub fault: unsafe extern "C" fn(*mut c_void, code: c_int, format: *const c_char, ...),
    _send: *const c_void,
    /// Adds to the reply.
    pub add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    /// Reads arguments; returns how many.
    pub scan: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    _rpl_printf: *const c_void,
    /// Adds members, each a name and a value, to a structure.
    pub struct_add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    /// Adds to a list.
    pub array_add: unsafe extern "C" fn(*mut c_void, format: *const c_char, ...) -> c_int,
    _struct_scan: *const c_void,
    _struct_printf: *const c_void,
    _capabilities: *const c_void,
    _delayed_ctx_new: *const c_void,
    _delayed_ctx_close: *const c_void,
}

/// `cfg_def_t` (`core/cfg/cfg.h`): a row of the table of values that can be changed while running;
/// the last one has no name. The host writes to it.
#[repr(C)]
pub(crate) struct CfgDef {
    /// Name.
    pub name: *const c_char,
    /// [`CFG_INT`].
    pub kind: u32,
    /// Least value; both 0 = any.
    pub min: c_int,
    /// Largest value.
    pub max: c_int,
    /// Asked before a change, or NULL; a value that has it is not shown.
    pub on_change: *const c_void,
    /// Called in a process once it sees a change, or NULL.
    pub on_set: Option<CfgOnSet>,
    /// What it is.
    pub about: *const c_char,
}

/// Called after a change.
pub(crate) type CfgOnSet = unsafe extern "C" fn(group: *const Str, name: *const Str);

/// The value is an `int`.
pub(crate) const CFG_INT: u32 = 1;

/// A node of the list of loaded modules (`core/sr_module.h`), as far as it is the same everywhere.
#[repr(C)]
pub(crate) struct LoadedModule {
    _exports: *const c_void,
    /// What `dlopen` returned for it, NULL for one that is built in.
    pub handle: *mut c_void,
}

/// `module_version` and `module_flags`: `char *` variables that the loader reads.
///
/// cbindgen:ignore
pub(crate) type ExportedText = AtomicPtr<c_char>;

macro_rules! layout {
    ($type:ty: $size:literal { $($field:ident @ $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

layout!(Str: 16 { s @ 0, len @ 8 });
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
layout!(PvSpec: 88 { kind @ 0, getf @ 8, setf @ 16, pvp @ 24, _trans @ 80 });
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
