//! Setup: what a seed decides before a run begins: the configuration, the processes, and what breaks.

use internals::{Given, Parameters};
use kamailio_memcached::internals;

use super::faults::Change;
use super::login;
use super::plan;
use super::random::Random;
use super::sealed::{self, Version};
use super::world::{MILLI, SECOND};

/// A server.
#[derive(Debug, Clone)]
pub struct Spec {
    /// By how many seconds its clock is ahead of the node's.
    pub skew: u64,
    /// As operators write it.
    pub written: String,
}

/// A run. Times are in nanoseconds.
#[derive(Debug, Clone)]
pub struct Setup {
    pub servers: Vec<Spec>,
    pub workers: usize,
    /// Of each worker.
    pub operations: usize,
    /// How long a worker does nothing between two operations, at most.
    pub pace: u64,
    /// Others may run at one of so many calls.
    pub switches: u64,
    /// A process may be held up for a moment at each of the marked places.
    pub holds_up: bool,
    pub keys: u64,
    pub distribution: &'static str,
    pub failover: i32,
    /// On how many servers each item is kept.
    pub replicas: i32,
    /// For how many seconds after a return what is missing is asked for elsewhere; -1 = always.
    pub miss_failover: i32,
    pub empties: bool,
    pub adds: bool,
    /// Whether plain writes do not wait.
    pub defers: bool,
    /// Whether the servers know no meta commands.
    pub is_classic: bool,
    /// Whether clients need a password.
    pub logs_in: bool,
    /// The TLS that the servers speak, if they do.
    pub tls: Option<Version>,
    /// Whether there are leases.
    pub leases: bool,
    pub lease_time: i32,
    pub lease_early: i32,
    pub timeout: u64,
    pub stall_limit: u64,
    pub connect_timeout: u64,
    pub retry_interval: u64,
    pub ping_interval: i32,
    /// In microseconds.
    pub spin: i32,
    pub inactive_threshold: i32,
    pub probing_threshold: i32,
    /// Whether nine of ten operations read an item.
    pub reads_mostly: bool,
    /// 0 = no near cache.
    pub near_size: u32,
    pub near_expire: u64,
    pub near_stale: u64,
    /// How many servers there are before the others are added, and items come over; 0 = none are added.
    pub grows_from: usize,
    /// When they are added.
    pub grows_at: u64,
    /// What breaks and what operators do, and when.
    pub plan: Vec<(u64, Change)>,
}

impl Setup {
    /// What these random numbers decide.
    pub fn new(random: &mut Random) -> Self {
        let servers = *random.pick(&[1, 2, 2, 3, 3, 4]);
        let has_names = random.once_in(5);
        let spec = |number: u64, random: &mut Random| Spec {
            skew: random.below(3),
            written: match has_names && random.once_in(2) {
                true => format!("mc-{number}:11211"),
                false => format!("10.0.0.{number}:11211"),
            },
        };
        let servers: Vec<_> = (1..=servers).map(|number| spec(number, random)).collect();
        let workers = random.between(2, 8) as usize;
        let stall_limit = *random.pick(&[20, 50, 100, 200]);
        let timeout = stall_limit * random.between(2, 8);
        let mut setup = Self {
            servers,
            workers,
            operations: 200 / workers,
            pace: *random.pick(&[2, 10, 30]) * MILLI,
            switches: *random.pick(&[2, 5, 20]),
            holds_up: random.once_in(4),
            keys: random.between(2, 8),
            distribution: if random.once_in(4) {
                "ketama"
            } else {
                "modula"
            },
            failover: *random.pick(&[0, 1, 1, 2]),
            replicas: 1,
            miss_failover: 0,
            empties: !random.once_in(3),
            adds: random.once_in(5),
            defers: random.once_in(3),
            is_classic: random.once_in(3),
            logs_in: random.once_in(4),
            tls: None,
            leases: random.once_in(2),
            lease_time: *random.pick(&[1, 3, 10]),
            // Items that were touched end within that time, others do not.
            lease_early: *random.pick(&[0, 0, 5000]),
            timeout: timeout * MILLI,
            stall_limit: stall_limit * MILLI,
            connect_timeout: random.pick(&[0, 0, 0, timeout / 2]) * MILLI,
            retry_interval: random.pick(&[100, 300, 1000]) * MILLI,
            ping_interval: *random.pick(&[0, 1, 1]),
            spin: *random.pick(&[-1, 0, 100, 1000]),
            inactive_threshold: *random.pick(&[1, 1, 2, 3]),
            probing_threshold: *random.pick(&[1, 1, 2]),
            reads_mostly: random.once_in(4),
            near_size: *random.pick(&[0, 0, 0, 4, 4, 8]),
            near_expire: random.pick(&[1, 20, 1000, 100_000]) * MILLI,
            near_stale: random.pick(&[0, 500, 100_000]) * MILLI,
            grows_from: 0,
            grows_at: 0,
            plan: Vec::new(),
        };
        if setup.failover != 2 {
            setup.replicas = *random.pick(&[1, 1, 1, 1, 2, 3]);
        }
        setup.plan = plan::plan(&setup, random);
        // Seeds from before there was TLS mean what they meant.
        let mut own = random.clone();
        if own.once_in(64) {
            setup.tls = Some(*own.pick(&[Version::Tls12, Version::Tls13]));
        }
        let has_stand_ins = setup.failover == 1 || setup.replicas > 1;
        if has_stand_ins && !setup.adds && own.once_in(2) {
            setup.miss_failover = *own.pick(&[1, 5, -1, -1]);
            // What comes over meets what is removed if there are few items, and processes are held up.
            if own.once_in(2) {
                (setup.keys, setup.holds_up) = (own.between(1, 3), true);
            }
        }
        setup.plan.extend(plan::more(&setup, &mut own));
        if setup.servers.len() > 1 && setup.tls.is_none() && own.once_in(12) {
            setup.grow(&mut own);
        }
        setup.plan.sort();
        setup
    }

