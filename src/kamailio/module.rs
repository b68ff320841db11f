//! The module's exports and its start: what the host's loader looks for, `mod_init` and
//! `child_init`.
//!
//! `mod_init` makes the cache but opens no connection, because each process opens its own.

use std::ffi::c_int;
use std::io;
use std::ptr;
use std::time::Duration;

use super::host::guard::{guard, log_panics};
use super::host::layout::ModuleExports;
use super::host::symbols::host;
use super::host::{log as host_log, memory};
use super::process::{self, PARAMETERS, Process};
use super::{
    NAME, cfg, config_check, events, functions, kemi, message_end, params, prober_process, pv, rpc,
    statistics,
};
use crate::config::DeclaredPool;
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::shared::near::{Table, WAYS};

/// The type of `exports`, which the loader finds by name.
#[repr(transparent)]
pub(super) struct Exports(ModuleExports);

// SAFETY: the pointers in it lead to constant tables, and the loader only reads it.
unsafe impl Sync for Exports {}

/// What the module offers.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub(super) static exports: Exports = Exports(ModuleExports {
    name: NAME.as_ptr(),
    dlflags: 0,
    cmds: functions::TABLE.rows(),
    params: params::TABLE.rows(),
    rpc_methods: rpc::TABLE.rows(),
    pv_items: pv::TABLE.rows(),
    response_f: ptr::null(),
    init_mod_f: Some(mod_init),
    init_child_f: Some(child_init),
    destroy_mod_f: None,
});

/// The loader calls this after it has accepted the module, and before it sets a parameter.
///
/// # Safety
/// Only the loader calls this.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn mod_register(
    _path: *mut std::ffi::c_char,
    _dlflags: *mut c_int,
    _: *mut std::ffi::c_void,
    _: *mut std::ffi::c_void,
) -> c_int {
    guard(-1, || {
        host_log::install();
        log_panics();
        config_check::expect();
        pv::TABLE.adapt(host().family);
        if !kemi::register(host().family) {
            log::error!(target: "mod_register", "Kamailio does not accept the functions for KEMI scripts");
            return -1;
        }
        0
    })
}

/// How long the start waits for answers about the names of servers.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

unsafe extern "C" fn mod_init() -> c_int {
    guard(-1, || {
        config_check::is_over();
        let given = PARAMETERS.with(|parameters| {
            let parameters = parameters.get_or_insert_default();
            (parameters.settle(), parameters.doubts())
        });
        let Some((pools, doubts)) = given else {
            return -1;
        };
        for doubt in doubts {
            log::warn!(target: "mod_init", "{doubt}");
        }
        let plain = &pools[0].settings;
        if plain.memory {
            log::warn!(target: "mod_init", "parameter 'memory' has no effect any more");
        }
        for pool in &pools {
            let (name, tls) = (&pool.settings.name, &pool.settings.tls);
            let conflict = pool.conflict().map(|why| format!("pool '{name}': {why}"));
            if let Some(fault) = conflict.or(pool.lack()) {
                log::error!(target: "mod_init", "{fault}");
                return -1;
            }
            let warnings = tls.warnings().into_iter().chain(pool.settings.lacks());
            for warning in warnings {
                log::warn!(target: "mod_init", "pool '{name}': {warning}");
            }
        }
        let callback = plain.event_callback.clone();
        let memory = memory::share(pools.len()).and_then(|shared: &[Shared]| {
            let near = pools.iter().zip(shared).map(near_table);
            Ok((shared, near.collect::<io::Result<Vec<_>>>()?))
        });
        let (shared, near) = match memory {
            Ok(memory) => memory,
            Err(error) => {
                log::error!(target: "mod_init", "cannot allocate shared memory: {error}");
                return -1;
            }
        };
        let long = host().family.has_long_integers();
        let numbers = if long {
            Numbers::Bits64
        } else {
            Numbers::Bits32
        };
        if cfg::declare(&pools[0].numbers).is_err() {
            log::error!(
                target: "mod_init",
                "Kamailio does not accept the parameters; accepted: modparam() in place of \
                 memcached.NAME = VALUE"
            );
            return -1;
        }
        process::start(pools, numbers, shared, near);
        if let Err(name) = statistics::register() {
            log::error!(target: "mod_init", "Kamailio does not accept the statistic {name:?}");
            return -1;
        }
        if !message_end::register() {
            log::error!(target: "mod_init", "Kamailio accepts no function for the end of messages");
            return -1;
        }
        events::find_listeners(callback);
        prober_process::reserve();
        prober_process::look_up(LOOKUP_LIMIT);
        0
    })
}

/// Allocates the table of the pool's near cache, if the pool has one.
fn near_table((pool, shared): (&DeclaredPool, &'static Shared)) -> io::Result<Option<Table>> {
    let sets = Table::sets(pool.settings.near_size);
    let (sets, slots) = (memory::share(sets)?, memory::share(sets * WAYS)?);
    Ok(Table::new(shared.near(), sets, slots))
}

/// The rank of the main process after it has forked the workers.
const PROC_MAIN: c_int = 0;

unsafe extern "C" fn child_init(rank: c_int) -> c_int {
    guard(-1, || {
        if process::with(Process::begin) == Some(true) {
            kemi::leave_to_parent();
        }
        if rank == PROC_MAIN && !prober_process::fork() {
            log::error!(target: "child_init", "cannot start the prober process");
            return -1;
        }
        0
    })
}
