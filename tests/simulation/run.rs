//! Run: one seed, from its setup to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use internals::simulation::{self, ProberProcess};
use internals::{Cache, Numbers, Set, Shared, Slot, Table, WAYS};
use kamailio_memcached::internals;

use super::logger;
use super::memory::Memory;
use super::observer::Observer;
use super::operator;
use super::prober;
use super::process::{Activity, Body, Process, Role};
use super::random::Random;
use super::rules;
use super::setup::Setup;
use super::trace::Trace;
use super::worker;
use super::world::{Event, State, World};

/// How a run has ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What has broken a rule; empty if nothing did.
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub operations: usize,
    /// The kinds of faults that there were, a bit each.
    pub coverage: u32,
}

/// Runs this seed.
pub fn run(seed: u64, planted: Option<&'static str>, is_traced: bool) -> Outcome {
    let mut random = Random::new(seed);
    let setup = Setup::new(&mut random);
    let mut trace = if is_traced {
        Trace::on()
    } else {
        Trace::default()
    };
    trace.add(0, None, &format!("seed {seed}: {setup:?}"));
    let world = Box::into_raw(Box::new(World::new(
        State::new(setup.clone(), random, trace),
        planted,
    )));
    let outcome = run_in(world, &setup);
    // SAFETY: `Box::into_raw` made it, and nothing uses it any more.
    drop(unsafe { Box::from_raw(world) });
    outcome
}

fn run_in(world: *const World, setup: &Setup) -> Outcome {
    // SAFETY: the caller drops it after this function has returned. Until then all processes have ended, and
    // the library does not know it any more.
    let world: &'static World = unsafe { &*world };
    simulation::install(Some(world));
    logger::log_to(Some(world));
    let pools = 1 + usize::from(setup.grows());
    let sets = Table::sets(setup.near_size);
    // SAFETY: all bits zero is an empty one of each, as their documentation says. The caches, which are dropped
    // before it, are the only ones that use it; processes that were killed never run again.
    let (shared, sets, slots) = unsafe {
        (
            Memory::<Shared>::new(pools),
            Memory::<Set>::new(sets),
            Memory::<Slot>::new(sets * WAYS),
        )
    };
    let near = Table::new(shared.all()[0].near(), sets.all(), slots.all());
    let panic = {
        let mut run = Run::new(world, setup, shared.all(), near);
        let went = catch_unwind(AssertUnwindSafe(|| run.go_on()));
        run.end();
        went.err()
    };
    simulation::install(None);
    logger::log_to(None);
    let mut state = world.state.borrow_mut();
    if panic.is_some() {
        state
            .history
            .violations
            .push("the simulation has panicked".into());
    }
    rules::check(&mut state);
    let violations = std::mem::take(&mut state.history.violations);
    for violation in &violations {
        let (now, line) = (state.now, format!("VIOLATION: {violation}"));
        state.trace.add(now, None, &line);
    }
    Outcome {
        violations,
        operations: state.history.operations.len(),
        coverage: state.history.coverage,
        trace: std::mem::take(&mut state.trace).into_lines(),
    }
}

