//! The benchmarks, one per file.

mod access;
pub mod arrow;
mod attach;
mod channel;
mod command;
mod create;
mod fill;
mod lock;
mod spawn;
mod split;
mod touch;

use crate::table::Table;

/// A target value and the measured one.
pub struct Goal {
    pub metric: String,
    /// A ratio, or a number in the unit that `metric` names.
    pub target: f64,
    /// Whether the target is a minimum.
    pub at_least: bool,
    pub measured: f64,
    /// Why the goal is not met; printed only in that case.
    pub reason: &'static str,
}

/// The results of a benchmark.
#[derive(Default)]
pub struct Results {
    pub tables: Vec<Table>,
    pub goals: Vec<Goal>,
}

impl Results {
    fn at_most(&mut self, metric: impl Into<String>, target: f64, measured: Option<f64>, reason: &'static str) {
        self.goal(metric, target, false, measured, reason);
    }

    fn at_least(&mut self, metric: impl Into<String>, target: f64, measured: Option<f64>, reason: &'static str) {
        self.goal(metric, target, true, measured, reason);
    }

    /// Adds the goal if its value was measured.
    fn goal(
        &mut self,
        metric: impl Into<String>,
        target: f64,
        at_least: bool,
        measured: Option<f64>,
        reason: &'static str,
    ) {
        self.goals.extend(measured.map(|measured| Goal { metric: metric.into(), target, at_least, measured, reason }));
    }
}

/// The name of a benchmark and the function that runs it.
type Bench = (&'static str, fn() -> Results);

/// All benchmarks, in the order of the page.
pub const BENCHES: [Bench; 11] = [
    ("create", create::measure),
    ("spawn", spawn::measure),
    ("attach", attach::measure),
    ("fill", fill::measure),
    ("access", access::measure),
    ("touch", touch::measure),
    ("channel", channel::measure),
    ("lock", lock::measure),
    ("command", command::measure),
    ("split", split::measure),
    ("arrow", arrow::measure),
];
