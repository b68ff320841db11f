//! Measures what one use of the cache costs: `make bench`.
//!
//! One run measures three programs on the same processor with the same memcached: our module in a
//! real Kamailio, the stock module in a real Kamailio, and a plain loop of send and receive. It
//! measures time over TCP and over a unix socket, user instructions, system calls and memory. The
//! table goes to standard output and to `bench/exchange.md` in the target folder. With `--quick`
//! everything is done, but in too few rounds for reliable times.

mod ahead;
mod calls;
mod candidate;
mod copies;
mod distance;
mod functions;
mod instructions;
mod memory;
mod near;
mod operation;
mod plain;
mod processor;
mod processors;
mod report;
mod rounds;
mod run;
#[cfg(feature = "tls")]
mod sealed;
mod servers;
mod table;
#[cfg(feature = "compression")]
mod values;

use std::time::{Duration, Instant};
use std::{env, io};

use support::Memcached;

use calls::Counter;
use operation::Maker;
use report::Report;
use rounds::Field;

/// How much is measured.
struct Extent {
    rounds: usize,
    /// The number of turns of a timed loop. Each turn has ten operations.
    turns: u32,
    /// The same for loops under valgrind and strace.
    counted_turns: u32,
    limit: Duration,
}

const FULL: Extent = Extent {
    rounds: 101,
    turns: 30,
    counted_turns: 20,
    limit: Duration::from_secs(900),
};
const QUICK: Extent = Extent {
    rounds: 3,
    turns: 10,
    counted_turns: 5,
    limit: Duration::from_secs(120),
};

fn main() -> io::Result<()> {
    if servers::hash_only() {
        return Ok(());
    }
    let quick = env::args().any(|arg| arg == "--quick");
    let extent = if quick { QUICK } else { FULL };
    let processor = processor::bind()?;
    run::end_after(extent.limit);

    let with_ours = run::has_module();
    let begun = Instant::now();
    let tell = |what: &str| eprintln!("{:5.1} s  {what}", begun.elapsed().as_secs_f64());
    let mut report = Report::new(processor, quick);

    tell("time over TCP");
    let tcp = Field::start(Memcached::start(), with_ours);
    report.times("TCP", &tcp.measure(extent.rounds, extent.turns)?);
    tell("memory");
    let memory = |maker| memory::mean(maker, &tcp.memcached, extent.turns);
    let ours = with_ours.then(|| memory(Some(Maker::Ours)));
    report.memory(memory(None), ours, memory(Some(Maker::Stock)));
    tell("system calls");
    let counter = Counter::available();
    let makers = || tcp.ours.iter().chain([&tcp.stock]);
    let counted = makers().map(|candidate| {
        let maker = candidate.maker().expect("one with a module");
        (maker, counter.count(candidate, extent.counted_turns))
    });
    report.calls(counter, &counted.collect::<Vec<_>>());
    drop(tcp);

    tell("time over a unix socket");
    let unix = Field::start(Memcached::unix(), with_ours);
    report.times("unix", &unix.measure(extent.rounds, extent.turns)?);
    drop(unix);

    tell("user instructions");
    let memcached = Memcached::start();
    let makers = [Maker::Ours, Maker::Stock].into_iter();
    let makers = makers.filter(|&maker| with_ours || maker == Maker::Stock);
    let counted = makers.map(|maker| {
        (
            maker,
            instructions::count(maker, &memcached, extent.counted_turns),
        )
    });
    report.instructions(&counted.collect::<Vec<_>>());
    if with_ours {
        tell("user instructions with ten servers");
        report.servers(&servers::count(extent.counted_turns));
        tell("functions beside variables");
        let (rounds, turns) = (extent.rounds, extent.turns);
        report.functions(&functions::measure(rounds, turns, extent.counted_turns));
        tell("near cache");
        report.near(&near::measure(rounds, turns, extent.counted_turns));
        tell("answers that nobody waits for");
        report.ahead(&ahead::measure(rounds, turns));
        tell("copies");
        report.copies(&copies::measure(rounds, turns, extent.counted_turns));
        #[cfg(feature = "tls")]
        {
            tell("TLS");
            report.sealed(&sealed::measure(rounds, turns), &sealed::memory(5));
        }
        #[cfg(feature = "compression")]
        {
            tell("compressed and large values");
            report.values(&values::measure(rounds, turns));
        }
    }
    tell("done");

    run::publish("exchange.md", &report.finish())
}