/// The processes of a run.
struct Run<'a> {
    world: &'static World,
    setup: &'a Setup,
    bodies: Vec<Body>,
    /// A cache for each process that has one. It lies here, so that it is dropped after a killed process,
    /// too.
    caches: Vec<*mut Cache>,
    prober: *mut ProberProcess,
    /// The processes that can run now.
    ready: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(
        world: &'static World,
        setup: &'a Setup,
        shared: &'static [Shared],
        near: Option<Table>,
    ) -> Self {
        let parameters = setup.parameters();
        let cache = || {
            let mut cache = Cache::new(parameters.settle(), Numbers::Bits64, shared);
            let mut near = vec![near];
            near.resize(shared.len(), None);
            cache.keep_near(near);
            cache
        };
        let processes = setup.workers + 2;
        let caches: Vec<_> = (0..processes)
            .map(|_| Box::into_raw(Box::new(cache())))
            .collect();
        let mut run = Self {
            world,
            setup,
            bodies: Vec::new(),
            caches,
            prober: Box::into_raw(Box::default()),
            ready: Vec::new(),
        };
        *world.observer.borrow_mut() = Some(Observer::new(cache(), setup));
        for index in 0..setup.workers {
            let cache = run.caches[index];
            // SAFETY: the cache is this process's alone, and lives until all processes have ended.
            run.start(Role::Worker, move |_| {
                worker::work(world, unsafe { &mut *cache }, index)
            });
        }
        let (cache, prober) = (run.caches[setup.workers], run.prober);
        // SAFETY: as above.
        run.start(Role::Prober, move |_| {
            prober::probe(world, unsafe { &mut *cache }, unsafe { &mut *prober })
        });
        let cache = run.caches[setup.workers + 1];
        // SAFETY: as above.
        run.start(Role::Operator, move |_| {
            operator::operate(world, unsafe { &mut *cache })
        });
        let mut state = world.state.borrow_mut();
        state.history.returned = vec![0; setup.servers.len()];
        for (moment, change) in &setup.plan {
            if !change.is_command() {
                state.at(*moment, Event::Change(Box::new(change.clone())));
            }
        }
        drop(state);
        run
    }

    fn start(&mut self, role: Role, work: impl FnOnce(usize) + 'static) {
        let index = self.bodies.len();
        let pid = 100 + index as u32;
        self.world
            .state
            .borrow_mut()
            .processes
            .push(Process::new(pid, role));
        self.bodies.push(body(self.world, index, work));
    }

    /// Runs until all processes have ended but the prober.
    fn go_on(&mut self) {
        loop {
            self.start_threads();
            let next = self.next();
            let Some(process) = next else {
                if !self.jump() {
                    return;
                }
                continue;
            };
            self.world.state.borrow_mut().current = Some(process);
            let has_ended = self.bodies[process].go_on();
            self.world.look();
            let mut state = self.world.state.borrow_mut();
            state.current = None;
            if has_ended {
                state.processes[process].activity = Activity::Ended;
            }
        }
    }

    /// A process that can run now.
    fn next(&mut self) -> Option<usize> {
        let mut state = self.world.state.borrow_mut();
        while let Some(event) = state.take_event() {
            happen(self.world, &mut state, event);
        }
        let now = state.now;
        let can_run = |it: &Process| it.activity == Activity::Ready && it.stopped_until <= now;
        let all = state.processes.iter().enumerate();
        self.ready.clear();
        self.ready
            .extend(all.filter(|(_, it)| can_run(it)).map(|(index, _)| index));
        match self.ready.len() {
            0 => None,
            count => Some(self.ready[state.random.below(count as u64) as usize]),
        }
    }

    /// Time passes until the next event. False if the run is over.
    fn jump(&mut self) -> bool {
        let mut state = self.world.state.borrow_mut();
        let state = &mut *state;
        let workers = &state.processes[..self.setup.workers];
        if workers.iter().all(|it| it.activity == Activity::Ended) {
            if let Some(observer) = &*self.world.observer.borrow() {
                observer.end(state);
            }
            return false;
        }
        let is_planned = state
            .setup
            .plan
            .last()
            .is_some_and(|(moment, _)| *moment >= state.now);
        let operates = state.processes[self.setup.workers + 1].activity != Activity::Ended;
        let goes_on = is_planned || operates || state.rest.is_some();
        if !goes_on
            && workers
                .iter()
                .all(|it| it.is_at_rest || it.activity == Activity::Ended)
        {
            let until = state.rest_until();
            state.say(|_| "all operations are over; time to recover".into());
            state.rest = Some(until);
            for worker in 0..self.setup.workers {
                let alarm = state.processes[worker].alarm;
                state.at(
                    until,
                    Event::Alarm {
                        process: worker,
                        alarm,
                    },
                );
            }
        }
        match state.next_event() {
            Some(moment) => state.now = state.now.max(moment),
            None => return false,
        }
        true
    }

    fn start_threads(&mut self) {
        let threads = std::mem::take(&mut self.world.state.borrow_mut().threads);
        for (index, work) in threads {
            assert_eq!(index, self.bodies.len());
            self.bodies.push(body(self.world, index, move |_| work()));
        }
    }

    /// Ends all processes.
    fn end(&mut self) {
        self.bodies.clear();
        self.world.observer.borrow_mut().take();
        // SAFETY: as the caches below.
        drop(unsafe { Box::from_raw(self.prober) });
        for cache in self.caches.drain(..) {
            // SAFETY: it was made by `Box::into_raw`, and no process runs any more.
            drop(unsafe { Box::from_raw(cache) });
        }
    }
}

/// The work of a process. A panic ends it, and breaks a rule.
fn body(world: &'static World, index: usize, work: impl FnOnce(usize) + 'static) -> Body {
    Body::new(move |way_out| {
        world.state.borrow_mut().processes[index].way_out = way_out;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(index))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let found = format!("a panic: {}", text.unwrap_or_default());
            world.state.borrow_mut().history.violations.push(found);
        }
    })
}

fn happen(world: &World, state: &mut State, event: Event) {
    match event {
        Event::Alarm { process, alarm } => {
            if state.processes[process].alarm == alarm {
                state.wake(process);
            }
        }
        Event::Arrive { flow, to_server } => state.arrive(flow, to_server),
        Event::Serve { flow } => state.serve(flow),
        Event::Change(change) => {
            if let Some(observer) = &*world.observer.borrow() {
                observer.check_outages(state);
            }
            state.apply(&change);
        }
    }
}
