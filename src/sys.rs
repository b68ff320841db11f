//! What only the operating system knows and does: bytes on sockets, the time, processes, threads, and the
//! addresses of names.
//!
//! This is the second, smaller fence: besides `kamailio` only this module holds `unsafe`, and nothing else
//! below `kamailio` asks the system for any of this.
#![allow(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem;
use std::net::{IpAddr, ToSocketAddrs};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod not_connected;
mod socket;

pub(crate) use not_connected::NotConnected;
pub(crate) use socket::*;

/// The addresses of `name`, each once; empty if there is none or the question failed. This may take any
/// time.
pub(crate) fn look_up(name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (name, 0).to_socket_addrs().into_iter().flatten() {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    found
}

/// Does `work` on a thread of its own, which handles no signal of the process.
pub(crate) fn start_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let thread = thread::Builder::new().stack_size(256 * 1024);
    with_signals_blocked(|| thread.spawn(work)).map(drop)
}

/// Calls `body` with all signals blocked, so that a thread that it starts handles no signal of the
/// process.
fn with_signals_blocked<R>(body: impl FnOnce() -> R) -> R {
    let (mut all, mut before) = (mem::MaybeUninit::uninit(), mem::MaybeUninit::uninit());
    // SAFETY: sigfillset(3) initialises the set that pthread_sigmask(3) then reads; the latter
    // initialises the one that it is given for the old mask.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = body();
    // SAFETY: the mask from above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// Gives memory that this process has freed back to the system, as far as the C library can.
#[cold]
pub(crate) fn give_memory_back() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    // SAFETY: malloc_trim(3) touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How many descriptors this process may have.
pub(crate) fn descriptor_limit() -> usize {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes the limits to a live `rlimit`. With this resource it cannot fail.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
    usize::try_from(limits.rlim_cur).unwrap_or(usize::MAX)
}

/// The monotonic clock in nanoseconds.
pub(crate) fn monotonic_nanos() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live timespec; this clock exists everywhere, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The time of day, since the beginning of Unix time.
pub(crate) fn unix_time() -> Duration {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.unwrap_or_default()
}

/// A number that nobody can foresee.
pub(crate) fn random_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The number by which all processes of the node know this one.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Lets other processes run, if any of them wants this processor.
pub(crate) fn give_way() {
    thread::yield_now();
}

/// A place where it matters what other processes do meanwhile: a simulation lets them run.
#[inline(always)]
pub(crate) fn preempt() {}

/// Whether the library has this fault, which a simulation must find. Only there it may.
#[inline(always)]
pub(crate) const fn planted(_fault: &'static str) -> bool {
    false
}

/// How often this process and those before it were forked, or [`UNWATCHED`].
static FORKS: AtomicU32 = AtomicU32::new(UNWATCHED);

/// Nobody counts forks.
const UNWATCHED: u32 = u32::MAX;

/// Tells this process from those it was forked from by a number that a fork changes in the child.
/// Once [`watch_forks`] was called, reading it costs a load; else a system call.
#[inline(always)]
pub(crate) fn process() -> u32 {
    match FORKS.load(Ordering::Relaxed) {
        UNWATCHED => process_id(),
        forks => forks,
    }
}

/// Has forks counted from now on, if the system can do that.
pub(crate) fn watch_forks() {
    static WATCH: Once = Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    WATCH.call_once(|| {
        // SAFETY: the handler does one lock-free atomic addition, which is async-signal-safe; this
        // library is never unloaded (Kamailio closes a module only when it refuses it).
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if refused == 0 {
            FORKS.store(0, Ordering::Relaxed);
        }
    });
}
