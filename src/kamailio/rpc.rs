//! The table of RPC commands, `memcached.list`, `.hash`, `.reload`, `.ping` and `.set_state`, and
//! their callbacks.
//!
//! A callback reads the arguments, has `admin` answer, and writes the reply. It runs in the process
//! that serves the command, on the cache of that process.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::host::guard::guard;
use super::host::layout::{RPC_RET_ARRAY, Rpc, RpcExport, RpcFunction, Str};
use super::process;
use crate::admin::{self, Cause, Listed, Refused, Selection};
use crate::cache::Cache;

/// The type of the table that the module exports.
pub(super) struct RpcTable([RpcExport; 6]);

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for RpcTable {}

/// The commands.
pub(super) static TABLE: RpcTable = RpcTable([
    row(c"memcached.list", list, &LIST_DOC, RPC_RET_ARRAY),
    row(c"memcached.hash", hash, &HASH_DOC, 0),
    row(c"memcached.reload", reload, &RELOAD_DOC, RPC_RET_ARRAY),
    row(c"memcached.ping", ping, &PING_DOC, RPC_RET_ARRAY),
    row(
        c"memcached.set_state",
        set_state,
        &SET_STATE_DOC,
        RPC_RET_ARRAY,
    ),
    RpcExport {
        name: ptr::null(),
        function: None,
        doc_str: ptr::null(),
        flags: 0,
    },
]);

impl RpcTable {
    /// The first row, for the module's exports.
    pub(super) const fn rows(&self) -> *const RpcExport {
        self.0.as_ptr()
    }
}

/// A command's description in the host's form.
struct Doc([*const c_char; 2]);

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for Doc {}

static LIST_DOC: Doc =
    doc(c"Show the servers of all pools, of one pool, or one server of it: [pool [server]]");
static HASH_DOC: Doc = doc(c"Show which server a key belongs to: key [pool]");
static PING_DOC: Doc = doc(c"Ask all servers, or one server, whether they answer: [server]");
static SET_STATE_DOC: Doc =
    doc(c"Take a server out of service or put it back: active|disabled server");
static RELOAD_DOC: Doc = doc(c"Read the servers_file of all pools, or of one pool, again: [pool]");

const fn doc(text: &'static CStr) -> Doc {
    Doc([text.as_ptr(), ptr::null()])
}

const fn row(
    name: &'static CStr,
    function: RpcFunction,
    doc: &'static Doc,
    flags: u32,
) -> RpcExport {
    RpcExport {
        name: name.as_ptr(),
        function: Some(function),
        doc_str: &raw const doc.0,
        flags,
    }
}

unsafe extern "C" fn list(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(|call, cache| {
        let (pool, server) = (call.argument()?, call.argument()?);
        let selection = Selection {
            pool: pool.as_deref(),
            server: server.as_deref(),
        };
        for server in admin::list(cache, selection)? {
            call.listed(&server);
        }
        Ok(())
    });
}

unsafe extern "C" fn ping(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(|call, cache| {
        for pinged in admin::ping(cache, call.argument()?.as_deref())? {
            let reply = call.structure();
            reply.text(c"pool", &pinged.pool);
            reply.text(c"server", &pinged.server);
            reply.text(c"answer", pinged.answer);
            reply.text(c"reason", &pinged.reason);
        }
        Ok(())
    });
}

unsafe extern "C" fn set_state(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(|call, cache| {
        let state = call.required("active|disabled")?;
        let server = call.required("server")?;
        for server in admin::set_state(cache, admin::state(&state)?, &server)? {
            call.listed(&server);
        }
        Ok(())
    });
}

unsafe extern "C" fn hash(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(|call, cache| {
        let key = call.required("key")?;
        let placed = admin::hash(cache, key.as_bytes(), call.argument()?.as_deref())?;
        let reply = call.structure();
        reply.text(c"pool", &placed.pool);
        reply.text(c"key", &placed.wire);
        // They are texts because kamcmd shows numbers from 2^31 on as negative ones.
        reply.text(c"hash", &placed.hash.to_string());
        reply.text(c"point", &placed.point.to_string());
        reply.text(c"owner", &placed.owner);
        reply.texts(c"failover", &placed.failover);
        Ok(())
    });
}

unsafe extern "C" fn reload(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: the host calls this as a command, with its own arguments.
    unsafe { Call::new(rpc, context) }.answer(|call, cache| {
        for pool in admin::reload(cache, call.argument()?.as_deref())? {
            let reply = call.structure();
            reply.text(c"pool", &pool.name);
            reply.number(c"servers", pool.servers as u32);
        }
        Ok(())
    });
}

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
struct RpcFault {
    /// The code, as in HTTP and SIP.
    code: c_int,
    /// One line that begins with what matters most.
    reason: Cow<'static, str>,
}

