//! The host's format strings: they know one variable, `$v`, and `$$`.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use super::super::abi::{PvElem, SipMsg, Str};

thread_local! {
    static VARIABLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The address of the symbol called `name` that deals with format strings, or NULL.
pub fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"pv_parse_format" => pv_parse_format as *mut c_void,
        b"pv_printf" => pv_printf as *mut c_void,
        b"pv_elem_free_all" => pv_elem_free_all as *mut c_void,
        _ => ptr::null_mut(),
    }
}

/// Sets what `$v` expands to.
pub fn set_variable(bytes: &[u8]) {
    VARIABLE.replace(bytes.to_vec());
}

/// One element for the whole text; it has a variable when the text has `$v`.
unsafe extern "C" fn pv_parse_format(text: *mut Str, elements: *mut *mut PvElem) -> c_int {
    // SAFETY: the caller's text, and room for a pointer.
    unsafe {
        let bytes = (*text).bytes();
        if bytes.ends_with(b"$") && !bytes.ends_with(b"$$") {
            return -1;
        }
        let has_variable = bytes.windows(2).any(|pair| pair == b"$v");
        let spec = if has_variable {
            ptr::dangling_mut()
        } else {
            ptr::null_mut()
        };
        let plain = String::from_utf8_lossy(bytes).replace("$$", "$");
        let text = CString::new(plain).unwrap_or_default().into_raw();
        let text = Str {
            s: text,
            len: CStr::from_ptr(text).count_bytes() as c_int,
        };
        *elements = Box::into_raw(Box::new(PvElem {
            text,
            spec,
            next: ptr::null_mut(),
        }));
    }
    0
}

unsafe extern "C" fn pv_printf(
    _: *mut SipMsg,
    elements: *mut PvElem,
    buffer: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: an element from above, a buffer of `*len` bytes.
    unsafe {
        let text = (*elements).text.bytes();
        let mut printed = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.windows(2).position(|pair| pair == b"$v") {
            printed.extend_from_slice(&rest[..at]);
            VARIABLE.with_borrow(|value| printed.extend_from_slice(value));
            rest = &rest[at + 2..];
        }
        printed.extend_from_slice(rest);
        if printed.len() >= *len as usize {
            return -2;
        }
        ptr::copy_nonoverlapping(printed.as_ptr().cast(), buffer, printed.len());
        *len = printed.len() as c_int;
    }
    0
}

unsafe extern "C" fn pv_elem_free_all(elements: *mut PvElem) -> c_int {
    // SAFETY: made by `pv_parse_format`.
    unsafe {
        let element = Box::from_raw(elements);
        drop(CString::from_raw(element.text.s));
    }
    0
}
