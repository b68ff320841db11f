//! Every order in which processes can touch a server's verdict, with every way that the network can
//! go.
//!
//! A change is one exchange of the whole word, so what processes do at the same time comes to what they
//! would do in some order. What is not one step is what a process does over time: it looks, asks, is
//! overdue, is answered or not, goes to a stand-in. Here a few of them take such steps on a real
//! [`Health`], in all orders. After each step it must hold that one waits at most, that whoever holds a
//! mark will end it, that only the present generation has a say, that an answer to anybody outweighs
//! failures, that no server is forgotten, and that no missed write is: what a stand-in has overwritten
//! is not read at its owner.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::*;

mod prober;
mod worker;

use prober::Probing;
use worker::Working;

/// What one process does about a server, step by step; each step is one load or one change of what is
/// shared. A step may leave several ways to go on: whatever the network can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    /// A worker with one operation: a read.
    Reads(Working),
    /// A worker with one operation: a write. Its key is the number of the actor.
    Writes(Working),
    /// The prober, with one probe at a time.
    Probes(Probing),
    /// An operator, with so many decisions left.
    Decides(u8),
    /// The time, with so many seconds left.
    Passes(u8),
}

/// A set of keys, one bit each.
type Keys = u8;

/// All that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    word: u64,
    /// Moments in nanoseconds.
    answered: u64,
    mark_until: u64,
    /// Seconds.
    now: u8,
    /// Keys of which the owner holds what was there in the beginning.
    old: Keys,
    /// Keys that a stand-in has written since.
    overwritten: Keys,
    /// Keys that were counted as missed, and that nobody has made up for.
    owed: Keys,
    /// Keys in the list of diverted writes.
    list: Keys,
    actors: [Actor; CREW],
}

/// How many actors there are at most.
const CREW: usize = 5;

/// How long an operation may last, in seconds.
const LIMIT: u8 = 1;

fn at(seconds: u8) -> Moment {
    Moment::from_nanos((u64::from(seconds) + 1) * 1_000_000_000)
}

/// What actor `number` began in that generation at that second.
fn origin(number: usize, generation: u16, began: u8) -> Origin {
    Origin {
        process: number as u32 + 1,
        generation,
        began: at(began),
        is_kept_out: false,
        ends: at(began + LIMIT),
    }
}

/// A hash for known worlds. With the standard one, most of the time would go into it.
#[derive(Default)]
struct Quick(u64);

impl Quick {
    fn add(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(7) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.add(byte.into()));
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl World {
    fn new(crew: &[Actor]) -> Self {
        let mut actors = [Actor::Passes(0); CREW];
        actors[..crew.len()].copy_from_slice(crew);
        Self {
            word: 0,
            answered: 0,
            mark_until: 0,
            now: 0,
            old: Keys::MAX,
            overwritten: 0,
            owed: 0,
            list: 0,
            actors,
        }
    }

    fn health(&self) -> Health {
        Health {
            word: AtomicU64::new(self.word),
            answered: AtomicU64::new(self.answered),
            mark_until: AtomicU64::new(self.mark_until),
            ..Health::default()
        }
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.word)
    }

    /// What `event` makes of the verdict, and what it returns; actor `number` goes on as `next`.
    fn step<R>(&self, number: usize, next: Actor, event: impl FnOnce(&Health) -> R) -> (World, R) {
        let (mut world, health) = (*self, self.health());
        let result = event(&health);
        world.word = health.word.load(Ordering::Relaxed);
        world.answered = health.answered.load(Ordering::Relaxed);
        world.mark_until = health.mark_until.load(Ordering::Relaxed);
        world.actors[number] = next;
        self.check_step(number, &world);
        (world, result)
    }

    /// The same world, in which actor `number` goes on as `next`.
    fn with(&self, number: usize, next: Actor) -> World {
        let mut world = *self;
        world.actors[number] = next;
        world
    }

