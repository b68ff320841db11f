//! `Report` is the page of results: one section for each kind of figure, and at the end the goals.

use std::fmt::{Display, Write};

use crate::calls::{ByName, Counter, RECEIVING, SENDING, WAITING};
use crate::instructions::ByObject;
use crate::memory::{Resident, WORKERS};
use crate::operation::{Maker, Operation};
use crate::rounds::{Spread, Times, paired, spread};
use crate::table::{Table, number};

mod scripts;

/// The sections so far, and the figures to compare with the goals.
pub struct Report {
    text: String,
    goals: Table,
}

impl Report {
    pub fn new(processor: usize, quick: bool) -> Report {
        let mut text = "# One use of the cache\n\n".to_owned();
        let bound = format!("All on processor {processor}; one worker, one memcached.");
        writeln!(text, "{bound}").expect(STRING);
        if quick {
            writeln!(text, "**Quick run: the times mean nothing.**").expect(STRING);
        }
        let goals = Table::new(&["figure", "to reach", "ours", "C", ""]);
        Report { text, goals }
    }

    /// Adds the times on one transport.
    pub fn times(&mut self, transport: &str, all: &[(Operation, Times)]) {
        let head = [
            "",
            "ours",
            "quartiles",
            "C",
            "quartiles",
            "ours : C",
            "plain ours",
            "ours − plain",
            "plain C",
            "C − plain",
            "C : C",
        ];
        let mut table = Table::new(&head);
        let mut noise: Vec<f64> = Vec::new();
        for (operation, times) in all {
            let ratio = |left: &[f64], right: &[f64]| paired(left, right, |a, b| a / b);
            let less = |left: &[f64], right: &[f64]| paired(left, right, |a, b| a - b);
            let ours = spread(&times.ours);
            let stock = spread(&times.stock);
            let median = |numbers| number(spread(numbers).map(|spread| spread.median), 2);
            let over = [
                less(&times.ours, &times.plain_ours),
                less(&times.stock, &times.plain_stock),
            ];
            let itself = ratio(&times.again, &times.stock);
            noise.extend(itself);
            table.row(vec![
                operation.name().into(),
                number(ours.map(|spread| spread.median), 2),
                quartiles(ours),
                number(stock.map(|spread| spread.median), 2),
                quartiles(stock),
                number(ratio(&times.ours, &times.stock), 2),
                median(&times.plain_ours),
                signed(over[0], 2),
                median(&times.plain_stock),
                signed(over[1], 2),
                number(itself, 2),
            ]);
            let what = format!("{transport} {}, µs above the plain loop", operation.name());
            self.goal(&what, "≤ 0.40", over, 2, |over| over <= 0.4);
            if transport == "unix" {
                let what = format!("unix {}, time : the stock module's", operation.name());
                let both = [ratio(&times.ours, &times.stock), itself];
                self.goal(&what, "≤ 0.95", both, 2, |ratio| ratio <= 0.95);
            }
        }
        self.section(
            &format!("Time over {transport}, µs per operation, medians"),
            &table,
        );
        let noise = spread_of_all(&noise);
        let words = "Ratios and differences are medians of what was measured side by side. \
                     The C module measured against itself";
        writeln!(self.text, "\n{words}: {noise}.").expect(STRING);
    }

    /// Adds the instructions, in total and by object file.
    pub fn instructions(&mut self, all: &[(Maker, Vec<(Operation, ByObject)>)]) {
        let mut table = Table::new(&[
            "",
            "module",
            "in all",
            "core",
            "pv.so",
            "memcached.so",
            "libmemcached",
            "libc",
            "other",
        ]);
        for (maker, counted) in all {
            for (operation, objects) in counted {
                let part = |name: &str| -> f64 {
                    let parts = objects
                        .iter()
                        .filter(|(object, _)| object.starts_with(name));
                    parts.map(|(_, count)| count).sum()
                };
                let parts = [
                    "kamailio",
                    "pv.so",
                    "memcached.so",
                    "libmemcached",
                    "libc.so",
                ]
                .map(part);
                let whole: f64 = objects.values().sum();
                let rest = whole - parts.iter().sum::<f64>();
                let mut row = vec![operation.name().into(), word(*maker).into()];
                row.push(number(Some(whole), 0));
                row.extend(parts.map(|part| number(Some(part), 0)));
                row.push(number(Some(rest), 0));
                table.row(row);
            }
        }
        self.section("User instructions per operation", &table);
        let whole = |maker: Maker, wanted: Operation| -> Option<f64> {
            let (_, counted) = all.iter().find(|(made, _)| *made == maker)?;
            let (_, objects) = counted.iter().find(|(operation, _)| *operation == wanted)?;
            Some(objects.values().sum())
        };
        let limits = [
            (Operation::Get16, 1500),
            (Operation::Get7k, 4000),
            (Operation::LongKey, 8000),
        ];
        for (operation, limit) in limits {
            let both = [
                whole(Maker::Ours, operation),
                whole(Maker::Stock, operation),
            ];
            let what = format!("instructions of {}", operation.name());
            let limit_met = |count| count <= f64::from(limit);
            self.goal(&what, &format!("≤ {limit}"), both, 0, limit_met);
        }
    }

