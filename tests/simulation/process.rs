//! Process: one simulated process of the node, a coroutine that gives control back at each call of the
//! simulated system that does not return at once.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use std::cell::RefCell;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It handles calls.
    Worker,
    /// It probes.
    Prober,
    /// It is an operator's command.
    Operator,
    /// It is a thread of another process, that looks a name up.
    Lookup,
}

/// Whether it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It can.
    Ready,
    /// It waits for a socket or for a moment.
    Blocked,
    /// It has ended, or was killed.
    Ended,
}

/// A process as the system sees it.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it does.
    pub role: Role,
    /// Whether it can run.
    pub activity: Activity,
    /// Whether it was killed.
    pub is_killed: bool,
    /// Changes each time when it blocks, so that an old alarm does not wake it.
    pub alarm: u64,
    /// The sockets for which it waits, and whether to send.
    pub waits_for: Vec<(u32, bool)>,
    /// Until when it is stopped.
    pub stopped_until: u64,
    /// For how long it was stopped so far.
    pub stopped: u64,
    /// Until when it has no descriptor for another connection.
    pub short_until: u64,
    /// It has made its operations, and waits until all is well.
    pub is_at_rest: bool,
    /// It waits for the others before servers are added.
    pub is_ready_to_grow: bool,
    /// At which of its next system calls it dies.
    pub dies_after: Option<u64>,
    /// The server that it waits for without having heard of it, since when, and for how long the process
    /// had been stopped by then.
    pub waits: Option<(usize, u64, u64)>,
    /// The server that it asks within its operation, and since when.
    pub attempt: Option<(usize, u64)>,
    /// The index of its operation in the history, if one is under way.
    pub operation: Option<usize>,
    /// The version of the item that it has read last.
    pub version: u64,
    /// When it began with its message.
    pub message: u64,
    /// Whether it has asked for items ahead since then.
    pub has_asked: bool,
    /// The way back to the scheduler.
    pub way_out: *const Yielder<(), ()>,
}

impl Process {
    /// One that is ready to begin.
    pub fn new(pid: u32, role: Role) -> Self {
        Self {
            pid,
            role,
            activity: Activity::Ready,
            is_killed: false,
            alarm: 0,
            waits_for: Vec::new(),
            stopped_until: 0,
            stopped: 0,
            short_until: 0,
            is_at_rest: false,
            is_ready_to_grow: false,
            dies_after: None,
            waits: None,
            attempt: None,
            operation: None,
            version: 0,
            message: 0,
            has_asked: false,
            way_out: std::ptr::null(),
        }
    }
}

/// The stack and the work of a process.
pub struct Body(Option<Coroutine<(), (), (), DefaultStack>>);

const STACK: usize = 256 * 1024;

thread_local! {
    /// Stacks of processes that have ended, to be used again.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

impl Body {
    /// Work that is not begun yet. It is told the way out.
    pub fn new(work: impl FnOnce(*const Yielder<(), ()>) + 'static) -> Self {
        let stack = STACKS.with(|stacks| stacks.borrow_mut().pop());
        let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory for a stack"));
        let begin = move |yielder: &Yielder<(), ()>, ()| work(&raw const *yielder);
        Self(Some(Coroutine::with_stack(stack, begin)))
    }

    /// Goes on until it gives control back. True if it has ended.
    pub fn go_on(&mut self) -> bool {
        let Some(coroutine) = &mut self.0 else {
            return true;
        };
        coroutine.resume(()).as_return().is_some()
    }
}

impl Drop for Body {
    /// A process that is killed runs no destructors; neither does this one.
    fn drop(&mut self) {
        if let Some(mut coroutine) = self.0.take() {
            if !coroutine.done() {
                // SAFETY: nothing refers to this stack any more: the process is never resumed, and what
                // it owns is leaked.
                unsafe { coroutine.force_reset() };
            }
            let stack = coroutine.into_stack();
            STACKS.with(|stacks| stacks.borrow_mut().push(stack));
        }
    }
}
