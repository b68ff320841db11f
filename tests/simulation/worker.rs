//! Worker: the operations of one process that handles calls.

use internals::simulation::{
    self, Called, Source, cas, create, end_message, get_many, gets, holds_lease, invalidate, lease,
    prefetch,
};
use internals::{Cache, Status, Value, Way};
use kamailio_memcached::internals;

use super::history::{Answer, Operation, What, value_of};
use super::process::Activity;
use super::rules::leases;
use super::world::{MILLI, SECOND, State, World};

/// Makes all operations of a worker, waits until all is well again, and makes some more.
pub fn work(world: &World, cache: &mut Cache, process: usize) {
    let setup = world.state.borrow().setup.clone();
    // As the start does, until names are looked up.
    if setup
        .servers
        .iter()
        .any(|server| server.written.starts_with("mc-"))
    {
        world.sleep(SECOND / 5);
    }
    // Else most reads would find nothing.
    if setup.reads_mostly && process == 0 {
        for number in 0..setup.keys {
            perform(world, cache, process, What::Set, format!("k{number}"));
        }
    }
    for _ in 0..setup.operations {
        let pause = world.state.borrow_mut().random.below(setup.pace);
        world.sleep(pause);
        if world.state.borrow().grows_now() {
            grow(world, cache, process);
        }
        operate(world, cache, process);
    }
    if setup.grows() && !world.state.borrow().has_grown {
        grow(world, cache, process);
    }
    world.state.borrow_mut().processes[process].is_at_rest = true;
    while world
        .state
        .borrow()
        .rest
        .is_none_or(|until| until > world.state.borrow().now)
    {
        world.sleep(1000 * SECOND);
    }
    for number in 0..setup.keys {
        for what in [What::Set, What::Get] {
            perform(world, cache, process, what, format!("k{number}"));
        }
    }
    world.state.borrow_mut().history.owed += simulation::writes_owed(cache) as u64;
}

/// Waits until servers are added. That is so when no operation is under way.
fn grow(world: &World, cache: &mut Cache, process: usize) {
    end_message(cache);
    world.state.borrow_mut().processes[process].is_ready_to_grow = true;
    while !world.state.borrow_mut().has_grown() {
        world.sleep(MILLI);
    }
}

impl State {
    /// Whether it is time to add servers.
    fn grows_now(&self) -> bool {
        self.setup.grows() && !self.has_grown && self.now >= self.setup.grows_at
    }

    /// Whether servers were added. They are as soon as all workers are ready.
    fn has_grown(&mut self) -> bool {
        let workers = &self.processes[..self.setup.workers];
        let mut workers = workers.iter();
        self.has_grown = workers.all(|it| it.is_ready_to_grow || it.activity == Activity::Ended);
        self.has_grown
    }

    /// The pool that is used: the first one, or the one before it.
    fn pool(&self) -> usize {
        usize::from(self.setup.grows() && !self.has_grown)
    }
}

fn operate(world: &World, cache: &mut Cache, process: usize) {
    let (number, key, random, is_next) = {
        let mut state = world.state.borrow_mut();
        let (keys, number) = (state.setup.keys, state.history.operations.len());
        let reads = state.setup.reads_mostly && !state.random.once_in(10);
        let random = if reads { 20 } else { state.random.below(110) };
        let key = state.random.below(keys);
        (number, key, random, state.random.once_in(6))
    };
    let leases = world.state.borrow().setup.leases;
    if is_next {
        end_message(cache);
        let mut state = world.state.borrow_mut();
        state.processes[process].message = state.now;
        state.processes[process].has_asked = false;
    }
    let counter = format!("n{}", key % 3);
    let asked = 1 + key as usize;
    match random {
        100..106 => perform(world, cache, process, What::Prefetch(asked), "k0".into()),
        106..110 => perform(world, cache, process, What::Many(asked), "k0".into()),
        0..12 if leases => compute(world, cache, process, format!("k{key}")),
        12..15 if leases => perform(world, cache, process, What::Invalidate, format!("k{key}")),
        0..30 => perform(world, cache, process, What::Get, format!("k{key}")),
        30..40 => {
            let key = format!("k{key}");
            let read = perform(world, cache, process, What::Gets, key.clone());
            if !matches!(read, Answer::Hit(_)) {
                return;
            }
            perform(world, cache, process, What::Cas, key)
        }
        40..65 => perform(world, cache, process, What::Set, format!("k{key}")),
        65..73 => perform(world, cache, process, What::Delete, format!("k{key}")),
        73..78 => perform(world, cache, process, What::Touch, format!("k{key}")),
        78..82 => perform(world, cache, process, What::Get, counter),
        // A counter that begins with 0 may be another operation's.
        82..91 if number > 0 => {
            perform(world, cache, process, What::Create(number as u64), counter)
        }
        _ => {
            let answer = perform(
                world,
                cache,
                process,
                What::Count(number as u64),
                counter.clone(),
            );
            if answer == Answer::Miss {
                return drop(perform(world, cache, process, What::Zero, counter));
            }
            answer
        }
    };
}

