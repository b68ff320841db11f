//! A soak: two Kamailios serve calls that use everything at once, while servers are stopped, killed and
//! restarted, flows are lost, and operators act. A seed decides what happens.
//!
//! `make soak MINUTES=60 SEED=7`; `cargo test` runs one minute with a new seed.
//!
//! ```text
//! site      the servers, the Kamailios and what lies between them
//! call.cfg  what a request does, and how it sees that a value is wrong
//! call.xml  a call
//! chaos     what happens to the servers
//! counts    what was acknowledged, against what the servers hold
//! log_file  what the Kamailios have logged
//! sample    what the processes need, again and again
//! run       all of it together, and what must hold at the end
//! report    the figures
//! picture   the same over time
//! ```

mod chaos;
mod counts;
mod log_file;
mod picture;
mod report;
mod run;
mod sample;
mod site;

#[path = "../bench/svg.rs"]
mod svg;
#[path = "../bench/table.rs"]
mod table;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use run::Run;

/// How long, and what happens.
pub struct Plan {
    pub length: Duration,
    pub seed: u64,
    /// How many calls begin in a second, at both Kamailios together.
    pub rate: usize,
}

impl Plan {
    /// From the variables `MINUTES`, `SEED` and `RATE`.
    fn of_environment() -> Plan {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
        };
        let fresh = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.expect("after 1970").as_secs()
        };
        Plan {
            length: Duration::from_secs(60 * number("MINUTES").unwrap_or(1)),
            seed: number("SEED").unwrap_or_else(fresh),
            rate: number("RATE").unwrap_or(300) as usize,
        }
    }
}

#[test]
fn no_answer_is_wrong_whatever_happens_to_the_servers() {
    let plan = Plan::of_environment();
    let minutes = plan.length.as_secs() / 60;
    println!(
        "make soak MINUTES={minutes} SEED={} RATE={}",
        plan.seed, plan.rate
    );
    let run = Run::make(&plan);
    let figures = report::figures(&plan, &run);
    println!("{figures}");
    if let Some(path) = std::env::var_os("MCT_SOAK") {
        std::fs::write(path, picture::draw(&plan, &run)).expect("the picture");
    }
    let complaints = run.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
