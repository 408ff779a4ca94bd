//! How long an end looks before it sleeps.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// How long it looks: about as long as it takes to sleep and to be woken.
const BUDGET: Duration = Duration::from_micros(50);
/// The pauses between two looks. More looks would take the line of the cache away from the peer that is about to write it.
const PAUSES: u32 = 20;
/// One of so many waits looks even where looking didn't pay the last time.
const PROBE: u32 = 64;

/// Whether looking pays: it does while the peer runs on another processor and answers soon.
pub(super) struct Patience {
    paid: bool,
    waits: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { paid: true, waits: 0 }
    }

    /// Starts a wait. Returns until when to look before it sleeps; `None` to sleep at once.
    pub(super) fn start(&mut self) -> Option<Instant> {
        self.waits = self.waits.wrapping_add(1);
        (self.paid || self.waits % PROBE == 0).then(|| Instant::now() + BUDGET)
    }

    /// Pauses between two looks.
    pub(super) fn pause() {
        (0..PAUSES).for_each(|_| spin_loop());
    }

    /// Ends the looks of a wait.
    pub(super) fn end(&mut self, paid: bool) {
        self.paid = paid;
    }
}