/// Asks for a lease, and stores what it has computed if it has that.
fn compute(world: &World, cache: &mut Cache, process: usize, key: String) -> Answer {
    let answer = perform(world, cache, process, What::Lease, key.clone());
    let (time, stores) = {
        let mut state = world.state.borrow_mut();
        let longest = match state.random.once_in(20) {
            true => 5 * SECOND,
            false => 2 * state.setup.pace,
        };
        (state.random.below(longest), !state.random.once_in(5))
    };
    if !stores || !matches!(answer, Answer::Leased(_)) {
        return answer;
    }
    world.sleep(time);
    perform(world, cache, process, What::Set, key)
}

/// Makes one operation and notes it. Whoever has the lease of a key does not write it otherwise.
fn perform(world: &World, cache: &mut Cache, process: usize, what: What, text: String) -> Answer {
    let pool = world.state.borrow().pool();
    let key = cache.key(pool, text.as_bytes(), b"").expect("a key");
    let what = match what {
        What::Set if holds_lease(cache, &key) => What::Fulfil,
        other => other,
    };
    let (number, len, counts_down) = {
        let mut state = world.state.borrow_mut();
        let (now, stopped) = (state.now, state.processes[process].stopped);
        state.say(|_| format!("begins {what:?} {text}"));
        let number = state.history.operations.len();
        let (clock, message) = (state.clock(), state.processes[process].message);
        state.processes[process].operation = Some(number);
        state.processes[process].has_asked |= matches!(what, What::Prefetch(_) | What::Many(_));
        state.processes[process].attempt = None;
        state.history.operations.push(Operation {
            process,
            what,
            key: text.clone(),
            began: now,
            clock,
            message,
            source: Source::Server,
            from: now,
            ended: None,
            stopped,
            answer: Answer::Open,
            asked: None,
            last_executed: 0,
            executed: Vec::new(),
        });
        let len = *state.random.pick(&[0, 5, 30, 300, 3000]);
        (number, len, state.random.once_in(3))
    };
    let asked_before = simulation::asked_ahead(cache, &key);
    let answer = match what {
        What::Get => {
            let mut text = Vec::new();
            let result = cache.get(&key, &mut text);
            let text = String::from_utf8(text).unwrap_or_else(|it| format!("{:?}", it.as_bytes()));
            match Status::of(&result) {
                Status::Hit => Answer::Hit(text),
                Status::Stale => Answer::Stale(text),
                status => answer(status),
            }
        }
        What::Set | What::Fulfil => {
            let value = value_of(number, len);
            answer(Status::of(
                &cache.assign(&key, Value::Text(value.as_bytes())),
            ))
        }
        What::Gets => {
            let Called {
                status,
                text,
                version,
            } = gets(cache, &key);
            world.state.borrow_mut().processes[process].version = version;
            match status {
                Status::Hit => Answer::Hit(text),
                status => answer(status),
            }
        }
        What::Cas => {
            let version = world.state.borrow().processes[process].version;
            let value = value_of(number, len);
            answer(cas(cache, &key, value.as_bytes(), version).status)
        }
        What::Prefetch(count) | What::Many(count) => {
            let name = |number| format!("k{number}");
            let keys = (0..count).map(|number| cache.key(pool, name(number).as_bytes(), b""));
            let keys: Vec<_> = keys.map(|key| key.expect("a key")).collect();
            match what {
                What::Many(_) => match get_many(cache, &keys) {
                    Called {
                        status: Status::Hit,
                        text,
                        ..
                    } => Answer::Found(text.parse().expect("a number")),
                    other => answer(other.status),
                },
                _ => {
                    prefetch(cache, &keys);
                    Answer::Sent
                }
            }
        }
        What::Create(by) => match create(cache, &key, by) {
            Called {
                status: Status::Counted,
                text,
                ..
            } => Answer::Counted(text.parse().expect("a number")),
            other => answer(other.status),
        },
        What::Zero => answer(Status::of(&cache.assign(&key, Value::Integer(0)))),
        What::Lease => {
            let Called { status, text, .. } = lease(cache, &key);
            match status {
                Status::Hit => Answer::Hit(text),
                Status::Stale => Answer::Stale(text),
                Status::Lease => Answer::Leased(text),
                status => answer(status),
            }
        }
        What::Invalidate => answer(invalidate(cache, &key, 5).status),
        What::Delete => answer(Status::of(&cache.delete(&key))),
        What::Touch => answer(Status::of(&cache.touch(&key, Value::Integer(3000)))),
        What::Count(by) => {
            let way = if counts_down { Way::Down } else { Way::Up };
            match cache.count(way, &key, Value::Integer(by as i64)) {
                Ok(Some(number)) => Answer::Counted(number),
                other => answer(Status::of(&other)),
            }
        }
    };
    let source = match what {
        What::Get => simulation::source(cache, &key),
        _ => Source::Server,
    };
    // The server that has answered may have left the list meanwhile, and its answers with it. Or it was asked ahead for
    // what has come over now.
    let forgotten = asked_before.filter(|_| simulation::asked_ahead(cache, &key).is_none());
    simulation::count_all(cache);
    let mut state = world.state.borrow_mut();
    state.say(|_| format!("ends {what:?} {text}: {answer:?}"));
    state.end_wait(process);
    if let Some(observer) = &*world.observer.borrow() {
        observer.check_mark(&mut state, process);
    }
    let (now, stopped) = (state.now, state.processes[process].stopped);
    let asked = state.processes[process].attempt;
    state.processes[process].operation = None;
    let from = match source {
        Source::Ahead(since) => Some(asked_at(&state, process, since)),
        Source::Server if state.history.is_reloaded || state.setup.grows() => {
            forgotten.map(|since| asked_at(&state, process, since))
        }
        _ => None,
    };
    let operation = &mut state.history.operations[number];
    operation.source = source;
    operation.from = from.unwrap_or(operation.began);
    operation.ended = Some(now);
    operation.stopped = stopped - operation.stopped;
    operation.answer = answer.clone();
    operation.asked = asked.map(|(server, _)| server);
    if leases::has_lapsed(&state, number) {
        state.history.operations[number].what = What::Set;
    }
    answer
}

/// When this read was asked ahead.
fn asked_at(state: &State, process: usize, since: u64) -> u64 {
    let mut earlier = state.history.operations.iter().rev();
    let asking = earlier.find(|it| {
        let asks = matches!(it.what, What::Prefetch(_) | What::Many(_));
        asks && it.process == process && it.clock <= since
    });
    asking.expect("an operation that asks ahead").began
}

fn answer(status: Status) -> Answer {
    match status {
        Status::Miss => Answer::Miss,
        Status::Stored => Answer::Stored,
        Status::NotStored | Status::Exists => Answer::NotStored,
        Status::Deleted => Answer::Deleted,
        Status::Touched => Answer::Touched,
        Status::Sent => Answer::Sent,
        failure => Answer::Failed(failure.word()),
    }
}
