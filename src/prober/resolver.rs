//! Resolver: finds the addresses of names, on threads of its own.
//!
//! The system's resolver may take any time, so no process has to wait for it: a name waits in a
//! queue, a thread looks it up and gives the answer to those who asked. There are a few threads at
//! most, and each ends when no name waits. A name whose thread cannot be started stays in the
//! queue, until a thread has time for it or can be started.
//!
//! A process has one resolver if it looks names up: the prober's process, and the main process
//! while it starts. A fork leaves threads behind, perhaps one that holds the queue's lock. So a
//! resolver notices that it is another process's by now, begins anew with an empty queue, and never
//! touches the old one.

mod queue;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::health::log_limit::LogLimit;
use crate::server::Address;
use crate::sys;
use queue::{Begun, Step};

/// The names to look up, and the threads that do.
pub(crate) struct Resolver {
    threads: Arc<Threads>,
    /// The process that has these threads, as [`sys::process`] tells processes apart.
    process: u32,
    failures: LogLimit,
}

/// A server that wants the addresses of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The index of its pool.
    pub(crate) pool: usize,
    pub(crate) address: Address,
}

/// What an asker wants done with the addresses.
type OnFound = Box<dyn FnOnce(&[IpAddr]) + Send>;

type NameQueue = queue::Queue<Asker, OnFound>;

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;

/// What the threads of a resolver share.
struct Threads {
    queue: Mutex<NameQueue>,
    /// Notified when a lookup is over.
    over: Condvar,
    system: Arc<dyn Platform>,
}

/// What a resolver needs from the operating system.
trait Platform: Send + Sync {
    /// The addresses of `name`, each once; empty if there is none or the question failed.
    fn look_up(&self, name: &str) -> Vec<IpAddr>;

    /// Does `work` on a thread of its own.
    fn start(&self, work: Work) -> io::Result<()>;
}

/// The real one.
struct Real;

impl Platform for Real {
    fn look_up(&self, name: &str) -> Vec<IpAddr> {
        sys::look_up(name)
    }

    fn start(&self, work: Work) -> io::Result<()> {
        sys::start_thread(work)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(Arc::new(Real))
    }
}

impl Resolver {
    fn new(system: Arc<dyn Platform>) -> Self {
        let threads = Threads {
            queue: Mutex::default(),
            over: Condvar::new(),
            system,
        };
        Self {
            threads: Arc::new(threads),
            process: sys::process(),
            failures: LogLimit::default(),
        }
    }

    /// Has `name` looked up for `asker`: `found` gets the addresses, one or more, on another
    /// thread. If the name is being looked up already, that lookup answers this asker, too.
    pub(crate) fn begin(
        &mut self,
        name: &str,
        asker: Asker,
        now: Moment,
        found: impl FnOnce(&[IpAddr]) + Send + 'static,
    ) {
        sys::watch_forks();
        if self.process != sys::process() {
            *self = Self::new(Arc::clone(&self.threads.system));
        }
        self.threads.queue().add(name, asker, Box::new(found), now);
        self.start_threads(now);
    }

    /// Goes on with names that still wait, because no thread could be started for them.
    pub(crate) fn go_on(&mut self, now: Moment) {
        if self.process == sys::process() {
            self.start_threads(now);
        }
    }

    /// Waits until all names are looked up, `time` at most. What can be looked up by no thread is
    /// not waited for.
    pub(crate) fn wait(&mut self, time: Duration) {
        if self.process != sys::process() {
            return;
        }
        let now = Moment::now();
        self.start_threads(now);
        let deadline = Deadline::new(now, time);
        let mut queue = self.threads.queue();
        while queue.is_busy(Moment::now()) {
            let Some(left) = deadline.remaining() else {
                return;
            };
            let waited = self.threads.over.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts a thread for each name that waits, as far as there may be more threads.
    fn start_threads(&mut self, now: Moment) {
        loop {
            let begun = self.threads.queue().begin(now);
            let Some(begun) = begun else {
                return;
            };
            let (number, threads) = (begun.number, Arc::clone(&self.threads));
            let started = self
                .threads
                .system
                .start(Box::new(move || threads.work(begun)));
            if let Err(error) = started {
                self.threads.queue().put_back(number);
                if let Some(left_out) = self.failures.admit(now) {
                    log::error!("cannot start a thread to look up names: {error}{left_out}");
                }
                return;
            }
        }
    }
}

impl Threads {
    fn queue(&self) -> MutexGuard<'_, NameQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one lookup after the other, until no name waits.
    fn work(&self, first: Begun) {
        let mut next = Some(first);
        while let Some(begun) = next {
            next = self.look_up(begun);
        }
    }

    /// Makes a lookup; the one that this thread is to make next.
    fn look_up(&self, Begun { number, name }: Begun) -> Option<Begun> {
        let _under_way = Lookup {
            threads: self,
            number,
        };
        let addresses = self.system.look_up(&name);
        loop {
            let now = Moment::now();
            let step = self.queue().go_on(number, now);
            match step {
                Step::Answer(askers) if addresses.is_empty() => drop(askers),
                Step::Answer(askers) => askers.into_iter().for_each(|found| found(&addresses)),
                Step::Begin(next) => return Some(next),
                Step::End => return None,
            }
        }
    }
}

/// A lookup that a thread makes; over when dropped, also by a panic.
struct Lookup<'a> {
    threads: &'a Threads,
    number: u64,
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        self.threads.queue().end(self.number);
        self.threads.over.notify_all();
    }
}

#[cfg(test)]
mod tests;
