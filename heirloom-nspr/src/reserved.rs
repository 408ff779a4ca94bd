//! Reserved address ranges, of which each address is assigned once and never reused. A closed handle can therefore not be
//! mistaken for another object.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sys;

/// The handles of file maps.
pub(crate) static FILE_MAPS: Reserved = Reserved::without_memory();

/// The handles of process attributes.
pub(crate) static ATTRIBUTES: Reserved = Reserved::without_memory();

/// The pages of `PRProcess` objects.
pub(crate) static PROCESSES: Reserved = Reserved::with_memory();

/// Whether an address lies in any range of this library. Takes no lock.
pub(crate) fn is_reserved(address: usize) -> bool {
    [&FILE_MAPS, &ATTRIBUTES, &PROCESSES].iter().any(|reserved| reserved.contains(address))
}

/// The size of the first range in bytes. Each further range is twice as large as the one before.
const FIRST: usize = 1 << 20;

/// More ranges than an address space can hold.
const RANGES: usize = 28;

/// Address ranges that are reserved on demand and never released.
pub(crate) struct Reserved {
    /// Whether the addresses can be read and written.
    has_memory: bool,
    /// The start of each range; 0 if it is not reserved yet.
    starts: [AtomicUsize; RANGES],
    next: Mutex<Position>,
}

/// The first unassigned address.
struct Position {
    range: usize,
    offset: usize,
}

impl Reserved {
    /// Addresses that can be neither read nor written.
    const fn without_memory() -> Self {
        Self::new(false)
    }

    /// Memory that is initially zero.
    const fn with_memory() -> Self {
        Self::new(true)
    }

    const fn new(has_memory: bool) -> Self {
        let next = Mutex::new(Position { range: 0, offset: 0 });
        Self { has_memory, starts: [const { AtomicUsize::new(0) }; RANGES], next }
    }

    /// Assigns the next `size` bytes and returns their start. Every call must pass the same power of two.
    pub(crate) fn take(&self, size: usize) -> io::Result<usize> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.offset == FIRST << next.range {
            *next = Position { range: next.range + 1, offset: 0 };
        }
        let start = self.starts.get(next.range).ok_or(io::ErrorKind::OutOfMemory)?;
        if start.load(Ordering::Relaxed) == 0 {
            // Release: a thread that finds the range in `contains` then also sees its memory as zero.
            start.store(sys::reserve(FIRST << next.range, self.has_memory)?, Ordering::Release);
        }
        let address = start.load(Ordering::Relaxed) + next.offset;
        next.offset += size;
        Ok(address)
    }

    /// Whether an address lies in these ranges. Takes no lock.
    pub(crate) fn contains(&self, address: usize) -> bool {
        let starts = self.starts.iter().map(|start| start.load(Ordering::Acquire)).take_while(|start| *start != 0);
        starts.enumerate().any(|(range, start)| (start..start + (FIRST << range)).contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_recognized() {
        let reserved = Reserved::without_memory();
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
