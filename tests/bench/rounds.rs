//! Measures the time of each operation in rounds. In every round each candidate runs each operation
//! once, so that disturbances of the machine affect all of them alike.
//!
//! Ratios and differences are computed within a round, between measurements close in time. Only
//! then the median is taken.

use std::io;

use support::Memcached;

use crate::candidate::Candidate;
use crate::operation::{self, Maker, Operation, UNROLLED};
use crate::plain::Plain;

/// The programs that are compared on one transport.
pub struct Field {
    pub memcached: Memcached,
    /// Our module, unless it was not built.
    pub ours: Option<Candidate>,
    pub stock: Candidate,
    /// A second Kamailio with the stock module. Its difference from the first one is the noise.
    pub again: Candidate,
}

/// The times of one operation in µs, with one number for each round.
#[derive(Default)]
pub struct Times {
    pub ours: Vec<f64>,
    pub stock: Vec<f64>,
    pub again: Vec<f64>,
    pub plain_ours: Vec<f64>,
    pub plain_stock: Vec<f64>,
}

impl Field {
    /// Starts all programs with this memcached, and checks that all operations work.
    pub fn start(memcached: Memcached, with_ours: bool) -> Field {
        for operation in operation::ALL {
            operation.store(&memcached);
        }
        let start = |maker| Candidate::start(Some(maker), &memcached);
        let ours = with_ours.then(|| start(Maker::Ours));
        let (stock, again) = (start(Maker::Stock), start(Maker::Stock));
        for candidate in ours.iter().chain([&stock, &again]) {
            candidate.verify(&memcached);
        }
        Field {
            memcached,
            ours,
            stock,
            again,
        }
    }

    /// Measures all operations. Each loop makes `turns` turns.
    pub fn measure(&self, rounds: usize, turns: u32) -> io::Result<Vec<(Operation, Times)>> {
        let plain = Plain::connect(&self.memcached)?;
        let mut all: Vec<(Operation, Times)> = operation::ALL
            .map(|operation| (operation, Times::default()))
            .into();
        for round in 0..rounds {
            for (operation, times) in &mut all {
                let operation = *operation;
                let loops = |maker| plain.time(&operation.trips(maker), turns * UNROLLED);
                // Each one is the first in turn, so that none always comes after the same one.
                for place in 0..5 {
                    match (place + round) % 5 {
                        0 => {
                            let ours = self.ours.iter();
                            times
                                .ours
                                .extend(ours.map(|ours| ours.time(operation, turns)));
                        }
                        1 => times.plain_ours.push(loops(Maker::Ours)?),
                        2 => times.stock.push(self.stock.time(operation, turns)),
                        3 => times.plain_stock.push(loops(Maker::Stock)?),
                        _ => times.again.push(self.again.time(operation, turns)),
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Median and quartiles of what was measured once in each round.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// Median and quartiles of the numbers. `None` if there are no numbers.
pub fn spread(numbers: &[f64]) -> Option<Spread> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |quarter: usize| {
        let (place, rest) = (last * quarter / 4, last * quarter % 4);
        let next = sorted[(place + 1).min(last)];
        let share = [0.0, 0.25, 0.5, 0.75][rest];
        sorted[place] + (next - sorted[place]) * share
    };
    Some(Spread {
        low: at(1),
        median: at(2),
        high: at(3),
    })
}

/// The median of what `combine` returns for the pair of each round.
pub fn paired(left: &[f64], right: &[f64], combine: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let pairs = left
        .iter()
        .zip(right)
        .map(|(&left, &right)| combine(left, right));
    spread(&pairs.collect::<Vec<f64>>()).map(|spread| spread.median)
}
