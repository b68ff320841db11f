//! Draws `fleet.svg` for doc/operating.md: 10 000 nodes whose only memcached is out of reach for a
//! minute, with and without back-off and jitter of the probes. The picture shows only measured numbers.
//! Prints the table of that page, and the same of 100 nodes with 100 servers.
//!
//! `cargo bench --bench fleet --profile simulation --no-default-features --features simulation`

mod at_once;
mod outage;
mod svg;

use std::time::Duration;

use at_once::STEP;
use outage::{Fleet, LENGTH, Outage};
use svg::Svg;

/// A way to probe, and how the picture shows it.
struct Way {
    name: &'static str,
    /// In milliseconds.
    retry_max: i32,
    /// The times between probes do not vary.
    in_step: bool,
    colour: &'static str,
    /// Of the name.
    width: f64,
}

const WAYS: [Way; 5] = [
    way("default", 0, false, "#0072b2", 100.0),
    way("retry_max 5 s", 5_000, false, "#009e73", 140.0),
    way("retry_max 30 s", 30_000, false, "#d55e00", 150.0),
    way("default, no jitter", 0, true, "#999999", 165.0),
    way("retry_max 30 s, no jitter", 30_000, true, "#e69f00", 215.0),
];

const fn way(
    name: &'static str,
    retry_max: i32,
    in_step: bool,
    colour: &'static str,
    width: f64,
) -> Way {
    Way {
        name,
        retry_max,
        in_step,
        colour,
        width,
    }
}

fn main() {
    // `cargo test --all-targets` runs this, too. A test must not change the picture.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    print("100 nodes, 100 servers", &live_through(100, 100));
    let many = live_through(10_000, 1);
    print("10 000 nodes, 1 server", &many);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/fleet.svg");
    std::fs::write(path, draw(&many)).unwrap_or_else(|e| panic!("{path}: {e}"));
}

/// An outage for each way, all at the same time.
fn live_through(nodes: usize, servers: usize) -> Vec<Outage> {
    let fleets = WAYS.map(|way| Fleet {
        nodes,
        servers,
        retry_max: way.retry_max,
        in_step: way.in_step,
    });
    std::thread::scope(|scope| {
        let start = |fleet| scope.spawn(move || Fleet::live_through(&fleet));
        let threads = fleets.map(start).into_iter();
        threads.map(|it| it.join().expect("no panic")).collect()
    })
}

/// Prints a table.
fn print(title: &str, outages: &[Outage]) {
    println!("| {title} {HEAD}");
    for (outage, way) in outages.iter().zip(WAYS) {
        println!("{}", row(outage, way.name));
    }
}

const HEAD: &str = "\
| probes a second | in the busiest 100 ms \
| connections and flushes in the busiest 100 ms of the return \
| half of the nodes use it again after | all after |
|---|---|---|---|---|---|";

fn row(outage: &Outage, name: &str) -> String {
    let Outage { counts, returns } = outage;
    let at = |time: Duration| (time.as_nanos() / STEP.as_nanos()) as usize;
    let (until, back) = counts.connections.split_at(at(LENGTH));
    let last = &until[at(LENGTH - LAST)..];
    let mean = f64::from(last.iter().sum::<u32>()) / LAST.as_secs_f64();
    let most = |steps: &[u32]| steps.iter().max().copied().unwrap_or(0);
    let flushes = most(&counts.flushes);
    let [half, all] = [returns.len() / 2, returns.len() - 1].map(|at| returns[at].as_secs_f64());
    format!(
        "| {name} | {mean:.0} | {} | {} and {flushes} | {half:.1} s | {all:.1} s |",
        most(last),
        most(back),
    )
}

/// The end of the outage, from which the number of probes is taken.
const LAST: Duration = Duration::from_secs(30);

const NOTE: &str = "The 10 000 connections of the first second are those of the calls that notice the \
                    outage.";

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 430.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 350.0;

fn draw(outages: &[Outage]) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.text(
        24.0,
        30.0,
        "title",
        "10 000 nodes, one memcached that is out of reach for a minute",
    );
    svg.text(24.0, HEIGHT - 14.0, "note", NOTE);
    let mut left = 70.0;
    for way in WAYS {
        let y = HEIGHT - 44.0;
        svg.line((left, y), (left + 18.0, y), way.colour, 4.0);
        svg.text(left + 24.0, y + 4.0, "label", way.name);
        left += way.width;
    }
    PROBES.frame(
        &mut svg,
        "Probes in the busiest 100 ms of each second of the outage",
    );
    RETURN.frame(
        &mut svg,
        "Nodes that use it again, seconds after its return",
    );
    for (outage, Way { colour, .. }) in outages.iter().zip(WAYS) {
        let seconds = outage
            .counts
            .connections
            .chunks(10)
            .take(LENGTH.as_secs() as usize);
        let most = seconds.map(|second| f64::from(*second.iter().max().unwrap_or(&0)));
        let points = most.enumerate().map(|(at, most)| (at as f64 + 0.5, most));
        PROBES.curve(&mut svg, points, colour);
        let count = outage.returns.len();
        let points = outage.returns.iter().enumerate().step_by(50);
        let points = points.map(|(at, time)| (time.as_secs_f64(), (at + 1) as f64));
        let last = (outage.returns[count - 1].as_secs_f64(), count as f64);
        RETURN.curve(&mut svg, points.chain([last]), colour);
    }
    svg.finish()
}

const PROBES: Panel = Panel {
    left: 70.0,
    width: 400.0,
    across: &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
    upward: &[10.0, 100.0, 1000.0, 10_000.0],
    height_of: |value| value.max(10.0).log10() - 1.0,
};

const RETURN: Panel = Panel {
    left: 550.0,
    width: 370.0,
    across: &[0.0, 10.0, 20.0, 30.0],
    upward: &[0.0, 2500.0, 5000.0, 7500.0, 10_000.0],
    height_of: |value| value / 3333.3,
};

/// A diagram.
struct Panel {
    left: f64,
    width: f64,
    /// From the lowest to the highest value shown, in seconds.
    across: &'static [f64],
    upward: &'static [f64],
    /// From 0 to 3.
    height_of: fn(f64) -> f64,
}

impl Panel {
    fn x(&self, value: f64) -> f64 {
        self.left + self.width * value / self.across[self.across.len() - 1]
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (self.height_of)(value) / 3.0
    }

    fn frame(&self, svg: &mut Svg, title: &str) {
        svg.text(self.left, TOP - 26.0, "head", title);
        for &tick in self.across {
            svg.text(self.x(tick), BOTTOM + 18.0, "tick", &format!("{tick} s"));
        }
        for &tick in self.upward {
            let y = self.y(tick);
            svg.line((self.left, y), (self.left + self.width, y), "#d8d8d8", 1.0);
            svg.text(self.left - 24.0, y + 4.0, "tick", &format!("{tick}"));
        }
    }

    fn curve(&self, svg: &mut Svg, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
        let points = points.map(|(x, y)| format!("{:.1} {:.1}", self.x(x), self.y(y)));
        let points = points.collect::<Vec<_>>().join("L");
        svg.add(format_args!(
            "<path d=\"M{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
    }
}