    /// All worlds that the next step of one actor can lead to.
    fn after(&self, number: usize, rules: Rules, into: &mut Vec<World>) {
        match self.actors[number] {
            Actor::Reads(working) | Actor::Writes(working) => {
                self.after_worker(number, working, rules, into);
            }
            Actor::Probes(probing) => self.after_prober(number, probing, rules, into),
            Actor::Decides(0) | Actor::Passes(0) => {}
            Actor::Decides(left) => {
                for state in [State::Active, State::Disabled] {
                    let set = |health: &Health| health.set(at(self.now), state);
                    let mut world = self.step(number, Actor::Decides(left - 1), set).0;
                    if self.verdict().is_away() && state == State::Active {
                        // It was not emptied: what it has missed meanwhile is the operator's matter.
                        world.old &= world.owed;
                    }
                    into.push(world);
                }
            }
            Actor::Passes(left) => {
                let mut world = self.with(number, Actor::Passes(left - 1));
                world.now += 1;
                into.push(world);
            }
        }
    }

    /// Whether the server has answered anything that began then or later.
    fn has_answered_since(&self, began: u8) -> bool {
        at(began).nanos() <= self.answered
    }

    /// What must hold of the step of one actor that leads to `next`.
    fn check_step(&self, number: usize, next: &World) {
        let (before, after) = (self.verdict(), next.verdict());
        let returned = before.is_away() && !after.is_away();
        let fell = !before.is_away() && after.is_away();
        let steps = after.generation.wrapping_sub(before.generation);
        assert_eq!(steps, u16::from(returned), "one a return: {self:?}");
        let news = fell || returned || after.is_stalled() && !before.is_stalled();
        if let Some((generation, began, is_worker)) = self.actors[number].operation() {
            assert!(!(is_worker && returned), "not a worker's to end: {self:?}");
            let is_old = generation != before.generation;
            assert!(!(news && is_old), "another time's verdict: {self:?}");
            let outweighed = (fell || after.is_stalled() && news) && self.has_answered_since(began);
            assert!(!outweighed, "it has answered: {self:?} {next:?}");
        }
        let settles = matches!(self.actors[number], Actor::Probes(probing) if probing.settles());
        assert!(
            settles || before.diverted == 0 || after.diverted != 0,
            "made up for by whom? {self:?}"
        );
    }

    /// What must hold whatever has happened.
    fn check(&self) {
        let verdict = self.verdict();
        let in_time = |actor: &&Actor| {
            let began = actor.waits_since();
            began.is_some_and(|began| self.now <= began + LIMIT)
        };
        let holders = self.actors.iter().filter(in_time).count();
        assert!(holders <= 1, "two wait on: {self:?}");
        if let Some(holder) = (verdict.holder as usize).checked_sub(1) {
            let began = self.actors[holder].waits_since();
            let is_ending = self.actors[holder].is_dead() || self.actors[holder].clears();
            assert!(began.is_some() || is_ending, "who ends the mark? {self:?}");
            let ends = began.map_or(0, |began| at(began + LIMIT).nanos());
            assert!(self.mark_until >= ends, "it ends too soon: {self:?}");
        }
        let marked = !verdict.is_stalled() || verdict.holder != 0;
        assert!(marked, "nobody will end the stall: {self:?}");
        let decides = |actor: &Actor| matches!(actor, Actor::Decides(_));
        let disabled = verdict.state == State::Disabled;
        let decided = self.actors.iter().any(decides);
        assert!(!disabled || decided, "nobody has taken it out: {self:?}");
        let stale = self.old & self.overwritten != 0;
        let asked = Verdict::admits(self.word).is_some();
        assert!(!(stale && asked), "an old value is read: {self:?}");
        let owes = self.owed & self.old != 0;
        assert!(!owes || verdict.diverted != 0, "forgotten: {self:?}");
    }

