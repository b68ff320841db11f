//! Binds everything to one processor: client, server and the plain loop.
//!
//! If client and server are on different processors, most of a round trip is the time to wake the
//! other one. That hides the work of each client. What stands for something far away does not use the processor
//! of the client.

use std::io;
use std::mem;

/// A set of processors.
pub type Set = libc::cpu_set_t;

/// Binds this process, and everything that it starts later, to the last processor that it may use.
/// Returns the number of that processor. Call it before any thread is started.
pub fn bind() -> io::Result<usize> {
    let allowed = allowed()?;
    let last = (0..limit()).rev().find(|&number| has(&allowed, number));
    let last = last.ok_or(io::ErrorKind::NotFound)?;
    allow(|number| number == last)?;
    Ok(last)
}

pub fn limit() -> usize {
    usize::try_from(libc::CPU_SETSIZE).expect("a small number")
}

/// Whether a processor is in the set.
pub fn has(set: &Set, number: usize) -> bool {
    assert!(number < limit());
    // SAFETY: the number is smaller than CPU_SETSIZE, and the set lives.
    unsafe { libc::CPU_ISSET(number, set) }
}

/// The processors that this thread may use.
pub fn allowed() -> io::Result<Set> {
    // SAFETY: cpu_set_t is a set of bits. All bits zero is the empty set.
    let mut set: Set = unsafe { mem::zeroed() };
    // SAFETY: the pointer leads to a set that lives and has the given size.
    match unsafe { libc::sched_getaffinity(0, mem::size_of::<Set>(), &raw mut set) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(set),
    }
}

/// Lets this thread, and everything that it starts later, use the processors for which `wanted` is true. The
/// kernel leaves out those that are not there.
///
/// # Errors
/// If there is none of them.
pub fn allow(wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    allow_process(0, wanted)
}

/// The same for another process; 0 = this thread.
pub fn allow_process(process: libc::pid_t, wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    // SAFETY: as above.
    let mut set: Set = unsafe { mem::zeroed() };
    for number in (0..limit()).filter(|&number| wanted(number)) {
        // SAFETY: the number is smaller than CPU_SETSIZE, and the set lives.
        unsafe { libc::CPU_SET(number, &mut set) };
    }
    // SAFETY: the pointer leads to a set that lives and has the given size.
    match unsafe { libc::sched_setaffinity(process, mem::size_of::<Set>(), &raw const set) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
