//! Compares a read that the near cache answers with a read of `$sht` in one Kamailio: user instructions,
//! and time.

use support::{Kamailio, Memcached};

use crate::candidate::{Candidate, EMPTY};
use crate::instructions::Callgrind;
use crate::operation::{Operation, UNROLLED};
use crate::processors;
use crate::rounds::paired;

/// A near hit beside `$sht`.
pub struct Near {
    /// Instructions of both.
    pub instructions: [f64; 2],
    /// The time of both, in µs.
    pub times: [f64; 2],
    /// The time of the near hit, by the time of `$sht`.
    pub ratio: f64,
    /// How many workers read one key at the same time, each on a processor of its own, and how many reads they make
    /// together, by those of one alone; `None` with one processor.
    pub together: Option<(usize, f64)>,
}

/// At most so many workers read one key at the same time.
const MOST_WORKERS: usize = 8;

const FILL: &str = "$sht(t=>get-16) = \"0123456789abcdef\"; $var(x) = $mct(get-16);";

const READS: [&str; 2] = ["near", "htable"];

const SCRIPTS: [(&str, &str, &str); 3] = [
    (READS[0], FILL, "$var(x) = $mct(get-16);"),
    (READS[1], FILL, "$var(x) = $sht(t=>get-16);"),
    (EMPTY, FILL, ""),
];

/// Measures both.
pub fn measure(rounds: usize, turns: u32, counted_turns: u32) -> Near {
    let memcached = Memcached::start();
    Operation::Get16.store(&memcached);
    let builder = || {
        Kamailio::on(&memcached)
            .param("near_size", 1000)
            .param("near_expire", 3_600_000)
            .module("htable")
            .param_of("htable", "htable", "t=>size=8;")
    };
    let timed = Candidate::with_scripts(&[], builder(), &SCRIPTS);
    let counted = Callgrind::around(|words| Candidate::with_scripts(words, builder(), &SCRIPTS));
    let count = |script| {
        counted.candidate().run(script, 1);
        counted.turn(script, counted_turns).values().sum::<f64>() / f64::from(UNROLLED)
    };
    let empty = count(EMPTY);
    let instructions = READS.map(|script| count(script) - empty);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for place in 0..2 {
            let which = (round + place) % 2;
            let time = timed.run(READS[which], turns);
            times[which].push(time.as_secs_f64() * 1e6 / f64::from(turns * UNROLLED));
        }
    }
    let [near, htable] = &times;
    let ratio = paired(near, htable, |near, htable| near / htable).expect("a round at least");
    let processors = processors::all().expect("those of this machine");
    let workers = processors.len().min(MOST_WORKERS);
    let together = (workers > 1).then(|| {
        let builder = builder().children(workers);
        let candidate = Candidate::with_scripts(&[], builder, &SCRIPTS[..1]);
        let rate = |processors: &[usize]| -> f64 {
            let times = candidate.run_in_all(READS[0], turns, processors);
            times.iter().map(|time| 1.0 / time.as_secs_f64()).sum()
        };
        let rounds = 0..rounds;
        let (all, one): (Vec<f64>, Vec<f64>) = rounds
            .map(|_| {
                (
                    rate(&processors),
                    1.0 / timed.run(READS[0], turns).as_secs_f64(),
                )
            })
            .unzip();
        let ratio = paired(&all, &one, |all, one| all / one).expect("a round at least");
        (workers, ratio)
    });
    Near {
        together,
        instructions,
        times: times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        }),
        ratio,
    }
}
