//! Campaign: many seeds, on all processors.

use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::faults::KINDS;
use super::run::run;

/// How often a line tells how it goes.
const PROGRESS: Duration = Duration::from_secs(10);

/// What has come out so far.
pub struct Campaign {
    next: u64,
    end: u64,
    begun: Instant,
    told: Instant,
    done: u64,
    operations: u64,
    /// In how many runs there was each kind of fault.
    coverage: [u64; KINDS.len()],
    bad: Vec<(u64, String)>,
}

/// Runs these seeds. Returns those that break a rule, with what they break.
pub fn run_all(seeds: Range<u64>) -> Vec<(u64, String)> {
    let campaign = Mutex::new(Campaign {
        next: seeds.start,
        end: seeds.end,
        begun: Instant::now(),
        told: Instant::now(),
        done: 0,
        operations: 0,
        coverage: [0; KINDS.len()],
        bad: Vec::new(),
    });
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&campaign));
        }
    });
    let campaign = campaign.into_inner().expect("no thread has panicked");
    campaign.tell();
    campaign.bad
}

fn work(campaign: &Mutex<Campaign>) {
    let next = || campaign.lock().expect("no thread has panicked").take();
    while let Some(seed) = next() {
        let outcome = run(seed, None, false);
        let mut campaign = campaign.lock().expect("no thread has panicked");
        campaign.done += 1;
        campaign.operations += outcome.operations as u64;
        for (kind, runs) in campaign.coverage.iter_mut().enumerate() {
            *runs += u64::from(outcome.coverage >> kind & 1);
        }
        if let Some(violation) = outcome.violations.into_iter().next() {
            println!("seed {seed}: {violation}");
            campaign.bad.push((seed, violation));
        }
        if campaign.told.elapsed() > PROGRESS {
            campaign.told = Instant::now();
            campaign.tell();
        }
    }
}

impl Campaign {
    fn take(&mut self) -> Option<u64> {
        let seed = self.next;
        self.next += 1;
        (seed < self.end).then_some(seed)
    }

    /// One line: how many, how fast, and the percentage of the runs with each kind of fault.
    fn tell(&self) {
        let Self {
            done,
            operations,
            bad,
            ..
        } = self;
        let rate = *done as f64 / self.begun.elapsed().as_secs_f64();
        let kinds = KINDS.iter().zip(&self.coverage);
        let kinds = kinds.map(|(kind, runs)| format!("{kind} {}", runs * 100 / (*done).max(1)));
        let (bad, kinds) = (bad.len(), kinds.collect::<Vec<_>>().join(", "));
        println!(
            "{done} seeds, {operations} operations, {rate:.0} seeds a second, {bad} bad; % of the runs with: {kinds}"
        );
    }
}
