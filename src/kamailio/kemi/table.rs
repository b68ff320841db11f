//! `Function` is a row of the table that the host gets: a function's name, what it takes, and what it
//! returns.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use super::super::NAME;
use super::super::host::family::Family;
use super::super::host::kemi_layout::{KEMI_INT, KEMI_NONE, KEMI_STR, KemiExport};
use super::super::host::layout::Str;
use super::super::host::symbols::host;

/// A function as scripts see it.
pub(super) struct Function {
    /// The name, which ends with NUL.
    pub(super) name: &'static str,
    pub(super) returns: Kind,
    pub(super) function: *const c_void,
    pub(super) takes: &'static [Kind],
}

/// What a function takes or returns.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// An integer of 32 bits.
    Number,
    /// A string.
    Text,
    /// A string, an integer, or nothing. It can only be returned.
    Any,
}

/// Registers functions with the host, while it loads the module. Returns false if the host does not accept
/// them.
pub(super) fn register(functions: impl Iterator<Item = &'static Function>, family: Family) -> bool {
    let mut rows: Vec<KemiExport> = functions.map(|function| function.row(family)).collect();
    rows.push(END);
    // The host reads the table as long as it runs.
    let rows = rows.leak();
    // SAFETY: the rows stay, and they end with an empty one.
    unsafe { (host().symbols.sr_kemi_modules_add)(rows.as_ptr()) == 0 }
}

const END: KemiExport = {
    const NOBODY: Str = Str {
        s: ptr::null_mut(),
        len: 0,
    };
    KemiExport {
        module: NOBODY,
        name: NOBODY,
        returns: KEMI_NONE,
        function: ptr::null(),
        takes: [KEMI_NONE; 6],
    }
};

impl Function {
    fn row(&self, family: Family) -> KemiExport {
        let name = CStr::from_bytes_with_nul(self.name.as_bytes()).expect("it ends with NUL");
        let mut takes = [KEMI_NONE; 6];
        for (to, kind) in takes.iter_mut().zip(self.takes) {
            *to = kind.number(family);
        }
        KemiExport {
            module: Str::terminated(NAME),
            name: Str::terminated(name),
            returns: self.returns.number(family),
            function: self.function,
            takes,
        }
    }
}

impl Kind {
    fn number(self, family: Family) -> c_int {
        match self {
            Self::Number => KEMI_INT,
            Self::Text => KEMI_STR,
            Self::Any => family.kemi_value(),
        }
    }
}
