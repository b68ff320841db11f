//! What a stand-in, or another copy, has taken is never undone: a table of `failover`, `replicas`, `rejoin`,
//! `inactive_threshold`, workers, and kinds of failure, each asking for the old value afterwards.
//!
//! Each time, `v1` is written to keys of the owner; the owner fails; `v2` is written, or the key deleted,
//! whatever server takes that; the failure ends; and callers read until all is well and for a second more.

use std::time::{Duration, Instant};

use kamailio_memcached::internals::{Distribution, Placement, parse_list};
use support::{Forwarder, Kamailio, Memcached, Request, wait};

use super::callers::{Call, call, pass, read_at_once, scripts, words, write};
use super::watch::rows;

const TIMEOUT: i64 = 700;
const STALL_LIMIT: i64 = 100;
const STALL: Duration = Duration::from_millis(300);

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Case {
    failover: i64,
    replicas: i64,
    rejoin: &'static str,
    threshold: i64,
    workers: usize,
}

/// How the owner fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    /// It is stopped for a moment, less than the timeout.
    Stall,
    /// It is stopped until it is inactive.
    Stop,
    /// It is killed, and started again without its items.
    Kill,
    /// A firewall forgets its connections.
    LostFlows,
    /// Nobody can connect any more; its items are still there.
    Refused,
}

use Failure::{Kill, LostFlows, Refused, Stall, Stop};

/// Two memcacheds behind forwarders. Number 0 is the owner that fails.
struct Site {
    memcacheds: [Memcached; 2],
    forwarders: [Forwarder; 2],
}

impl Site {
    fn start() -> Site {
        let memcacheds = [Memcached::start(), Memcached::start()];
        let forwarders = memcacheds.each_ref().map(|it| Forwarder::to(it.address()));
        Site {
            memcacheds,
            forwarders,
        }
    }

    fn kamailio(&self, case: Case) -> Kamailio {
        let addresses = self.forwarders.each_ref().map(Forwarder::address);
        scripts(Kamailio::builder())
            .param("servers", addresses.join(","))
            .param("failover", case.failover)
            .param("replicas", case.replicas)
            .param("rejoin", case.rejoin)
            .param("inactive_threshold", case.threshold)
            .param("timeout", TIMEOUT)
            .param("stall_limit", STALL_LIMIT)
            .param("retry_interval", 200)
            .children(case.workers)
            .rpc()
            .start()
    }

    /// The server that the key belongs to.
    fn owner(&self, key: &str) -> usize {
        let addresses = self.forwarders.each_ref().map(Forwarder::address);
        let specs = parse_list(&addresses.join(",")).expect("addresses");
        let placement = Placement::new(Distribution::Ketama);
        let ring = placement.ring(&specs, |_| true).expect("two servers");
        placement.owner(&ring, key.as_bytes())
    }

    fn begin(&self, failure: Failure) {
        match failure {
            Stall | Stop => self.memcacheds[0].pause(),
            Kill => {
                self.memcacheds[0].kill();
                self.forwarders[0].refuse();
            }
            LostFlows => self.forwarders[0].forget(),
            Refused => self.forwarders[0].refuse(),
        }
    }

    fn end(&self, failure: Failure) {
        match failure {
            Stall | Stop => self.memcacheds[0].resume(),
            Kill => {
                self.memcacheds[0].restart();
                self.forwarders[0].accept();
            }
            LostFlows => {}
            Refused => self.forwarders[0].accept(),
        }
    }
}

fn state(kamailio: &Kamailio) -> String {
    rows(kamailio, "memcached.list", "[]")[0].state.clone()
}

/// What has happened in one row of the table for one failure.
struct Story<'a> {
    site: &'a Site,
    kamailio: &'a Kamailio,
    case: Case,
    failure: Failure,
    /// All operations from the beginning of the failure on.
    calls: Vec<Call>,
}