    /// Adds the system calls, by name.
    pub fn calls(&mut self, counter: Counter, all: &[(Maker, Vec<(Operation, ByName)>)]) {
        let mut table = Table::new(&["", "module", "send", "receive", "poll", "other"]);
        // For each module, the largest number of calls of an operation, and the operation's name.
        let mut most = [(Maker::Ours, None), (Maker::Stock, None)];
        for (maker, counted) in all {
            for (operation, names) in counted {
                let part = |wanted: &[&str]| -> f64 {
                    let named = names
                        .iter()
                        .filter(|(name, _)| wanted.contains(&name.as_str()));
                    named.map(|(_, count)| count).sum()
                };
                let parts = [part(&SENDING), part(&RECEIVING), part(&WAITING)];
                let whole: f64 = names.values().sum();
                let rest = whole - parts.iter().sum::<f64>();
                let mut row = vec![operation.name().into(), word(*maker).into()];
                row.extend(
                    parts
                        .into_iter()
                        .chain([rest])
                        .map(|part| number(Some(part), 2)),
                );
                table.row(row);
                for (_, most) in most.iter_mut().filter(|(made, _)| made == maker) {
                    *most = Some(most.map_or(whole, |most: f64| most.max(whole)));
                }
            }
        }
        let title = format!("System calls per operation, over TCP, counted by {counter:?}");
        self.section(&title, &table);
        let most = most.map(|(_, most)| most);
        self.goal("system calls, worst operation", "2.00", most, 2, |most| {
            most < 2.05
        });
    }

    /// Adds the resident memory after the loops.
    pub fn memory(&mut self, none: Resident, ours: Option<Resident>, stock: Resident) {
        let mut table = Table::new(&["worker", "resident", "share", "own", "above none"]);
        let mut row = |name: &str, resident: Resident| {
            let Resident { whole, share, own } = resident;
            let above = difference(whole, none.whole);
            let mut cells = vec![name.to_owned()];
            cells.extend([whole, share, own].map(|part| part.to_string()));
            cells.push(signed(Some(above), 0));
            table.row(cells);
            above
        };
        row("without the module", none);
        let ours = ours.map(|ours| row("ours", ours));
        let stock = row("C", stock);
        let title = "Resident memory of a worker after the loops, KiB";
        self.section(&format!("{title}, means of {WORKERS}"), &table);
        let both = [ours, Some(stock)];
        self.goal(
            "resident memory of a worker, KiB more",
            "≤ 1024",
            both,
            0,
            |more| more <= 1024.0,
        );
    }

    /// Completes the page.
    pub fn finish(mut self) -> String {
        let goals = std::mem::replace(&mut self.goals, Table::new(&[]));
        self.section("To be reached", &goals);
        self.text
    }

    fn section(&mut self, title: &str, table: &dyn Display) {
        write!(self.text, "\n## {title}\n\n{table}").expect(STRING);
    }

    /// A line of the last table: our figure, and that of the stock module for comparison.
    fn goal(
        &mut self,
        what: &str,
        limit: &str,
        [ours, stock]: [Option<f64>; 2],
        decimals: usize,
        met: impl Fn(f64) -> bool,
    ) {
        let verdict = match ours.map(met) {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        let figures = [number(ours, decimals), number(stock, decimals)];
        let [ours, stock] = figures;
        self.goals
            .row(vec![what.into(), limit.into(), ours, stock, verdict.into()]);
    }
}

const STRING: &str = "a string takes all";

fn word(maker: Maker) -> &'static str {
    match maker {
        Maker::Ours => "ours",
        Maker::Stock => "C",
    }
}

fn quartiles(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".into(),
        |Spread { low, high, .. }| format!("{low:.2}…{high:.2}"),
    )
}

fn spread_of_all(ratios: &[f64]) -> String {
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{low:.2}…{high:.2}")
}

fn difference(more: u64, less: u64) -> f64 {
    let [more, less] = [more, less].map(|kib| f64::from(u32::try_from(kib).expect("below 4 TiB")));
    more - less
}

/// A difference, with its sign.
fn signed(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:+.decimals$}"))
}
