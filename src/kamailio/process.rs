//! `Process` is what one process of the host keeps between calls.
//!
//! It is made in `mod_init`, before the host forks; from then on each process has its own copy.
//! Connections find out about the fork themselves. What scripts have done before it stays with the parent.

use std::cell::RefCell;
use std::hint::cold_path;

use super::host::layout::SipMsg;
use crate::cache::{Cache, Message};
use crate::config::{DeclaredPool, Parameters};
use crate::error::Error;
use crate::item::value::Numbers;
use crate::shared::Shared;
use crate::shared::near::Table;
use crate::status::{Outcome, Status};
use crate::sys;

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
        let Ok(mut value) = self.0.try_borrow_mut() else {
            cold_path();
            return None;
        };
        Some(body(&mut value))
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
    /// The process whose state it is.
    process: u32,
}

/// What the configuration has set so far.
pub(super) static PARAMETERS: ProcessCell<Option<Parameters>> = ProcessCell::new(None);

static PROCESS: ProcessCell<Option<Process>> = ProcessCell::new(None);

impl Process {
    /// Records what an operation came to. Returns its status.
    #[inline(always)]
    pub(crate) fn record<T: Outcome>(&mut self, result: &Result<T, Error>) -> Status {
        let status = Status::of(result);
        self.last = Some(status);
        status
    }
}

impl Process {
    /// The host has started this process. If it was forked, what scripts have done before is the parent's; returns true
    /// then.
    pub(crate) fn begin(&mut self) -> bool {
        let process = sys::process();
        let is_forked = std::mem::replace(&mut self.process, process) != process;
        if is_forked {
            self.cache.leave_to_parent();
            self.last = None;
        }
        is_forked
    }

    /// The script runs for this message, or for none, which is NULL.
    pub(crate) fn set_message(&mut self, msg: *const SipMsg) {
        // SAFETY: the fence's rule "live arguments"; it is NULL or points to a message.
        let msg = unsafe { msg.as_ref() };
        let message = msg.map(|msg| Message {
            number: msg.id,
            process: msg.pid,
        });
        self.cache.set_message(message.unwrap_or_default());
    }

    /// The same, if it matters.
    #[inline(always)]
    pub(crate) fn follow_message(&mut self, msg: *const SipMsg) {
        if self.cache.has_asked() {
            self.set_message(msg);
        }
    }
}

/// Makes this process's cache. It replaces an earlier one. `near` has the table of each pool that has a near
/// cache.
pub(super) fn start(
    declared: Vec<DeclaredPool>,
    numbers: Numbers,
    shared: &'static [Shared],
    near: Vec<Option<Table>>,
) {
    let mut cache = Cache::new(declared, numbers, shared);
    cache.keep_near(near);
    let process = Process {
        cache,
        results: Results::default(),
        last: None,
        process: sys::process(),
    };
    PROCESS.with(|slot| *slot = Some(process));
}

/// Removes this process's cache.
#[cfg(test)]
pub(super) fn stop() {
    PROCESS.with(|slot| *slot = None);
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

/// A buffer that grew beyond this size is given back when the SIP message ends.
pub(super) const LARGE: usize = 128 * 1024;

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
        empty(buffer);
        buffer
    }

    /// No value is in use any more: large buffers are given back.
    pub(super) fn give_back(&mut self) {
        give_back(&mut self.buffers);
    }
}

/// Gives large buffers back. Returns false if none of them is large.
pub(super) fn give_back(buffers: &mut [Vec<u8>]) -> bool {
    let is_large = |buffer: &&mut Vec<u8>| buffer.capacity() > LARGE;
    let given_back = buffers.iter_mut().filter(is_large);
    let is_any = given_back.map(std::mem::take).count() > 0;
    if is_any {
        sys::give_memory_back();
    }
    is_any
}

/// Empties a buffer, to use it again.
#[inline(always)]
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEEP);
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
        let mut buffer = spare.unwrap_or_else(evaluation_buffer);
        let result = body(&mut buffer);
        if !buffer.is_empty() {
            self.0.with(|spares| spares.push(buffer));
        }
        result
    }
}

/// A new evaluation buffer. Without memory for it, it is empty: no text fits, and the key is refused.
#[cold]
fn evaluation_buffer() -> Box<[u8]> {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(SCRATCH).is_ok() {
        buffer.resize(SCRATCH, 0);
    }
    buffer.into_boxed_slice()
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
        results.next().reserve_exact(KEEP * 4);
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
    fn at_the_end_of_a_message_large_results_are_given_back_and_small_ones_kept() {
        let mut results = Results::default();
        results.next().reserve_exact(LARGE + 1);
        results.next().reserve_exact(LARGE);
        results.give_back();
        let capacities = results.buffers.each_ref().map(Vec::capacity);
        assert_eq!((capacities[1], capacities[2]), (0, LARGE));
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
