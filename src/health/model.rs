//! Every order in which processes can touch a server's verdict, with every way that the network can
//! go.
//!
//! A change is one exchange of the whole word, so what processes do at the same time comes to what
//! they would do in some order. What is not one step is what a process does over time: it looks,
//! asks, is overdue, is answered or not. Here a few of them take such steps on a real [`Health`], in
//! all orders, and after each step it must hold that one waits on at most, that whoever holds a mark
//! will end it, and that no server is forgotten.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::*;

/// What one process does about a server, step by step; each step is one load or one change of the
/// word. A step may leave several ways to go on: whatever the network can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Actor {
    /// A worker that has not looked yet.
    Comes,
    /// It has seen the server active, and asked, after so many returns.
    Asks(u8),
    /// Overdue, and chosen to wait on; it has asked after so many returns.
    WaitsOn(u8),
    /// The prober, with a probe under way or none.
    Probes(bool),
    /// An operator who has not decided yet, with so many decisions left.
    Decides(u8),
    /// It has come to an end.
    Done,
}

/// All that there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    word: u64,
    /// How often the server has come back into service; time goes on with that alone.
    returns: u8,
    actors: Vec<Actor>,
}

impl World {
    fn health(&self) -> Health {
        Health {
            word: AtomicU64::new(self.word),
            returned: AtomicU64::new(self.returned().nanos()),
            ..Health::default()
        }
    }

    /// The moment of all that happens until it returns once more.
    fn now(&self) -> Moment {
        began(self.returns) + Duration::from_secs(1)
    }

    /// When it returned last.
    fn returned(&self) -> Moment {
        match self.returns.checked_sub(1) {
            Some(before) => began(before) + Duration::from_secs(1),
            None => Moment::from_nanos(0),
        }
    }

    fn verdict(&self) -> Verdict {
        Verdict::of(self.word)
    }

    fn wants_probe(&self) -> bool {
        self.verdict().is_away() && self.verdict().state != State::Disabled
    }

    fn waiting(&self) -> usize {
        let waits = |actor: &&Actor| matches!(actor, Actor::WaitsOn(_));
        self.actors.iter().filter(waits).count()
    }

    /// All worlds that the next step of one actor can lead to.
    fn after(&self, at: usize, rules: Rules) -> Vec<World> {
        let process = at as u32 + 1;
        let step = |actor: Actor, event: &dyn Fn(&Health)| {
            let (mut world, health) = (self.clone(), self.health());
            event(&health);
            world.word = health.word.load(Ordering::Relaxed);
            let returned = health.returned.load(Ordering::Relaxed);
            world.returns += u8::from(returned != self.returned().nanos());
            world.actors[at] = actor;
            self.check_step(at, &world);
            world
        };
        let now = self.now();
        let answered = |health: &Health| {
            health.answered(|| now, || process);
        };
        let failed = |returns: u8| {
            move |health: &Health| {
                let by = Origin {
                    process,
                    began: began(returns),
                };
                health.failed(now, by, Status::Down, rules);
            }
        };
        match self.actors[at] {
            Actor::Comes if self.verdict().state == State::Active => {
                vec![step(Actor::Asks(self.returns), &|_| ())]
            }
            Actor::Comes => vec![step(Actor::Done, &|_| ())],
            Actor::Asks(returns) => {
                let granted = Cell::new(false);
                let mut overdue = step(Actor::Done, &|health| {
                    let by = Origin {
                        process,
                        began: began(returns),
                    };
                    let overdue = health.overdue(now, by);
                    granted.set(overdue != Overdue::GiveUp);
                });
                if granted.get() {
                    overdue.actors[at] = Actor::WaitsOn(returns);
                }
                vec![
                    overdue,
                    step(Actor::Done, &answered),
                    step(Actor::Done, &failed(returns)),
                ]
            }
            Actor::WaitsOn(returns) => {
                let died = step(Actor::Done, &|health| {
                    health.release(now, |pid| pid != process);
                });
                let given_up = step(Actor::Done, &|health| {
                    health.give_back_mark(now, process);
                });
                vec![
                    step(Actor::Done, &answered),
                    step(Actor::Done, &failed(returns)),
                    died,
                    given_up,
                ]
            }
            Actor::Probes(false) if self.wants_probe() => {
                vec![step(Actor::Probes(true), &|_| ())]
            }
            Actor::Probes(true) => [None, Some(Status::Down)]
                .map(|bad| {
                    step(Actor::Probes(false), &|health| {
                        health.probed(now, bad, rules);
                    })
                })
                .into(),
            Actor::Decides(left @ 1..) => [State::Active, State::Disabled]
                .map(|state| {
                    let decide = |health: &Health| {
                        health.set(now, state);
                    };
                    step(Actor::Decides(left - 1), &decide)
                })
                .into(),
            Actor::Probes(false) | Actor::Decides(0) | Actor::Done => Vec::new(),
        }
    }

