//! `Candidate` is a Kamailio with one of the modules, or with no module. Its scripts run an
//! operation as often as requested, and measure the time with the script's own clock.

use std::time::Duration;

use support::{Answer, Builder, Kamailio, Memcached, Pid, Request};

use crate::operation::{self, Maker, Operation, UNROLLED};
use crate::processors;

/// The script whose loop is empty.
pub const EMPTY: &str = "empty";

const BEGUN: &str = "$var(begun)";
const ENDED: &str = "$var(ended)";

/// A Kamailio that is measured. It has one worker.
pub struct Candidate {
    kamailio: Kamailio,
    maker: Option<Maker>,
}

impl Candidate {
    /// Starts a Kamailio with the module of `maker`, or with no module. All its processes use the
    /// processor that the caller is bound to.
    pub fn start(maker: Option<Maker>, memcached: &Memcached) -> Candidate {
        Candidate::below(&[], maker, memcached)
    }

    /// The same, started by another program such as valgrind.
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
            // Without a module, the configuration must have the same size.
            let statement = maker.map_or(bare, |_| operation.statement());
            builder = timed(builder, operation.name(), &preparation, &statement);
        }
        let kamailio = timed(builder, EMPTY, "", "").start();
        Candidate { kamailio, maker }
    }

    /// Starts a Kamailio with our module and these scripts. Each script is its name, the statements
    /// before the loop, and the statement in it.
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

    /// The process that handles the requests.
    pub fn worker(&self) -> Pid {
        self.kamailio.workers()[0]
    }

    /// The module that it has.
    pub fn maker(&self) -> Option<Maker> {
        self.maker
    }

    /// Runs the script of that name. If it has a loop, each turn has `UNROLLED` operations.
    pub fn run(&self, script: &str, turns: u32) -> Duration {
        let request = Request::options().header("X-N", turns.to_string());
        self.time_of(&self.kamailio.run_with(script, request))
    }

    fn time_of(&self, answer: &Answer) -> Duration {
        let clock = |name: &str| -> Duration {
            let text = String::from_utf8_lossy(answer[name].bytes().unwrap_or_default());
            clock(&text).unwrap_or_else(|| self.kamailio.fail(&format!("{name} is {text:?}")))
        };
        clock(ENDED).saturating_sub(clock(BEGUN))
    }

    /// Binds each worker to a processor of its own, and runs the script in all of them at the same time. Returns how
    /// long it took in each.
    pub fn run_in_all(&self, script: &str, turns: u32, processors: &[usize]) -> Vec<Duration> {
        let workers = self.kamailio.workers();
        for (&worker, &processor) in workers.iter().zip(processors) {
            processors::bind_other(worker, processor).expect("a process of ours");
        }
        let request = Request::options().header("X-N", turns.to_string());
        let answers = self.kamailio.run_at_once(script, workers.len(), &request);
        answers.iter().map(|answer| self.time_of(answer)).collect()
    }

    /// The time of one operation in µs, without the loop and the assignment.
    pub fn time(&self, operation: Operation, turns: u32) -> f64 {
        let whole = self.run(operation.name(), turns);
        let bare = self.run(&operation.bare_name(), turns);
        (whole.as_secs_f64() - bare.as_secs_f64()) * 1e6 / f64::from(turns * UNROLLED)
    }

    /// Runs every operation for one turn and checks in memcached that it was done. The time of an
    /// operation that fails means nothing.
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

/// Lets another program start it. The core's plain allocator takes the same number of steps each
/// time. Debian's default walks along a list, which takes far more instructions than the loop.
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

/// Adds a script with one `statement`, which is measured, after `preparation`.
pub fn once(builder: Builder, name: &str, preparation: &str, statement: &str) -> Builder {
    let text = format!("{preparation}\n{BEGUN} = $TV(Sn);\n{statement}\n{ENDED} = $TV(Sn);");
    builder.script(name, &text, &[BEGUN, ENDED])
}

/// Reads `$TV(Sn)`: seconds, a dot, and microseconds in six digits.
fn clock(text: &str) -> Option<Duration> {
    let (seconds, micros) = text.split_once('.')?;
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    Some(seconds + Duration::from_micros(micros.parse().ok()?))
}
