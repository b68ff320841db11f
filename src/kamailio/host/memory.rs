//! Shared memory: values that all processes of the host see.
//!
//! It is a mapping that is made before the host forks, so every process inherits it at the same
//! address, and it has no name that could outlive us. It is not the host's own shared memory: a
//! process that dies could leave that allocator's lock taken.
//!
//! This is sound between processes because only [`ShmSafe`] types go in. They consist of atomics of
//! at most eight bytes. Such atomics take no lock and work on the memory itself, whichever process
//! uses them.

use std::io;
use std::ptr;

use crate::shared::{Shared, near};

/// Types whose values may be shared between processes.
///
/// # Safety
/// The type is plain data that changes only through lock-free atomics. It holds no pointer and owns
/// no heap memory, and nothing happens when it is dropped. All bits zero is a valid value.
pub(crate) unsafe trait ShmSafe: Sync + 'static {}

// SAFETY: it consists of 8-, 32- and 64-bit atomics. All bits zero means an empty list, active
// servers, nothing counted, no parameter changed, and no lease.
unsafe impl ShmSafe for Shared {}

// SAFETY: both consist of 32- and 64-bit atomics. All bits zero means an empty set, and an empty slot.
unsafe impl ShmSafe for near::Set {}
// SAFETY: as above.
unsafe impl ShmSafe for near::Slot {}

/// Makes memory for `count` values, all bits zero. Every process that is forked from now on shares
/// it.
///
/// # Errors
/// The system has no memory left.
pub(crate) fn share<T: ShmSafe>(count: usize) -> io::Result<&'static [T]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let bytes = (count * size_of::<T>()).max(1);
    // SAFETY: this makes a new mapping and touches no other memory.
    let address = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is never removed. It is page-aligned, zeroed and large enough, and by the
    // contract of `ShmSafe` zero is a value of `T`.
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
        shared.publish(0, &parse_list("a:1").unwrap(), now).unwrap();
        // SAFETY: the child only uses the shared memory, then it exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let seen = shared.list().is_some_and(|(_, list)| list.len() == 1);
            let changed = shared.slot(0).health.set(now, State::Disabled).is_some();
            // SAFETY: this ends the child.
            unsafe { libc::_exit(i32::from(!(seen && changed))) };
        }
        let mut status = -1;
        // SAFETY: it is our own child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(shared.slot(0).health.state(), State::Disabled);
    }
}
