//! Every order in which processes can read, keep and change one item, with a death at any step.
//!
//! The actors take their steps on a real [`Table`] of one set. After each step it must hold that nothing is
//! found that a change had replaced before, that nothing half-written is found, and in the end that the
//! dead have left nothing behind that lasts.

use std::collections::HashSet;

use super::*;

/// What one process does, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    /// It looks whether the item is kept.
    Looks,
    /// It has found nothing, and asks the server; the age was this.
    Asks { age: u64 },
    /// The server has answered this number, which is to be kept.
    Takes { age: u64, number: u8 },
    /// It writes into this slot.
    Writes { age: u64, number: u8, way: usize },
    /// The same, and half of it is there.
    Ends { age: u64, number: u8, way: usize },
    /// It is about to change the item.
    Begins,
    /// The server is asked to change it.
    Changes,
    /// The change is done.
    Returns { number: u8 },
    /// It looks after the slots of those who have died, so many times.
    Releases(u8),
    /// It has died in the middle.
    Dead,
    /// It has come to an end.
    Done,
}

use Actor::{Asks, Begins, Changes, Dead, Done, Ends, Looks, Releases, Returns, Takes, Writes};

const CREW: usize = 4;

/// All that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    suspect: u64,
    generation: u64,
    tags: [u64; WAYS],
    slots: [[u64; Slot::STATE]; WAYS],
    /// The number that the server holds. Each change makes it larger by one.
    server: u8,
    /// The number of the last change that has returned.
    known: u8,
    actors: [Actor; CREW],
}

/// What the steps are taken on.
struct Stage {
    table: Table,
    key: WireKey,
    now: Moment,
}

impl Stage {
    fn new() -> Self {
        Self {
            table: Table::private(Box::leak(Box::default()), 1).unwrap(),
            key: WireKey::new(b"", b"k").unwrap(),
            now: Moment::from_nanos(1 << 40),
        }
    }

    fn place(&self) -> Place {
        self.table.place(&self.key)
    }

    fn kept(&self, age: u64) -> Kept {
        Kept {
            age,
            asked: self.now,
            ends: Moment::from_nanos(u64::MAX),
            flags: 0,
        }
    }

    fn load(&self, world: &World) {
        let set = &self.table.sets[0];
        self.table
            .head
            .suspect
            .store(world.suspect, Ordering::Relaxed);
        set.generation.store(world.generation, Ordering::Relaxed);
        for way in 0..WAYS {
            set.tags[way].store(world.tags[way], Ordering::Relaxed);
            set.used[way].store(0, Ordering::Relaxed);
            self.table.slots[way].set_state(&world.slots[way]);
        }
    }

    fn save(&self, world: &mut World) {
        let set = &self.table.sets[0];
        world.suspect = self.table.head.suspect.load(Ordering::Relaxed);
        world.generation = set.generation.load(Ordering::Relaxed);
        for way in 0..WAYS {
            world.tags[way] = set.tags[way].load(Ordering::Relaxed);
            world.slots[way] = self.table.slots[way].state();
        }
    }

    /// The number that is found, if one is.
    fn find(&self) -> Option<u8> {
        let mut value = Vec::new();
        let found = self
            .table
            .find(self.place(), &self.key, self.now, |_| true, &mut value);
        found.map(|_| {
            assert_eq!(value, [value[0]; 16], "half-written");
            value[0]
        })
    }

    /// The worlds to which a step of that actor can lead.
    fn after(&self, world: &World, number: usize, into: &mut Vec<World>) {
        self.load(world);
        let mut next = *world;
        let (table, place) = (&self.table, self.place());
        let mut is_writing = None;
        next.actors[number] = match world.actors[number] {
            Done | Dead | Releases(0) => return,
            Looks => match self.find() {
                Some(found) => {
                    assert!(found >= world.known, "{found} was replaced: {world:?}");
                    Done
                }
                None => Asks {
                    age: table.age(place),
                },
            },
            Asks { age } => Takes {
                age,
                number: world.server,
            },
            Takes { age, number } => {
                let way = table.sets[0].best_way(tag(place.hash, age), self.now);
                is_writing = Some(way);
                match table.take(place, way) {
                    Some(_) => Writes { age, number, way },
                    None => Done,
                }
            }
            Writes { age, number, way } => {
                let half = [[number; 8], [u8::MAX; 8]].concat();
                table.slots[way]
                    .writing()
                    .write(&self.key, self.kept(age), &half);
                Ends { age, number, way }
            }
            Ends { age, number, way } => {
                let writing = table.slots[way].writing();
                writing.write(&self.key, self.kept(age), &[number; 16]);
                table.finish(writing, place, way, age, self.now);
                Done
            }
            Begins => Changes,
            Changes => {
                next.server += 1;
                Returns {
                    number: next.server,
                }
            }
            Returns { number } => {
                drop(table.change(place));
                next.known = world.known.max(number);
                Done
            }
            Releases(left) => {
                table.release(|process| world.actors[process as usize - 1] != Dead);
                Releases(left - 1)
            }
        };
        self.save(&mut next);
        if let (Some(way), Writes { .. }) = (is_writing, next.actors[number]) {
            // Each actor is a process of its own.
            let word = &mut next.slots[way][0];
            *word = *word >> 32 << 32 | (number as u64 + 1);
        }
        into.push(next);
        if matches!(world.actors[number], Writes { .. } | Ends { .. }) {
            let mut dead = *world;
            dead.actors[number] = Dead;
            into.push(dead);
        }
    }

    /// Nobody can do anything more: what is asked for again is found, once the prober has looked.
    fn check_end(&self, world: &World) {
        self.load(world);
        for round in 0.. {
            let kept = self.kept(self.table.age(self.place()));
            self.table
                .put(self.place(), &self.key, kept, &[9; 16], self.now);
            if self.find().is_some() {
                break;
            }
            assert!(round < WAYS, "a slot stays taken: {world:?}");
            self.table.release(|_| false);
        }
    }
}

/// Tries every order of the steps of all actors. Returns how many worlds there are.
fn explore(crew: &[Actor]) -> usize {
    let stage = Stage::new();
    let mut actors = [Done; CREW];
    actors[..crew.len()].copy_from_slice(crew);
    let start = World {
        suspect: 0,
        generation: 0,
        tags: [0; WAYS],
        slots: [[0; Slot::STATE]; WAYS],
        server: 0,
        known: 0,
        actors,
    };
    let (mut known, mut fresh, mut next) = (HashSet::from([start]), vec![start], Vec::new());
    while let Some(world) = fresh.pop() {
        for number in 0..CREW {
            stage.after(&world, number, &mut next);
        }
        if next.is_empty() {
            stage.check_end(&world);
        }
        fresh.extend(next.drain(..).filter(|next| known.insert(*next)));
    }
    known.len()
}

#[test]
#[cfg_attr(miri, ignore = "takes long; the threads of the other tests are Miri's")]
fn whatever_the_order_nothing_old_or_half_written_is_found() {
    for crew in [
        &[Looks, Looks, Looks, Begins][..],
        &[Looks, Looks, Begins, Begins],
        &[Looks, Looks, Begins, Releases(2)],
    ] {
        let worlds = explore(crew);
        assert!(worlds > 1000, "{crew:?}: {worlds} worlds");
    }
}
