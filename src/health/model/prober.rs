//! The steps of the prober in a pool with `rejoin=flush`.

use super::*;

/// How far the prober has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Probing {
    stage: Stage,
    /// The generation, the second, and the number of missed writes with which the probe began.
    generation: u16,
    began: u8,
    seen: u8,
    /// How many probes may still end badly, and how many pings there may be.
    bad: u8,
    pings: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Idle,
    /// It has read the generation.
    Looks,
    /// And how many writes were missed.
    Counts,
    /// It has seen that the server is not away.
    Takes,
    /// It is on its way, with an errand.
    Goes(Errand),
    /// The server has done all of that.
    Comes(Errand),
    /// No further write is in the list.
    Settles,
    /// It has put the keys back.
    Fails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Errand {
    Ping,
    Empty,
    Settle(Keys),
}

impl Probing {
    pub(super) const fn new(bad: u8, pings: u8) -> Self {
        Self {
            stage: Stage::Idle,
            generation: 0,
            began: 0,
            seen: 0,
            bad,
            pings,
        }
    }

    /// The generation and the second in which its probe began, while it has a say.
    pub(super) fn began(self) -> Option<(u16, u8)> {
        let has_say = matches!(self.stage, Stage::Comes(_) | Stage::Fails);
        has_say.then_some((self.generation, self.began))
    }

    /// True when its next step makes up for what the server has missed.
    pub(super) fn settles(self) -> bool {
        self.stage == Stage::Settles
    }

    fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    fn idle(self) -> Self {
        Self::new(self.bad, self.pings)
    }
}

impl World {
    /// True if a probe is under way.
    fn is_probed(&self) -> bool {
        let is_probing =
            |actor: &Actor| matches!(actor, Actor::Probes(probing) if probing.stage != Stage::Idle);
        self.actors.iter().any(is_probing)
    }

    pub(super) fn after_prober(
        &self,
        number: usize,
        probing: Probing,
        rules: Rules,
        into: &mut Vec<World>,
    ) {
        let (now, verdict) = (at(self.now), self.verdict());
        let Probing {
            generation, began, ..
        } = probing;
        let by = origin(number, generation, began);
        let goes_on = |stage| Actor::Probes(probing.at(stage));
        let idle = Actor::Probes(probing.idle());
        let lives = |process: u32| !self.actors[process as usize - 1].is_dead();
        if verdict.holder != 0 {
            // Whoever is stopped, or dead.
            let release = |health: &Health| health.release(now, lives);
            into.push(self.step(number, self.actors[number], release).0);
        }
        match probing.stage {
            Stage::Idle => {
                let away = verdict.is_away() && verdict.state != State::Disabled;
                let settles = verdict.state == State::Active && verdict.diverted != 0;
                let pings = u8::from(!away && !settles);
                // A second probe may begin beside a silent one only while the server is away.
                let is_due = away || verdict.state == State::Active && !self.is_probed();
                if is_due && pings <= probing.pings {
                    let begins = Probing {
                        stage: Stage::Looks,
                        generation: verdict.generation,
                        began: self.now,
                        pings: probing.pings - pings,
                        ..probing
                    };
                    into.push(self.with(number, Actor::Probes(begins)));
                }
            }
            Stage::Looks => {
                let counts = Probing {
                    stage: Stage::Counts,
                    seen: verdict.diverted,
                    ..probing
                };
                into.push(self.with(number, Actor::Probes(counts)));
            }
            Stage::Counts => into.push(self.with(
                number,
                goes_on(match verdict.is_away() {
                    true => Stage::Goes(Errand::Empty),
                    false => Stage::Takes,
                }),
            )),
            Stage::Takes => {
                let mut world = *self;
                let errand = match verdict.diverted {
                    0 => Errand::Ping,
                    _ => Errand::Settle(std::mem::take(&mut world.list)),
                };
                into.push(world.with(number, goes_on(Stage::Goes(errand))));
            }
            Stage::Goes(errand) => {
                let mut world = self.with(number, goes_on(Stage::Comes(errand)));
                let gone = match errand {
                    Errand::Ping => 0,
                    Errand::Empty => Keys::MAX,
                    Errand::Settle(keys) => keys,
                };
                (world.old, world.owed) = (world.old & !gone, world.owed & !gone);
                into.push(world);
                let is_given_up = verdict.generation != generation;
                if probing.bad > 0 || is_given_up {
                    let bad = probing.bad - u8::from(!is_given_up);
                    let next = Probing { bad, ..probing };
                    let next = match is_given_up {
                        true => next.idle(),
                        false => next.at(Stage::Fails),
                    };
                    let mut world = self.with(number, Actor::Probes(next));
                    if let Errand::Settle(keys) = errand {
                        world.list |= keys;
                    }
                    into.push(world);
                }
            }
            Stage::Comes(Errand::Settle(_)) if self.list == 0 => {
                into.push(self.with(number, goes_on(Stage::Settles)));
            }
            Stage::Settles => {
                let seen = probing.seen;
                let next = goes_on(Stage::Comes(Errand::Ping));
                into.push(
                    self.step(number, next, |health| health.settle(now, generation, seen))
                        .0,
                );
            }
            Stage::Comes(errand) => {
                let probed = |health: &Health| match errand {
                    Errand::Empty => health.probed(now, by, None, rules),
                    Errand::Ping | Errand::Settle(_) => health.pinged(now, by),
                };
                into.push(self.step(number, idle, probed).0);
            }
            Stage::Fails => {
                let why = Some(Status::Down);
                let probed = |health: &Health| health.probed(now, by, why, rules);
                into.push(self.step(number, idle, probed).0);
            }
        }
    }
}
