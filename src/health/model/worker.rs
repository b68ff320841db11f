//! The steps of a worker with one operation.

use super::*;

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Working {
    /// It has not looked yet.
    Comes,
    /// It has asked, in this generation, at this second.
    Asks(u16, u8),
    /// It is overdue, and was chosen to wait on.
    WaitsOn(u16, u8),
    /// It has told the moment of its answer, and has more to tell.
    Clears(u16, u8),
    /// It has died while it waited.
    Dead,
    /// It goes to a stand-in.
    Turns,
    /// It has seen that the owner is not away.
    Notes,
    /// Its key is in the list.
    Counts,
    /// It asks the stand-in.
    Overwrites,
    /// It has come to an end.
    Done,
}

impl Working {
    /// The generation and the second in which its operation began, while it has a say.
    pub(super) fn began(self) -> Option<(u16, u8)> {
        match self {
            Self::Asks(generation, began)
            | Self::WaitsOn(generation, began)
            | Self::Clears(generation, began) => Some((generation, began)),
            _ => None,
        }
    }
}

impl World {
    pub(super) fn after_worker(
        &self,
        number: usize,
        working: Working,
        rules: Rules,
        into: &mut Vec<World>,
    ) {
        let (now, process, key) = (at(self.now), number as u32 + 1, 1 << number);
        let writes = matches!(self.actors[number], Actor::Writes(_));
        let actor = |working| match writes {
            true => Actor::Writes(working),
            false => Actor::Reads(working),
        };
        let done = actor(Working::Done);
        // Without an answer a write goes to a stand-in. What becomes of a read is of no interest.
        let turns = actor(if writes {
            Working::Turns
        } else {
            Working::Done
        });
        let ended = |into: &mut Vec<World>, generation, began| {
            let by = origin(number, generation, began);
            let clears = actor(Working::Clears(generation, began));
            let (mut world, is_all) = self.step(number, clears, |health| {
                health.answered(generation, by.began)
            });
            if is_all {
                world.actors[number] = done;
            }
            into.push(world);
            let failed = |health: &Health| health.failed(now, by, Status::Down, rules);
            into.push(self.step(number, turns, failed).0);
        };
        match working {
            Working::Comes => into.push(match self.health().admit() {
                Some(generation) => self.with(number, actor(Working::Asks(generation, self.now))),
                None => self.with(number, turns),
            }),
            Working::Asks(generation, began) => {
                ended(into, generation, began);
                // The connection alone was at fault.
                into.push(self.with(number, turns));
                let by = origin(number, generation, began);
                let waits = actor(Working::WaitsOn(generation, began));
                let (mut world, overdue) =
                    self.step(number, waits, |health| health.overdue(now, by));
                if overdue == Overdue::GiveUp {
                    world.actors[number] = turns;
                }
                into.push(world);
            }
            Working::WaitsOn(generation, began) => {
                ended(into, generation, began);
                let give_back = |health: &Health| health.give_back_mark(now, process);
                into.push(self.step(number, turns, give_back).0);
                into.push(self.with(number, actor(Working::Dead)));
            }
            Working::Clears(generation, began) => {
                let by = origin(number, generation, began);
                into.push(self.step(number, done, |health| health.clear(now, by)).0);
            }
            Working::Turns => into.push(self.with(
                number,
                actor(match self.verdict().is_away() {
                    true => Working::Overwrites,
                    false => Working::Notes,
                }),
            )),
            Working::Notes => {
                let mut world = self.with(number, actor(Working::Counts));
                world.list |= key;
                into.push(world);
            }
            Working::Counts => {
                let overwrites = actor(Working::Overwrites);
                let (mut world, counted) = self.step(number, overwrites, |health| {
                    let before = health.diverted();
                    health.divert(now);
                    health.diverted() != before
                });
                if counted {
                    world.owed |= key;
                }
                into.push(world);
            }
            Working::Overwrites => {
                let mut world = self.with(number, done);
                world.overwritten |= key;
                into.push(world);
            }
            Working::Dead | Working::Done => {}
        }
    }
}
