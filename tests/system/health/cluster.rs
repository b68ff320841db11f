//! Five memcacheds, and where keys belong among them by the library's own account.

use std::collections::BTreeMap;
use std::time::Duration;

use kamailio_memcached::internals::{Distribution, Placement, Ring, ServerSpec, parse_list};
use support::{Answer, Builder, Kamailio, Memcached, Request, wait};

use super::watch::row;

/// Those that differ in how a stand-in is found.
pub const DISTRIBUTIONS: [(&str, Distribution); 3] = [
    ("ketama", Distribution::Ketama),
    ("modula", Distribution::Modula),
    ("libmc", Distribution::Libmc),
];

/// Of one operation.
pub const TIMEOUT: Duration = Duration::from_millis(2000);

/// The default.
const STALL_LIMIT: Duration = Duration::from_millis(200);

/// Five memcacheds, and where keys belong among them.
pub struct Cluster {
    pub memcacheds: Vec<Memcached>,
    specs: Vec<ServerSpec>,
    name: &'static str,
    placement: Placement,
    ring: Ring,
}

impl Cluster {
    /// Starts them.
    pub fn start((name, distribution): (&'static str, Distribution)) -> Cluster {
        let memcacheds: Vec<Memcached> = (0..5).map(|_| Memcached::start()).collect();
        let specs = parse_list(&list(&memcacheds)).expect("addresses");
        let placement = Placement::new(distribution);
        let ring = placement.ring(&specs, |_| true).expect("five servers");
        Cluster {
            memcacheds,
            specs,
            name,
            placement,
            ring,
        }
    }

    /// A Kamailio that uses them, with scripts that read, write and count.
    pub fn builder(&self, failover: i64) -> Builder {
        let builder = Kamailio::builder()
            .param("servers", list(&self.memcacheds))
            .param("distribution", self.name)
            .param("failover", failover)
            .param(
                "timeout",
                i64::try_from(TIMEOUT.as_millis()).expect("small"),
            )
            .rpc();
        builder
            .script("get", "", &["$mct($hdr(X-Key))", "$mcst"])
            .script("set", "$mct($hdr(X-Key)) = $hdr(X-Key);", &["$mcst"])
            .script("count", "$mcinc($hdr(X-Key)) = 1;", &["$mcst"])
    }

    /// The server that the key belongs to.
    pub fn owner(&self, key: &str) -> usize {
        self.placement.owner(&self.ring, key.as_bytes())
    }

    /// The servers in the order of this key.
    pub fn order(&self, key: &str) -> Vec<usize> {
        self.placement.failover_order(&self.ring, key.as_bytes())
    }

    /// The first in the key's order of servers that is not among `dead`.
    pub fn stand_in(&self, key: &str, dead: &[usize]) -> usize {
        let live = self
            .order(key)
            .into_iter()
            .find(|server| !dead.contains(server));
        live.expect("a live server")
    }

    /// The owner on a ring without `dead`.
    pub fn owner_without(&self, key: &str, dead: &[usize]) -> usize {
        let ring = self.placement.ring(&self.specs, |at| !dead.contains(&at));
        self.placement
            .owner(&ring.expect("a live server"), key.as_bytes())
    }

    /// Kills a server and has somebody notice.
    pub fn kill(&self, kamailio: &Kamailio, server: usize) {
        self.memcacheds[server].kill();
        let state = || row(kamailio, self.memcacheds[server].address()).state;
        let mut number = 0;
        wait::until("somebody to notice", wait::WAIT_LIMIT, || {
            number += 1;
            run(kamailio, "get", &format!("probe-{number}"));
            state() == "inactive"
        });
    }

    /// A key that belongs to this server.
    pub fn key_of(&self, server: usize) -> String {
        let mut candidates = (0..).map(|number| format!("probe-{number}"));
        candidates
            .find(|key| self.owner(key) == server)
            .expect("endless")
    }

    /// Every key of `keys` lies where `place` says and nowhere else that lives.
    #[track_caller]
    pub fn assert_placed(&self, dead: &[usize], keys: &[String], place: impl Fn(&str) -> usize) {
        let live = (0..5).filter(|server| !dead.contains(server));
        let held: BTreeMap<usize, Vec<Vec<u8>>> = live
            .map(|server| (server, self.memcacheds[server].keys()))
            .collect();
        for key in keys {
            let holders = held
                .iter()
                .filter(|(_, held)| held.contains(&key.clone().into_bytes()));
            let holders: Vec<usize> = holders.map(|(server, _)| *server).collect();
            assert_eq!(
                holders,
                [place(key)],
                "{}: {key} without {dead:?}",
                self.name
            );
        }
    }
}

fn list(memcacheds: &[Memcached]) -> String {
    let addresses: Vec<&str> = memcacheds.iter().map(Memcached::address).collect();
    addresses.join(",")
}

/// So many keys.
pub fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key-{number}")).collect()
}

/// Runs a script about this key.
pub fn run(kamailio: &Kamailio, script: &str, key: &str) -> Answer {
    kamailio.run_with(script, Request::about(key))
}

/// Nobody has waited for a server, neither until the stall limit nor until the timeout. A busy machine
/// may delay a few answers.
#[track_caller]
pub fn assert_at_once(mut times: Vec<Duration>) {
    times.sort();
    let (half, longest) = (times[times.len() / 2], times[times.len() - 1]);
    assert!(half < STALL_LIMIT / 2, "half of them: {half:?}");
    assert!(longest < TIMEOUT / 2, "one of them: {longest:?}");
}
