//! The table of parameters for `modparam`, and the callbacks that pass values on to `config`.
//!
//! Both are made from `config`'s table. Every name has one row for strings and one for integers, so
//! that a value of the wrong type is refused with our own message. All values are checked here,
//! while the configuration is read, since `kamailio -c` does not call `mod_init`. What is wrong only together is
//! found [at the end](super::config_check).

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use super::host::guard::guard;
use super::host::layout::{PARAM_INT, PARAM_STRING, PARAM_USE_FUNC, ParamExport};
use super::process::PARAMETERS;
use crate::config::{BadParameter, Given, Parameter};
use crate::quoted::quoted;

type ParamCallback = unsafe extern "C" fn(u32, *mut c_void) -> c_int;

const COUNT: usize = Parameter::ALL.len();

/// The type of the table that the module exports: two rows for each parameter, and an empty one at
/// the end.
pub(super) struct ParamTable([ParamExport; 2 * COUNT + 1]);

// SAFETY: the pointers in it lead to constant text.
unsafe impl Sync for ParamTable {}

impl ParamTable {
    /// The first row, for the module's exports.
    pub(super) const fn rows(&self) -> *const ParamExport {
        self.0.as_ptr()
    }
}

/// The parameters.
pub(super) static TABLE: ParamTable = {
    let mut table = [const { export(ptr::null(), 0, None) }; 2 * COUNT + 1];
    let mut row = 0;
    while row < COUNT {
        let (name, callback) = (Parameter::ALL[row].name.as_ptr(), Some(CALLBACKS[row]));
        table[2 * row] = export(name, PARAM_STRING | PARAM_USE_FUNC, callback);
        table[2 * row + 1] = export(name, PARAM_INT | PARAM_USE_FUNC, callback);
        row += 1;
    }
    ParamTable(table)
};

const fn export(
    name: *const std::ffi::c_char,
    kind: u32,
    callback: Option<ParamCallback>,
) -> ParamExport {
    ParamExport {
        name,
        kind,
        callback,
    }
}

macro_rules! callbacks {
    ($($row:literal)*) => { [$(take::<$row>),*] };
}

/// One callback for each row of `config`'s table, because the host does not say which parameter it
/// sets.
const CALLBACKS: [ParamCallback; 64] = callbacks! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
};
const _: () = assert!(COUNT <= CALLBACKS.len(), "too few callbacks");

/// # Safety
/// The arguments of a parameter's callback (`core/modparam.c`): with [`PARAM_STRING`] the value
/// is a C string, with [`PARAM_INT`] it is the integer itself.
unsafe extern "C" fn take<const ROW: usize>(kind: u32, value: *mut c_void) -> c_int {
    guard(-1, || {
        let given = if kind & PARAM_STRING != 0 {
            // SAFETY: by this function's contract.
            let text = unsafe { CStr::from_ptr(value.cast()) };
            match text.to_str() {
                Ok(text) => Given::Text(text),
                Err(_) => {
                    let (name, value) = (Parameter::ALL[ROW].name(), quoted(text.to_bytes()));
                    log::error!("parameter '{name}': invalid value {value}; accepted: UTF-8 text");
                    return -1;
                }
            }
        } else {
            Given::Number(value as isize as i32)
        };
        set(ROW, given)
    })
}

fn set(row: usize, given: Given<'_>) -> c_int {
    let set = PARAMETERS.with(|parameters| {
        let parameters = parameters.get_or_insert_default();
        parameters.set_row(row, given)?;
        Ok::<_, BadParameter>(parameters.doubts_so_far())
    });
    match set {
        Some(Ok(doubts)) => {
            doubts.iter().for_each(|doubt| log::warn!("{doubt}"));
            0
        }
        Some(Err(bad)) => {
            log::error!("{bad}");
            -1
        }
        None => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Turn;
    use super::*;

    #[test]
    fn the_table_has_every_parameter() {
        let rows = TABLE.0.iter().filter(|row| !row.name.is_null());
        let names: Vec<_> = rows
            // SAFETY: the names of the table are C strings.
            .map(|row| unsafe { CStr::from_ptr(row.name) }.to_str())
            .collect();
        assert_eq!(names.len(), 2 * COUNT);
        assert!(
            names
                .chunks(2)
                .zip(Parameter::ALL)
                .all(|(pair, parameter)| pair == [Ok(parameter.name()), Ok(parameter.name())])
        );
        let kinds: Vec<_> = TABLE.0.iter().map(|row| row.kind).collect();
        let both = [PARAM_STRING | PARAM_USE_FUNC, PARAM_INT | PARAM_USE_FUNC];
        assert!(kinds[..2 * COUNT].chunks(2).all(|pair| pair == both));
    }

    #[test]
    fn each_callback_sets_the_parameter_of_its_row() {
        let turn = Turn::without_server();
        for pair in TABLE.0.chunks_exact(2) {
            let number = &pair[1];
            // SAFETY: the names of the table are C strings.
            let name = unsafe { CStr::from_ptr(number.name) }.to_str().unwrap();
            // No parameter takes this number.
            let value = i32::MIN as isize as *mut c_void;
            // SAFETY: the row is one for integers, and gets an integer.
            let answer = unsafe { number.callback.unwrap()(PARAM_INT, value) };
            let lines = turn.lines().concat();
            assert_eq!(answer, -1, "{name}");
            // A build without a feature says that it does not have it.
            let told = match cfg!(all(feature = "compression", feature = "tls")) {
                true => format!("parameter '{name}': invalid value -2147483648; accepted: "),
                false => format!("parameter '{name}': "),
            };
            // Below Miri no line is kept.
            assert!(cfg!(miri) || lines.contains(&told), "{lines}");
        }
    }
}
