//! Figures and their medians.

use std::fmt;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    MegabytesPerSecond,
}

/// Figures by name, in the order they were first added.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    unit: Unit,
    figures: Vec<f64>,
}

impl Table {
    /// Add one round's figure.
    pub(crate) fn add(&mut self, name: &'static str, unit: Unit, figure: f64) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.figures.push(figure),
            None => self.rows.push(Row {
                name,
                unit,
                figures: vec![figure],
            }),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | median | lowest | highest |\n|---|---|---|---|")?;
        for row in &self.rows {
            let mut figures = row.figures.clone();
            figures.sort_by(f64::total_cmp);
            let unit = match row.unit {
                Unit::Microseconds => "µs",
                Unit::Milliseconds => "ms",
                Unit::MegabytesPerSecond => "MB/s",
            };
            let median = figures[figures.len() / 2];
            let (lowest, highest) = (figures[0], figures[figures.len() - 1]);
            writeln!(
                f,
                "| {} | {median:.1} {unit} | {lowest:.1} | {highest:.1} |",
                row.name
            )?;
        }
        Ok(())
    }
}
