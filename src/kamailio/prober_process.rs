//! The prober's process: one more of the host's, which serves no calls.
//!
//! Reserved in `mod_init` and forked when the host forks its own timers; the host calls [`tick`]
//! there again and again (`core/timer_proc.c`: `fork_basic_utimer`).

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::time::Duration;

use super::events;
use super::host::guard::guard;
use super::host::symbols::host;
use super::process::{self, ProcessCell};
use crate::prober::{self, Prober};

/// What process lists call it.
const DESCRIPTION: &CStr = c"memcached prober";

/// The host's rank of a timer process.
const PROC_TIMER: c_int = -1;

static PROBER: ProcessCell<Option<Prober>> = ProcessCell::new(None);

/// Reserves the process.
pub(super) fn reserve() {
    // SAFETY: a core function for `mod_init`.
    unsafe { (host().symbols.register_basic_timers)(1) };
}

/// Has the names of all servers looked up before it is forked, and waits for the answers, `time` at
/// most. The process goes on from there.
pub(super) fn look_up(time: Duration) {
    process::with(|process| {
        PROBER.with(|prober| {
            let prober = prober.get_or_insert_default();
            prober.look_up(&process.cache, time);
        })
    });
}

/// Forks it, in the main process; false when that fails.
pub(super) fn fork() -> bool {
    let interval = prober::TICK.as_micros() as c_int;
    // SAFETY: a core function for `child_init`; text and callback live for good. The host does not
    // write to the text.
    let pid = unsafe {
        (host().symbols.fork_basic_utimer)(
            PROC_TIMER,
            DESCRIPTION.as_ptr().cast_mut(),
            0,
            tick,
            ptr::null_mut(),
            interval,
        )
    };
    if pid == 0 {
        // The child, told to end while it was still starting.
        // SAFETY: leaves at once, as the host's own processes do.
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

/// Whether a process is still there.
fn lives(pid: u32) -> bool {
    // SAFETY: signal 0 only asks.
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
    fn a_server_that_came_and_went_is_told_of_when_the_minute_is_over() {
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
