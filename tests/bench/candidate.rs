//! A Kamailio with one of the modules, or without any, whose scripts run an operation
//! as often as asked and time it by the script's own clock.

use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Pid, Request};

use crate::operation::{self, Maker, Operation, UNROLLED};

/// The script with nothing in its loop.
pub const EMPTY: &str = "empty";

const BEGUN: &str = "$var(begun)";
const ENDED: &str = "$var(ended)";

/// A Kamailio under measurement, with one worker.
pub struct Candidate {
    kamailio: Kamailio,
    maker: Option<Maker>,
}

impl Candidate {
    /// With the module of `maker`, or with none. All processes stay on the processor
    /// that the caller is bound to.
    pub fn start(maker: Option<Maker>, memcached: &Memcached) -> Candidate {
        Candidate::below(&[], maker, memcached)
    }

    /// The same, run by another program such as valgrind.
    pub fn below(wrapper: &[&str], maker: Option<Maker>, memcached: &Memcached) -> Candidate {
        let builder = Kamailio::builder().global("max_while_loops=100000000");
        let builder = match maker {
            Some(Maker::Ours) => builder,
            Some(Maker::Stock) => builder.stock_module(),
            None => builder.without_module(),
        };
        let mut builder = builder.memcached(memcached).param("expire", 0);
        if !wrapper.is_empty() {
            builder = below(builder, wrapper);
        }
        for operation in operation::ALL {
            let preparation = operation.preparation();
            let bare = operation.bare_statement();
            builder = timed(builder, &operation.bare_name(), &preparation, &bare);
            // Without a module the configuration is of the same size.
            let statement = maker.map_or(bare, |_| operation.statement());
            builder = timed(builder, operation.name(), &preparation, &statement);
        }
        let kamailio = timed(builder, EMPTY, "", "").start();
        Candidate { kamailio, maker }
    }

    /// With our module and these scripts, each a name, what comes before the loop, and what is in it.
    pub fn with_scripts(
        wrapper: &[&str],
        builder: Builder,
        scripts: &[(&str, &str, &str)],
    ) -> Candidate {
        let builder = below(builder.global("max_while_loops=100000000"), wrapper);
        let builder = scripts
            .iter()
            .fold(builder, |builder, (name, preparation, statement)| {
                timed(builder, name, preparation, statement)
            });
        Candidate {
            kamailio: builder.start(),
            maker: Some(Maker::Ours),
        }
    }

    /// The process that serves the requests.
    pub fn worker(&self) -> Pid {
        self.kamailio.workers()[0]
    }

    /// Its module.
    pub fn maker(&self) -> Option<Maker> {
        self.maker
    }

    /// Runs the script of that name; every turn holds `UNROLLED` operations.
    pub fn run(&self, script: &str, turns: u32) -> Duration {
        let request = Request::options().header("X-N", turns.to_string());
        let answer = self.kamailio.run_with(script, request);
        let clock = |name: &str| -> Duration {
            let text = String::from_utf8_lossy(answer[name].bytes().unwrap_or_default());
            clock(&text).unwrap_or_else(|| self.kamailio.fail(&format!("{name} is {text:?}")))
        };
        clock(ENDED).saturating_sub(clock(BEGUN))
    }

    /// What one operation takes, in µs, less the loop and the assignment.
    pub fn time(&self, operation: Operation, turns: u32) -> f64 {
        let whole = self.run(operation.name(), turns);
        let bare = self.run(&operation.bare_name(), turns);
        (whole.as_secs_f64() - bare.as_secs_f64()) * 1e6 / f64::from(turns * UNROLLED)
    }

    /// Runs every operation once round and has memcached confirm what was done there:
    /// figures of operations that fail are worth nothing.
    pub fn verify(&self, memcached: &Memcached) {
        let Some(maker) = self.maker else { return };
        for operation in operation::ALL {
            let trips = operation.trips(maker);
            let counters = || trips.iter().map(|trip| memcached.stat(trip.counter));
            let before: Vec<u64> = counters().collect();
            self.run(operation.name(), 2);
            let grown: Vec<u64> = counters()
                .zip(before)
                .map(|(now, then)| now - then)
                .collect();
            let due = u64::from(2 * UNROLLED);
            if grown.iter().any(|&count| count != due) {
                let what = format!(
                    "{maker:?} {}: {trips:?} grew by {grown:?}",
                    operation.name()
                );
                self.kamailio.fail(&what);
            }
        }
    }
}

/// Run by another program. The plain allocator of the core takes the same steps every time; Debian's
/// default walks a list, which drowns the loop's few instructions.
fn below(builder: Builder, wrapper: &[&str]) -> Builder {
    builder.wrapper(wrapper).arg("-X").arg("fm")
}

fn timed(builder: Builder, name: &str, preparation: &str, statement: &str) -> Builder {
    builder.script(
        name,
        &operation::script(preparation, statement),
        &[BEGUN, ENDED],
    )
}

/// Reads `$TV(Sn)`: seconds, a dot, six digits of microseconds.
fn clock(text: &str) -> Option<Duration> {
    let (seconds, micros) = text.split_once('.')?;
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    Some(seconds + Duration::from_micros(micros.parse().ok()?))
}
