//! What happens to the servers: one event after the other, in an order that the seed decides.

use std::thread;
use std::time::Duration;

use support::Random;

use crate::site::{ALIASES, Site};

/// Something that happens, and is over again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A memcached is stopped for a while and goes on.
    Stop { server: usize, lasts: u64 },
    /// It is killed, and started after a while.
    Kill { server: usize, lasts: u64 },
    /// It is killed and started at once.
    Restart { server: usize },
    /// The firewall forgets all connections, several times.
    LoseFlows { times: u64, lasts: u64 },
    /// The list of the default pool has a server less for a while.
    Reload { lasts: u64 },
    /// An operator takes a server out of service for a while.
    Disable { server: usize, lasts: u64 },
    /// A parameter has another value from now on.
    Change { name: &'static str, value: u64 },
    /// An operator looks at everything, and tries an item of no account.
    Look,
}

/// Parameters that are changed, from which value to which.
const PARAMETERS: [(&str, u64, u64); 6] = [
    ("timeout", 300, 800),
    ("stall_limit", 100, 150),
    ("retry_interval", 100, 500),
    ("near_expire", 100, 2000),
    ("latency_limit", 0, 100),
    ("miss_failover", 0, 20),
];

/// Kinds of events, as the picture names them.
pub const KINDS: [&str; 8] = [
    "stopped",
    "killed",
    "restarted",
    "flows lost",
    "list reloaded",
    "disabled",
    "parameters",
    "looked at",
];

/// What an operator asks for.
const COMMANDS: [&[&str]; 11] = [
    &["memcached.list"],
    &["memcached.ping"],
    &["memcached.stats"],
    &["memcached.server_stats", ALIASES[0]],
    &["memcached.near"],
    &["memcached.near", "clear"],
    &["memcached.hash", "popular:1", "copies"],
    &["memcached.set", "operator", "x", "60", "copies"],
    &["memcached.get", "operator", "copies"],
    &["memcached.touch", "operator", "30", "copies"],
    &["memcached.delete", "operator", "copies"],
];

/// Events in an order in which each kind comes before any comes twice.
pub struct Chaos {
    random: Random,
    due: Vec<usize>,
}

impl Chaos {
    pub fn new(seed: u64) -> Chaos {
        Chaos {
            random: Random::new(seed),
            due: Vec::new(),
        }
    }

    /// What happens next.
    pub fn next(&mut self) -> Event {
        let random = &mut self.random;
        if self.due.is_empty() {
            self.due = (0..KINDS.len()).collect();
        }
        let kind = self.due.swap_remove(random.index(self.due.len()));
        let server = random.index(ALIASES.len());
        match kind {
            // Often so short that nobody takes the server for out of service.
            0 if random.once_in(2) => Event::Stop {
                server,
                lasts: random.between(20, 90),
            },
            0 => Event::Stop {
                server,
                lasts: random.between(150, 3000),
            },
            1 => Event::Kill {
                server,
                lasts: random.between(300, 3000),
            },
            2 => Event::Restart { server },
            3 => Event::LoseFlows {
                times: random.between(1, 4),
                lasts: random.between(50, 600),
            },
            4 => Event::Reload {
                lasts: random.between(200, 2000),
            },
            5 => Event::Disable {
                server,
                lasts: random.between(200, 3000),
            },
            6 => Event::Look,
            _ => {
                let &(name, first, last) = random.pick(&PARAMETERS);
                Event::Change {
                    name,
                    value: random.between(first, last),
                }
            }
        }
    }

    /// How long nothing happens.
    pub fn calm(&mut self) -> Duration {
        Duration::from_millis(self.random.between(500, 2500))
    }
}

impl Event {
    /// The number of its kind.
    pub fn kind(&self) -> usize {
        match self {
            Event::Stop { .. } => 0,
            Event::Kill { .. } => 1,
            Event::Restart { .. } => 2,
            Event::LoseFlows { .. } => 3,
            Event::Reload { .. } => 4,
            Event::Disable { .. } => 5,
            Event::Change { .. } => 6,
            Event::Look => 7,
        }
    }

    /// Whether a session must not read an older value of its own afterwards. An operator who puts a server
    /// back says that its items are right.
    pub fn is_strict(&self) -> bool {
        !matches!(self, Event::Disable { .. })
    }

    /// Makes it happen, and puts everything right again.
    pub fn happen(&self, site: &Site) {
        match *self {
            Event::Stop { server, lasts } => {
                site.memcacheds[server].pause();
                pass(lasts);
                site.memcacheds[server].resume();
            }
            Event::Kill { server, lasts } => {
                site.memcacheds[server].kill();
                pass(lasts);
                site.memcacheds[server].restart();
            }
            Event::Restart { server } => {
                site.memcacheds[server].restart();
                site.guarded.restart();
            }
            Event::LoseFlows { times, lasts } => {
                for _ in 0..times {
                    site.firewall.forget();
                    pass(lasts);
                }
            }
            Event::Reload { lasts } => {
                site.reload(false);
                pass(lasts);
                site.reload(true);
            }
            Event::Disable { server, lasts } => {
                site.tell("memcached.set_state", &["disabled", ALIASES[server]]);
                pass(lasts);
                site.tell("memcached.set_state", &["active", ALIASES[server]]);
            }
            Event::Change { name, value } => {
                site.tell("cfg.set_now_int", &["memcached", name, &value.to_string()]);
            }
            Event::Look => COMMANDS
                .iter()
                .for_each(|command| site.tell(command[0], &command[1..])),
        }
    }
}

/// An event lasts for so many milliseconds.
pub fn pass(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
