//! World: time, the network, the servers and the processes of one run, and the system calls of those
//! processes.
//!
//! One thread runs everything. A process runs until a system call lets others run; then the
//! [run](super::run) chooses who goes on. Time passes a little with each call, and jumps to the next event
//! when nobody can run. The seed decides all.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::faults::Change;
use super::history::History;
use super::names::Names;
use super::network::Flow;
use super::observer::Observer;
use super::process::{Activity, Process, Role};
use super::random::Random;
use super::server::Server;
use super::setup::Setup;
use super::trace::Trace;

/// Nanoseconds.
pub const MICRO: u64 = 1_000;
/// Nanoseconds.
pub const MILLI: u64 = 1_000_000;
/// Nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// The monotonic clock of the node when a run begins.
const BOOTED: u64 = 1_000 * SECOND;

/// The time of day when a run begins, in seconds of Unix time.
pub const TODAY: u64 = 1_800_000_000;

/// What happens at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A process waits no longer, if this is still its alarm.
    Alarm { process: usize, alarm: u64 },
    /// The first segment on the way to a server arrives, or else to the client.
    Arrive { flow: u32, to_server: bool },
    /// A server reads what a flow has brought.
    Serve { flow: u32 },
    /// Something breaks or is mended.
    Change(Box<Change>),
}

/// All of a run but the processes' stacks.
pub struct State {
    pub now: u64,
    pub random: Random,
    pub setup: Setup,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// How many events there were.
    number: u64,
    /// By how much the clock of the node is behind, since it stood still.
    pub lag: u64,
    /// Until when the whole node stands still.
    pub node_stopped_until: u64,
    pub flows: Vec<Flow>,
    pub servers: Vec<Server>,
    pub names: Names,
    pub processes: Vec<Process>,
    pub current: Option<usize>,
    /// Work of threads that were started.
    pub threads: Vec<(usize, Box<dyn FnOnce() + Send>)>,
    pub history: History,
    pub trace: Trace,
    /// Whether servers were added.
    pub has_grown: bool,
    /// Until when the workers wait for all to be well, once they have made their operations.
    pub rest: Option<u64>,
    /// The largest buffer that was given to receive.
    pub largest_room: usize,
}

impl State {
    /// A world in which nothing has happened yet.
    pub fn new(setup: Setup, random: Random, trace: Trace) -> Self {
        let servers = setup
            .servers
            .iter()
            .map(|spec| Server::new(spec, &setup))
            .collect();
        Self {
            now: 0,
            names: Names::new(&setup),
            random,
            setup,
            events: BinaryHeap::new(),
            number: 0,
            lag: 0,
            node_stopped_until: 0,
            flows: Vec::new(),
            servers,
            processes: Vec::new(),
            current: None,
            threads: Vec::new(),
            history: History::default(),
            trace,
            has_grown: false,
            rest: None,
            largest_room: 0,
        }
    }

