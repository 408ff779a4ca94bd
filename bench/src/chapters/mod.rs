//! What is measured, one chapter a file.

mod access;
mod attach;
mod command;
mod create;
mod fill;
mod spawn;
mod touch;

use crate::sheet::Sheet;

/// What is aimed at, and how near it was.
pub struct Goal {
    pub what: String,
    /// A ratio, or another number whose unit `what` says.
    pub aim: f64,
    /// Whether more is better.
    pub at_least: bool,
    pub measured: f64,
    /// What keeps it from being met, where it isn't.
    pub why: &'static str,
}

/// What a chapter found.
#[derive(Default)]
pub struct Findings {
    pub sheets: Vec<Sheet>,
    pub goals: Vec<Goal>,
}

impl Findings {
    fn at_most(&mut self, what: impl Into<String>, aim: f64, measured: Option<f64>, why: &'static str) {
        self.goal(what, aim, false, measured, why);
    }

    fn at_least(&mut self, what: impl Into<String>, aim: f64, measured: Option<f64>, why: &'static str) {
        self.goal(what, aim, true, measured, why);
    }

    /// What couldn't be measured here is left out.
    fn goal(&mut self, what: impl Into<String>, aim: f64, at_least: bool, measured: Option<f64>, why: &'static str) {
        self.goals.extend(measured.map(|measured| Goal { what: what.into(), aim, at_least, measured, why }));
    }
}

/// A name, and what measures.
type Chapter = (&'static str, fn() -> Findings);

/// In the order of the page.
pub const CHAPTERS: [Chapter; 7] = [
    ("create", create::measure),
    ("spawn", spawn::measure),
    ("attach", attach::measure),
    ("fill", fill::measure),
    ("access", access::measure),
    ("touch", touch::measure),
    ("command", command::measure),
];
