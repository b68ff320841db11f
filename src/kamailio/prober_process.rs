//! The prober's process: an additional process of the host, which handles no SIP messages.
//!
//! It is reserved in `mod_init` and forked when the host forks its own timer processes. From then
//! on the host calls [`tick`] in it at intervals (`core/timer_proc.c`: `fork_basic_utimer`).

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::time::Duration;

use super::events;
use super::host::guard::guard;
use super::host::symbols::host;
use super::process::{self, ProcessCell};
use crate::prober::{self, Prober};

/// The name of the process in the host's process lists.
const DESCRIPTION: &CStr = c"memcached prober";

/// The host's rank of a timer process.
const PROC_TIMER: c_int = -1;

/// The routes of our events run in it, and may send requests over TCP: that takes a way to the process that
/// has the connections (`core/pt.c`: `make_sock`).
const WITH_TCP: c_int = 1;

static PROBER: ProcessCell<Option<Prober>> = ProcessCell::new(None);

/// Reserves the process.
pub(super) fn reserve() {
    // SAFETY: this runs in `mod_init`, for which the core function is made.
    unsafe { (host().symbols.register_basic_timers)(1) };
}

/// Looks up the names of all servers before the process is forked, and waits for the answers for at
/// most `time`. The process goes on with what is known then.
pub(super) fn look_up(time: Duration) {
    process::with(|process| {
        PROBER.with(|prober| {
            let prober = prober.get_or_insert_default();
            prober.look_up(&process.cache, time);
        })
    });
}

/// Forks the process. This runs in the main process. Returns false if it fails.
pub(super) fn fork() -> bool {
    let interval = prober::TICK.as_micros() as c_int;
    // SAFETY: this runs in `child_init`, for which the core function is made. Text and callback
    // live until the program ends. The host does not write to the text.
    let pid = unsafe {
        (host().symbols.fork_basic_utimer)(
            PROC_TIMER,
            DESCRIPTION.as_ptr().cast_mut(),
            WITH_TCP,
            tick,
            ptr::null_mut(),
            interval,
        )
    };
    if pid == 0 {
        // This is the child, and it was told to end while it was still starting.
        // SAFETY: this ends the process at once, as the host ends its own.
        unsafe { libc::_exit(0) };
    }
    pid > 0
}

extern "C" fn tick(_ticks: c_uint, _param: *mut c_void) {
    guard((), || {
        events::announce();
        process::with(|process| {
            PROBER.with(|prober| {
                let prober = prober.get_or_insert_default();
                prober.tick(&mut process.cache, lives);
            })
        });
    });
}

/// True if a process of this id exists.
fn lives(pid: u32) -> bool {
    // SAFETY: signal 0 only asks whether the process exists.
    let asked = unsafe { libc::kill(pid as libc::pid_t, 0) };
    asked == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::super::fake::Turn;
    use super::*;
    use crate::clock::Moment;
    use crate::config::{Given, Parameters};
    use crate::health::State;

    #[test]
    #[cfg_attr(miri, ignore = "looks at log lines")]
    fn changes_that_were_not_logged_are_counted_after_a_minute() {
        let turn = Turn::without_server();
        let mut parameters = Parameters::default();
        let servers = Given::Text("127.0.0.1:1 one");
        parameters.set("servers", servers).unwrap();
        turn.start(parameters.settle());
        let minute_later = Moment::now() + Duration::from_secs(61);
        process::with(|process| {
            let member = process.cache.pools()[0].members()[0].server();
            for _ in 0..4 {
                member.set(State::Disabled);
                member.set(State::Active);
            }
            member.log_what_was_left_out(Moment::now());
            assert_eq!(turn.lines().len(), 5);
            member.log_what_was_left_out(minute_later);
        });
        let lines = turn.lines();
        let [line] = &lines[..] else {
            panic!("{lines:?}");
        };
        let end = "server one is active (3 more changes were not logged)";
        assert!(line.contains(end), "{line}");
    }
}
