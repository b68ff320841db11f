//! Compares functions of the script with the variables that do the same, in one Kamailio: user
//! instructions, and time over TCP.

use support::{Kamailio, Memcached};

use crate::candidate::Candidate;
use crate::instructions::Callgrind;
use crate::operation::{Operation, UNROLLED};
use crate::rounds::paired;

/// A function beside its variable.
pub struct Pair {
    pub name: &'static str,
    /// Instructions of the variable's operation, and of the function's, with their share of the loop.
    pub instructions: [f64; 2],
    /// The time of the function's, by the time of the variable's.
    pub time: f64,
}

/// Name, statement with the variable, statement with the function.
const PAIRS: [(&str, &str, &str); 3] = [
    (
        "get",
        "$var(x) = $mct(get-16);",
        "mct_get(\"get-16\", \"$var(x)\");",
    ),
    (
        "set",
        "$mct(set-16) = \"0123456789abcdef\";",
        "mct_set(\"set-16\", \"0123456789abcdef\");",
    ),
    (
        "inc",
        "$mcinc(inc) = 1;",
        "mct_inc(\"inc\", 1, \"$var(x)\", 1, 60);",
    ),
];

/// Measures all pairs.
pub fn measure(rounds: usize, turns: u32, counted_turns: u32) -> Vec<Pair> {
    let memcached = Memcached::start();
    for operation in [Operation::Get16, Operation::Inc] {
        operation.store(&memcached);
    }
    let names: Vec<[String; 2]> = PAIRS
        .map(|(name, ..)| ["variable", "function"].map(|kind| format!("{kind}-{name}")))
        .into();
    let statements = PAIRS.map(|(_, variable, function)| [variable, function]);
    let scripts: Vec<(&str, &str, &str)> = names
        .iter()
        .flatten()
        .zip(statements.as_flattened())
        .map(|(name, statement)| (&**name, "", *statement))
        .collect();
    let builder = || Kamailio::on(&memcached);
    let timed = Candidate::with_scripts(&[], builder(), &scripts);
    let counted = Callgrind::around(|words| Candidate::with_scripts(words, builder(), &scripts));
    let measure = |at: usize| {
        let instructions = names[at].each_ref().map(|script| {
            counted.candidate().run(script, 1);
            let whole: f64 = counted.turn(script, counted_turns).values().sum();
            whole / f64::from(UNROLLED)
        });
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for place in 0..2 {
                let which = (round + place) % 2;
                let time = timed.run(&names[at][which], turns);
                times[which].push(time.as_secs_f64());
            }
        }
        let [variable, function] = &times;
        let time = paired(function, variable, |function, variable| function / variable);
        Pair {
            name: PAIRS[at].0,
            instructions,
            time: time.expect("a round at least"),
        }
    };
    (0..PAIRS.len()).map(measure).collect()
}