    /// What must hold of the step of one actor that leads to `next`.
    fn check_step(&self, at: usize, next: &World) {
        let (Actor::Asks(returns) | Actor::WaitsOn(returns)) = self.actors[at] else {
            return;
        };
        let (before, after) = (self.verdict(), next.verdict());
        if before.is_away() {
            assert_eq!(before.state, after.state, "not a worker's to end: {self:?}");
        } else if returns < self.returns {
            assert!(!after.is_away(), "another time's failure: {self:?}");
        }
    }

    /// What must hold whatever has happened.
    fn check(&self) {
        let verdict = self.verdict();
        let holders = self.waiting();
        assert!(holders <= 1, "two wait on: {self:?}");
        if verdict.holder != 0 {
            let holder = self.actors[verdict.holder as usize - 1];
            let waits = matches!(holder, Actor::WaitsOn(_));
            assert!(waits, "who is to end the mark? {self:?}");
        }
        let marked = !verdict.is_stalled() || verdict.holder != 0;
        assert!(marked, "nobody will end the stall: {self:?}");
        let disabled = verdict.state == State::Disabled;
        let decided = self
            .actors
            .iter()
            .any(|actor| matches!(actor, Actor::Decides(_)));
        assert!(!disabled || decided, "nobody has taken it out: {self:?}");
    }

    /// Nobody can do anything more: then somebody can still find the server again.
    fn check_end(&self) {
        let state = self.verdict().state;
        let probed = self
            .actors
            .iter()
            .any(|actor| matches!(actor, Actor::Probes(_)));
        let lost = state == State::Trying || state == State::Inactive;
        assert!(!(probed && lost), "it is never asked again: {self:?}");
    }
}

/// When an operation begins that sees the server after so many returns.
fn began(returns: u8) -> Moment {
    Moment::from_nanos(u64::from(returns) * 2_000_000_000)
}

/// Every order of the steps of all actors, with every way that the network can go.
fn reachable(actors: &[Actor], rules: Rules) -> BTreeSet<World> {
    let start = World {
        word: 0,
        returns: 0,
        actors: actors.to_vec(),
    };
    let mut known = BTreeSet::from([start.clone()]);
    let mut fresh = vec![start];
    while let Some(world) = fresh.pop() {
        world.check();
        let next = (0..world.actors.len()).flat_map(|at| world.after(at, rules));
        let next: Vec<World> = next.collect();
        if next.is_empty() {
            world.check_end();
        }
        fresh.extend(next.into_iter().filter(|next| known.insert(next.clone())));
    }
    known
}

#[test]
fn whatever_the_order_one_waits_on_and_nobody_is_forgotten() {
    use Actor::{Comes, Decides, Probes};
    let crews: [&[Actor]; 4] = [
        &[Comes, Comes, Comes, Comes],
        &[Comes, Comes, Comes, Probes(false)],
        &[Comes, Comes, Probes(false), Decides(2)],
        &[Comes, Comes, Comes, Comes, Probes(false), Decides(1)],
    ];
    for crew in crews {
        for (inactive_threshold, probing_threshold) in [(1, 1), (2, 1), (1, 2), (3, 2)] {
            let rules = Rules {
                inactive_threshold,
                probing_threshold,
            };
            let worlds = reachable(crew, rules).len();
            assert!(worlds > 50, "{crew:?}: {worlds} worlds");
        }
    }
}
