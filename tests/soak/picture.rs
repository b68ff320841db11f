//! A picture of a run: one curve below the other over the same time, and what happened when.

use std::time::Duration;

use crate::Plan;
use crate::chaos::KINDS;
use crate::run::{Node, Run};
use crate::sample::Sample;
use crate::svg::Svg;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 940.0;
/// The height of a curve, and from one to the next.
const CURVE: f64 = 56.0;
const STEP: f64 = 84.0;
/// The height of a row of events.
const ROW: f64 = 15.0;
const COLOURS: [&str; 2] = ["#1b6ca8", "#d1495b"];

/// Points of a node over time, in seconds.
type Points = Vec<(f64, f64)>;

/// A curve: its name, its unit, and what it shows of a node.
type Curve = (&'static str, fn(&Node) -> Points);

const CURVES: [Curve; 9] = [
    ("calls a second", calls),
    ("requests sent again a second", again),
    ("mean response, ms", response),
    ("operations not done a second", failures),
    ("servers in service", active),
    ("most memory of a process, MiB", memory),
    ("most descriptors of a process", descriptors),
    ("shared memory in use, MiB", shared),
    ("lines of log a minute", lines),
];

pub fn draw(plan: &Plan, run: &Run) -> String {
    let events = 60.0 + ROW * KINDS.len() as f64;
    let height = events + 30.0 + STEP * CURVES.len() as f64 + 40.0;
    let mut svg = Svg::new(WIDTH, height);
    let length = plan.length.as_secs_f64();
    let calls = run.nodes.iter().map(|node| node.calls.successful);
    let title = format!(
        "A soak: {:.0} calls a second at two Kamailios while this happens to three memcacheds",
        calls.sum::<u64>() as f64 / length
    );
    svg.text(24.0, 28.0, "title", &title);
    for (at, colour) in COLOURS.iter().enumerate() {
        let left = LEFT + 100.0 * at as f64;
        svg.line(
            (left, height - 30.0),
            (left + 20.0, height - 30.0),
            colour,
            3.0,
        );
        svg.text(
            left + 26.0,
            height - 26.0,
            "note",
            &format!("node {}", at + 1),
        );
    }
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * (seconds / length).min(1.0);
    for (kind, name) in KINDS.iter().enumerate() {
        let top = 50.0 + ROW * kind as f64;
        svg.text(24.0, top + 10.0, "label", name);
        svg.line((LEFT, top + 12.0), (RIGHT, top + 12.0), "#eee", 1.0);
        for it in run.events.iter().filter(|it| it.event.kind() == kind) {
            let whole = it.lasted + it.recovered;
            let (from, to) = (x(it.at.as_secs_f64()), x((it.at + whole).as_secs_f64()));
            svg.add(format_args!(
                "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"10\" fill=\"#555\"/>",
                (to - from).max(1.0)
            ));
        }
    }
    for (at, (name, of)) in CURVES.iter().enumerate() {
        let top = events + 20.0 + STEP * at as f64;
        let all: Vec<Points> = run.nodes.iter().map(of).collect();
        let values = all.iter().flatten().map(|point| point.1);
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let y = |value: f64| top + CURVE * (1.0 - value / most);
        svg.text(24.0, top + CURVE / 2.0 + 8.0, "label", name);
        svg.text(LEFT - 24.0, top + 8.0, "tick", &short(most));
        svg.text(LEFT - 24.0, top + CURVE, "tick", "0");
        svg.line((LEFT, top + CURVE), (RIGHT, top + CURVE), "#999", 1.0);
        for (points, colour) in all.iter().zip(COLOURS) {
            let points = thin(points).into_iter();
            let points = points.map(|(time, value)| format!("{:.1},{:.1}", x(time), y(value)));
            svg.add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>",
                points.collect::<Vec<_>>().join(" ")
            ));
        }
    }
    let minutes = (plan.length.as_secs() / 60).max(1);
    for minute in (0..=minutes).step_by(minutes.div_ceil(12) as usize) {
        let at = x(minute as f64 * 60.0);
        svg.text(at, height - 52.0, "tick", &format!("{minute} min"));
    }
    svg.finish()
}

/// The largest of neighbours, so that there are not more points than the picture can show.
fn thin(points: &Points) -> Points {
    let size = points.len().div_ceil(360).max(1);
    let largest = |part: &[(f64, f64)]| {
        let values = part.iter().map(|point| point.1);
        (part[0].0, values.fold(f64::MIN, f64::max))
    };
    points.chunks(size).map(largest).collect()
}

fn second(node: &Node, of: fn(&support::Counted) -> f64) -> Points {
    let point = |second: &support::Counted| (second.elapsed.as_secs_f64(), of(second));
    // The last one is no whole second.
    let whole = &node.seconds[..node.seconds.len().saturating_sub(1)];
    whole.iter().map(point).collect()
}

fn calls(node: &Node) -> Points {
    second(node, |second| second.successful as f64)
}

fn again(node: &Node) -> Points {
    second(node, |second| second.retransmissions as f64)
}

fn response(node: &Node) -> Points {
    second(node, |second| second.response.as_secs_f64() * 1000.0)
}

fn sampled(node: &Node, of: fn(&Sample) -> f64) -> Points {
    let point = |sample: &Sample| (sample.at.as_secs_f64(), of(sample));
    node.samples.iter().map(point).collect()
}

/// How fast a number grows, in a second.
fn growth(node: &Node, of: fn(&Sample) -> u64) -> Points {
    let pairs = node.samples.windows(2);
    let rate = |pair: &[Sample]| {
        let more = of(&pair[1]).saturating_sub(of(&pair[0]));
        let time = (pair[1].at - pair[0].at).max(Duration::from_millis(1));
        (pair[1].at.as_secs_f64(), more as f64 / time.as_secs_f64())
    };
    pairs.map(rate).collect()
}

fn failures(node: &Node) -> Points {
    growth(node, Sample::failures)
}

fn lines(node: &Node) -> Points {
    let points = growth(node, |sample| sample.lines).into_iter();
    points.map(|(time, rate)| (time, 60.0 * rate)).collect()
}

fn active(node: &Node) -> Points {
    sampled(node, |sample| sample.count("servers_active") as f64)
}

fn memory(node: &Node) -> Points {
    sampled(node, |sample| sample.most_memory() as f64 / 1024.0)
}

fn descriptors(node: &Node) -> Points {
    sampled(node, |sample| sample.most_descriptors() as f64)
}

fn shared(node: &Node) -> Points {
    sampled(node, |sample| sample.shared as f64 / 1048576.0)
}

/// A number in a few digits.
fn short(number: f64) -> String {
    match number {
        10.0.. => format!("{number:.0}"),
        _ => format!("{number:.1}"),
    }
}
