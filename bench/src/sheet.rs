//! What was measured of one thing: for each size, or number, how long each candidate took.

use std::fmt::Write;

use heirloom_bench::measure::{Candidate, Spread, race};

/// The first series is the limit, to which the others are ratios.
pub struct Sheet {
    /// A file name too.
    pub key: &'static str,
    pub title: &'static str,
    /// How it was measured, and what is to be seen.
    pub about: &'static str,
    /// What grows from row to row.
    pub rows: &'static str,
    /// Where on the axis of a plot each row is, and its label.
    pub places: Vec<(f64, String)>,
    pub series: Vec<(&'static str, Vec<Option<Spread>>)>,
}

impl Sheet {
    pub fn new(key: &'static str, title: &'static str, rows: &'static str, about: &'static str) -> Self {
        Self { key, title, about, rows, places: Vec::new(), series: Vec::new() }
    }

    /// Measures one more row.
    pub fn row(&mut self, place: f64, label: impl Into<String>, candidates: Vec<Candidate>) {
        let label = label.into();
        eprintln!("{}: {label}", self.title);
        self.places.push((place, label));
        self.more(candidates);
    }

    /// Measures more in the same row, which would disturb the others.
    pub fn more(&mut self, candidates: Vec<Candidate>) {
        let rows = self.places.len() - 1;
        for (name, spread) in race(candidates) {
            let known = self.series.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                self.series.push((name, vec![None; rows]));
                self.series.len() - 1
            });
            self.series[known].1.resize(rows, None);
            self.series[known].1.push(Some(spread));
        }
    }

    /// The median of a series in a row, in nanoseconds.
    pub fn median(&self, name: &str, row: usize) -> Option<f64> {
        let (_, spreads) = self.series.iter().find(|(known, _)| *known == name)?;
        Some(spreads.get(row)?.as_ref()?.median)
    }

    /// How a series stands to another in a row.
    pub fn ratio(&self, name: &str, to: &str, row: usize) -> Option<f64> {
        Some(self.median(name, row)? / self.median(to, row)?)
    }

    /// Whether something grows from row to row.
    pub fn is_a_line(&self) -> bool {
        self.places.len() > 3
    }

    /// As a table in Markdown: medians and their quartiles, and how each stands to the first.
    pub fn table(&self) -> String {
        let mut table = format!("| {} |", self.rows);
        self.series.iter().for_each(|(name, _)| write!(table, " {name} |").unwrap());
        table += "\n| --- |";
        table += &" ---: |".repeat(self.series.len());
        for (row, (_, label)) in self.places.iter().enumerate() {
            write!(table, "\n| {label} |").unwrap();
            let limit = self.median(self.series[0].0, row);
            for (column, (_, spreads)) in self.series.iter().enumerate() {
                match (spreads.get(row).copied().flatten(), limit) {
                    (None, _) => table += " |",
                    (Some(spread), Some(limit)) if column > 0 => {
                        write!(table, " **{:.2}** {} |", spread.median / limit, with_quartiles(spread)).unwrap();
                    }
                    (Some(spread), _) => write!(table, " {} |", with_quartiles(spread)).unwrap(),
                }
            }
        }
        table
    }
}

fn with_quartiles(Spread { low, median, high }: Spread) -> String {
    let (unit, size) = unit(median);
    let digits = if median / size < 10.0 { 2 } else { usize::from(median / size < 100.0) };
    format!("{:.digits$} {unit} ({:.digits$}–{:.digits$})", median / size, low / size, high / size)
}

/// What nanoseconds are best told in, and how many of them that is.
pub fn unit(nanoseconds: f64) -> (&'static str, f64) {
    match nanoseconds {
        ..1e3 => ("ns", 1.0),
        ..1e6 => ("µs", 1e3),
        ..1e9 => ("ms", 1e6),
        _ => ("s", 1e9),
    }
}

/// A size in bytes, as people say it.
pub fn size_label(bytes: u64) -> String {
    match bytes.max(1).ilog2() / 10 {
        0 => format!("{bytes} B"),
        1 => format!("{} KiB", bytes >> 10),
        2 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
