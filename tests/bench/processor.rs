//! Binds everything to one processor: client, server and the plain loop.
//!
//! If client and server are on different processors, most of a round trip is the time to wake the
//! other one. That hides the work of each client.

use std::io;
use std::mem;

/// Binds this process, and everything that it starts later, to the last processor that it may use.
/// Returns the number of that processor. Call it before any thread is started.
pub fn bind() -> io::Result<usize> {
    let size = mem::size_of::<libc::cpu_set_t>();
    // SAFETY: cpu_set_t is a set of bits. All bits zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the pointer leads to a set that lives and has the given size.
    if unsafe { libc::sched_getaffinity(0, size, &raw mut set) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a small number");
    // SAFETY: the number is smaller than CPU_SETSIZE, and the set lives.
    let last = (0..limit)
        .rev()
        .find(|&number| unsafe { libc::CPU_ISSET(number, &set) });
    let last = last.ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: as above.
    unsafe { libc::CPU_ZERO(&mut set) };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(last, &mut set) };
    // SAFETY: the pointer leads to a set that lives and has the given size.
    match unsafe { libc::sched_setaffinity(0, size, &raw const set) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(last),
    }
}
