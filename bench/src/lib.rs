//! Measuring: candidates one after the other, round by round, so that whatever else the machine does meets them all.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// What is measured: a name, and one round of it, in nanoseconds.
pub type Candidate<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

/// How many nanoseconds each call took, of `calls` in a row.
pub fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// Runs all candidates for some rounds, interleaved, and prints their medians, quartiles and ratios to the first.
pub fn compare(title: &str, rounds: usize, candidates: &mut [Candidate<'_>]) {
    let mut times = vec![Vec::new(); candidates.len()];
    for round in 0..=rounds {
        for ((_, run), times) in candidates.iter_mut().zip(&mut times) {
            let time = run();
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    println!("\n{title}");
    let mut limit = None;
    for ((name, _), mut times) in candidates.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let at = |quarter: usize| times[(times.len() - 1) * quarter / 4] / 1e3;
        let (low, median, high) = (at(1), at(2), at(3));
        let ratio = median / *limit.get_or_insert(median);
        println!("  {name:<44} {median:>10.2} µs  ({low:.2} to {high:.2})  {ratio:>6.3}");
    }
}

/// A process that does what it is told, a line each, and answers with the nanoseconds that it took.
pub struct Worker {
    _process: Child,
    lines: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Panics
    /// Where it can't be started.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { _process: process, lines: RefCell::new(lines) }
    }

    /// How long it took to do that.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn order(&self, order: &str) -> f64 {
        let (orders, answers) = &mut *self.lines.borrow_mut();
        writeln!(orders, "{order}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap_or_else(|_| panic!("{order:?} was answered by {answer:?}"))
    }
}
