//! `Run` is a run from its start to its end: callers call, events happen, samples are taken, counts are
//! compared; and what must hold of all that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Counted, Ending, Kamailio, Load, Pid, Sipp, wait};

use crate::Plan;
use crate::chaos::{Chaos, Event};
use crate::counts::{Compared, lives};
use crate::log_file::LogFile;
use crate::sample::Sample;
use crate::site::{SERVERS, Site, WORKERS};

/// How many calls of a Kamailio may be under way. A machine that is too busy for the rate makes fewer calls.
const MOST_OPEN: usize = 40;

/// What happened, when, and how long it took until everything was in service again afterwards.
pub struct Happened {
    pub event: Event,
    pub at: Duration,
    pub lasted: Duration,
    pub recovered: Duration,
}

/// A Kamailio in a run.
pub struct Node {
    pub samples: Vec<Sample>,
    pub log: LogFile,
    /// What sipp has counted in each second, and in all.
    pub seconds: Vec<Counted>,
    pub calls: Counted,
    /// What sipp says of calls that have failed.
    pub complaint: Option<String>,
}

/// Everything that was seen.
pub struct Run {
    pub length: Duration,
    pub events: Vec<Happened>,
    pub compared: Compared,
    pub nodes: Vec<Node>,
    /// The first thing that was wrong with counts or with the recovery.
    pub wrong: Option<String>,
}

impl Run {
    pub fn make(plan: &Plan) -> Run {
        let site = Site::start();
        let begun = Instant::now();
        let seconds = plan.length.as_secs() as usize;
        let callers = |node: &Kamailio| {
            let load = Load {
                rate: plan.rate / 2,
                most_open: Some(MOST_OPEN),
                seconds,
            };
            Sipp::start(node.address(), include_str!("call.xml"), load)
        };
        let callers = site.nodes.each_ref().map(callers);
        let is_over = AtomicBool::new(false);
        let every = (plan.length / 300).max(Duration::from_secs(1));
        let mut run = Run {
            length: plan.length,
            events: Vec::new(),
            compared: Compared::default(),
            nodes: Vec::new(),
            wrong: None,
        };
        thread::scope(|scope| {
            let ending = Ending(&is_over);
            let watchers = site.nodes.each_ref().map(|node| {
                let is_over = &is_over;
                scope.spawn(move || watch(node, begun, every, is_over))
            });
            run.wrong = run.happen(plan, &site, begun).err();
            let left = plan.length.saturating_sub(begun.elapsed());
            if run.wrong.is_none() {
                thread::sleep(left);
            }
            callers.iter().for_each(Sipp::end);
            let ended = callers.each_ref().map(Sipp::wait);
            drop(ending);
            let all = watchers.into_iter().zip(&callers).zip(ended);
            for ((watcher, sipp), ended) in all {
                let (samples, log) = watcher.join().expect("a watcher");
                let (seconds, calls) = sipp.seconds();
                run.nodes.push(Node {
                    samples,
                    log,
                    seconds,
                    calls,
                    complaint: ended.err(),
                });
            }
        });
        for (at, node) in site.nodes.iter().enumerate() {
            if !node.stop().success() {
                let status = format!("Kamailio {at} did not end well");
                run.wrong.get_or_insert(status);
            }
            run.nodes[at].log.read();
        }
        run
    }

    /// One epoch after the other, each with an event, until the time is over.
    fn happen(&mut self, plan: &Plan, site: &Site, begun: Instant) -> Result<(), String> {
        let mut chaos = Chaos::new(plan.seed);
        let mut number = 0;
        while begun.elapsed() + Duration::from_secs(5) < plan.length {
            number += 1;
            let event = chaos.next();
            let epoch = 2 * number + u64::from(event.is_strict());
            let before = lives(site);
            site.tell("pv.shvSet", &["epoch", "int", &epoch.to_string()]);
            thread::sleep(chaos.calm());
            let at = begun.elapsed();
            event.happen(site);
            let lasted = begun.elapsed() - at;
            let recovered = site
                .wait_for_service()
                .ok_or_else(|| format!("{event:?}: not all servers are back in service"))?;
            self.events.push(Happened {
                event,
                at,
                lasted,
                recovered,
            });
            // Requests that begin now count for no epoch that is compared.
            site.tell("pv.shvSet", &["epoch", "int", "0"]);
            let compared = self.compared.add(site, epoch, before);
            compared.map_err(|error| format!("{event:?}: {error}"))?;
        }
        Ok(())
    }

