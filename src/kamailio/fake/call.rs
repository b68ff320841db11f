//! How the core of the fake host calls a function of the script.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use super::super::functions;
use super::super::host::layout::CmdExport;

/// The row of a function for that number of arguments.
fn row_of(name: &str, count: usize) -> &'static CmdExport {
    let rows = functions::TABLE.list().iter();
    let wanted = |row: &&CmdExport| {
        // SAFETY: the names of the table are C strings.
        let known = unsafe { CStr::from_ptr(row.name) };
        known.to_bytes() == name.as_bytes() && row.param_no as usize == count
    };
    let mut found = rows.filter(wanted);
    let row = found
        .next()
        .unwrap_or_else(|| panic!("{name} with {count} arguments"));
    assert!(
        found.next().is_none(),
        "{name} with {count} arguments twice"
    );
    row
}

/// A call of the script, with its arguments parsed.
pub(crate) struct ScriptCall {
    row: &'static CmdExport,
    places: Vec<*mut c_void>,
    texts: Vec<CString>,
}

impl ScriptCall {
    /// Has the arguments parsed as the core does, or returns the number of the one that is refused.
    pub(crate) fn parse(name: &str, arguments: &[&[u8]]) -> Result<Self, usize> {
        let texts = arguments.iter().map(|text| CString::new(*text).unwrap());
        let mut parsed = Self {
            row: row_of(name, arguments.len()),
            places: Vec::new(),
            texts: texts.collect(),
        };
        for (index, text) in parsed.texts.iter().enumerate() {
            let mut place: *mut c_void = text.as_ptr().cast_mut().cast();
            // SAFETY: it gets what the core would pass.
            let done = unsafe { parsed.row.fixup.unwrap()(&raw mut place, index as c_int + 1) };
            if done != 0 {
                assert_eq!(
                    place.cast_const().cast::<c_char>(),
                    text.as_ptr(),
                    "left as it was"
                );
                return Err(index + 1);
            }
            parsed.places.push(place);
        }
        Ok(parsed)
    }

    /// Has the function called.
    pub(crate) fn run(&self) -> c_int {
        let (msg, none) = (ptr::null_mut(), ptr::null_mut());
        let function = self.row.function;
        // SAFETY: it gets what the core would pass: as many arguments as the row says.
        unsafe {
            match self.places[..] {
                [a] => (function.two)(msg, a, none),
                [a, b] => (function.two)(msg, a, b),
                [a, b, c] => (function.three)(msg, a, b, c),
                [a, b, c, d] => (function.four)(msg, a, b, c, d),
                [a, b, c, d, e] => (function.five)(msg, a, b, c, d, e),
                _ => unreachable!(),
            }
        }
    }
}

/// The core gets its strings back.
impl Drop for ScriptCall {
    fn drop(&mut self) {
        for (index, (place, text)) in self.places.iter_mut().zip(&self.texts).enumerate() {
            // SAFETY: it gets what the core would pass.
            let done = unsafe { self.row.free_fixup.unwrap()(place, index as c_int + 1) };
            assert_eq!(done, 0);
            assert_eq!(place.cast_const().cast::<c_char>(), text.as_ptr());
        }
    }
}
