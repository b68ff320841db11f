//! The whole cache in a simulated world: the library as it is, many processes on one shared memory, and servers,
//! network, clock and scheduler that a seed decides. A seed that breaks a [rule](rules) can be replayed.
//!
//! Variables: `SEED` replays one seed and shows its trace; `SEEDS` runs so many, from `FIRST` on or from a fresh
//! one; `FAULT` looks for the planted faults whose names have this part. Without them this is a test of the simulation and of the library. Bottom-up: [`random`] decides, [`setup`]
//! is what it decides before a run and [`faults`] what breaks in it, by a [`plan`]; [`world`] has the time,
//! [`system`] the calls, [`network`] with each [`arrival`],
//! [`server`]s, perhaps [`sealed`], [`names`] and [`process`]es; [`worker`], [`prober`] and [`operator`] are what processes do;
//! [`history`] and [`observer`] remember it; [`rules`] judge it; [`run`] is one run in its [`memory`], [`campaign`] are
//! many.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

mod arrival;
mod campaign;
mod command;
mod faults;
mod history;
mod logger;
mod login;
mod memory;
mod names;
mod network;
mod observer;
mod operator;
mod plan;
mod planted;
mod prober;
mod process;
mod random;
mod rules;
mod run;
mod sealed;
mod server;
mod setup;
mod system;
mod trace;
mod waits;
mod worker;
mod world;

/// How many seeds that are always the same, and how many fresh ones, a test runs.
const FIXED: u64 = 20_000;
const FRESH: u64 = 5_000;

fn main() -> ExitCode {
    logger::take_log();
    // A panic is found and told by the run.
    std::panic::set_hook(Box::new(|_| {}));
    let fault = std::env::var("FAULT").ok();
    let is_good = match (number("SEED"), number("SEEDS"), fault) {
        (Some(seed), ..) => replay(seed),
        (None, None, Some(part)) => planted::find_all(&part),
        (None, Some(count), _) => {
            let first = number("FIRST").unwrap_or_else(fresh);
            println!("{count} seeds from {first} on");
            campaign::run_all(first..first + count).is_empty()
        }
        (None, None, None) => test(),
    };
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(seed: u64) -> bool {
    let outcome = run::run(seed, None, true);
    outcome.trace.iter().for_each(|line| println!("{line}"));
    outcome.violations.is_empty()
}

fn test() -> bool {
    let is_same = (0..50).all(|seed| {
        let trace = || run::run(seed, None, true).trace;
        let is_same = trace() == trace();
        if !is_same {
            println!("seed {seed}: a replay is not the same");
        }
        is_same
    });
    let finds_all = planted::find_all("");
    let first = fresh();
    println!("{FIXED} fixed seeds, and {FRESH} fresh ones from {first} on");
    let fixed = campaign::run_all(0..FIXED);
    let fresh = campaign::run_all(first..first + FRESH);
    is_same && finds_all && fixed.is_empty() && fresh.is_empty()
}

/// A seed that probably nobody has tried.
fn fresh() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    1_000_000_000 + now.as_micros() as u64 % 1_000_000_000_000
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