impl Story<'_> {
    /// Ten keys of the owner's, and others of its, all with `v1`.
    fn prepare(&self) -> (Vec<String>, Vec<String>) {
        let keys: Vec<String> = (0..80)
            .map(|it| format!("{:?}-{it}", self.failure))
            .collect();
        for key in &keys {
            assert_eq!(
                write(self.kamailio, key, "v1").word,
                "stored",
                "{}",
                self.what()
            );
        }
        let request = Request::about(&keys[0]);
        self.kamailio.run_on_every_worker("get", &request);
        let mut owned = keys;
        owned.retain(|key| self.site.owner(key) == 0);
        self.wait_until_the_owner_has(&owned);
        let others = owned.split_off(10);
        (owned, others)
    }

    /// On a busy machine, the owner may have been silent for a moment while the keys were written. It forgets those then.
    fn wait_until_the_owner_has(&self, keys: &[String]) {
        let mut looks = 0;
        wait::until("the owner to have every key", wait::WAIT_LIMIT, || {
            let is_missing = |key: &&String| call(self.kamailio, "get", key).word != "hit";
            let missing: Vec<_> = keys.iter().filter(is_missing).collect();
            looks = if missing.is_empty() { looks + 1 } else { 0 };
            for key in missing {
                write(self.kamailio, key, "v1");
            }
            // It may forget some just now.
            pass(Duration::from_millis(100));
            looks == 2
        });
    }

    fn what(&self) -> String {
        format!("{:?}, {:?}", self.case, self.failure)
    }

    /// From the failure to `v2` at every key. Some are written as soon as it has begun, the others when the
    /// owner is out of service, if it ever is.
    fn write_through_the_failure(&mut self, keys: &[String]) {
        let (site, kamailio, failure) = (self.site, self.kamailio, self.failure);
        let begun = Instant::now();
        site.begin(failure);
        std::thread::scope(|scope| {
            let finder = (failure != LostFlows).then(|| {
                let finder = scope.spawn(|| call(kamailio, "get", &keys[0]));
                // Until the one who found out has told the others, if there are others.
                let limit = Duration::from_millis(STALL_LIMIT as u64 * 8 / 5);
                wait::poll(limit, || (state(kamailio) != "active").then_some(()));
                finder
            });
            if failure == Stall {
                let is_over = move || begun.elapsed() > STALL;
                scope.spawn(move || {
                    wait::until("the end of the stall", wait::WAIT_LIMIT, is_over);
                    site.end(failure);
                });
            }
            let (soon, later) = keys.split_at(keys.len() / 2);
            let mut pending = self.write_each(soon.to_vec());
            if matches!(failure, Stop | Kill | Refused) {
                wait::until("the outage", wait::WAIT_LIMIT, || {
                    let is_out = state(kamailio) == "inactive";
                    if !is_out {
                        self.calls.push(call(kamailio, "get", &keys[0]));
                    }
                    is_out
                });
            }
            pending.extend(self.write_each(later.to_vec()));
            if failure != Stall {
                site.end(failure);
            }
            wait::until("every write to be done", wait::WAIT_LIMIT, || {
                pending = self.write_each(std::mem::take(&mut pending));
                pending.is_empty()
            });
            self.calls
                .extend(finder.map(|it| it.join().expect("no panic")));
        });
    }

    /// Writes `v2` to each key, or deletes it. Returns the keys for which no server has done that.
    fn write_each(&mut self, mut keys: Vec<String>) -> Vec<String> {
        keys.retain(|key| {
            let done = match key.ends_with(['3', '7']) {
                true => call(self.kamailio, "delete", key),
                false => write(self.kamailio, key, "v2"),
            };
            self.calls.push(done.clone());
            !["stored", "deleted", "miss"].contains(&&done.word[..])
        });
        keys
    }

    /// Reads until the owner is active and for a second more.
    fn read_on(&mut self, keys: &[String]) -> Vec<Call> {
        let mut since = Instant::now();
        let mut reads = Vec::new();
        wait::until("all to be well", wait::WAIT_LIMIT, || {
            for key in keys {
                reads.extend(read_at_once(self.kamailio, self.case.workers.min(3), key));
            }
            if state(self.kamailio) != "active" {
                since = Instant::now();
            }
            since.elapsed() > Duration::from_secs(1)
        });
        reads
    }

    fn faults(mut self) -> Vec<String> {
        let (keys, others) = self.prepare();
        let flushes = self.site.memcacheds[0].flushes();
        self.write_through_the_failure(&keys);
        let reads = self.read_on(&keys);
        let mut faults = Vec::new();
        let what = self.what();
        let stale = reads
            .iter()
            .filter(|read| read.value.as_deref() == Some("v1"))
            .count();
        let (failover, replicas) = (self.case.failover, self.case.replicas);
        if stale > 0 && (self.case.rejoin == "flush" || failover == 0 || replicas == 2) {
            faults.push(format!(
                "{what}: v1 was read {stale} times of {}",
                reads.len()
            ));
        }
        if !reads
            .last()
            .is_some_and(|last| ["hit", "miss"].contains(&&last.word[..]))
        {
            faults.push(format!("{what}: in the end {:?}", words(&reads)));
        }
        self.calls.extend(reads);
        if failover > 0 || replicas == 2 {
            let told = words(&self.calls);
            let failed = |word: &&&str| !["hit", "miss", "stored", "deleted"].contains(*word);
            let failed: usize = told.keys().filter(failed).map(|word| told[word]).sum();
            // The one that found out, each time until the server is inactive.
            if failed > self.case.threshold as usize {
                faults.push(format!("{what}: {failed} operations failed: {told:?}"));
            }
        }
        if self.failure == Stall || self.failure == LostFlows {
            let lost = others
                .iter()
                .filter(|key| call(self.kamailio, "get", key).word != "hit");
            let lost = lost.count();
            let emptied = self.site.memcacheds[0].flushes() - flushes;
            if lost > 0 || emptied > 0 {
                let all = others.len();
                faults.push(format!(
                    "{what}: {lost} of {all} other keys lost, emptied: {emptied}"
                ));
            }
        }
        faults
    }
}

