//! Measures what the parameter `spin` saves and costs: `make bench-spin`.
//!
//! A worker and memcached are on the same processor or on two, alone or beside a busy process on each
//! processor, over TCP and over a unix socket. Our module with several values of `spin`, and the stock
//! module, do the same reads in turns. The script notes how long each read took; the kernel tells
//! how long the worker had a processor. The table goes to standard output and to `bench/spin.md` in
//! the target folder.

mod run;
mod table;

use std::process::{Child, Command};
use std::time::Duration;
use std::{env, fs, io, thread};

use support::{Kamailio, Memcached, Pid, Request};

use table::{Table, number};

/// How many reads a script does.
const READS: usize = 200;

/// The values of `spin`, and the stock module.
const CANDIDATES: [Option<i64>; 5] = [Some(0), Some(20), Some(50), Some(200), None];

/// `$TV(un)` has the microseconds that belong to the seconds of the last `$TV(sn)`.
const SCRIPT: &str = "
    $var(i) = 0;
    $var(took) = \"\";
    while ($var(i) < READS) {
        $var(s) = $TV(sn);
        $var(u) = $TV(un);
        $var(x) = $mct(k);
        $var(t) = ($TV(sn) - $var(s)) * 1000000;
        $var(t) = $var(t) + $TV(un) - $var(u);
        $var(took) = $var(took) + $var(t) + \" \";
        $var(i) = $var(i) + 1;
    }";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // `cargo test --all-targets` starts benches, too. Then nothing is measured.
    if !has("--bench") || !run::has_module() {
        return Ok(());
    }
    run::end_after(Duration::from_secs(900));
    let processors = thread::available_parallelism()?.get();
    let last = processors - 1;
    let rounds = if has("--quick") { 5 } else { 101 };
    let mut table = Table::new(&[
        "where",
        "spin",
        "mean, µs",
        "median",
        "99 %",
        "processor time of a read, µs",
    ]);
    for (transport, memcached) in [("TCP", Memcached::start()), ("unix", Memcached::unix())] {
        memcached.put("k", 1, 0, "0123456789abcdef");
        let all: Vec<Measured> = CANDIDATES
            .iter()
            .map(|spin| Measured::start(&memcached, *spin))
            .collect();
        for candidate in &all {
            bind(candidate.worker(), last)?;
        }
        // Alone first: after a busy time the module pauses with spinning for a while.
        for (busy, state) in [(false, "alone"), (true, "busy")] {
            let _busy = busy.then(|| Busy::on(processors)).transpose()?;
            for (place, server) in [("one processor", last), ("two processors", 0)] {
                bind(memcached.pid(), server)?;
                eprintln!("{transport}, {place}, {state}");
                let mut samples: Vec<Samples> = all.iter().map(|_| Samples::default()).collect();
                // Once without counting, so that each connection knows its server.
                for candidate in &all {
                    candidate.reads();
                }
                for _ in 0..rounds {
                    for (candidate, samples) in all.iter().zip(&mut samples) {
                        samples.add(candidate);
                    }
                }
                for (candidate, samples) in CANDIDATES.iter().zip(samples) {
                    let spin = candidate.map_or("stock module".into(), |spin| spin.to_string());
                    let [mean, median, high, processor] = samples.figures();
                    table.row(vec![
                        format!("{transport}, {place}, {state}"),
                        spin,
                        number(Some(mean), 1),
                        number(Some(median), 0),
                        number(Some(high), 0),
                        number(Some(processor), 1),
                    ]);
                }
            }
        }
    }
    run::publish(
        "spin.md",
        &format!("# What `spin` saves and costs\n\n{table}"),
    )
}

/// Binds all threads of a process to one processor.
fn bind(process: Pid, processor: usize) -> io::Result<()> {
    let arguments = ["-acp", &processor.to_string(), &process.to_string()];
    let bound = Command::new("taskset").args(arguments).output()?;
    match bound.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&bound.stderr).into_owned(),
        )),
    }
}

/// A Kamailio with one worker.
struct Measured(Kamailio);

impl Measured {
    /// With this value of `spin`, or with the stock module.
    fn start(memcached: &Memcached, spin: Option<i64>) -> Measured {
        let builder = Kamailio::builder()
            .memcached(memcached)
            .global("max_while_loops=1000");
        let builder = match spin {
            Some(spin) => builder.param("spin", spin),
            None => builder.stock_module(),
        };
        let script = SCRIPT.replace("READS", &READS.to_string());
        Measured(
            builder
                .script("reads", &script, &["$var(took)", "$var(x)"])
                .start(),
        )
    }

    fn worker(&self) -> Pid {
        self.0.workers()[0]
    }

    /// Reads, and returns how many microseconds each read took.
    fn reads(&self) -> Vec<f64> {
        let request = Request::options().wait_limit(Duration::from_secs(60));
        let answer = self.0.run_with("reads", request);
        assert_eq!(answer["$var(x)"], "0123456789abcdef");
        let text = String::from_utf8_lossy(answer["$var(took)"].bytes().unwrap_or_default());
        let took: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(took.len(), READS);
        took
    }

    /// For how long its worker has had a processor, in µs.
    fn processor_time(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.worker()));
        let nanos = text
            .ok()
            .and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        nanos.expect("the kernel's account") / 1000.0
    }
}

#[derive(Default)]
struct Samples {
    reads: Vec<f64>,
    processor: f64,
}

impl Samples {
    fn add(&mut self, candidate: &Measured) {
        let before = candidate.processor_time();
        self.reads.extend(candidate.reads());
        self.processor += candidate.processor_time() - before;
    }

    /// Mean, median and 99th percentile of a read, and the processor time for each.
    fn figures(mut self) -> [f64; 4] {
        self.reads.sort_by(f64::total_cmp);
        let count = self.reads.len();
        let mean = self.reads.iter().sum::<f64>() / count as f64;
        [
            mean,
            self.reads[count / 2],
            self.reads[count * 99 / 100],
            self.processor / count as f64,
        ]
    }
}

/// A process on each processor that does nothing but use it.
struct Busy(Vec<Child>);

impl Busy {
    fn on(processors: usize) -> io::Result<Busy> {
        let mut busy = Busy(Vec::new());
        for processor in 0..processors {
            let loops = [
                "-c",
                &processor.to_string(),
                "sh",
                "-c",
                "while :; do :; done",
            ];
            busy.0.push(Command::new("taskset").args(loops).spawn()?);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
