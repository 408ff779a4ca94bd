//! Timing. Rounds of all routines are interleaved, so that other load on the machine affects every routine.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// A named operation to time.
pub struct Routine<'a> {
    pub name: &'static str,
    /// Runs one round and returns its nanoseconds.
    run: Box<dyn FnMut() -> f64 + 'a>,
}

/// Returns a routine with that name.
pub fn routine<'a>(name: &'static str, run: impl FnMut() -> f64 + 'a) -> Routine<'a> {
    Routine { name, run: Box::new(run) }
}

/// Runs `call` that many times and returns the nanoseconds per call.
pub fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    nanoseconds_since(start) / f64::from(calls)
}

/// Returns the nanoseconds since `start`.
pub fn nanoseconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9
}

/// The quartiles of all rounds, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Quartiles {
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
    pub slowest: f64,
}

/// Most comparisons end after this time, once it has run `MIN_ROUNDS`.
const TIME_BUDGET: Duration = Duration::from_secs(3);
const MIN_ROUNDS: usize = 5;
const MAX_ROUNDS: usize = 400;

/// Runs all routines in interleaved rounds and returns the quartiles of each.
pub fn compare(routines: Vec<Routine>) -> Vec<(&'static str, Quartiles)> {
    compare_within(TIME_BUDGET, routines)
}

/// The same within another time. It runs `MIN_ROUNDS` however long they take.
pub fn compare_within(budget: Duration, mut routines: Vec<Routine>) -> Vec<(&'static str, Quartiles)> {
    let mut times = vec![Vec::new(); routines.len()];
    // Warm-up round.
    for routine in &mut routines {
        (routine.run)();
    }
    let mut order: Vec<usize> = (0..routines.len()).collect();
    let start = Instant::now();
    for round in 0..MAX_ROUNDS {
        if round >= MIN_ROUNDS && start.elapsed() > budget {
            break;
        }
        // Each routine depends on the caches as the previous one left them, so the order changes with each round.
        order.sort_by_cached_key(|index| {
            let mut hasher = DefaultHasher::new();
            (round, index).hash(&mut hasher);
            hasher.finish()
        });
        for index in &order {
            times[*index].push((routines[*index].run)());
        }
    }
    let quartiles = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |quarter: usize| times[(times.len() - 1) * quarter / 4];
        Quartiles { lower: at(1), median: at(2), upper: at(3), slowest: at(4) }
    };
    routines.iter().map(|routine| routine.name).zip(times.into_iter().map(quartiles)).collect()
}
