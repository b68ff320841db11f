//! The variables and the format strings of the fake host.
//!
//! A variable is `$` and a letter. `$r` is read-only, `$f` accepts no value, and `$t` has a transformation. `$$` is
//! an escape.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use super::super::host::family::Family;
use super::super::host::layout::{
    PV_INT, PV_PKG, PV_STR, PV_TYPE_INT, PvElem, PvParam, PvSpec, PvValue64, SipMsg, Str,
};
use super::super::pv_value::{Assigned, HostValue};
use crate::item::value::Value;

/// What a variable holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Held {
    /// `$null`
    #[default]
    Null,
    /// An integer.
    Integer(i64),
    /// A string.
    Text(Vec<u8>),
    /// A string that its reader frees.
    OwnText(Vec<u8>),
}

thread_local! {
    static VARIABLES: RefCell<BTreeMap<u8, Held>> = const { RefCell::new(BTreeMap::new()) };
    /// Strings that were read, which the host keeps for a while.
    static LENT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The address of the symbol called `name`, if it belongs to variables or format strings; otherwise
/// NULL.
pub(super) fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"pv_parse_format" => pv_parse_format as *mut c_void,
        b"pv_printf" => pv_printf as *mut c_void,
        b"pv_elem_free_all" => pv_elem_free_all as *mut c_void,
        b"pv_get_spec_value" => pv_get_spec_value as *mut c_void,
        b"pv_set_spec_value" => pv_set_spec_value as *mut c_void,
        b"pv_value_destroy" => pv_value_destroy as *mut c_void,
        _ => ptr::null_mut(),
    }
}

/// Sets a variable.
pub(super) fn set(letter: char, held: Held) {
    VARIABLES.with_borrow_mut(|variables| variables.insert(letter as u8, held));
}

/// What a variable holds.
pub(super) fn get(letter: u8) -> Held {
    VARIABLES.with_borrow(|variables| variables.get(&letter).cloned().unwrap_or_default())
}

/// Makes one element for the whole text, and the element points into the text. If the text is one
/// variable, the element has that variable and an empty text.
unsafe extern "C" fn pv_parse_format(text: *mut Str, elements: *mut *mut PvElem) -> c_int {
    // SAFETY: the caller passes a text and the address of a pointer.
    unsafe {
        let bytes = (*text).bytes();
        if bytes.ends_with(b"$") && !bytes.ends_with(b"$$") {
            return -1;
        }
        let (len, spec) = match bytes {
            [b'$', letter] if letter.is_ascii_alphabetic() => (0, spec(*letter)),
            _ => ((*text).len, ptr::null_mut()),
        };
        *elements = Box::into_raw(Box::new(PvElem {
            text: Str { len, ..*text },
            spec,
            next: ptr::null_mut(),
        }));
    }
    0
}

/// A variable as the core keeps it. Its kind is its letter.
fn spec(letter: u8) -> *mut PvSpec {
    // SAFETY: all bits zero is a valid `pv_spec_t`.
    let mut spec = Box::new(unsafe { MaybeUninit::<PvSpec>::zeroed().assume_init() });
    spec.kind = letter.into();
    spec.setf = (letter != b'r').then_some(set_nothing);
    if letter == b't' {
        spec.trans = ptr::dangling_mut();
    }
    Box::into_raw(spec)
}

/// The fake sets by [`pv_set_spec_value`].
unsafe extern "C" fn set_nothing(
    _: *mut SipMsg,
    _: *mut PvParam,
    _: c_int,
    _: *mut c_void,
) -> c_int {
    -1
}

unsafe extern "C" fn pv_printf(
    _: *mut SipMsg,
    elements: *mut PvElem,
    buffer: *mut c_char,
    len: *mut c_int,
) -> c_int {
    let mut printed = Vec::new();
    let text_of = |letter: u8| match get(letter) {
        Held::Null => b"<null>".to_vec(),
        Held::Integer(number) => number.to_string().into_bytes(),
        Held::Text(text) | Held::OwnText(text) => text,
    };
    // SAFETY: `pv_parse_format` made the element.
    let element = unsafe { &*elements };
    if !element.spec.is_null() {
        // SAFETY: `spec` made it.
        printed.extend(text_of(unsafe { (*element.spec).kind } as u8));
    }
    // SAFETY: the text lives as long as the element.
    let mut rest = unsafe { element.text.bytes() };
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after.split_first()) {
            (b'$', Some((letter, after))) if letter.is_ascii_alphabetic() => {
                printed.extend(text_of(*letter));
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
    // SAFETY: the buffer has `*len` bytes.
    unsafe {
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
        // SAFETY: `pv_parse_format` and `spec` made them.
        unsafe {
            let element = Box::from_raw(elements);
            if !element.spec.is_null() {
                drop(Box::from_raw(element.spec));
            }
        }
    }
    0
}

unsafe extern "C" fn pv_get_spec_value(
    _: *mut SipMsg,
    spec: *mut PvSpec,
    value: *mut c_void,
) -> c_int {
    // SAFETY: `spec` made the variable.
    let held = get(unsafe { (*spec).kind } as u8);
    let (rs, ri, flags) = match held {
        Held::Null => {
            // SAFETY: it is the caller's value.
            unsafe { HostValue::new(Family::F57, value) }.set_null();
            return 0;
        }
        Held::Integer(number) => (Str::borrowed(b""), number, PV_INT | PV_TYPE_INT),
        Held::Text(text) => {
            let rs = Str::borrowed(&text);
            LENT.with_borrow_mut(|lent| lent.push(text));
            (rs, 0, PV_STR)
        }
        Held::OwnText(text) => {
            let text = Box::leak(text.into_boxed_slice());
            let rs = Str {
                s: text.as_mut_ptr().cast(),
                len: text.len() as c_int,
            };
            (rs, 0, PV_STR | PV_PKG)
        }
    };
    // SAFETY: it is the caller's value.
    unsafe { value.cast::<PvValue64>().write(PvValue64 { rs, ri, flags }) };
    0
}

unsafe extern "C" fn pv_set_spec_value(
    _: *mut SipMsg,
    spec: *mut PvSpec,
    _: c_int,
    value: *mut c_void,
) -> c_int {
    // SAFETY: `spec` made the variable.
    let letter = unsafe { (*spec).kind } as u8;
    if letter == b'f' {
        return -1;
    }
    // SAFETY: it is the caller's value.
    let held = match unsafe { Assigned::read(Family::F57, value) } {
        Assigned::Null => Held::Null,
        Assigned::Value(Value::Integer(number)) => Held::Integer(number),
        Assigned::Value(Value::Text(text)) => Held::Text(text.into()),
    };
    set(letter.into(), held);
    0
}

unsafe extern "C" fn pv_value_destroy(value: *mut c_void) {
    // SAFETY: `pv_get_spec_value` has filled it, and has made the string for its reader.
    unsafe {
        let value = &mut *value.cast::<PvValue64>();
        let text = ptr::slice_from_raw_parts_mut(value.rs.s.cast::<u8>(), value.rs.len as usize);
        drop(Box::from_raw(text));
        value.flags = 0;
    }
}
