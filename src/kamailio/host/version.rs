//! The constructor that finds out which Kamailio is loading us.
//!
//! Kamailio loads a module only if two strings that the module exports are equal to two strings
//! compiled into the core (`core/sr_module.c`: `version_control`). Our constructor runs inside
//! `dlopen`, before that check. It reads the core's version from the core itself, chooses the
//! layouts, and writes the two strings. If it does not know the version, it writes a refusal
//! instead; the loader prints it when it rejects the module.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

use super::family::Family;
use super::guard::guard;
use super::layout::{ExportedText, LoadedModule};
use super::symbols::{self, Host, Missing, Symbols};

/// The string that the loader compares with the core's version.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub(crate) static module_version: ExportedText = VERSION.exported();

/// The string that the loader compares with the core's compile flags.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub(crate) static module_flags: ExportedText = FLAGS.exported();

static VERSION: TextBuffer = TextBuffer::new();
static FLAGS: TextBuffer = TextBuffer::new();

/// Memory for one of the two strings. The exported pointers lead here from the start, so that the
/// constructor need not use them. By their names it might reach those of another module: app_lua,
/// for one, is loaded with `RTLD_GLOBAL`.
struct TextBuffer([AtomicU8; 2048]);

impl TextBuffer {
    const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; 2048])
    }

    const fn exported(&'static self) -> ExportedText {
        ExportedText::new((&raw const self.0).cast::<c_char>().cast_mut())
    }

    /// Writes `text`. A text that is too long is cut, and the last byte stays NUL.
    fn set(&self, text: &CStr) {
        let (_, bytes) = self.0.split_last().expect("it is not empty");
        for (to, &byte) in bytes.iter().zip(text.to_bytes()) {
            to.store(byte, Ordering::Relaxed);
        }
    }
}

#[used]
#[cfg(not(miri))]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

#[cfg_attr(miri, allow(dead_code))] // Miri has no `dlsym`
extern "C" fn construct() {
    guard((), || {
        // SAFETY: `dlsym` only searches; it gets RTLD_DEFAULT and a C string.
        let find = |name: &CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if find(c"ver_name").is_null() {
            // This program is not Kamailio but one of our tests.
            return;
        }
        // SAFETY: the program has `ver_name`, so these are symbols of Kamailio's core.
        let expected = match unsafe { recognise(find) } {
            Ok((host, expected)) => {
                symbols::install(host);
                expected
            }
            Err(refusal) => Expected {
                version: refusal.clone(),
                flags: refusal,
            },
        };
        VERSION.set(&expected.version);
        FLAGS.set(&expected.flags);
    });
}

/// The two strings that the loader compares with its own.
struct Expected {
    version: CString,
    flags: CString,
}

/// The known versions, as a refusal names them.
const KNOWN: &str = "Kamailio 5.3 to 6.1";

