//! The figures of a run, as a table.

use std::time::Duration;

use crate::Plan;
use crate::chaos::KINDS;
use crate::run::{Node, Run};
use crate::sample::Sample;
use crate::table::{Table, number};

/// All figures.
pub fn figures(plan: &Plan, run: &Run) -> String {
    let mut all = Table::new(&["", "node 1", "node 2"]);
    let mut row = |name: &str, of: &dyn Fn(&Node) -> String| {
        let cells = run.nodes.iter().map(of);
        all.row(std::iter::once(name.to_owned()).chain(cells).collect());
    };
    row("calls that have ended well", &|node| {
        node.calls.successful.to_string()
    });
    row("calls that have failed", &|node| {
        node.calls.failed.to_string()
    });
    row("calls a second", &|node| {
        let seconds = node.calls.elapsed.as_secs_f64();
        number(Some(node.calls.successful as f64 / seconds), 1)
    });
    row("requests sent again", &|node| {
        node.calls.retransmissions.to_string()
    });
    row("mean response, ms", &|node| {
        number(Some(node.calls.response.as_secs_f64() * 1000.0), 1)
    });
    let of_last =
        |of: fn(&Sample) -> u64| move |node: &Node| node.samples.last().map_or(0, of).to_string();
    row("operations", &of_last(Sample::operations));
    row("of these, not done", &of_last(Sample::failures));
    for name in [
        "timeouts",
        "retries",
        "reconnects",
        "failovers",
        "skipped",
        "prefetched",
        "near_hits",
        "stale",
        "leases",
        "deferred",
        "lost",
        "repaired",
    ] {
        row(name, &|node| {
            let last = node.samples.last();
            last.map_or(0, |sample| sample.count(name)).to_string()
        });
    }
    row("most memory of a process, MiB", &|node| {
        range(node, |sample| sample.most_memory() as f64 / 1024.0)
    });
    row("most shared memory of a process, MiB", &|node| {
        range(node, |sample| sample.most_shared() as f64 / 1024.0)
    });
    row("most descriptors of a process", &|node| {
        range(node, |sample| sample.most_descriptors() as f64)
    });
    row("Kamailio's shared memory in use, MiB", &|node| {
        range(node, |sample| sample.shared as f64 / 1048576.0)
    });
    row("lines of the module in the log", &|node| {
        node.log.ours.to_string()
    });
    row("the whole log, KiB", &|node| {
        (node.log.bytes / 1024).to_string()
    });
    let mut events = Table::new(&["event", "how often", "longest until all were back, s"]);
    for (kind, name) in KINDS.iter().enumerate() {
        let these = run.events.iter().filter(|it| it.event.kind() == kind);
        let longest = these.clone().map(|it| it.recovered).max();
        let longest = longest.unwrap_or(Duration::ZERO).as_secs_f64();
        events.row(vec![
            (*name).into(),
            these.count().to_string(),
            number(Some(longest), 2),
        ]);
    }
    let compared = run.compared;
    format!(
        "{} minutes, seed {}, {} calls a second\n\n{all}\n{events}\n\
         counters: {} have exactly what was acknowledged, {} between that and what is unknown, \
         {} lost items; {} counts were acknowledged, {} are unknown\n",
        plan.length.as_secs() / 60,
        plan.seed,
        plan.rate,
        compared.exact,
        compared.bounded,
        compared.lost,
        compared.acknowledged,
        compared.unknown
    )
}

/// The values in the second quarter of the samples and in the last one: the least, and the most.
fn range(node: &Node, of: impl Fn(&Sample) -> f64) -> String {
    let count = node.samples.len();
    let part = |from: usize, to: usize| {
        let values = node.samples[from..to].iter().map(&of);
        let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        format!("{least:.1} to {most:.1}")
    };
    let (early, late) = (part(count / 4, count / 2), part(count * 3 / 4, count));
    format!("{early}; {late}")
}
