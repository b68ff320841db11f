//! Measures what the parameter `spin` saves and costs: `make bench-spin`.
//!
//! A worker and memcached are on the same processor or on two, alone or beside a busy process on each
//! processor, over TCP and over a unix socket. Our module with several values of `spin`, the stock
//! module, and two bare loops do the same reads in turns. The script notes how long each read took; the kernel tells
//! how long the worker had a processor. The table goes to standard output and to `bench/spin.md` in
//! the target folder.

mod bare;
mod processor;
mod run;
mod table;

use std::process::{Child, Command};
use std::time::Duration;
use std::{env, fmt, fs, io, thread};

use support::{Kamailio, Memcached, Pid, Request};

use bare::{Bare, Way};
use table::{Table, number};

/// How many reads a script does.
const READS: usize = 200;

/// Who reads.
#[derive(Debug, Clone, Copy)]
enum Candidate {
    /// Our module, with this value of `spin`.
    Spin(i64),
    Stock,
    /// No module and no script.
    Bare(Way),
}

const CANDIDATES: [Candidate; 7] = [
    Candidate::Spin(0),
    Candidate::Spin(20),
    Candidate::Spin(50),
    Candidate::Spin(200),
    Candidate::Stock,
    Candidate::Bare(Way::Sleeps),
    Candidate::Bare(Way::AsksAgain),
];

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spin(limit) => limit.fmt(f),
            Self::Stock => f.write_str("stock module"),
            Self::Bare(Way::Sleeps) => f.write_str("bare loop that sleeps"),
            Self::Bare(Way::AsksAgain) => f.write_str("bare loop that asks again"),
        }
    }
}

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
        "spin, or else",
        "mean, µs",
        "median",
        "99 %",
        "processor time of a read, µs",
    ]);
    for (transport, memcached) in [("TCP", Memcached::start()), ("unix", Memcached::unix())] {
        memcached.put("k", 1, 0, "0123456789abcdef");
        let all: io::Result<Vec<_>> = CANDIDATES
            .iter()
            .map(|candidate| candidate.start(&memcached, last))
            .collect();
        let all = all?;
        // Alone first: after a busy time the module pauses with spinning for a while.
        for (busy, state) in [(false, "alone"), (true, "busy")] {
            let _busy = busy.then(|| Busy::on(processors)).transpose()?;
            for (place, server) in [("one processor", last), ("two processors", 0)] {
                bind(memcached.pid(), server)?;
                eprintln!("{transport}, {place}, {state}");
                let mut samples: Vec<Samples> = all.iter().map(|_| Samples::default()).collect();
                // Once without counting, so that each connection knows its server.
                for reader in &all {
                    reader.reads()?;
                }
                for _ in 0..rounds {
                    for (reader, samples) in all.iter().zip(&mut samples) {
                        samples.add(reader.reads()?);
                    }
                }
                for (candidate, samples) in CANDIDATES.iter().zip(samples) {
                    let [mean, median, high, processor] = samples.figures();
                    table.row(vec![
                        format!("{transport}, {place}, {state}"),
                        candidate.to_string(),
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

/// How many microseconds each of [`READS`] reads took, and for how many the reader has had a processor in all.
type Reads = (Vec<f64>, f64);

/// Reads the item again and again.
trait Reader {
    fn reads(&self) -> io::Result<Reads>;
}

impl Candidate {
    /// Starts it on this processor.
    fn start(self, memcached: &Memcached, processor: usize) -> io::Result<Box<dyn Reader>> {
        let builder = Kamailio::builder()
            .memcached(memcached)
            .global("max_while_loops=1000");
        let builder = match self {
            Self::Spin(limit) => builder.param("spin", limit),
            Self::Stock => builder.stock_module(),
            Self::Bare(way) => {
                return Ok(Box::new(Bare::connect(memcached.address(), way)?));
            }
        };
        let script = SCRIPT.replace("READS", &READS.to_string());
        let builder = builder.script("reads", &script, &["$var(took)", "$var(x)"]);
        let worker = Worker(builder.start());
        bind(worker.process(), processor)?;
        Ok(Box::new(worker))
    }
}

/// A Kamailio with one worker.
struct Worker(Kamailio);

impl Worker {
    fn process(&self) -> Pid {
        self.0.workers()[0]
    }
}

impl Reader for Worker {
    fn reads(&self) -> io::Result<Reads> {
        let account = format!("/proc/{}/schedstat", self.process());
        let before = processor_time(&account)?;
        let request = Request::options().wait_limit(Duration::from_secs(60));
        let answer = self.0.run_with("reads", request);
        assert_eq!(answer["$var(x)"], "0123456789abcdef");
        let text = String::from_utf8_lossy(answer["$var(took)"].bytes().unwrap_or_default());
        let took: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(took.len(), READS);
        Ok((took, processor_time(&account)? - before))
    }
}

/// For how many microseconds a thread has had a processor, in the kernel's account of it.
fn processor_time(account: &str) -> io::Result<f64> {
    let text = fs::read_to_string(account)?;
    let nanos = text.split(' ').next().map(str::parse::<f64>);
    let nanos = nanos.ok_or(io::ErrorKind::InvalidData)?;
    Ok(nanos.map_err(io::Error::other)? / 1000.0)
}

#[derive(Default)]
struct Samples {
    reads: Vec<f64>,
    processor: f64,
}

impl Samples {
    fn add(&mut self, (reads, processor): Reads) {
        self.reads.extend(reads);
        self.processor += processor;
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
