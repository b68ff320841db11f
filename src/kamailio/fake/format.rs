//! The host's format strings: they know one variable, `$v`, and `$$`.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::super::host::layout::{PvElem, SipMsg, Str};

thread_local! {
    static VARIABLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The address of the symbol called `name` that deals with format strings, or NULL.
pub(super) fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"pv_parse_format" => pv_parse_format as *mut c_void,
        b"pv_printf" => pv_printf as *mut c_void,
        b"pv_elem_free_all" => pv_elem_free_all as *mut c_void,
        _ => ptr::null_mut(),
    }
}

/// Sets what `$v` expands to.
pub(super) fn set_variable(bytes: &[u8]) {
    VARIABLE.replace(bytes.to_vec());
}

/// One element for the whole text, which it points into.
unsafe extern "C" fn pv_parse_format(text: *mut Str, elements: *mut *mut PvElem) -> c_int {
    // SAFETY: the caller's text, and room for a pointer.
    unsafe {
        let bytes = (*text).bytes();
        if bytes.ends_with(b"$") && !bytes.ends_with(b"$$") {
            return -1;
        }
        *elements = Box::into_raw(Box::new(PvElem {
            text: *text,
            spec: ptr::null_mut(),
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
        let mut rest = (*elements).text.bytes();
        let mut printed = Vec::new();
        while let Some((&byte, after)) = rest.split_first() {
            rest = match (byte, after.split_first()) {
                (b'$', Some((b'v', after))) => {
                    VARIABLE.with_borrow(|value| printed.extend_from_slice(value));
                    after
                }
                (b'$', Some((b'$', after))) => {
                    printed.push(b'$');
                    after
                }
                _ => {
                    printed.push(byte);
                    after
                }
            };
        }
        if printed.len() >= *len as usize {
            return -2;
        }
        ptr::copy_nonoverlapping(printed.as_ptr().cast(), buffer, printed.len());
        *len = printed.len() as c_int;
    }
    0
}

unsafe extern "C" fn pv_elem_free_all(elements: *mut PvElem) -> c_int {
    if !elements.is_null() {
        // SAFETY: made by `pv_parse_format`.
        drop(unsafe { Box::from_raw(elements) });
    }
    0
}
