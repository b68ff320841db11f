//! The host's structures for KEMI: the functions that scripts in other languages call, and the values
//! that these return. Like [`layout`](super::layout), nothing here has behaviour.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use super::layout::Str;

/// `sr_kemi_t` (`core/kemi.h`): a row of the table of functions. The last row has no names.
#[repr(C)]
pub(crate) struct KemiExport {
    /// The module's name. The engines read it as a C string, too.
    pub module: Str,
    /// The function's name; the same.
    pub name: Str,
    /// What it returns: [`KEMI_INT`], or the family's number for a [`KemiValue`].
    pub returns: c_int,
    /// The function. It gets the SIP message, and its arguments: an `int` or a pointer to a [`Str`] each.
    pub function: *const c_void,
    /// [`KEMI_INT`] or [`KEMI_STR`] for each argument, and [`KEMI_NONE`] behind them.
    pub takes: [c_int; 6],
}

/// There is no such argument.
pub(crate) const KEMI_NONE: c_int = 0;
/// The value is an `int`.
pub(crate) const KEMI_INT: c_int = 1;
/// The value is a [`Str`].
pub(crate) const KEMI_STR: c_int = 2;

/// `sr_kemi_xval_t`: what a function returns that may be of any type.
#[repr(C)]
pub(crate) struct KemiValue {
    /// [`KEMI_INT`], [`KEMI_STR`], or one of the family's numbers.
    pub kind: c_int,
    /// The value.
    pub value: KemiUnion,
}

/// The value of a [`KemiValue`].
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union KemiUnion {
    /// An `int`.
    pub n: c_int,
    /// A `long`, from 5.7 on.
    pub l: i64,
    /// A string.
    pub s: Str,
}

layout!(KemiExport: 72 { module @ 0, name @ 16, returns @ 32, function @ 40, takes @ 48 });
layout!(KemiValue: 24 { kind @ 0, value @ 8 });
layout!(KemiUnion: 16 { n @ 0, l @ 0, s @ 0 });
