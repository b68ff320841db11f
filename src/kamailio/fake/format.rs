//! The format strings of the fake host. They know one variable, `$v`, and the escape `$$`.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::super::host::layout::{PvElem, SipMsg, Str};

thread_local! {
    static VARIABLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The address of the symbol called `name`, if it belongs to format strings; otherwise NULL.
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

/// Makes one element for the whole text, and the element points into the text.
unsafe extern "C" fn pv_parse_format(text: *mut Str, elements: *mut *mut PvElem) -> c_int {
    // SAFETY: the caller passes a text and the address of a pointer.
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
    // SAFETY: `pv_parse_format` made the element. The buffer has `*len` bytes.
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
        // SAFETY: `pv_parse_format` made it.
        drop(unsafe { Box::from_raw(elements) });
    }
    0
}
