//! `HostLog` writes the lines of the `log` facade to the host's log, in the form of the core's own
//! lines.
//!
//! Level, colours, prefix, facility and log engine belong to the host and may change while it runs.
//! So they are read again for each line (`core/dprint.h`: `LOG_FX`).

use std::ffi::{CStr, CString, c_int};
use std::fmt::Write as _;
use std::io::Write as _;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::super::NAME;
use super::layout::KsrLogData;
use super::symbols::{Host, try_host};

struct HostLog;

/// From now on, what is logged goes to the host's log.
pub(crate) fn install() {
    // This fails if it was installed before. Then nothing has to be done.
    let _ = log::set_logger(&HostLog);
    log::set_max_level(LevelFilter::Debug);
}

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        try_host().is_some_and(|host| is_printable(host, host_level(metadata.level())))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(host) = try_host() {
            let level = host_level(record.level());
            if is_printable(host, level) {
                write(host, level, record);
            }
        }
    }

    fn flush(&self) {}
}

/// `L_ERR` … `L_DBG`
fn host_level(level: Level) -> c_int {
    match level {
        Level::Error => -1,
        Level::Warn => 0,
        Level::Info => 2,
        Level::Debug | Level::Trace => 3,
    }
}

fn is_printable(host: &Host, level: c_int) -> bool {
    let len = NAME.count_bytes() as c_int;
    // SAFETY: the core's function reads a name and its length.
    let limit = unsafe { (host.symbols.get_debug_level)(NAME.as_ptr(), len) };
    limit >= level
}

/// The place in the source that a line comes from, in the core's form.
struct Place {
    file: CString,
    line: c_int,
    function: CString,
    /// `memcached [pool.rs:83]: `
    location: CString,
}

impl Place {
    fn of(record: &Record<'_>) -> Self {
        let file = record.file().unwrap_or("?");
        let file = file.rsplit('/').next().unwrap_or(file);
        let function = record.target().rsplit("::").next().unwrap_or_default();
        let line = record.line().unwrap_or_default();
        let location = format!("{} [{file}:{line}]: ", NAME.to_string_lossy());
        Self {
            file: c(file),
            line: line as c_int,
            function: c(function),
            location: c(&location),
        }
    }
}

/// A text for C, in which blanks stand for control characters: it has no NUL and no line end.
fn c(text: &str) -> CString {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    CString::new(clean).unwrap_or_default()
}

/// Writes a line, unless the core is just writing one.
fn write(host: &Host, level: c_int, record: &Record<'_>) {
    let Some(depth) = host.dprint_crit else {
        return send(host, level, record);
    };
    // SAFETY: it is the core's own counter, which only this thread uses. A signal handler that
    // interrupts us sees that it is not 0 and writes nothing.
    unsafe {
        if depth.read_volatile() == 0 {
            depth.write_volatile(1);
            send(host, level, record);
            depth.write_volatile(0);
        }
    }
}

/// Sends a line where the host sends its own: to its structured log, stderr or syslog.
fn send(host: &Host, level: c_int, record: &Record<'_>) {
    let place = Place::of(record);
    let message = c(&record.args().to_string());
    // SAFETY: the table has a row for each level from -5 to 3. The names are constants.
    let (name, syslog_level) = unsafe {
        let row = &*host.symbols.log_level_info.offset(level as isize + 5);
        (CStr::from_ptr(row.name), row.syslog_level)
    };
    // SAFETY: the core's function reads a name and its length.
    let facility =
        unsafe { (host.symbols.get_debug_facility)(NAME.as_ptr(), NAME.count_bytes() as c_int) };
    let facility = syslog_level | facility;
    // SAFETY: if the variable exists, it holds a function pointer or NULL.
    let slog = host.slog_func.and_then(|variable| unsafe { *variable });
    // SAFETY: it is a variable of the core, and its one thread reads it.
    let to_stderr = unsafe { *host.symbols.log_stderr } != 0;
    if let Some(slog) = slog {
        let mut data = KsrLogData {
            facility,
            level,
            lname: name.as_ptr(),
            file: place.file.as_ptr(),
            line: place.line,
            module: NAME.as_ptr(),
            func: place.function.as_ptr(),
            locinfo: place.location.as_ptr(),
            pid: 0,
            idx: 0,
        };
        // SAFETY: the engine reads the data and formats one string. Both outlive the call.
        unsafe { slog(&raw mut data, c"%s\n".as_ptr(), message.as_ptr()) };
    } else if to_stderr {
        let line = line(host, name, &place, &message);
        write_stderr(host, level, &line);
    } else {
        let body = c(&body(host, name, &place, &message));
        // SAFETY: the variable always holds a function, which formats one string.
        unsafe { (*host.symbols.km_log_func)(facility, c"%s\n".as_ptr(), body.as_ptr()) };
    }
}

/// `ERROR: {prefix}memcached [pool.rs:83]: pool(): message`
fn body(host: &Host, name: &CStr, place: &Place, message: &CStr) -> String {
    // SAFETY: it is NULL or a string of the core that stays until the next SIP message.
    let prefix = unsafe {
        (*host.symbols.log_prefix_val)
            .as_ref()
            .map_or(&[][..], |str| str.bytes())
    };
    // The core writes it with `%.*s`: it ends at a NUL.
    let prefix = prefix.split(|&byte| byte == 0).next().unwrap_or_default();
    format!(
        "{}: {}{}{}(): {}",
        name.to_string_lossy(),
        String::from_utf8_lossy(prefix),
        place.location.to_string_lossy(),
        place.function.to_string_lossy(),
        message.to_string_lossy(),
    )
}

/// The same after process number and process id.
fn line(host: &Host, name: &CStr, place: &Place, message: &CStr) -> String {
    // SAFETY: they are a variable of the core, and a function without arguments.
    let (number, pid) = unsafe { (*host.symbols.process_no, (host.symbols.my_pid)()) };
    let mut line = format!("{number:2}({pid}) ");
    let _ = writeln!(line, "{}", body(host, name, place, message));
    line
}

fn write_stderr(host: &Host, level: c_int, line: &str) {
    // SAFETY: they are a variable of the core, and functions that write to stderr.
    unsafe {
        let coloured = *host.symbols.log_color != 0;
        if coloured {
            (host.symbols.dprint_color)(level);
        }
        // If this fails, there is nowhere to report it.
        let _ = std::io::stderr().write_all(line.as_bytes());
        if coloured {
            (host.symbols.dprint_color_reset)();
        }
    }
}
