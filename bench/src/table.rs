//! A table of results: a row for each size or count, and a column for each routine.

use std::fmt::Write;

use heirloom_bench::measure::{Quartiles, Routine, compare};

/// The first column is the baseline of the ratios in the others.
pub struct Table {
    /// The plot's file name without its extension.
    pub key: &'static str,
    pub title: &'static str,
    /// The text below the title.
    pub notes: &'static str,
    /// The header of the rows.
    pub row_header: &'static str,
    /// The position on the plot's horizontal axis and the label of each row.
    pub rows: Vec<(f64, String)>,
    pub columns: Vec<(&'static str, Vec<Option<Quartiles>>)>,
}

impl Table {
    pub fn new(key: &'static str, title: &'static str, row_header: &'static str, notes: &'static str) -> Self {
        Self { key, title, notes, row_header, rows: Vec::new(), columns: Vec::new() }
    }

    /// Measures the routines and adds the results as a row.
    pub fn add_row(&mut self, position: f64, label: impl Into<String>, routines: Vec<Routine>) {
        let label = label.into();
        eprintln!("{}: {label}", self.title);
        self.rows.push((position, label));
        self.extend_row(routines);
    }

    /// Adds a row of results.
    pub fn add_results(&mut self, position: f64, label: impl Into<String>, results: Vec<(&'static str, Quartiles)>) {
        self.rows.push((position, label.into()));
        self.extend_results(results);
    }

    /// Measures more routines for the last row. Routines that would disturb the others are measured here, separately.
    pub fn extend_row(&mut self, routines: Vec<Routine>) {
        self.extend_results(compare(routines));
    }

    fn extend_results(&mut self, results: Vec<(&'static str, Quartiles)>) {
        let previous_rows = self.rows.len() - 1;
        for (name, quartiles) in results {
            let column = self.columns.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                self.columns.push((name, vec![None; previous_rows]));
                self.columns.len() - 1
            });
            self.columns[column].1.resize(previous_rows, None);
            self.columns[column].1.push(Some(quartiles));
        }
    }

    /// Returns the median of a cell, in nanoseconds.
    pub fn median(&self, column: &str, row: usize) -> Option<f64> {
        Some(self.cell(column, row)?.median)
    }

    /// Returns the ratio of the slowest rounds of two columns in a row.
    pub fn ratio_of_slowest(&self, column: &str, baseline: &str, row: usize) -> Option<f64> {
        Some(self.cell(column, row)?.slowest / self.cell(baseline, row)?.slowest)
    }

    fn cell(&self, column: &str, row: usize) -> Option<&Quartiles> {
        let (_, cells) = self.columns.iter().find(|(name, _)| *name == column)?;
        cells.get(row)?.as_ref()
    }

    /// Returns the ratio of two medians in a row.
    pub fn ratio(&self, column: &str, baseline: &str, row: usize) -> Option<f64> {
        Some(self.median(column, row)? / self.median(baseline, row)?)
    }

    /// Returns the ratio of the fastest of this project's columns to the fastest of the others, without the first, which is
    /// the bare system call or memcpy, unless it is the only one.
    pub fn ratio_to_others(&self, row: usize) -> Option<f64> {
        let is_ours =
            |name: &str| name.starts_with("heirloom") || ["read_at", "write_at", "atomic", "mapping"].contains(&name);
        let (ours, others): (Vec<_>, Vec<_>) =
            self.columns.iter().map(|(name, _)| *name).partition(|name| is_ours(name));
        let others = if others.len() > 1 { &others[1..] } else { &others[..] };
        let fastest = |names: &[&str]| names.iter().filter_map(|name| self.median(name, row)).min_by(f64::total_cmp);
        Some(fastest(&ours)? / fastest(others)?)
    }

    /// Whether the table has enough rows for a plot.
    pub fn has_plot(&self) -> bool {
        self.rows.len() > 3
    }

    /// Formats the table as Markdown. Each cell has the median, the quartiles and the ratio to the first column.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("| {} |", self.row_header);
        self.columns.iter().for_each(|(name, _)| write!(text, " {name} |").unwrap());
        text += "\n| --- |";
        text += &" ---: |".repeat(self.columns.len());
        for (row, (_, label)) in self.rows.iter().enumerate() {
            write!(text, "\n| {label} |").unwrap();
            let baseline = self.median(self.columns[0].0, row);
            for (column, (_, cells)) in self.columns.iter().enumerate() {
                match (cells.get(row).copied().flatten(), baseline) {
                    (None, _) => text += " |",
                    (Some(cell), Some(baseline)) if column > 0 => {
                        write!(text, " **{:.2}** {} |", cell.median / baseline, format_quartiles(cell)).unwrap();
                    }
                    (Some(cell), _) => write!(text, " {} |", format_quartiles(cell)).unwrap(),
                }
            }
        }
        text
    }
}

fn format_quartiles(Quartiles { lower, median, upper, .. }: Quartiles) -> String {
    let (unit, factor) = unit(median);
    let digits = if median / factor < 10.0 { 2 } else { usize::from(median / factor < 100.0) };
    format!("{:.digits$} {unit} ({:.digits$}–{:.digits$})", median / factor, lower / factor, upper / factor)
}

/// Returns the unit for a duration in nanoseconds, and the number of nanoseconds in that unit.
pub fn unit(nanoseconds: f64) -> (&'static str, f64) {
    match nanoseconds {
        ..1e3 => ("ns", 1.0),
        ..1e6 => ("µs", 1e3),
        ..1e9 => ("ms", 1e6),
        _ => ("s", 1e9),
    }
}

/// Formats a size in bytes with its binary unit.
pub fn size_label(bytes: u64) -> String {
    match bytes.max(1).ilog2() / 10 {
        0 => format!("{bytes} B"),
        1 => format!("{} KiB", bytes >> 10),
        2 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
