//! The sections of the page about single scripts: what they cost beside others.

use super::Report;
use crate::ahead::{AWAY, Ahead};
use crate::copies::Copies;
use crate::functions::Pair;
use crate::near::Near;
#[cfg(feature = "tls")]
use crate::sealed::{self, Sealed};
use crate::servers::{Cost, OneAndTen};
use crate::table::{Table, number};
#[cfg(feature = "compression")]
use crate::values::{TEXT, Values};

impl Report {
    /// Adds the cost of ten servers.
    pub fn servers(&mut self, cost: &Cost) {
        let mut table = Table::new(&["key", "one server", "ten servers", "its hash"]);
        let mut row = |kind: &str, OneAndTen { one, ten }: OneAndTen, hash: f64| {
            let cells = [one, ten, hash].map(|count| number(Some(count), 0));
            table.row([kind.to_owned()].into_iter().chain(cells).collect());
            ten - one - hash
        };
        let literal = row("literal text", cost.literal, 0.0);
        let variable = row("made by the script", cost.variable, cost.hash);
        let title = "User instructions of a read of 16 bytes, with its share of the loop";
        self.section(title, &table);
        for (kind, more) in [("literal", literal), ("variable", variable)] {
            let what = format!("instructions more with ten servers, {kind} key, but for its hash");
            self.goal(&what, "≤ 200", [Some(more), None], 0, |more| {
                more <= 200.0
            });
        }
    }

    /// Adds the functions beside the variables that do the same.
    pub fn functions(&mut self, pairs: &[Pair]) {
        let mut table = Table::new(&["", "variable", "function", "more", "time"]);
        for pair in pairs {
            let [variable, function] = pair.instructions;
            let more = function - variable;
            let mut cells = vec![pair.name.to_owned()];
            cells.extend([variable, function, more].map(|count| number(Some(count), 0)));
            cells.push(number(Some(pair.time), 2));
            table.row(cells);
            match pair.name {
                "get" => {
                    let what = "instructions of mct_get more than of $mct";
                    self.goal(what, "≤ 150", [Some(more), None], 0, |more| more <= 150.0);
                }
                "inc" => {
                    let what = "time of mct_inc that creates : time of $mcinc";
                    self.goal(what, "≤ 1.10", [Some(pair.time), None], 2, |time| {
                        time <= 1.1
                    });
                }
                _ => {}
            }
        }
        let title = "Functions beside variables: user instructions, and time as a ratio";
        self.section(title, &table);
    }

    /// Adds a near hit beside a read of a hash table of the host.
    pub fn near(&mut self, near: &Near) {
        let mut table = Table::new(&["", "instructions", "µs"]);
        let names = ["$mct(key), near", "$sht(t=>key)"];
        for (at, name) in names.into_iter().enumerate() {
            let instructions = number(Some(near.instructions[at]), 0);
            let time = number(Some(near.times[at]), 3);
            table.row(vec![format!("`{name}`"), instructions, time]);
        }
        self.section("A near hit beside a hash table", &table);
        let instructions = [Some(near.instructions[0]), None];
        self.goal(
            "instructions of a near hit",
            "≤ 900",
            instructions,
            0,
            |it| it <= 900.0,
        );
        let ratio = [Some(near.ratio), None];
        self.goal(
            "time of a near hit : time of $sht",
            "≤ 3",
            ratio,
            2,
            |it| it <= 3.0,
        );
        let Some((workers, rate)) = near.together else {
            return;
        };
        let least = 0.75 * workers as f64;
        let name = format!("reads of one key by {workers} workers at once : by one");
        let rates = [Some(rate), None];
        self.goal(&name, &format!("≥ {least}"), rates, 2, |it| it >= least);
    }

