//! Addresses that are given out once and never again, so that what is closed can't be mistaken for anything else.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sys;

/// How many bytes the first range has; each one after it has twice as many as the one before.
const FIRST: usize = 1 << 20;

/// More than any address space holds.
const RANGES: usize = 28;

/// Ranges of this process's address space, reserved as they are needed and never given back.
pub(crate) struct Reserved {
    /// Whether there is memory behind the addresses.
    usable: bool,
    /// Where the ranges start; 0 for those not reserved yet.
    starts: [AtomicUsize; RANGES],
    next: Mutex<Position>,
}

/// The first address not given out yet.
struct Position {
    range: usize,
    offset: usize,
}

impl Reserved {
    /// Addresses that nothing can be read from or written to.
    pub(crate) const fn names_only() -> Self {
        Self::new(false)
    }

    /// Memory, zero at first.
    pub(crate) const fn memory() -> Self {
        Self::new(true)
    }

    const fn new(usable: bool) -> Self {
        let next = Mutex::new(Position { range: 0, offset: 0 });
        Self { usable, starts: [const { AtomicUsize::new(0) }; RANGES], next }
    }

    /// The start of `size` bytes that nobody had before. All sizes asked for must be the same power of two.
    pub(crate) fn take(&self, size: usize) -> io::Result<usize> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.offset == FIRST << next.range {
            *next = Position { range: next.range + 1, offset: 0 };
        }
        let start = self.starts.get(next.range).ok_or(io::ErrorKind::OutOfMemory)?;
        if start.load(Ordering::Relaxed) == 0 {
            // Released, so that who finds the range by `contains` also finds its memory zero.
            start.store(sys::reserve(FIRST << next.range, self.usable)?, Ordering::Release);
        }
        let address = start.load(Ordering::Relaxed) + next.offset;
        next.offset += size;
        Ok(address)
    }

    /// Whether an address may have been given out. Takes no lock.
    pub(crate) fn contains(&self, address: usize) -> bool {
        let starts = self.starts.iter().map(|start| start.load(Ordering::Acquire)).take_while(|start| *start != 0);
        starts.enumerate().any(|(range, start)| (start..start + (FIRST << range)).contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_given_out_twice_and_all_are_known() {
        let reserved = Reserved::names_only();
        assert!(!reserved.contains(0) && !reserved.contains(FIRST));
        let mut given: Vec<_> = (0..(FIRST >> 12) * 5).map(|_| reserved.take(1 << 12).unwrap()).collect();
        assert!(given.iter().all(|address| reserved.contains(*address) && reserved.contains(address + 4095)));
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), count);
        assert!(!reserved.contains(given[0] - 1) && !reserved.contains(&raw const reserved as usize));
    }
}