    /// Servers are added, and that is all that operators do. Each item is on one server of each list.
    fn grow(&mut self, random: &mut Random) {
        self.grows_from = random.between(1, self.servers.len() as u64 - 1) as usize;
        self.grows_at = random.below(self.length());
        (self.failover, self.replicas, self.miss_failover) = (0, 1, 0);
        (self.adds, self.defers) = (false, false);
        if random.once_in(2) {
            self.keys = random.between(1, 3);
        }
        self.plan.retain(|(_, change)| !change.is_command());
        self.plan.extend(plan::around_growth(self, random));
    }

    /// Whether there are two pools. Each draws its own verdicts, and says so in the log.
    pub fn grows(&self) -> bool {
        self.grows_from > 0
    }

    /// Whether items come over from elsewhere.
    pub fn has_sources(&self) -> bool {
        self.miss_failover != 0 || self.grows()
    }

    /// Whether servers make up for the writes that they have missed.
    pub fn makes_up(&self) -> bool {
        self.empties || self.replicas > 1
    }

    /// How long the operations take if all goes well.
    pub fn length(&self) -> u64 {
        self.operations as u64 * self.pace / 2
    }

    /// Until when names may be unknown after the start.
    pub fn start(&self) -> u64 {
        let has_names = self
            .servers
            .iter()
            .any(|server| server.written.starts_with("mc-"));
        if has_names { 5 * SECOND / 2 } else { 0 }
    }

    /// The list of servers, without one of them.
    pub fn list(&self, without: Option<usize>) -> String {
        let servers = self.servers.iter().enumerate();
        let listed = servers.filter(|(at, _)| Some(*at) != without);
        let listed: Vec<_> = listed.map(|(_, server)| server.written.as_str()).collect();
        listed.join(", ")
    }

    /// The parameters.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        let millis = |time: u64| (time / MILLI) as i32;
        let list = self.list(None);
        let rejoin = if self.empties { "flush" } else { "keep" };
        let texts = [
            ("servers", &*list),
            ("distribution", self.distribution),
            ("rejoin", rejoin),
        ];
        let numbers = [
            ("failover", self.failover),
            ("replicas", self.replicas),
            ("miss_failover", self.miss_failover),
            ("mode", self.adds.into()),
            ("lease_time", self.lease_time),
            ("lease_early", self.lease_early),
            ("deferred_writes", self.defers.into()),
            ("timeout", millis(self.timeout)),
            ("stall_limit", millis(self.stall_limit)),
            ("connect_timeout", millis(self.connect_timeout)),
            ("retry_interval", millis(self.retry_interval)),
            ("ping_interval", self.ping_interval),
            ("near_size", self.near_size as i32),
            ("near_expire", millis(self.near_expire)),
            ("near_stale", millis(self.near_stale)),
            ("spin", self.spin),
            ("inactive_threshold", self.inactive_threshold),
            ("probing_threshold", self.probing_threshold),
        ];
        if self.logs_in {
            let file = Given::Text(login::file());
            let set = parameters.set("credentials_file", file);
            set.expect("a file");
        }
        if self.tls.is_some() {
            for (name, given) in [
                ("tls", Given::Number(1)),
                ("tls_ca", Given::Text(sealed::AUTHORITY)),
                ("tls_name", Given::Text(sealed::NAME)),
            ] {
                parameters.set(name, given).expect(name);
            }
        }
        if self.grows() {
            let before = &self.servers[..self.grows_from];
            let before: Vec<_> = before.iter().map(|server| &*server.written).collect();
            let before = format!("name=before;servers={}", before.join(","));
            for (name, text) in [("pool", &*before), ("warm_from", "before")] {
                parameters.set(name, Given::Text(text)).expect(name);
            }
        }
        for (name, text) in texts {
            parameters.set(name, Given::Text(text)).expect(name);
        }
        for (name, number) in numbers {
            parameters.set(name, Given::Number(number)).expect(name);
        }
        parameters
    }

    /// By how much any wait may be late, because calls and other processes take time.
    pub fn slack(&self) -> u64 {
        8 * MILLI
    }

    /// The longest time that any operation may have.
    pub fn longest_timeout(&self) -> u64 {
        self.tuned_timeouts().fold(self.timeout, u64::max)
    }

    /// The time that every operation has at least.
    pub fn shortest_timeout(&self) -> u64 {
        self.tuned_timeouts().fold(self.timeout, u64::min)
    }

    fn tuned_timeouts(&self) -> impl Iterator<Item = u64> {
        self.plan.iter().filter_map(|(_, change)| match change {
            Change::Tune {
                name: "timeout",
                number,
            } => Some(*number as u64 * MILLI),
            _ => None,
        })
    }

    /// Within this time, after all trouble is over, every server is in service again.
    pub fn recovery(&self) -> u64 {
        let probes = self.probing_threshold as u64 * (self.retry_interval * 6 / 5 + 50 * MILLI);
        // A probe that has to change something at the server has so long at least.
        let flush = if self.makes_up() || self.has_sources() {
            1500 * MILLI
        } else {
            0
        };
        self.longest_timeout().max(flush) + probes + SECOND
    }
}