/// Recognises the core whose symbols `find` finds. Returns the host, and the two strings that its
/// loader expects. The error is the text to show in their place.
///
/// # Safety
/// As for [`Symbols::find`].
unsafe fn recognise(find: impl Fn(&CStr) -> *mut c_void) -> Result<(Host, Expected), CString> {
    let text = |name: &CStr| {
        let address: *const c_char = find(name).cast_const().cast();
        // SAFETY: the core's `ver_*` are arrays that end with NUL (`core/ver.c`).
        let found = (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) });
        found.map_or_else(String::new, |found| found.to_string_lossy().into_owned())
    };
    let (name, number, arch, os) = (
        text(c"ver_name"),
        text(c"ver_version"),
        text(c"ver_arch"),
        text(c"ver_os"),
    );
    let version = format!("{name} {number} ({arch}/{os})");
    let refuse = |why: String| {
        let advice = "install a kamailio-memcached for this Kamailio, or an accepted Kamailio";
        let line = format!(
            "{why}; accepted: {KNOWN} on {}; {advice}",
            std::env::consts::ARCH
        );
        CString::new(line.replace('\0', "?")).unwrap_or_default()
    };
    if !same_arch(&arch) {
        return Err(refuse(format!(
            "'{version}' has another architecture than this module"
        )));
    }
    let Some(family) = Family::of(&number) else {
        return Err(refuse(format!(
            "'{version}' is not supported by this module"
        )));
    };
    // SAFETY: by this function's contract, which is that of `Symbols::find`.
    let symbols = unsafe { Symbols::find(&find) }.map_err(|Missing(symbol)| {
        refuse(format!(
            "'{version}' has no symbol '{}'",
            symbol.to_string_lossy()
        ))
    })?;
    // SAFETY: by this function's contract it is NULL or the core's function. Its signature is the
    // same in all known versions.
    let flags = unsafe { flags_of_a_loaded_module(find(c"get_loaded_modules")) }
        .unwrap_or_else(|| flags_for_loader(family, std::env::consts::ARCH, &text(c"ver_flags")));
    let optional = |name: &CStr| Some(find(name)).filter(|address| !address.is_null());
    let host = Host {
        symbols,
        slog_func: optional(c"_ksr_slog_func").map(|address| address.cast_const().cast()),
        dprint_crit: optional(c"dprint_crit").map(|address| address.cast()),
        family,
    };
    let expected = Expected {
        version: CString::new(version).unwrap_or_default(),
        flags: CString::new(flags).unwrap_or_default(),
    };
    Ok((host, expected))
}

fn same_arch(arch: &str) -> bool {
    match std::env::consts::ARCH {
        "aarch64" => matches!(arch, "aarch64" | "arm64"),
        "x86_64" => matches!(arch, "x86_64" | "amd64"),
        ours => ours == arch,
    }
}

/// The flags of a module that has already passed the loader's check, so they are what the loader
/// expects.
///
/// # Safety
/// `get_loaded_modules` is NULL or the core's function of that name.
unsafe fn flags_of_a_loaded_module(get_loaded_modules: *mut c_void) -> Option<String> {
    if get_loaded_modules.is_null() {
        return None;
    }
    // SAFETY: by this function's contract. The function takes no arguments and returns the first
    // element of a list, or NULL.
    let first = unsafe {
        let function: extern "C" fn() -> *const LoadedModule =
            std::mem::transmute(get_loaded_modules);
        function().as_ref()?
    };
    if first.handle.is_null() {
        return None;
    }
    // SAFETY: it is the handle of a module that stays loaded. The loader has compared the module's
    // variable `module_flags`, a `char *`, so that points to a string that ends with NUL.
    unsafe {
        let variable: *const *const c_char =
            libc::dlsym(first.handle, c"module_flags".as_ptr()).cast();
        let flags = variable.as_ref().filter(|flags| !flags.is_null())?;
        Some(CStr::from_ptr(*flags).to_string_lossy().into_owned())
    }
}

/// The flags as they are compiled into the loader. The core's `ver_flags` also have macros that are not
/// defined where the loader is compiled:
///
/// * from 6.1 on, those of the memory managers;
/// * on aarch64 before 6.1, `USE_FUTEX`: the core has no atomic operations there, so `core/futexlock.h`
///   takes the macro back.
fn flags_for_loader(family: Family, arch: &str, ver_flags: &str) -> String {
    const MEMORY_MANAGERS: [&str; 5] = [
        "DBG_QM_MALLOC",
        "DBG_F_MALLOC",
        "DBG_TLSF_MALLOC",
        "DBG_SF_MALLOC",
        "DBG_LL_MALLOC",
    ];
    let is_hidden = |word: &str| match word {
        "USE_FUTEX" => arch == "aarch64" && family < Family::F61,
        word => family >= Family::F61 && MEMORY_MANAGERS.contains(&word),
    };
    let words = ver_flags.split(", ").filter(|word| !is_hidden(word));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
