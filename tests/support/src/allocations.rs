//! Allocations of a thread, counted. A test crate that wants to know declares the allocator:
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: support::CountingAllocator = support::CountingAllocator;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts for each thread.
#[derive(Debug)]
pub struct CountingAllocator;

/// What this thread has allocated so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocations {
    /// How often it has allocated, or made an allocation larger or smaller.
    pub calls: usize,
    /// How many bytes it has, less those that it has freed for other threads.
    pub bytes: isize,
}

thread_local! {
    static OWN: Cell<Allocations> = const { Cell::new(Allocations { calls: 0, bytes: 0 }) };
}

impl Allocations {
    /// Those of this thread.
    pub fn now() -> Allocations {
        OWN.get()
    }
}

fn note(calls: usize, bytes: isize) {
    // A thread that ends has nothing to count with any more.
    let _ = OWN.try_with(|own| {
        let before = own.get();
        own.set(Allocations {
            calls: before.calls + calls,
            bytes: before.bytes + bytes,
        });
    });
}

// SAFETY: all is done by the system's allocator. Counting allocates nothing: the thread's counts need no
// initialisation and no destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -layout.size().cast_signed());
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
