//! What breaks: each kind of fault, and when a run has which.

use super::history::Answer;
use super::network::{Client, Segment};
use super::process::{Activity, Role};
use super::server::{Run, Server};
use super::world::{Event, SECOND, State};

/// Something breaks, is mended, or is done by an operator. Times are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// No segment comes through to the server or back.
    Cut { server: usize, time: u64 },
    /// Segments take long.
    Far { server: usize, time: u64 },
    /// New connections are refused.
    Refuse { server: usize, time: u64 },
    /// Requests for connections get no answer.
    Ignore { server: usize, time: u64 },
    /// New connections are told that they are too many.
    TurnAway { server: usize, time: u64 },
    /// Commands take long.
    Slow { server: usize, time: u64 },
    /// Some answers are garbled.
    Garble { server: usize, time: u64 },
    /// Some commands are refused.
    Err { server: usize, time: u64 },
    /// The commands for some keys wait, as behind a proxy.
    Stick { server: usize, time: u64 },
    /// A firewall forgets all flows to the server.
    Forget { server: usize },
    /// All flows to the server are reset.
    Reset { server: usize },
    /// The server closes all its flows.
    HangUp { server: usize },
    /// The server's process is stopped.
    Stop { server: usize },
    /// It goes on.
    GoOn { server: usize },
    /// The server's process is killed.
    Kill { server: usize },
    /// It is started again, with what it held or empty.
    Start { server: usize, keeps: bool },
    /// The machine of the server loses power, and comes back with an empty server.
    PowerOff { server: usize, time: u64 },
    /// The server needs memory and drops an item.
    Evict { server: usize },
    /// A worker dies at one of so many next system calls.
    KillWorker { worker: usize, calls: u64 },
    /// A process of the node is stopped.
    StopProcess { process: usize, time: u64 },
    /// The whole node stands still, and its monotonic clock with it.
    StopNode { time: u64 },
    /// A process has no descriptors left.
    Shortage { process: usize, time: u64 },
    /// A server moves to another address.
    Move { server: usize },
    /// No name resolves.
    NamesFail { time: u64 },
    /// Lookups take very long.
    NamesHang { time: u64 },
    /// An operator takes a server out, or puts it back.
    SetState { server: usize, is_active: bool },
    /// An operator's list has all servers but one, or all.
    Reload { without: Option<usize> },
    /// An operator changes a parameter.
    Tune { name: &'static str, number: i32 },
}

/// The kinds, as the coverage shows them.
pub const KINDS: [&str; 24] = [
    "cut",
    "far",
    "refuse",
    "ignore",
    "turn away",
    "slow",
    "garble",
    "err",
    "stick",
    "forget",
    "reset",
    "hang up",
    "stop",
    "kill",
    "power off",
    "evict",
    "kill worker",
    "stop process",
    "stop node",
    "shortage",
    "move",
    "names",
    "set state",
    "reload",
];

impl Change {
    /// Its kind, as an index of [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Cut { .. } => 0,
            Self::Far { .. } => 1,
            Self::Refuse { .. } => 2,
            Self::Ignore { .. } => 3,
            Self::TurnAway { .. } => 4,
            Self::Slow { .. } => 5,
            Self::Garble { .. } => 6,
            Self::Err { .. } => 7,
            Self::Stick { .. } => 8,
            Self::Forget { .. } => 9,
            Self::Reset { .. } => 10,
            Self::HangUp { .. } => 11,
            Self::Stop { .. } | Self::GoOn { .. } => 12,
            Self::Kill { .. } | Self::Start { .. } => 13,
            Self::PowerOff { .. } => 14,
            Self::Evict { .. } => 15,
            Self::KillWorker { .. } => 16,
            Self::StopProcess { .. } => 17,
            Self::StopNode { .. } => 18,
            Self::Shortage { .. } => 19,
            Self::Move { .. } => 20,
            Self::NamesFail { .. } | Self::NamesHang { .. } => 21,
            Self::SetState { .. } => 22,
            Self::Reload { .. } | Self::Tune { .. } => 23,
        }
    }

    /// Whether an operator does it.
    pub fn is_command(&self) -> bool {
        matches!(
            self,
            Self::SetState { .. } | Self::Reload { .. } | Self::Tune { .. }
        )
    }
}