impl RpcFault {
    /// An argument is missing.
    fn missing(what: &str) -> Self {
        Self {
            code: 400,
            reason: format!("missing argument: {what}").into(),
        }
    }

    /// An argument is not UTF-8.
    const NOT_TEXT: Self = Self {
        code: 400,
        reason: Cow::Borrowed("invalid argument; accepted: UTF-8 text"),
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

/// A command that the host has called: its arguments and its reply.
struct Call {
    rpc: *const Rpc,
    context: *mut c_void,
}

/// A structure in a reply.
struct Structure<'a> {
    call: &'a Call,
    handle: *mut c_void,
}

impl Call {
    /// # Safety
    /// The host has called a command with these arguments, and the result is not used after that
    /// command has returned.
    unsafe fn new(rpc: *const Rpc, context: *mut c_void) -> Self {
        Self { rpc, context }
    }

    /// Runs `command`. If it fails or panics, the reply is a fault.
    fn answer(&self, command: impl FnOnce(&Self, &mut Cache) -> Result<(), RpcFault>) {
        let done = guard(Err(RpcFault::INTERNAL), || {
            process::with(|process| command(self, &mut process.cache))
                .unwrap_or(Err(RpcFault::INTERNAL))
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

    /// The next argument, which `what` names. It is an error if it is missing.
    fn required(&self, what: &str) -> Result<String, RpcFault> {
        self.argument()?.ok_or_else(|| RpcFault::missing(what))
    }

    /// The next argument, or `None` if there are no more.
    fn argument(&self) -> Result<Option<String>, RpcFault> {
        let mut text = Str {
            s: ptr::null_mut(),
            len: 0,
        };
        // SAFETY: by the contract of `new`. The format fills one `Str`.
        let count = unsafe { ((*self.rpc).scan)(self.context, c"*.S".as_ptr(), &raw mut text) };
        if count < 1 || text.s.is_null() {
            return Ok(None);
        }
        // SAFETY: it is the host's text, which stays until the command returns.
        let bytes = unsafe { text.bytes() }.to_vec();
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| RpcFault::NOT_TEXT)
    }

    /// Adds a server to the reply.
    fn listed(&self, server: &Listed) {
        let reply = self.structure();
        reply.text(c"pool", &server.pool);
        reply.text(c"address", &server.address);
        reply.text(c"alias", &server.alias);
        reply.number(c"weight", server.weight.into());
        reply.text(c"state", server.state);
        reply.text(c"since", &server.since.to_string());
        reply.text(c"reason", server.reason);
        reply.text(c"why", &server.why);
        reply.text(c"last_probe", &server.last_probe);
        reply.text(c"resolved", &server.resolved);
        reply.number(c"latency_p50_us", server.latency.p50);
        reply.number(c"latency_p99_us", server.latency.p99);
        reply.number(c"latency_max_us", server.latency.max);
        reply.number(c"in_flight", server.in_flight);
        reply.text(c"operations", &server.operations.to_string());
        reply.text(c"failures", &server.failures.to_string());
    }

    /// Adds a structure to the reply.
    fn structure(&self) -> Structure<'_> {
        let mut handle = ptr::null_mut::<c_void>();
        // SAFETY: by the contract of `new`. The format fills one pointer.
        unsafe { ((*self.rpc).add)(self.context, c"{".as_ptr(), &raw mut handle) };
        Structure { call: self, handle }
    }
}

impl Structure<'_> {
    fn text(&self, name: &CStr, text: &str) {
        let mut value = Str::borrowed(text.as_bytes());
        self.add(c"S", name, (&raw mut value).cast());
    }

    fn number(&self, name: &CStr, number: u32) {
        if !self.handle.is_null() {
            // SAFETY: the handle belongs to this reply. The format takes a name and an unsigned.
            unsafe {
                ((*self.call.rpc).struct_add)(self.handle, c"u".as_ptr(), name.as_ptr(), number);
            }
        }
    }

    fn texts(&self, name: &CStr, texts: &[String]) {
        let mut list = ptr::null_mut::<c_void>();
        self.add(c"[", name, (&raw mut list).cast());
        for text in texts.iter().filter(|_| !list.is_null()) {
            let mut value = Str::borrowed(text.as_bytes());
            // SAFETY: the handle belongs to this reply. The format takes one `Str`, which the host
            // copies.
            unsafe { ((*self.call.rpc).array_add)(list, c"S".as_ptr(), &raw mut value) };
        }
    }

    /// Adds a member. `value` points to what `format` says.
    fn add(&self, format: &CStr, name: &CStr, value: *mut c_void) {
        if !self.handle.is_null() {
            // SAFETY: the handle belongs to this reply. The callers' formats take a name and a
            // pointer to what they say, which the host copies or fills before this returns.
            unsafe {
                ((*self.call.rpc).struct_add)(self.handle, format.as_ptr(), name.as_ptr(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
