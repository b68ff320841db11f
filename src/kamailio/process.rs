//! Process: what one Kamailio process keeps between calls.
//!
//! Made in `mod_init`, before the fork; each process then goes on with its own copy. Connections
//! notice the fork themselves.

use std::cell::RefCell;

use crate::cache::Cache;
use crate::config::{DeclaredPool, Parameters};
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::status::Status;

/// A cell for the process's one script thread.
pub(super) struct ProcessCell<T>(RefCell<T>);

// SAFETY: the fence's rule "one thread": nothing reaches the cell from two threads of a process,
// and processes have copies of their own.
unsafe impl<T> Sync for ProcessCell<T> {}

impl<T> ProcessCell<T> {
    /// A cell that holds `value`.
    pub(super) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// Calls `body` with what it holds; `None` when that is in use further up the stack.
    pub(super) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0
            .try_borrow_mut()
            .ok()
            .map(|mut value| body(&mut value))
    }
}

/// The cache, and the memory of what was read from it.
pub(super) struct Process {
    /// The pools.
    pub(crate) cache: Cache,
    /// What scripts may still hold on to.
    pub(crate) results: Results,
    /// What the last operation came to; `None` before the first.
    pub(crate) last: Option<Status>,
}

/// What the configuration has set.
pub(super) static PARAMETERS: ProcessCell<Option<Parameters>> = ProcessCell::new(None);

static PROCESS: ProcessCell<Option<Process>> = ProcessCell::new(None);

/// Makes this process's cache, in place of one that it had.
pub(super) fn start(declared: Vec<DeclaredPool>, numbers: Numbers, shared: &'static [Shared]) {
    let process = Process {
        cache: Cache::new(declared, numbers, shared),
        results: Results::default(),
        last: None,
    };
    PROCESS.with(|slot| *slot = Some(process));
}

/// Calls `body` with this process's state; `None` before `mod_init`.
pub(super) fn with<R>(body: impl FnOnce(&mut Process) -> R) -> Option<R> {
    PROCESS.with(|process| process.as_mut().map(body)).flatten()
}

/// Buffers for values that scripts hold on to.
///
/// The host frees no memory of ours and copies a string late: the left operand of an expression, or
/// a function's other arguments, are still in use while further variables are read. So a result
/// stays as it is until as many others as there are buffers have been read.
#[derive(Default)]
pub(super) struct Results {
    buffers: [Vec<u8>; RESULTS],
    next: usize,
}

/// More than any expression or function call of a script holds at a time.
const RESULTS: usize = 24;

/// A buffer that grew beyond this is given back when its turn comes.
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

/// Buffers for evaluating names; evaluating one may evaluate another inside it.
pub(super) struct Scratch(ProcessCell<Vec<Box<[u8]>>>);

/// Twice the largest SIP message, and so of any text that a request can bring.
const SCRATCH: usize = 128 * 1024;

/// This process's evaluation buffers.
pub(super) static SCRATCH_BUFFERS: Scratch = Scratch(ProcessCell::new(Vec::new()));

impl Scratch {
    /// Calls `body` with a buffer that nobody else uses.
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
    fn results_stay_until_their_turn_comes_again() {
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
