//! One processor for all: client, server and the plain loop.
//!
//! With the two on different processors a round trip is mostly the time it takes to
//! wake the other one up, which hides every client's own work.

use std::io;
use std::mem;

/// Binds this process, and all it starts from now on, to the last of the processors it
/// may use; tells which that is. To be called before any thread is made.
pub fn bind() -> io::Result<usize> {
    let size = mem::size_of::<libc::cpu_set_t>();
    // SAFETY: cpu_set_t is a set of bits, for which zero bytes are the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a live set of the size that is given.
    if unsafe { libc::sched_getaffinity(0, size, &raw mut set) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a small number");
    // SAFETY: the number is below CPU_SETSIZE, and the set is live.
    let last = (0..limit)
        .rev()
        .find(|&number| unsafe { libc::CPU_ISSET(number, &set) });
    let last = last.ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: as above.
    unsafe { libc::CPU_ZERO(&mut set) };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(last, &mut set) };
    // SAFETY: the pointer is to a live set of the size that is given.
    match unsafe { libc::sched_setaffinity(0, size, &raw const set) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(last),
    }
}