    /// Nobody can do anything more: then the server is found again, and has made up for everything.
    fn check_end(&self) {
        let verdict = self.verdict();
        let probed = |actor: &Actor| matches!(actor, Actor::Probes(_));
        if self.actors.iter().any(probed) && verdict.state != State::Disabled {
            assert_eq!(verdict.state, State::Active, "never asked again: {self:?}");
            assert_eq!(verdict.diverted, 0, "never asked again: {self:?}");
            assert_eq!(verdict.holder, 0, "never waited for again: {self:?}");
        }
    }
}

impl Actor {
    /// The generation and the second in which what it does has begun, and whether it is a worker, if it
    /// has begun something.
    fn operation(self) -> Option<(u16, u8, bool)> {
        let (began, is_worker) = match self {
            Actor::Reads(working) | Actor::Writes(working) => (working.began(), true),
            Actor::Probes(probing) => (probing.began(), false),
            Actor::Decides(_) | Actor::Passes(_) => (None, false),
        };
        began.map(|(generation, began)| (generation, began, is_worker))
    }

    /// When the operation began whose worker waits beyond the stall limit.
    fn waits_since(self) -> Option<u8> {
        match self {
            Actor::Reads(Working::WaitsOn(_, began))
            | Actor::Writes(Working::WaitsOn(_, began)) => Some(began),
            _ => None,
        }
    }

    /// True if its next step tells that it was answered.
    fn clears(self) -> bool {
        matches!(
            self,
            Actor::Reads(Working::Clears(..)) | Actor::Writes(Working::Clears(..))
        )
    }

    fn is_dead(self) -> bool {
        matches!(
            self,
            Actor::Reads(Working::Dead) | Actor::Writes(Working::Dead)
        )
    }
}

/// Tries every order of the steps of all actors, with every way that the network can go. Returns how many
/// worlds there are, and in how many of them nobody can do anything more.
fn explore(actors: &[Actor], rules: Rules) -> (usize, usize) {
    let start = World::new(actors);
    let mut known: HashSet<World, BuildHasherDefault<Quick>> = HashSet::default();
    known.insert(start);
    let (mut fresh, mut next, mut ends) = (vec![start], Vec::new(), 0);
    while let Some(world) = fresh.pop() {
        world.check();
        for number in 0..world.actors.len() {
            world.after(number, rules, &mut next);
        }
        next.retain(|next| *next != world);
        if next.is_empty() {
            world.check_end();
            ends += 1;
        }
        for next in next.drain(..) {
            if known.insert(next) {
                fresh.push(next);
            }
        }
    }
    (known.len(), ends)
}

const READS: Actor = Actor::Reads(Working::Comes);
const WRITES: Actor = Actor::Writes(Working::Comes);

/// A prober that meets with so many bad ends, and makes so many pings.
const fn probes(bad: u8, pings: u8) -> Actor {
    Actor::Probes(Probing::new(bad, pings))
}

fn try_all(crews: &[&[Actor]], thresholds: &[(u16, u16)]) {
    for crew in crews {
        for &(inactive_threshold, probing_threshold) in thresholds {
            let rules = Rules {
                inactive_threshold,
                probing_threshold,
            };
            let (worlds, ends) = explore(crew, rules);
            assert!(worlds > 50 && ends > 0, "{crew:?}: {worlds} worlds");
        }
    }
}

#[test]
fn whatever_the_order_one_waits_on_and_nobody_is_forgotten() {
    let crews: [&[Actor]; 3] = [
        &[READS, READS, READS, READS],
        &[READS, READS, READS, probes(1, 0), Actor::Passes(1)],
        &[
            READS,
            READS,
            probes(0, 0),
            Actor::Decides(2),
            Actor::Passes(2),
        ],
    ];
    try_all(&crews, &[(1, 1), (2, 2)]);
}

#[test]
fn whatever_the_order_no_missed_write_is_forgotten() {
    let crews: [&[Actor]; 3] = [
        &[WRITES, WRITES, READS, probes(0, 0), Actor::Decides(1)],
        &[WRITES, WRITES, probes(1, 1)],
        &[WRITES, READS, probes(0, 0), probes(0, 0), Actor::Decides(1)],
    ];
    try_all(&crews, &[(1, 1)]);
}
