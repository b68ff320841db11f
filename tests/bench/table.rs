//! `Table` is a table in Markdown, with numbers in its form.

use std::fmt;

/// A table. Its first column has text, and all others have numbers.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table {
            head: head.iter().map(|&word| word.into()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "{cells:?}");
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| {
            lines()
                .map(|line| line[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for (index, line) in lines().enumerate() {
            for (at, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                match at {
                    0 => write!(formatter, "| {cell:width$} ")?,
                    _ => write!(formatter, "| {cell:>width$} ")?,
                }
            }
            writeln!(formatter, "|")?;
            if index == 0 {
                for (at, width) in widths.iter().enumerate() {
                    let edge = if at == 0 { "-" } else { ":" };
                    write!(formatter, "|-{}{edge}", "-".repeat(*width))?;
                }
                writeln!(formatter, "|")?;
            }
        }
        Ok(())
    }
}

/// A number with so many decimals, or a dash if nothing was measured.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else {
        return "–".into();
    };
    let text = format!("{value:.decimals$}");
    // A number that is rounded to zero has no sign.
    let nothing = text.bytes().all(|byte| b"-0.".contains(&byte));
    if nothing { text.replace('-', "") } else { text }
}
