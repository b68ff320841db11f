//! The parameter table for `modparam`, and the callbacks that hand values to the core.
//!
//! Every name has a row for each type, so that a value of the wrong type is refused in words of
//! ours. All are checked here, while the configuration is read: `kamailio -c` gets no further.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::host::guard::guard;
use super::host::layout::{PARAM_INT, PARAM_STRING, PARAM_USE_FUNC, ParamExport};
use super::process::PARAMETERS;
use crate::config::Given;

type Callback = unsafe extern "C" fn(u32, *mut c_void) -> c_int;

/// The table that the module exports.
pub(super) struct Table([ParamExport; 2 * NAMES.len() + 1]);

// SAFETY: the pointers in it are to constant text.
unsafe impl Sync for Table {}

impl Table {
    /// For the module's exports.
    pub(super) const fn rows(&self) -> *const ParamExport {
        self.0.as_ptr()
    }
}

macro_rules! table {
    ($($name:ident)*) => {
        /// The parameters' names.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// The parameters.
        pub(super) static TABLE: Table = Table([
            $(
                row(concat!(stringify!($name), "\0"), PARAM_STRING, callbacks::$name),
                row(concat!(stringify!($name), "\0"), PARAM_INT, callbacks::$name),
            )*
            ParamExport { name: ptr::null(), kind: 0, callback: None },
        ]);

        /// One callback each: the host does not say which parameter it is setting.
        mod callbacks {
            use super::*;
            $(
                pub(super) unsafe extern "C" fn $name(kind: u32, value: *mut c_void) -> c_int {
                    // SAFETY: the host's own arguments.
                    unsafe { take(stringify!($name), kind, value) }
                }
            )*
        }
    };
}

table! {
    servers servers_file expire mode timeout memory stringify
    pool distribution hash key_prefix hash_prefix hash_tag
    failover stall_limit inactive_threshold probing_threshold retry_interval ping_interval
    connect_timeout rejoin event_callback
}

const fn row(name: &'static str, kind: u32, callback: Callback) -> ParamExport {
    let name: *const c_char = name.as_ptr().cast();
    ParamExport {
        name,
        kind: kind | PARAM_USE_FUNC,
        callback: Some(callback),
    }
}

/// # Safety
/// The arguments of a parameter's callback (`core/modparam.c`): with [`PARAM_STRING`] the value
/// is a C string, with [`PARAM_INT`] it is the integer itself.
unsafe fn take(name: &str, kind: u32, value: *mut c_void) -> c_int {
    guard(-1, || {
        let given = if kind & PARAM_STRING != 0 {
            // SAFETY: by this function's contract.
            match unsafe { CStr::from_ptr(value.cast()) }.to_str() {
                Ok(text) => Given::Text(text),
                Err(_) => {
                    log::error!("parameter '{name}': the value is refused; accepted: UTF-8 text");
                    return -1;
                }
            }
        } else {
            Given::Number(value as isize as i32)
        };
        let set = PARAMETERS.with(|parameters| parameters.get_or_insert_default().set(name, given));
        match set {
            Some(Ok(())) => 0,
            Some(Err(bad)) => {
                log::error!("{bad}");
                -1
            }
            None => -1,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_core_s_parameters() {
        let ours = crate::config::NAMES;
        assert_eq!(NAMES, ours);
        let rows = TABLE.0.iter().filter(|row| !row.name.is_null());
        let names: Vec<_> = rows
            // SAFETY: the names of the table are C strings.
            .map(|row| unsafe { CStr::from_ptr(row.name) }.to_str())
            .collect();
        assert_eq!(names.len(), 2 * ours.len());
        assert!(
            names
                .chunks(2)
                .zip(ours)
                .all(|(pair, name)| pair == [Ok(name), Ok(name)])
        );
    }
}
