//! Measuring: candidates one after the other, round by round, so that whatever else the machine does meets them all.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// One way to do what is measured.
pub struct Candidate<'a> {
    pub name: &'static str,
    /// One round, in nanoseconds.
    run: Box<dyn FnMut() -> f64 + 'a>,
}

/// A candidate of that name.
pub fn candidate<'a>(name: &'static str, run: impl FnMut() -> f64 + 'a) -> Candidate<'a> {
    Candidate { name, run: Box::new(run) }
}

/// How many nanoseconds each call took, of `calls` in a row.
pub fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    nanoseconds(start) / f64::from(calls)
}

/// How many nanoseconds are gone since then.
pub fn nanoseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9
}

/// The median of many rounds and the quartiles, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// How long a comparison goes on, and between how many rounds.
const LONG_ENOUGH: Duration = Duration::from_secs(3);
const FEWEST: usize = 5;
const MOST: usize = 400;

/// Runs all candidates, interleaved.
pub fn race(mut candidates: Vec<Candidate>) -> Vec<(&'static str, Spread)> {
    let mut times = vec![Vec::new(); candidates.len()];
    // The first round warms up.
    for candidate in &mut candidates {
        (candidate.run)();
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let start = Instant::now();
    for round in 0..MOST {
        if round >= FEWEST && start.elapsed() > LONG_ENOUGH {
            break;
        }
        // Each round in another order, since each candidate finds what the one before it left in the caches.
        order.sort_by_cached_key(|turn| {
            let mut hasher = DefaultHasher::new();
            (round, turn).hash(&mut hasher);
            hasher.finish()
        });
        for turn in &order {
            times[*turn].push((candidates[*turn].run)());
        }
    }
    let spread = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |quarter: usize| times[(times.len() - 1) * quarter / 4];
        Spread { low: at(1), median: at(2), high: at(3) }
    };
    candidates.iter().map(|candidate| candidate.name).zip(times.into_iter().map(spread)).collect()
}
