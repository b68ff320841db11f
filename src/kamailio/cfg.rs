//! The group `memcached` of the host's configuration framework: parameters that operators change
//! while the host runs.
//!
//! The host keeps the numbers, shows them, and lets operators change them within their ranges
//! (`core/cfg/cfg.h`). It calls a process about a change before that process's next request, timer
//! or command. Some processes it does not call at all. So the process that was called also passes
//! the number on to the others. A change that the operator delays therefore takes effect when it is
//! committed, and a change that is rolled back never does.
//!
//! No callback checks a number before it is changed, because the host does not show numbers that
//! have such a callback.

use std::ffi::{CString, c_int};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::NAME;
use super::host::guard::guard;
use super::host::layout::{CFG_INT, CfgDef, Str};
use super::host::symbols::host;
use super::process::{self, PARAMETERS};
use crate::config::Tunable;

/// The group's numbers as the host hands them to its modules, in the order of [`Tunable::ALL`].
type CfgGroup = [c_int; Tunable::ALL.len()];

/// The group's numbers of this process. The host keeps them up to date.
static NUMBERS: AtomicPtr<CfgGroup> = AtomicPtr::new(ptr::null_mut());

/// Declares the parameters that can be changed, with the values of the default pool. This runs in
/// `mod_init`.
///
/// # Errors
/// The host does not accept them. Then the configuration has declared a group of this name itself.
pub(super) fn declare(numbers: &[i32]) -> Result<(), ()> {
    let group: CfgGroup = numbers.try_into().map_err(|_| ())?;
    let end = CfgDef {
        name: ptr::null(),
        kind: 0,
        min: 0,
        max: 0,
        on_change: ptr::null(),
        on_set: None,
        about: ptr::null(),
    };
    // The host writes to both and keeps them until the process ends.
    let rows: Vec<_> = Tunable::ALL.map(row).into_iter().chain([end]).collect();
    // SAFETY: this runs in `mod_init`, for which the core function is made. It gets a table of
    // integers that ends with an empty row, as many integers, and a pointer. All of them live until
    // the process ends. It does not write to the name.
    let declared = unsafe {
        (host().symbols.cfg_declare)(
            NAME.as_ptr().cast_mut(),
            rows.leak().as_mut_ptr(),
            Box::into_raw(Box::new(group)).cast(),
            size_of::<CfgGroup>() as c_int,
            NUMBERS.as_ptr().cast(),
        )
    };
    if declared == 0 { Ok(()) } else { Err(()) }
}

fn row(tunable: Tunable) -> CfgDef {
    let (parameter, range) = (tunable.parameter(), tunable.number().range());
    let about = format!("{}; accepted: {}", parameter.about, parameter.accepted());
    CfgDef {
        name: parameter.name.as_ptr(),
        kind: CFG_INT,
        min: *range.start(),
        max: *range.end(),
        on_change: ptr::null(),
        on_set: Some(on_set),
        about: CString::new(about).unwrap_or_default().into_raw(),
    }
}

/// The host calls this when a number has changed.
unsafe extern "C" fn on_set(_group: *const Str, name: *const Str) {
    guard((), || {
        // SAFETY: the host calls this with the name of a number.
        let tunable = unsafe { named(name) };
        let numbers = NUMBERS.load(Ordering::Relaxed);
        let Some(tunable) = tunable.filter(|_| !numbers.is_null()) else {
            return;
        };
        // SAFETY: the host keeps the numbers there until this callback returns.
        let number = unsafe { (*numbers)[tunable.slot()] };
        let pools =
            PARAMETERS.with(|parameters| parameters.get_or_insert_default().tune(tunable, number));
        match pools {
            Some(Ok(numbers)) => {
                process::with(|process| process.cache.tune(tunable, &numbers));
            }
            Some(Err(bad)) => log::error!("{bad}"),
            None => {}
        }
    });
}

/// The parameter of that name.
///
/// # Safety
/// `name` is the name that the host has called a callback with.
unsafe fn named(name: *const Str) -> Option<Tunable> {
    // SAFETY: by this function's contract.
    Tunable::named(unsafe { (*name).bytes() })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Turn;
    use super::*;
    use crate::config::{Given, Parameter, Parameters};

    fn timeouts() -> Vec<u128> {
        let read = |process: &mut process::Process| {
            process.cache.refresh();
            let pools = process.cache.pools().iter();
            pools
                .map(|pool| pool.settings().timeout.as_millis())
                .collect()
        };
        process::with(read).unwrap()
    }

    #[test]
    fn every_parameter_that_can_be_changed_is_declared() {
        let turn = Turn::without_server();
        let pools = Parameters::default().settle();
        declare(&pools[0].numbers).unwrap();
        let changeable = |parameter: &Parameter| {
            let number = parameter.number().filter(|number| number.is_changeable())?;
            let (least, most) = number.range().into_inner();
            Some((parameter.name().to_owned(), least, most))
        };
        let expected: Vec<_> = Parameter::ALL.iter().filter_map(changeable).collect();
        assert_eq!(turn.declared(), expected);
    }

    #[test]
    fn a_change_reaches_the_pools_without_a_number_of_their_own() {
        let turn = Turn::without_server();
        let parameters = |text: &str| {
            let mut parameters = Parameters::default();
            parameters
                .set("servers", Given::Text("127.0.0.1:1"))
                .unwrap();
            parameters.set("timeout", Given::Number(2000)).unwrap();
            parameters.set("pool", Given::Text(text)).unwrap();
            parameters
        };
        let parameters = parameters("name=own;servers=127.0.0.1:2;timeout=7");
        let pools = parameters.settle();
        declare(&pools[0].numbers).unwrap();
        turn.start(pools);
        PARAMETERS.with(|slot| *slot = Some(parameters));
        assert_eq!(timeouts(), [2000, 7]);
        turn.tune("timeout", 100);
        assert_eq!(timeouts(), [100, 7]);
        turn.tune("retry_interval", -1);
        assert_eq!(timeouts(), [100, 7]);
        let retry = process::with(|process| process.cache.pools()[0].settings().retry_interval);
        assert_eq!(retry, Some(None));
    }
}
