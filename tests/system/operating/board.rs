//! The board of `doc/grafana.json`: its queries, and a picture of what they give.

use serde_json::Value;
use support::Prometheus;

use svg::Svg;

#[path = "../../bench/svg.rs"]
mod svg;

/// A panel of the board.
pub struct Panel {
    pub title: String,
    pub queries: Vec<Query>,
}

/// A query of a panel.
pub struct Query {
    /// What it asks, with the board's variables filled in.
    pub expression: String,
    /// How it names its series: labels stand in `{{…}}`.
    legend: String,
}

/// What Prometheus has answered: values over time, with their name.
pub struct Series {
    pub name: String,
    /// Seconds of Unix time, and the value then; those that are no numbers are left out.
    pub points: Vec<(f64, f64)>,
}

/// The panels of the board.
pub fn panels(board: &str) -> Vec<Panel> {
    let board: Value = serde_json::from_str(board).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let query = |target: &Value| {
        let expression = text(&target["expr"]).replace("$__rate_interval", "3s");
        let variables = ["$job", "$instance", "$pool"];
        let fill = |text: String, variable: &&str| text.replace(*variable, ".*");
        Query {
            expression: variables.iter().fold(expression, fill),
            legend: text(&target["legendFormat"]),
        }
    };
    panels
        .map(|panel| Panel {
            title: text(&panel["title"]),
            queries: panel["targets"]
                .as_array()
                .expect("targets")
                .iter()
                .map(query)
                .collect(),
        })
        .collect()
}

impl Query {
    /// What it gives from one moment to the other, in seconds of Unix time.
    pub fn ask(&self, prometheus: &Prometheus, (begin, end): (f64, f64)) -> Vec<Series> {
        let (begin, end) = (format!("{begin:.3}"), format!("{end:.3}"));
        let answer = prometheus.get(
            "query_range",
            &[
                ("query", &self.expression),
                ("start", &begin),
                ("end", &end),
                ("step", "0.3"),
            ],
        );
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let found = answer["data"]["result"].as_array();
        let found = found.unwrap_or_else(|| panic!("{}: {answer}", self.expression));
        found.iter().map(|series| self.series(series)).collect()
    }

    fn series(&self, series: &Value) -> Series {
        let labels = series["metric"].as_object().expect("labels");
        let name = labels
            .iter()
            .fold(self.legend.clone(), |name, (label, value)| {
                name.replace(
                    &format!("{{{{{label}}}}}"),
                    value.as_str().unwrap_or_default(),
                )
            });
        let points = series["values"].as_array().expect("values").iter();
        let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?));
        Series {
            name,
            points: points
                .filter_map(point)
                .filter(|(_, value): &(f64, f64)| value.is_finite())
                .collect(),
        }
    }
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 580.0;
const NOTE: &str = "Seen by a real Prometheus while real calls ask. Rates are those of three seconds; a board in service shows minutes.";
const COLOURS: [&str; 6] = [
    "#1b6ca8", "#d1495b", "#2e8b57", "#e08e0b", "#7a4fa3", "#555555",
];
/// Those of the states, in the order of the numbers that the board gives them.
const STATES: [&str; 4] = ["#2e8b57", "#f2c14e", "#d1495b", "#1b6ca8"];

/// A part of the picture: left, top, width, height, and the time that it shows.
struct Area {
    at: (f64, f64),
    size: (f64, f64),
    span: (f64, f64),
}

/// A picture of some panels, with what happened at which moment.
pub fn draw(
    panels: &[Panel],
    prometheus: &Prometheus,
    span: (f64, f64),
    events: &[(f64, &str)],
) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let title = "The board in an outage: one of two memcacheds is killed and comes back";
    svg.text(24.0, 28.0, "title", title);
    let panel = |title: &str| {
        let panel = panels.iter().find(|panel| panel.title == title);
        panel.unwrap_or_else(|| panic!("no panel '{title}'"))
    };
    let series = |title: &str| -> Vec<Series> {
        let queries = panel(title).queries.iter();
        queries
            .flat_map(|query| query.ask(prometheus, span))
            .collect()
    };
    let area = |column: usize, top: f64, width: f64, height: f64| Area {
        at: (60.0 + 306.0 * column as f64, top),
        size: (width, height),
        span,
    };
    for (column, title) in ["Hit ratio", "Operations", "Failures by reason"]
        .iter()
        .enumerate()
    {
        area(column, 90.0, 250.0, 110.0).curves(&mut svg, title, &series(title), events);
    }
    let states = "State of each server";
    area(0, 270.0, 862.0, 70.0).bands(&mut svg, states, &series(states), events);
    let times = "Answer times";
    area(0, 410.0, 250.0, 110.0).heat(&mut svg, times, &series(times), events);
    let below = [
        (
            "Near cache: share of the reads that it answers",
            "Near cache: share of reads",
        ),
        ("Stale answers, leases, items brought over", "Stale answers"),
    ];
    for (column, (title, short)) in below.into_iter().enumerate() {
        let area = area(column + 1, 410.0, 250.0, 110.0);
        area.curves(&mut svg, short, &series(title), events);
    }
    svg.text(24.0, HEIGHT - 12.0, "note", NOTE);
    svg.finish()
}