    /// Adds what is gained where a script does not wait for each answer.
    pub fn ahead(&mut self, ahead: &Ahead) {
        let away = format!("{} ms away", AWAY.as_millis());
        let [near, far] = ahead.deferred;
        let rows = [
            (
                "ten items by mct_mget : one get".to_owned(),
                2.5,
                ahead.ten_by_one,
            ),
            (
                format!("ten items of ten servers {away}, ms"),
                1.3,
                ahead.ten_servers,
            ),
            (
                "the same, asked for 1 ms before, ms".to_owned(),
                0.1,
                ahead.after_work,
            ),
            ("deferred write : one that waits".to_owned(), 0.6, near),
            (format!("the same, server {away}"), 0.05, far),
        ];
        let mut table = Table::new(&["", "time"]);
        for (what, limit, figure) in rows {
            table.row(vec![what.clone(), number(Some(figure), 2)]);
            self.goal(
                &what,
                &format!("≤ {limit}"),
                [Some(figure), None],
                2,
                |figure| figure <= limit,
            );
        }
        self.section("Answers that nobody waits for", &table);
    }

    /// Adds what TLS costs.
    #[cfg(feature = "tls")]
    pub fn sealed(&mut self, sealed: &Sealed, memory: &sealed::Memory) {
        let mut table = Table::new(&["get-16", "µs"]);
        for (name, time) in [
            ("ours by TLS 1.3", sealed.ours),
            ("a bare loop by TLS 1.3", sealed.bare),
            ("ours without TLS", sealed.plain),
        ] {
            table.row(vec![name.into(), number(Some(time), 2)]);
        }
        self.section("TLS", &table);
        let mut table = Table::new(&["a worker's own memory for each connection", "KiB"]);
        table.row(vec!["by TLS 1.3".into(), number(Some(memory.sealed), 0)]);
        table.row(vec!["without TLS".into(), number(Some(memory.plain), 0)]);
        self.section("Memory of a connection", &table);
        self.goal(
            "a worker's memory for a connection by TLS, KiB more",
            "≤ 150",
            [Some(memory.sealed - memory.plain), None],
            0,
            |it| it <= 150.0,
        );
        let ratio = [Some(sealed.ratio), None];
        self.goal(
            "time by TLS : a bare loop on the same library",
            "≤ 1.15",
            ratio,
            2,
            |it| it <= 1.15,
        );
    }

    /// Adds what compressed and large values cost.
    #[cfg(feature = "compression")]
    pub fn values(&mut self, values: &Values) {
        let mut table = Table::new(&["", "figure"]);
        let text = format!("flate2 alone, {TEXT} bytes, µs");
        table.row(vec![text, number(Some(values.flate2), 1)]);
        let rows = [
            (
                format!("compressing {TEXT} bytes : flate2 alone"),
                values.compression,
            ),
            (
                "five items : 5 MB in parts, time to write".into(),
                values.writing,
            ),
            (
                "five items : 5 MB in parts, time to read".into(),
                values.reading,
            ),
        ];
        for (at, (what, figure)) in rows.into_iter().enumerate() {
            table.row(vec![what.clone(), number(Some(figure), 2)]);
            let (goal, is_reached) = match at {
                0 => ("≤ 1.2", figure <= 1.2),
                _ => ("≥ 0.7", figure >= 0.7),
            };
            self.goal(&what, goal, [Some(figure), None], 2, |_| is_reached);
        }
        self.section("Compressed and large values", &table);
    }

    /// Adds what a second copy costs.
    pub fn copies(&mut self, copies: &Copies) {
        let away = format!("{} ms away", AWAY.as_millis());
        let [one, two] = copies.reads;
        let rows = [
            ("a write to two copies : to one".into(), 1.5, copies.write),
            (format!("the same, servers {away}"), 1.1, copies.far_write),
        ];
        let mut table = Table::new(&["", "figure"]);
        for (what, limit, figure) in rows {
            table.row(vec![what.clone(), number(Some(figure), 2)]);
            let goal = format!("≤ {limit}");
            self.goal(&what, &goal, [Some(figure), None], 2, |it| it <= limit);
        }
        let what = "a bare loop, two servers : one".to_owned();
        table.row(vec![what, number(Some(copies.bare), 2)]);
        for (what, count) in [("one copy", one), ("two copies", two)] {
            let what = format!("user instructions of a read of {what}");
            table.row(vec![what, number(Some(count), 0)]);
        }
        let more = [Some(two - one), None];
        let what = "instructions more of a read with two copies";
        self.goal(what, "≤ 50", more, 0, |more| more <= 50.0);
        self.section("A second copy", &table);
    }
}
