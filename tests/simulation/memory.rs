//! Memory that the processes of a run share.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::slice;

/// The largest page that a kernel may have. A run uses few of them.
const PAGE: usize = 64 * 1024;

thread_local! {
    /// Blocks that are not in use, all bits zero.
    static UNUSED: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// A block of whole pages. It is never given back to the system.
#[derive(Clone, Copy)]
struct Block {
    bytes: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(layout: Layout) -> Self {
        // SAFETY: the layout has a size.
        let bytes = NonNull::new(unsafe { alloc_zeroed(layout) });
        let bytes = bytes.unwrap_or_else(|| handle_alloc_error(layout));
        Self { bytes, layout }
    }

    /// Makes it zero.
    ///
    /// # Safety
    /// Nobody else uses it.
    unsafe fn clear(&mut self) {
        let (start, size) = (self.bytes.as_ptr().cast(), self.layout.size());
        // SAFETY: these are whole pages of this block, which are nobody else's. The kernel takes those back that
        // were used; the next access to one finds it zero.
        let failed = unsafe { libc::madvise(start, size, libc::MADV_DONTNEED) };
        assert_eq!(failed, 0, "private memory can be thrown away");
    }
}

/// Memory that the processes share, all bits zero; used again when dropped.
pub struct Memory<T: 'static> {
    block: Block,
    all: &'static [T],
}

impl<T> Memory<T> {
    /// # Safety
    /// All bits zero must be a `T`. Nobody uses it after it was dropped.
    pub unsafe fn new(count: usize) -> Self {
        let size = (count.max(1) * size_of::<T>()).next_multiple_of(PAGE);
        let layout = Layout::from_size_align(size, PAGE).expect("a size");
        let block = UNUSED.with_borrow_mut(|unused| {
            let at = unused.iter().position(|block| block.layout == layout);
            at.map(|at| unused.swap_remove(at))
        });
        let block = block.unwrap_or_else(|| Block::new(layout));
        let start = block.bytes.cast().as_ptr();
        // SAFETY: the block is large enough, aligned, and zero, which the caller says is a value.
        let all = unsafe { slice::from_raw_parts(start, count) };
        Self { block, all }
    }

    /// All of it.
    pub fn all(&self) -> &'static [T] {
        self.all
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        let mut block = self.block;
        // SAFETY: the caller of `new` says so.
        unsafe { block.clear() };
        UNUSED.with_borrow_mut(|unused| unused.push(block));
    }
}