impl Area {
    fn x(&self, time: f64) -> f64 {
        let (begin, end) = self.span;
        self.at.0 + (time - begin) / (end - begin) * self.size.0
    }

    /// Title, time, and what happened when.
    fn frame(&self, svg: &mut Svg, title: &str, events: &[(f64, &str)]) {
        let (left, top) = self.at;
        let bottom = top + self.size.1;
        svg.text(left, top - 26.0, "head", title);
        svg.line((left, bottom), (left + self.size.0, bottom), "#999", 1.0);
        let (begin, end) = self.span;
        let ticks = (0..).map(|at| f64::from(at) * 5.0);
        for second in ticks.take_while(|second| begin + second <= end) {
            svg.text(
                self.x(begin + second),
                bottom + 14.0,
                "tick",
                &format!("{second} s"),
            );
        }
        for (time, _) in events {
            svg.line((self.x(*time), top), (self.x(*time), bottom), "#bbb", 1.0);
        }
    }

    fn curves(&self, svg: &mut Svg, title: &str, all: &[Series], events: &[(f64, &str)]) {
        self.frame(svg, title, events);
        let (left, top) = self.at;
        let (shown, largest) = (
            all.iter().filter(|series| series.largest() > 0.0),
            all.iter(),
        );
        let largest = largest
            .map(Series::largest)
            .fold(f64::MIN_POSITIVE, f64::max);
        let y = |value: f64| top + self.size.1 * (1.0 - value / largest);
        svg.text(left - 20.0, top + 6.0, "tick", &short(largest));
        svg.text(left - 20.0, top + self.size.1, "tick", "0");
        let mut legend = left;
        for (series, colour) in shown.zip(COLOURS) {
            let points = series.points.iter();
            let points =
                points.map(|(time, value)| format!("{:.1},{:.1}", self.x(*time), y(*value)));
            let points: Vec<_> = points.collect();
            svg.add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
                points.join(" ")
            ));
            svg.line(
                (legend, top - 13.0),
                (legend + 10.0, top - 13.0),
                colour,
                3.0,
            );
            svg.text(legend + 13.0, top - 10.0, "value", &series.label());
            legend += 24.0 + 5.6 * series.label().len() as f64;
        }
    }

    /// A band for each server, in the colour of its state.
    fn bands(&self, svg: &mut Svg, title: &str, all: &[Series], events: &[(f64, &str)]) {
        self.frame(svg, title, events);
        let height = self.size.1 / all.len() as f64;
        for (row, series) in all.iter().enumerate() {
            let top = self.at.1 + height * row as f64;
            for pair in series.points.windows(2) {
                let [(from, state), (to, _)] = *pair else {
                    continue;
                };
                let (from, to) = (self.x(from), self.x(to));
                svg.add(format_args!(
                    "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                    to - from + 0.3, height - 3.0, STATES[state as usize % STATES.len()]
                ));
            }
            svg.text(
                self.at.0 + 6.0,
                top + height / 2.0 + 2.0,
                "band",
                &series.label(),
            );
        }
        for (time, event) in events {
            svg.text(self.x(*time), self.at.1 - 8.0, "note", event);
        }
    }

    /// How many answers took how long: a column for each moment.
    fn heat(&self, svg: &mut Svg, title: &str, all: &[Series], events: &[(f64, &str)]) {
        self.frame(svg, title, events);
        let mut all: Vec<(f64, &Series)> = all
            .iter()
            .filter_map(|series| Some((series.name.trim_start_matches('+').parse().ok()?, series)))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let height = self.size.1 / all.len() as f64;
        let bottom = self.at.1 + self.size.1;
        for (row, (bound, series)) in all.iter().enumerate() {
            let y = bottom - height * (row + 1) as f64;
            if row % 4 == 3 && bound.is_finite() {
                svg.text(
                    self.at.0 - 22.0,
                    y + 4.0,
                    "tick",
                    &format!("{} ms", short(bound * 1000.0)),
                );
            }
            for (at, (time, count)) in series.points.iter().enumerate() {
                let below = row.checked_sub(1).map(|below| all[below].1);
                let below = below
                    .and_then(|series| series.points.get(at))
                    .map_or(0.0, |point| point.1);
                let total = all
                    .last()
                    .and_then(|(_, most)| most.points.get(at))
                    .map_or(0.0, |point| point.1);
                let share = (count - below) / total.max(1.0);
                if share > 0.0 {
                    svg.add(format_args!(
                        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" \
                         fill=\"#d1495b\" fill-opacity=\"{:.2}\"/>",
                        self.x(*time),
                        self.size.0 / series.points.len() as f64 + 0.3,
                        share.sqrt().min(1.0)
                    ));
                }
            }
        }
    }
}

impl Series {
    fn largest(&self) -> f64 {
        self.points.iter().map(|point| point.1).fold(0.0, f64::max)
    }

    /// Its name without addresses, whose ports are of this run alone, and without labels that it has not.
    fn label(&self) -> String {
        let words = self
            .name
            .split_whitespace()
            .filter(|word| !word.contains(':') && !word.starts_with("{{"));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A number in a few digits.
fn short(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
