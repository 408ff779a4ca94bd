//! How long an end looks before it sleeps.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// How long it looks: longer than it takes to wake a peer on another processor, so that two ends that sleep find out that
/// looking pays again.
const BUDGET: Duration = Duration::from_micros(100);
/// The most pauses between two looks. More looks would take the line of the cache away from the peer that is about to write it.
const MOST_PAUSES: u32 = 4;
/// How many looks there are for each look at the clock.
const LOOKS_PER_CLOCK: u32 = 16;
/// After so many waits in which looking didn't pay, it sleeps at once. A single one may be an accident. Loom would try
/// every number of looks.
const ENOUGH: u32 = if cfg!(heirloom_loom) { 0 } else { 3 };
/// Then it looks in one wait of so many, and each time that doesn't pay in one of twice as many.
const FIRST_PROBE: u32 = 16;
const LAST_PROBE: u32 = 1024;

/// Whether looking pays: it does while the peer runs on another processor and answers soon.
pub(super) struct Patience {
    /// The waits in which looking didn't pay, since it last did.
    misses: u32,
    /// The waits since it last looked.
    waits: u32,
    probe: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { misses: 0, waits: 0, probe: FIRST_PROBE }
    }

    /// Starts a wait. Returns whether to look before it sleeps.
    pub(super) fn start(&mut self) -> bool {
        self.waits += 1;
        let looks = self.misses < ENOUGH || self.waits >= self.probe;
        if looks {
            self.waits = 0;
        }
        looks
    }

    /// Ends the looks of a wait.
    pub(super) fn end(&mut self, paid: bool) {
        if paid {
            *self = Self::new();
        } else if self.misses < ENOUGH {
            self.misses += 1;
        } else {
            self.probe = (self.probe * 2).min(LAST_PROBE);
        }
    }
}

/// The looks of one wait.
pub(super) struct Looks {
    done: u32,
    pauses: u32,
    end: Option<Instant>,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self { done: 0, pauses: 1, end: None }
    }

    /// Pauses before the next look, twice as long as before: an answer may come at once. False if there were enough.
    pub(super) fn pause(&mut self) -> bool {
        (0..self.pauses).for_each(|_| spin_loop());
        self.pauses = (self.pauses * 2).min(MOST_PAUSES);
        self.done += 1;
        // The clock takes longer than a look.
        if self.done % LOOKS_PER_CLOCK != 0 {
            return true;
        }
        let now = Instant::now();
        now <= *self.end.get_or_insert(now + BUDGET)
    }
}
