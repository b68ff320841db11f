//! Shared memory: one value that all processes of the host see.
//!
//! A mapping made before the fork and inherited by every process, so it has the same address
//! everywhere and no name that could outlive us. It is not the host's own shared memory: that has
//! an allocator and a lock of its own, which a dying process could keep.
//!
//! Sound between processes because only [`ShmSafe`] types go in: atomics of at most eight bytes,
//! which are lock-free and work on the memory itself, whatever process touches it.

use std::io;
use std::ptr;

use crate::shared::Shared;

/// Types whose values may be shared between processes.
///
/// # Safety
/// Plain data that changes only through lock-free atomics: no pointers, no heap, nothing to drop;
/// and all bits zero is a value.
pub(crate) unsafe trait ShmSafe: Sync + 'static {}

// SAFETY: structs of 8-, 32- and 64-bit atomics; zero is an empty list, active servers,
// nothing counted, and nothing tuned.
unsafe impl ShmSafe for Shared {}

/// Memory for `count` values, all bits zero, shared with every process forked from now on.
///
/// # Errors
/// The system has no memory left.
pub(crate) fn share<T: ShmSafe>(count: usize) -> io::Result<&'static [T]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let bytes = (count * size_of::<T>()).max(1);
    // SAFETY: a new mapping, of which nobody else knows.
    let address = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: mapped for good, page-aligned, zeroed, and large enough; zero is a value of `T`.
    Ok(unsafe { &*ptr::slice_from_raw_parts(address.cast(), count) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::health::State;
    use crate::server::parse_list;

    #[test]
    #[cfg_attr(miri, ignore = "forks")]
    fn a_forked_process_sees_and_is_seen() {
        let shared = &share::<Shared>(1).unwrap()[0];
        let now = Moment::now();
        shared.publish(&parse_list("a:1").unwrap(), now).unwrap();
        // SAFETY: the child only touches the shared memory and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let seen = shared.list().is_some_and(|(_, list)| list.len() == 1);
            let changed = shared.slot(0).health.set(now, State::Disabled).is_some();
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!(seen && changed))) };
        }
        let mut status = -1;
        // SAFETY: our own child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(shared.slot(0).health.state(), State::Disabled);
    }
}
