//! Draws `balance.svg` for doc/placement.md: for each distribution, the share of each server in a
//! million keys, and the keys that move when a server joins or leaves. The picture shows only
//! measured numbers.

mod measure;
mod svg;

use kamailio_memcached::internals::Distribution;
use measure::Measurement;
use svg::Svg;

const KEYS: usize = 1_000_000;

/// The sizes of the pools and their colours. Colour-blind readers can tell them apart.
const POOLS: [(usize, &str); 3] = [(3, "#0072b2"), (10, "#d55e00"), (100, "#595959")];

const WIDTH: f64 = 960.0;
const TOP: f64 = 92.0;
const ROW: f64 = 50.0;
/// The distance between the lines of two pool sizes.
const LINE: f64 = 14.0;

fn main() {
    // `cargo test --all-targets` runs this, too. A test must not change the picture.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/balance.svg");
    std::fs::write(path, draw()).unwrap_or_else(|e| panic!("{path}: {e}"));
    println!("{path} is drawn from {KEYS} keys");
}

fn draw() -> String {
    let bottom = TOP + ROW * Distribution::ALL.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 60.0);
    svg.text(24.0, 30.0, "title", "Balance and stability, 1 000 000 keys");
    svg.text(24.0, bottom + 46.0, "note", NOTE);
    for (i, (servers, colour)) in POOLS.iter().enumerate() {
        let left = 560.0 + 120.0 * i as f64;
        svg.line((left, 25.0), (left + 18.0, 25.0), colour, 4.0);
        svg.text(left + 24.0, 30.0, "label", &format!("{servers} servers"));
    }
    for panel in [&SHARES, &JOINING, &LEAVING] {
        panel.frame(&mut svg, bottom);
    }

    for (row, distribution) in Distribution::ALL.into_iter().enumerate() {
        let top = TOP + ROW * row as f64;
        svg.text(24.0, top + 28.0, "label", distribution.name());
        let measurement = Measurement::new(distribution, KEYS);
        for (i, &(servers, colour)) in POOLS.iter().enumerate() {
            let y = top + 10.0 + LINE * i as f64;
            let (joining, leaving) = (
                measurement.moved_by_joining(servers),
                measurement.moved_by_leaving(servers),
            );
            SHARES.dots(&mut svg, y, &measurement.shares(servers), colour);
            JOINING.bar(&mut svg, y, joining, 1.0 / (servers + 1) as f64, colour);
            LEAVING.bar(&mut svg, y, leaving, 1.0 / servers as f64, colour);
        }
    }
    svg.finish()
}

const NOTE: &str = "A dot is a server. A black mark is the fair share of the server that joins or \
                    leaves: at best just those keys move.";

const SHARES: Panel = Panel {
    title: "Keys of each server, 1 = fair share",
    left: 175.0,
    width: 355.0,
    ticks: &[0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3],
    tick_name: |tick| format!("{tick:.1}"),
};

const JOINING: Panel = Panel {
    title: "Keys moved: one joins",
    left: 570.0,
    width: 150.0,
    ticks: &[0.0, 0.5, 1.0],
    tick_name: |tick| format!("{:.0} %", tick * 100.0),
};

const LEAVING: Panel = Panel {
    title: "Keys moved: one leaves",
    left: 770.0,
    ..JOINING
};

/// A part of the picture that has its own horizontal scale.
struct Panel {
    title: &'static str,
    left: f64,
    width: f64,
    /// From the lowest to the highest value shown.
    ticks: &'static [f64],
    tick_name: fn(f64) -> String,
}

impl Panel {
    fn x(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        let part = (value - low) / (high - low);
        assert!(
            (0.0..=1.0).contains(&part),
            "{value} lies outside of the picture"
        );
        self.left + self.width * part
    }

    fn frame(&self, svg: &mut Svg, bottom: f64) {
        svg.text(self.left, TOP - 26.0, "head", self.title);
        for &tick in self.ticks {
            let x = self.x(tick);
            svg.line((x, TOP - 8.0), (x, bottom), "#d8d8d8", 1.0);
            svg.text(x, bottom + 18.0, "tick", &(self.tick_name)(tick));
        }
    }

    fn dots(&self, svg: &mut Svg, y: f64, shares: &[f64], colour: &str) {
        let (least, most) = (shares[0], shares[shares.len() - 1]);
        svg.line((self.x(least), y), (self.x(most), y), colour, 1.0);
        for &share in shares {
            svg.add(format_args!(
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{colour}\" fill-opacity=\".55\"/>",
                self.x(share)
            ));
        }
    }

    fn bar(&self, svg: &mut Svg, y: f64, moved: f64, least: f64, colour: &str) {
        svg.line((self.left, y), (self.x(moved), y), colour, 8.0);
        svg.line(
            (self.x(least), y - 6.0),
            (self.x(least), y + 6.0),
            "#000000",
            1.5,
        );
        let end = self.x(moved.max(least));
        // A long bar has its number inside.
        let (x, class) = if moved > 0.6 {
            (end - 4.0, "inside")
        } else {
            (end + 5.0, "value")
        };
        svg.text(x, y + 3.5, class, &format!("{:.1} %", moved * 100.0));
    }
}
