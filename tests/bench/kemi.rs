//! Measures what a read costs in a KEMI script: `KSR.memcached.get(key)` and
//! `KSR.pv.get("$mct(key)")` in Lua, with the same keys, which the script makes: `make bench`.
//!
//! Both run in turns in one worker, so what slows the machine down slows both down. With `--quick` there
//! are too few rounds for reliable times.

mod processor;
mod run;
mod table;

use std::time::Duration;
use std::{env, io};

use support::{Kamailio, Memcached, Scratch};

use table::{Table, number};

/// One call of a function reads this many items. Few keys: Kamailio keeps each name of a variable.
const READS: u32 = 1000;
const KEYS: u32 = 100;

const SCRIPT: &str = r#"
function functions()
    for i = 1, READS do local value = KSR.memcached.get("item:" .. i % KEYS) end
end
function variables()
    for i = 1, READS do local value = KSR.pv.get("$mct(item:" .. i % KEYS .. ")") end
end
"#;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // `cargo test --all-targets` starts benches, too. Then nothing is measured.
    if !has("--bench") || !run::has_module() {
        return Ok(());
    }
    processor::bind()?;
    run::end_after(Duration::from_secs(300));
    let memcached = Memcached::start();
    for key in 0..KEYS {
        memcached.put(format!("item:{key}"), 1, 0, "0123456789abcdef");
    }
    let scratch = Scratch::new();
    let script = SCRIPT
        .replace("READS", &READS.to_string())
        .replace("KEYS", &KEYS.to_string());
    let file = scratch.write("script.lua", script);
    let timed = |function: &str| {
        format!("$var(begun) = $TV(Sn); lua_run(\"{function}\"); $var(ended) = $TV(Sn);")
    };
    let clock = ["$var(begun)", "$var(ended)", "$mcst"];
    let kamailio = Kamailio::on(&memcached)
        .module("app_lua")
        .param_of("app_lua", "load", file.display().to_string())
        .script("functions", &timed("functions"), &clock)
        .script("variables", &timed("variables"), &clock)
        .start();
    let rounds = if has("--quick") { 5 } else { 201 };
    let (mut functions, mut variables, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut times = [0.0; 2];
        let first = round % 2;
        for which in [first, 1 - first] {
            times[which] = time(&kamailio, ["functions", "variables"][which]);
        }
        functions.push(times[0]);
        variables.push(times[1]);
        ratios.push(times[0] / times[1]);
    }
    let mut table = Table::new(&["a read in Lua", "µs", "times `KSR.pv.get`"]);
    let mut row = |name: &str, time: f64, ratio: f64| {
        table.row(vec![
            name.into(),
            number(Some(time), 2),
            number(Some(ratio), 3),
        ]);
    };
    row(
        "`KSR.memcached.get(key)`",
        median(functions),
        median(ratios),
    );
    row("`KSR.pv.get(\"$mct(key)\")`", median(variables), 1.0);
    run::publish("kemi.md", &table.to_string())
}

/// The time of one read in µs.
fn time(kamailio: &Kamailio, script: &str) -> f64 {
    let answer = kamailio.run(script);
    assert_eq!(answer["$mcst"], "hit");
    let clock = |name: &str| -> f64 {
        let text = String::from_utf8_lossy(answer[name].bytes().unwrap_or_default());
        // The seconds would leave no room for the fractions.
        let (seconds, fraction) = text.split_once('.').expect("seconds and a fraction");
        let [seconds, micros] =
            [seconds, fraction].map(|digits| digits.parse::<u64>().expect("digits"));
        (seconds % 1_000_000 * 1_000_000 + micros) as f64
    };
    (clock("$var(ended)") - clock("$var(begun)")) / f64::from(READS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
