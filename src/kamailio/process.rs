//! `Process` is what one process of the host keeps between calls.
//!
//! It is made in `mod_init`, before the host forks; from then on each process has its own copy.
//! Connections find out about the fork themselves.

use std::cell::RefCell;

use crate::cache::Cache;
use crate::config::{DeclaredPool, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::status::Status;

/// A cell that only the script thread of a process uses.
pub(super) struct ProcessCell<T>(RefCell<T>);

// SAFETY: the fence's rule "one thread": no two threads of a process reach the cell, and every
// process has its own copy.
unsafe impl<T> Sync for ProcessCell<T> {}

impl<T> ProcessCell<T> {
    /// A cell that holds `value`.
    pub(super) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Calls `body` with the value. Returns `None` if a caller further up the stack is using it.
    pub(super) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0
            .try_borrow_mut()
            .ok()
            .map(|mut value| body(&mut value))
    }
}

/// The cache of this process, and what scripts have read from it.
pub(super) struct Process {
    /// The pools.
    pub(crate) cache: Cache,
    /// Values that scripts may still be using.
    pub(crate) results: Results,
    /// The status of the last operation; `None` before the first one.
    pub(crate) last: Option<Status>,
}

/// What the configuration has set so far.
pub(super) static PARAMETERS: ProcessCell<Option<Parameters>> = ProcessCell::new(None);

static PROCESS: ProcessCell<Option<Process>> = ProcessCell::new(None);

/// Makes this process's cache. It replaces an earlier one.
pub(super) fn start(declared: Vec<DeclaredPool>, numbers: Numbers, shared: &'static [Shared]) {
    let process = Process {
        cache: Cache::new(declared, numbers, shared),
        results: Results::default(),
        last: None,
    };
    PROCESS.with(|slot| *slot = Some(process));
}

/// Calls `body` with this process's state. Returns `None` before `mod_init`.
pub(super) fn with<R>(body: impl FnOnce(&mut Process) -> R) -> Option<R> {
    PROCESS.with(|process| process.as_mut().map(body)).flatten()
}

/// Buffers for values that scripts are using.
///
/// The host frees no memory of ours, and it copies a string late: it still uses the left operand of
/// an expression, or a function's other arguments, while it reads further variables. So a buffer
/// keeps its value until all other buffers have been used.
#[derive(Default)]
pub(super) struct Results {
    buffers: [Vec<u8>; RESULTS],
    next: usize,
}

/// The number of buffers. No expression or function call of a script uses so many values at a time.
const RESULTS: usize = 24;

/// A buffer that grew beyond this size is shrunk before it is used again.
const KEEP: usize = 16 * 1024;

impl Results {
    /// The buffer for the next result, empty.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        self.next = if self.next + 1 < RESULTS {
            self.next + 1
        } else {
            0
        };
        let buffer = &mut self.buffers[self.next];
        buffer.clear();
        buffer.shrink_to(KEEP);
        buffer
    }
}

/// Buffers in which keys and lifetimes are evaluated. To evaluate one text, the host may have to
/// evaluate another one inside it, so there can be several.
pub(super) struct Scratch(ProcessCell<Vec<Box<[u8]>>>);

/// The size of an evaluation buffer: twice the largest SIP message, so that any text of a message
/// fits.
const SCRATCH: usize = 128 * 1024;

/// This process's evaluation buffers.
pub(super) static SCRATCH_BUFFERS: Scratch = Scratch(ProcessCell::new(Vec::new()));

impl Scratch {
    /// Calls `body` with a buffer that nothing else uses meanwhile.
    pub(super) fn with<R>(&self, body: impl FnOnce(&mut [u8]) -> R) -> R {
        let spare = self.0.with(Vec::pop).flatten();
        let mut buffer = spare.unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice());
        let result = body(&mut buffer);
        self.0.with(|spares| spares.push(buffer));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_stays_until_its_buffer_is_used_again() {
        let mut results = Results::default();
        results.next().extend_from_slice(b"first");
        let first = results.next;
        for _ in 0..RESULTS - 1 {
            results.next().extend_from_slice(b"other");
            assert_eq!(results.buffers[first], b"first");
        }
        assert_eq!(results.next(), b"");
        assert_eq!(results.next, first);
    }

    #[test]
    fn large_results_give_their_memory_back() {
        let mut results = Results::default();
        results.next().resize(KEEP * 4, 0);
        for _ in 0..RESULTS {
            results.next();
        }
        assert!(
            results
                .buffers
                .iter()
                .all(|buffer| buffer.capacity() <= KEEP)
        );
    }

    #[test]
    fn nested_evaluations_have_buffers_of_their_own() {
        let scratch = Scratch(ProcessCell::new(Vec::new()));
        scratch.with(|outer| {
            outer[0] = 1;
            scratch.with(|inner| inner[0] = 2);
            assert_eq!(outer[0], 1);
        });
        assert_eq!(scratch.0.with(|spares| spares.len()), Some(2));
    }
}
