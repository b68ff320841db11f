//! Plan: which faults a run has, and when.

use super::faults::{Change, KINDS};
use super::random::Random;
use super::setup::Setup;
use super::world::{MILLI, SECOND};

/// What breaks in a run of this setup.
pub fn plan(setup: &Setup, random: &mut Random) -> Vec<(u64, Change)> {
    let mut plan = Vec::new();
    for _ in 0..random.below(7) {
        // Some come when there are no calls.
        let idle = if random.once_in(3) { 2 * SECOND } else { 0 };
        let begin = random.below(setup.length() + idle + 1);
        let most = *random.pick(&[
            setup.stall_limit,
            setup.timeout * 2,
            setup.timeout + setup.retry_interval * 3,
        ]);
        let time = random.between(MILLI, most);
        let server = random.below(setup.servers.len() as u64) as usize;
        let process = match random.once_in(3) {
            true => setup.workers,
            false => random.below(setup.workers as u64) as usize,
        };
        let mut add = |after: u64, change| plan.push((begin + after, change));
        match random.below(KINDS.len() as u64) {
            0 => add(0, Change::Cut { server, time }),
            1 => add(0, Change::Far { server, time }),
            2 => {
                // Answers that are on their way are lost by what comes next.
                if !random.once_in(3) {
                    add(0, Change::Far { server, time });
                }
                let after = random.below(MILLI);
                add(after, Change::Refuse { server, time });
                if random.once_in(2) {
                    add(after, Change::Reset { server });
                }
            }
            3 => {
                // Some workers have a connection, and others have none yet.
                let early = match random.once_in(2) {
                    true => random.below(setup.pace),
                    false => begin,
                };
                plan.push((early, Change::Ignore { server, time }));
                if random.once_in(3) {
                    plan.push((early, Change::Forget { server }));
                }
            }
            4 => add(0, Change::TurnAway { server, time }),
            5 => add(0, Change::Slow { server, time }),
            6 => add(0, Change::Garble { server, time }),
            7 => add(0, Change::Err { server, time }),
            8 => add(0, Change::Stick { server, time }),
            9 => add(0, Change::Forget { server }),
            10 => add(0, Change::Reset { server }),
            11 => add(0, Change::HangUp { server }),
            12 => {
                add(0, Change::Stop { server });
                add(time, Change::GoOn { server });
            }
            13 => {
                let keeps = random.once_in(2);
                add(0, Change::Kill { server });
                add(time, Change::Start { server, keeps });
            }
            14 => add(0, Change::PowerOff { server, time }),
            15 => add(0, Change::Evict { server }),
            16 => {
                let worker = process % setup.workers;
                match random.once_in(2) {
                    true => add(0, Change::KillWorker { worker, calls: 300 }),
                    // It may be the one that waits.
                    false => {
                        add(0, Change::Cut { server, time });
                        add(0, Change::KillWorker { worker, calls: 12 });
                    }
                }
            }
            17 => {
                // A server may be lost and come back meanwhile.
                if random.once_in(3) {
                    let down = random.below(time);
                    add(0, Change::Stop { server });
                    add(down, Change::GoOn { server });
                    let asks = random.below(setup.stall_limit);
                    let time = time + setup.retry_interval * 2;
                    add(asks, Change::StopProcess { process, time });
                } else {
                    add(0, Change::StopProcess { process, time });
                }
            }
            18 => {
                let time = random.between(MILLI, SECOND);
                add(0, Change::StopNode { time });
            }
            19 => add(0, Change::Shortage { process, time }),
            20 if setup.servers[server].written.starts_with("mc-") => {
                add(0, Change::Move { server })
            }
            20 => add(0, Change::Forget { server }),
            21 => match random.once_in(2) {
                true => add(0, Change::NamesFail { time }),
                false => add(0, Change::NamesHang { time }),
            },
            22 => {
                add(
                    0,
                    Change::SetState {
                        server,
                        is_active: false,
                    },
                );
                add(
                    time,
                    Change::SetState {
                        server,
                        is_active: true,
                    },
                );
            }
            _ if setup.servers.len() > 1 && random.once_in(2) => {
                add(
                    0,
                    Change::Reload {
                        without: Some(server),
                    },
                );
                add(time, Change::Reload { without: None });
            }
            _ => {
                let number = (setup.timeout / MILLI) as i32;
                add(
                    0,
                    Change::Tune {
                        name: "timeout",
                        number: number * 2,
                    },
                );
                add(
                    time,
                    Change::Tune {
                        name: "timeout",
                        number,
                    },
                );
            }
        }
    }
    plan.sort();
    plan
}

/// What breaks besides, so that rare things meet more often.
pub fn more(setup: &Setup, random: &mut Random) -> Vec<(u64, Change)> {
    let mut plan = Vec::new();
    let servers = setup.servers.len() as u64;
    let some = |random: &mut Random| {
        let at = random.below(setup.length() + 1);
        (at, random.below(servers) as usize)
    };
    // What is evicted comes over from elsewhere.
    let evictions = if setup.miss_failover == 0 { 0 } else { 16 };
    for _ in 0..random.below(evictions + 1) {
        let (at, server) = some(random);
        plan.push((at, Change::Evict { server }));
    }
    // TLS is agreed on anew, and that breaks.
    let breaks = if setup.tls.is_some() { 6 } else { 0 };
    for _ in 0..random.below(breaks + 1) {
        let (at, server) = some(random);
        plan.push((at, Change::Reset { server }));
        plan.push((at + random.below(MILLI), Change::Reset { server }));
    }
    // A server and its stand-in are lost together.
    if setup.failover == 1 && servers > 2 && random.once_in(4) {
        let (at, server) = some(random);
        let time = random.between(setup.stall_limit, setup.timeout * 2);
        for server in [server, (server + 1) % servers as usize] {
            let late = random.below(setup.stall_limit);
            plan.push((
                at,
                Change::Cut {
                    server,
                    time: time + late,
                },
            ));
        }
    }
    plan
}

/// What breaks while items come over because servers are added: items are lost, and servers refuse to remove or to tell
/// what they have.
pub fn around_growth(setup: &Setup, random: &mut Random) -> Vec<(u64, Change)> {
    let mut plan = Vec::new();
    let servers = setup.servers.len() as u64;
    for _ in 0..random.below(17) {
        let (at, server) = (random.below(setup.length() + 1), random.below(servers));
        let server = server as usize;
        plan.push((at, Change::Evict { server }));
    }
    for _ in 0..random.below(4) {
        let (at, server) = (random.below(setup.length() + 1), random.below(servers));
        let (server, time) = (server as usize, random.between(MILLI, setup.timeout));
        plan.push((at, Change::Err { server, time }));
    }
    plan
}