impl State {
    /// It happens now.
    pub fn apply(&mut self, change: &Change) {
        self.say(|_| format!("{change:?}"));
        self.history.coverage |= 1 << change.kind();
        let now = self.now;
        match *change {
            Change::Cut { server, time } => self.trouble(server, time, |it| &mut it.cut_until),
            Change::Far { server, time } => self.trouble(server, time, |it| &mut it.far_until),
            Change::Refuse { server, time } => {
                self.trouble(server, time, |it| &mut it.refuses_until)
            }
            Change::Ignore { server, time } => {
                self.trouble(server, time, |it| &mut it.ignores_until)
            }
            Change::TurnAway { server, time } => {
                self.annoys(server, time, |it| &mut it.turns_away_until)
            }
            Change::Garble { server, time } => {
                self.trouble(server, time, |it| &mut it.garbles_until)
            }
            Change::Err { server, time } => self.annoys(server, time, |it| &mut it.errs_until),
            Change::Stick { server, time } => self.trouble(server, time, |it| &mut it.stuck_until),
            Change::Slow { server, time } => {
                let slowness = self.setup.timeout;
                self.servers[server].slow.1 = slowness;
                self.trouble(server, time, |it| &mut it.slow.0);
                // What it has begun takes that long, too.
                self.not_well(server, now + time + slowness);
            }
            Change::Forget { server } => {
                for flow in self.flows_to(server) {
                    let flow = &mut self.flows[flow as usize];
                    flow.is_forgotten |= flow.client != Client::Connecting;
                }
                self.history.forgets.push(now);
            }
            Change::Reset { server } => self.hang_up_all(server, &Segment::Reset),
            Change::HangUp { server } => self.hang_up_all(server, &Segment::End),
            Change::Stop { server } => {
                if self.servers[server].run == Run::Up {
                    self.servers[server].run = Run::Stopped;
                    self.servers[server].down_since = now;
                }
            }
            Change::GoOn { server } => {
                if self.servers[server].run == Run::Stopped {
                    self.go_on_serving(server);
                    self.is_back(server);
                }
            }
            Change::Kill { server } => {
                self.go_down(server);
                self.hang_up_all(server, &Segment::Reset);
            }
            Change::Start { server, keeps } => self.start(server, keeps),
            Change::PowerOff { server, time } => {
                self.trouble(server, time, |it| &mut it.cut_until);
                self.history.forgets.push(now);
                self.go_down(server);
                let start = Change::Start {
                    server,
                    keeps: false,
                };
                self.at(now + time, Event::Change(Box::new(start)));
            }
            Change::Evict { server } => {
                let key = format!("k{}", self.random.below(self.setup.keys));
                // The oldest items go first.
                if !self.is_being_written(&key) {
                    let command = format!("delete {key}\r\n");
                    self.servers[server].obey(command.as_bytes(), now);
                    self.history.losses.push((now, server));
                }
            }
            Change::KillWorker { worker, calls } => {
                let calls = self.random.between(1, calls);
                self.processes[worker].dies_after = Some(calls);
            }
            Change::StopProcess { process, time } => self.stop_process(process, time),
            Change::StopNode { time } => {
                let stopped_until = self.node_stopped_until.max(now);
                self.node_stopped_until = stopped_until.max(now + time);
                self.lag += self.node_stopped_until - stopped_until;
                (0..self.processes.len()).for_each(|process| self.stop_process(process, time));
            }
            Change::Shortage { process, time } => {
                self.processes[process].short_until = now + time;
                self.history.shortages.push((now, now + time, process));
            }
            Change::Move { server } => {
                self.names.move_away(server);
                let flows = self.flows_to(server);
                flows
                    .iter()
                    .for_each(|&flow| self.flows[flow as usize].is_forgotten = true);
                self.servers[server].has_moved = true;
                self.not_well(server, now);
            }
            Change::NamesFail { time } => self.names.fail_until = now + time,
            Change::NamesHang { time } => self.names.hang_until = now + time,
            Change::Reload { .. } => self.history.is_reloaded = true,
            Change::SetState {
                server,
                is_active: true,
            } => self.history.activations.push((now, server)),
            Change::SetState { .. } | Change::Tune { .. } => {}
        }
    }