    /// Has something happen at that moment.
    pub fn at(&mut self, moment: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((moment, self.number, event)));
    }

    /// When the next event is due.
    pub fn next_event(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((moment, ..))| *moment)
    }

    /// The next event, if it is due.
    pub fn take_event(&mut self) -> Option<Event> {
        let due = self.next_event().is_some_and(|moment| moment <= self.now);
        let event = due.then(|| self.events.pop())??;
        Some(event.0.2)
    }

    /// The monotonic clock of the node.
    pub fn clock(&self) -> u64 {
        BOOTED + self.now - self.lag
    }

    /// The process waits until that moment, or until one of the sockets is ready.
    pub fn block(&mut self, process: usize, sockets: &[(u32, bool)], until: u64) {
        let it = &mut self.processes[process];
        it.activity = Activity::Blocked;
        it.alarm += 1;
        it.waits_for.clear();
        it.waits_for.extend_from_slice(sockets);
        let alarm = it.alarm;
        self.at(until, Event::Alarm { process, alarm });
    }

    fn is_stopped(&self, process: usize) -> bool {
        self.processes[process].stopped_until > self.now
    }

    /// Whether the process dies at this call.
    fn dies(&mut self, process: usize) -> bool {
        let it = &mut self.processes[process];
        let dies = match &mut it.dies_after {
            None => false,
            Some(0) => true,
            Some(calls) => {
                *calls -= 1;
                false
            }
        };
        let workers = &self.processes[..self.setup.workers];
        // One is left to see that all is well in the end.
        let dies = dies && workers.iter().filter(|it| !it.is_killed).count() > 1;
        if dies {
            self.kill(process);
        }
        dies
    }

    /// The process dies. Its system closes what it has open.
    fn kill(&mut self, process: usize) {
        self.say(|_| "is killed".into());
        let pid = self.processes[process].pid;
        for it in self.processes.iter_mut().filter(|it| it.pid == pid) {
            (it.activity, it.is_killed, it.waits) = (Activity::Ended, true, None);
        }
        for number in 0..self.flows.len() {
            if self.processes[self.flows[number].process].pid == pid {
                self.close(number as u32);
            }
        }
    }

    /// The process waits no longer.
    pub fn wake(&mut self, process: usize) {
        let it = &mut self.processes[process];
        if it.activity == Activity::Blocked {
            it.activity = Activity::Ready;
            it.waits_for.clear();
        }
    }

    /// The socket may be ready: whoever waits for it wakes up.
    pub fn wake_waiting_for(&mut self, socket: u32) {
        let process = self.flows[socket as usize].process;
        let it = &self.processes[process];
        if let Some(&(_, sends)) = it.waits_for.iter().find(|(number, _)| *number == socket)
            && self.is_ready(socket, sends)
        {
            self.wake(process);
        }
    }

    /// The process that runs may be stopped for a moment, once in so many times.
    pub fn hold_up(&mut self, times: u64) {
        if let Some(current) = self.current
            && self.setup.holds_up
            && self.rest.is_none()
            && self.random.once_in(times)
        {
            let time = self.random.below(60 * MILLI);
            self.stop_process(current, time);
        }
    }

    /// Since when no process of the node but the workers is held up.
    pub fn node_well_since(&self) -> u64 {
        let others = self.processes[self.setup.workers..].iter();
        let others = others.map(|it| it.stopped_until.max(it.short_until)).max();
        let commands = self.history.commands.last().copied().max(others);
        commands.unwrap_or_default().max(self.node_stopped_until)
    }

    /// Until when the workers rest, so that all is well when they go on.
    pub fn rest_until(&self) -> u64 {
        let trouble = |it: &Server| it.trouble_until.max(it.errs_until).max(it.turns_away_until);
        let troubles = self.servers.iter().map(trouble).max();
        let names = self.names.fail_until.max(self.names.hang_until);
        let stops = self
            .processes
            .iter()
            .map(|it| it.stopped_until.max(it.short_until))
            .max();
        let well = self
            .now
            .max(troubles.max(stops).unwrap_or_default())
            .max(names);
        let has_names = self.setup.start() > 0;
        let looks_up = has_names && names > 0 || self.servers.iter().any(|server| server.has_moved);
        let lookups = if looks_up { 110 * SECOND } else { 0 };
        well + lookups + self.setup.recovery()
    }

    /// A line of the trace.
    pub fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_on() {
            let (line, now) = (what(self), self.now);
            let who = self.current.map(|current| self.processes[current].pid);
            self.trace.add(now, who, &line);
        }
    }
}

/// The world of one run, as its processes see it.
pub struct World {
    pub state: RefCell<State>,
    /// Sees each change of a server's state.
    pub observer: RefCell<Option<Observer>>,
    /// The fault that is planted.
    pub planted: Option<&'static str>,
}

impl World {
    /// A world of that state.
    pub fn new(state: State, planted: Option<&'static str>) -> Self {
        Self {
            state: RefCell::new(state),
            observer: RefCell::new(None),
            planted,
        }
    }

    /// Gives control back to the run, which resumes this process later.
    pub fn give_way(&self) {
        let way_out = {
            let state = self.state.borrow();
            state
                .current
                .map(|current| state.processes[current].way_out)
        };
        if let Some(way_out) = way_out {
            // SAFETY: the process has set it when it began; it lies on the stack of that process, which
            // is the one that runs now.
            unsafe { (*way_out).suspend(()) };
        }
    }

    /// A system call takes some time, and others may run before it.
    pub fn call(&self) {
        let took = {
            let mut state = self.state.borrow_mut();
            let probes = |current: usize| state.processes[current].role == Role::Prober;
            let times = if state.current.is_some_and(probes) {
                50
            } else {
                200
            };
            state.hold_up(times);
            state.random.below(3 * MICRO)
        };
        self.take(took);
    }

    /// The observer looks at all servers.
    pub fn look(&self) {
        if let (Ok(mut observer), Ok(mut state)) =
            (self.observer.try_borrow_mut(), self.state.try_borrow_mut())
            && let Some(observer) = &mut *observer
        {
            observer.look(&mut state);
        }
    }

    /// Time passes, and others may run.
    pub fn take(&self, time: u64) {
        let gives_way = {
            let Ok(mut state) = self.state.try_borrow_mut() else {
                // The observer looks at the shared memory.
                return;
            };
            state.now += time;
            match state.current {
                None => false,
                Some(current) => {
                    let switches = state.setup.switches;
                    state.dies(current)
                        || state.is_stopped(current)
                        || state.random.once_in(switches)
                }
            }
        };
        if gives_way {
            self.give_way();
        }
    }

    /// The process does nothing for so long.
    pub fn sleep(&self, time: u64) {
        {
            let mut state = self.state.borrow_mut();
            let (current, until) = (state.current.expect("a process"), state.now + time);
            state.block(current, &[], until);
        }
        self.give_way();
    }
}