    /// What does not hold.
    pub fn complaints(&self) -> Vec<String> {
        let mut found: Vec<String> = self.wrong.iter().cloned().collect();
        for (at, node) in self.nodes.iter().enumerate() {
            let named = |what: String| format!("Kamailio {at}: {what}");
            found.extend(node.complaint.iter().cloned().map(named));
            found.extend(node.log.bad.iter().cloned().map(named));
            found.extend(node.log.errors.iter().cloned().map(named));
            found.extend(node.complaints(self.length).into_iter().map(named));
        }
        if self.compared.exact == 0 {
            found.push("no counter could be compared exactly".into());
        }
        found
    }
}

/// Takes samples until the run is over.
fn watch(
    node: &Kamailio,
    begun: Instant,
    every: Duration,
    is_over: &AtomicBool,
) -> (Vec<Sample>, LogFile) {
    let mut log = LogFile::of(node);
    let mut samples = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        samples.push(Sample::take(node, &mut log, begun.elapsed()));
        wait::poll(every, || is_over.load(Ordering::Relaxed).then_some(()));
    }
    (samples, log)
}

/// How many more KiB a process may need at the end of a run than before the half of it. A short run may be
/// over before each worker has had a large value of each kind.
const SLACK_KIB: u64 = 2048;
const SLACK_OF_SHORT_RUNS_KIB: u64 = 12 * 1024;
const SHORT: Duration = Duration::from_secs(600);

/// How many bytes of shared memory more: what the calls under way need differs from one moment to the next.
const SLACK_SHARED: u64 = 1 << 20;

/// Descriptors that a process may have besides those of its start: a connection to each server, a fresh one
/// beside each of these, and some that are just being closed or looked up.
const DESCRIPTORS: usize = 2 * SERVERS as usize + 8;

impl Node {
    fn complaints(&self, length: Duration) -> Vec<String> {
        let mut found = Vec::new();
        let [first, .., last] = &self.samples[..] else {
            return vec!["too few samples".into()];
        };
        // The least of a part of the run is what is in use all the time.
        let part = |from: f64, to: f64| {
            let within = move |sample: &&Sample| {
                let share = sample.at.as_secs_f64() / length.as_secs_f64();
                (from..to).contains(&share)
            };
            self.samples.iter().filter(within)
        };
        let least = |from, to, of: &dyn Fn(&Sample) -> Option<u64>| {
            part(from, to).filter_map(of).min().unwrap_or(0)
        };
        let mut pids: Vec<Pid> = last.processes.iter().map(|process| process.pid).collect();
        pids.retain(|pid| first.processes.iter().any(|process| process.pid == *pid));
        if pids.len() != first.processes.len() || pids.len() <= WORKERS {
            found.push(format!("{pids:?} are left of {:?}", first.processes));
        }
        for pid in pids {
            let of = |sample: &Sample| sample.processes.iter().find(|it| it.pid == pid).copied();
            let memory = |sample: &Sample| Some(of(sample)?.anonymous_kib);
            let (before, after) = (least(0.25, 0.5, &memory), least(0.75, 1.1, &memory));
            let slack = match length < SHORT {
                true => SLACK_OF_SHORT_RUNS_KIB,
                false => SLACK_KIB,
            };
            if after > before + slack {
                found.push(format!("process {pid} has {after} KiB after {before} KiB"));
            }
            let begun = of(first).map_or(0, |process| process.descriptors);
            let all = self.samples.iter().filter_map(of);
            let most = all.map(|process| process.descriptors).max().unwrap_or(0);
            if most > begun + DESCRIPTORS {
                found.push(format!("process {pid} has had {most} descriptors"));
            }
        }
        let shared = |sample: &Sample| Some(sample.shared);
        let (before, after) = (least(0.25, 0.5, &shared), least(0.75, 1.1, &shared));
        if after > before + SLACK_SHARED {
            found.push(format!("{after} bytes of shared memory after {before}"));
        }
        let minutes = length.as_secs().div_ceil(60) + 1;
        let processes = first.processes.len() as u64 + 1;
        // As the manual says: changes of state, failed and slow operations, others.
        let lines = SERVERS * 6 + processes * (SERVERS * 10 + 5);
        if self.log.ours > minutes * lines {
            found.push(format!("{} lines of log", self.log.ours));
        }
        // A call has three requests. On a busy machine many are answered late.
        if self.calls.retransmissions > self.calls.successful {
            found.push(format!("too many retransmissions: {:?}", self.calls));
        }
        found
    }
}