/// All failures, one after the other.
fn faults(case: Case) -> Vec<String> {
    let site = Site::start();
    let kamailio = site.kamailio(case);
    let failures = [Stall, LostFlows, Refused, Stop, Kill].into_iter();
    let faults: Vec<String> = failures
        .flat_map(|failure| {
            let story = Story {
                site: &site,
                kamailio: &kamailio,
                case,
                failure,
                calls: Vec::new(),
            };
            story.faults()
        })
        .collect();
    if !faults.is_empty() {
        eprintln!("{case:?}:\n{}", kamailio.module_lines().join("\n"));
    }
    faults
}

/// The rows of the table for one `failover` and `replicas`, beside each other.
fn assert_nothing_is_undone(failover: i64, replicas: i64, workers: usize) {
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let mut rows = Vec::new();
        for rejoin in ["keep", "flush"] {
            for threshold in [1, 3] {
                let case = Case {
                    failover,
                    replicas,
                    rejoin,
                    threshold,
                    workers,
                };
                rows.push(scope.spawn(move || faults(case)));
            }
        }
        for row in rows {
            all.extend(row.join().expect("no panic"));
        }
    });
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn without_stand_ins_what_was_written_last_is_read_with_one_worker() {
    assert_nothing_is_undone(0, 1, 1);
}

#[test]
fn without_stand_ins_what_was_written_last_is_read_with_eight_workers() {
    assert_nothing_is_undone(0, 1, 8);
}

#[test]
fn what_the_next_server_has_taken_is_not_undone_with_one_worker() {
    assert_nothing_is_undone(1, 1, 1);
}

#[test]
fn what_the_next_server_has_taken_is_not_undone_with_eight_workers() {
    assert_nothing_is_undone(1, 1, 8);
}

#[test]
fn what_a_new_ring_has_taken_is_not_undone_with_one_worker() {
    assert_nothing_is_undone(2, 1, 1);
}

#[test]
fn what_a_new_ring_has_taken_is_not_undone_with_eight_workers() {
    assert_nothing_is_undone(2, 1, 8);
}

#[test]
fn what_the_other_copy_has_taken_is_not_undone_with_eight_workers() {
    assert_nothing_is_undone(0, 2, 8);
}