    fn trouble(&mut self, server: usize, time: u64, what: impl Fn(&mut Server) -> &mut u64) {
        let until = self.now + time;
        let what = what(&mut self.servers[server]);
        *what = until.max(*what);
        self.not_well(server, until);
    }

    /// The server does not serve fresh connections until then.
    fn not_well(&mut self, server: usize, until: u64) {
        // What was lost meanwhile is sent again a little later.
        let until = until + SECOND / 5;
        let it = &mut self.servers[server];
        it.trouble_until = it.trouble_until.max(until);
        self.history.troubles.push((self.now, until, server));
    }

    /// The server refuses or breaks something until then, but it lives.
    fn annoys(&mut self, server: usize, time: u64, what: impl Fn(&mut Server) -> &mut u64) {
        let until = self.now + time;
        let what = what(&mut self.servers[server]);
        *what = until.max(*what);
        self.history.other_troubles.push((self.now, until, server));
    }

    fn hang_up_all(&mut self, server: usize, by: &Segment) {
        let is_killed = self.servers[server].run == Run::Down;
        for flow in self.flows_to(server) {
            // What resets a request for a connection has refused it.
            if is_killed || self.flows[flow as usize].client != Client::Connecting {
                self.hang_up(flow, by.clone());
            }
        }
        self.history.blips.push((self.now, server));
    }

    fn start(&mut self, server: usize, keeps: bool) {
        let now = self.now;
        let it = &mut self.servers[server];
        if it.run != Run::Down {
            return;
        }
        if !keeps {
            it.memcached.restart(it.clock(now));
            self.history.losses.push((now, server));
        }
        let it = &mut self.servers[server];
        it.forget_sessions();
        it.run = Run::Up;
        self.is_back(server);
    }

    /// Whether an operation that writes this key is under way, or may be.
    fn is_being_written(&self, key: &str) -> bool {
        let late = 2 * self.setup.stall_limit;
        let mut operations = self.history.operations.iter().rev();
        operations.any(|it| {
            let is_sent = it.answer == Answer::Sent && it.began + late > self.now;
            it.key == key && !it.what.is_read() && (it.ended.is_none() || is_sent)
        })
    }

    /// The server's process ends.
    fn go_down(&mut self, server: usize) {
        let now = self.now;
        let it = &mut self.servers[server];
        if it.run == Run::Up {
            it.down_since = now;
        }
        it.run = Run::Down;
        it.epoch += 1;
    }

    /// The server's process serves again.
    fn is_back(&mut self, server: usize) {
        self.not_well(server, self.now);
        let since = self.servers[server].down_since;
        self.history.troubles.push((since, self.now, server));
    }

    /// The process does not run for so long.
    pub fn stop_process(&mut self, process: usize, time: u64) {
        let now = self.now;
        let it = &mut self.processes[process];
        if it.activity == Activity::Ended || it.role == Role::Operator {
            return;
        }
        let until = it.stopped_until.max(now + time);
        it.stopped += until - it.stopped_until.max(now);
        it.stopped_until = until;
        self.history.stops.push((now, until));
        self.at(until, Event::Alarm { process, alarm: 0 });
    }
}
