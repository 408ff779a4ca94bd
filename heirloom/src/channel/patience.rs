//! How long an end looks before it sleeps.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// How long it looks: longer than it takes to wake a peer on another processor, so that two ends that sleep find out that
/// looking pays again.
const BUDGET: Duration = Duration::from_micros(100);
/// The most pauses between two looks. More looks would take the line of the cache away from the peer that is about to write it.
const MOST_PAUSES: u32 = 4;
/// After so many waits in which looking didn't pay, it sleeps at once. A single one may be an accident.
const ENOUGH: u32 = 3;
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

    /// Starts a wait. Returns until when to look before it sleeps; `None` to sleep at once.
    pub(super) fn start(&mut self) -> Option<Instant> {
        self.waits += 1;
        (self.misses < ENOUGH || self.waits >= self.probe).then(|| {
            self.waits = 0;
            Instant::now() + BUDGET
        })
    }

    /// Pauses between two looks, twice as long as before: an answer may come at once.
    pub(super) fn pause(pauses: &mut u32) {
        (0..*pauses).for_each(|_| spin_loop());
        *pauses = (*pauses * 2).min(MOST_PAUSES);
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
