//! An outage of all servers, as each node of a fleet lives through it: the code of the prober and the
//! verdicts of health, in a simulated system.

use std::rc::Rc;
use std::time::Duration;

use kamailio_memcached::internals::simulation::{ProberProcess, TICK, servers};
use kamailio_memcached::internals::{Cache, Given, Numbers, Parameters, Shared};
use support::Random;

use super::at_once::{AtOnce, Counts};

/// How long an outage lasts. It does not end when nodes probe that do so in step.
pub const LENGTH: Duration = Duration::from_millis(60_500);

/// All nodes have noticed the outage after this time.
const NOTICED: Duration = Duration::from_millis(100);

/// A fleet, and how it probes.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    pub nodes: usize,
    pub servers: usize,
    /// In milliseconds.
    pub retry_max: i32,
    /// The times between probes do not vary.
    pub in_step: bool,
}

/// What a fleet does in an outage.
#[derive(Debug, Clone)]
pub struct Outage {
    /// Connections and flushes of all nodes at all servers.
    pub counts: Counts,
    /// How long after the servers' return each node uses all of them again, the first first.
    pub returns: Vec<Duration>,
}

impl Fleet {
    /// Lets all nodes live through an outage. They know nothing of each other, so one after the other
    /// does, and all events are counted from the beginning of its outage.
    pub fn live_through(&self) -> Outage {
        let system = AtOnce::install(self.servers, self.in_step);
        let list: Vec<_> = (1..=self.servers)
            .map(|port| format!("10.0.0.1:{port}"))
            .collect();
        let mut parameters = Parameters::default();
        let list = list.join(",");
        for (name, given) in [
            ("servers", Given::Text(&list)),
            ("rejoin", Given::Text("flush")),
            ("retry_max", Given::Number(self.retry_max)),
        ] {
            parameters.set(name, given).expect("an accepted value");
        }
        let mut cache = Cache::new(parameters.settle(), Numbers::Bits64, Shared::private(1));
        let mut random = Random::new(1);
        let mut below = |end: Duration| {
            let nanos = random.below(end.as_nanos() as u64);
            Duration::from_nanos(nanos)
        };
        let node = |_| live(&system, &mut cache, below(NOTICED), below(TICK));
        let mut returns: Vec<_> = (0..self.nodes).map(node).collect();
        returns.sort();
        let counts = system.counts();
        Outage { counts, returns }
    }
}

/// An outage of one node that notices it so late, and whose prober looks so long after that for the
/// first time. Returns how long it does without the servers after their return.
fn live(
    system: &Rc<AtOnce>,
    cache: &mut Cache,
    noticed: Duration,
    first_look: Duration,
) -> Duration {
    // All before is long ago.
    system.set_time(10 * LENGTH);
    system.begin_outage();
    system.set_time(noticed);
    let all_are = |cache: &mut Cache, state| {
        servers(cache)
            .iter()
            .all(|server| server.state().0 == state)
    };
    for number in 0.. {
        let key = cache
            .key(0, format!("k{number}").as_bytes(), b"")
            .expect("a key");
        let read = cache.get(&key, &mut Vec::new());
        assert!(read.is_err(), "{read:?}");
        if all_are(cache, "inactive") {
            break;
        }
    }
    let mut prober = ProberProcess::default();
    let mut time = noticed + first_look;
    let mut is_over = false;
    loop {
        system.set_time(time);
        if time >= LENGTH && !is_over {
            system.end_outage();
            is_over = true;
        }
        prober.tick(cache, |_| true);
        if is_over && all_are(cache, "active") {
            return time - LENGTH;
        }
        time += TICK;
    }
}
