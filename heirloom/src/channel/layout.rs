//! The memory of a channel: two words, two marks and the ring. `docs/format.md` specifies it.

use super::parts::Role;

/// Where the ring begins.
pub(super) const RING: usize = 256;
/// The granularity of positions and frames, in bytes.
pub(super) const UNIT: usize = 8;
/// The length of the frame that says that the ring goes on at its start.
pub(super) const WRAP: u32 = u32::MAX;
/// The smallest and the largest ring, in bytes.
const SMALLEST: u64 = 4096;
pub(super) const LARGEST: u64 = 4 << 30;

/// The offsets of one end's own word and mark. The two ends' are apart, so that they don't share a line of the cache.
pub(super) struct Offsets {
    /// Its position, and whether its peer sleeps.
    pub(super) word: usize,
    /// Whether it was closed.
    pub(super) closed: usize,
}

pub(super) const fn offsets(role: Role) -> Offsets {
    match role {
        Role::Sender => Offsets { word: 0, closed: 4 },
        Role::Receiver => Offsets { word: 128, closed: 132 },
    }
}

/// Returns the size of the memory for a ring of at least `capacity` bytes.
pub(super) fn size_for(capacity: u64) -> u64 {
    RING as u64 + capacity.next_power_of_two().max(SMALLEST)
}

/// Returns the units of the ring in memory of this size; `None` if it is not a channel's.
pub(crate) fn units_of(size: u64) -> Option<u32> {
    let ring = size.checked_sub(RING as u64)?;
    let units = u32::try_from(ring / UNIT as u64).ok()?;
    (ring.is_power_of_two() && (SMALLEST..=LARGEST).contains(&ring)).then_some(units)
}

/// Returns how many units a message takes.
pub(super) fn units_for(len: usize) -> u32 {
    // A length is below 4 GiB, since it was compared with the longest or comes from 4 bytes.
    u32::try_from(len.div_ceil(UNIT) + 1).unwrap_or(u32::MAX)
}

/// Returns the length of the longest message in bytes: with its frame it takes half of the ring, so it fits an empty ring at
/// every position.
pub(super) fn longest(units: u32) -> usize {
    (units as usize / 2 - 1) * UNIT
}

/// A position in the stream of all units, modulo 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(u32);

impl Position {
    const MASK: u32 = u32::MAX >> 1;

    /// Returns the position in a word.
    pub(super) fn of(word: u32) -> Self {
        Self(word >> 1)
    }

    /// Returns the word for the position, whose peer is awake.
    pub(super) fn awake(self) -> u32 {
        self.0 << 1
    }

    /// Returns the word for the position, whose peer sleeps.
    pub(super) fn asleep(self) -> u32 {
        self.awake() | 1
    }

    pub(super) fn plus(self, units: u32) -> Self {
        Self(self.0.wrapping_add(units) & Self::MASK)
    }

    /// Returns how many units lie between an earlier position and this one.
    pub(super) fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0) & Self::MASK
    }

    /// Returns the index of the position in a ring.
    pub(super) fn index(self, units: u32) -> u32 {
        self.0 & (units - 1)
    }
}

/// Returns whether a word says that the peer of the end that owns it sleeps.
pub(super) fn peer_sleeps(word: u32) -> bool {
    word & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_rings_of_a_power_of_two() {
        for capacity in [1, 4095, 4096, 4097, 65536, LARGEST - 1, LARGEST] {
            let units = units_of(size_for(capacity)).unwrap();
            assert!(units.is_power_of_two() && u64::from(units) * UNIT as u64 >= capacity);
        }
        for size in [0, 255, 256, 257, 256 + 2048, 4096, 256 + 4096 + 8, 256 + 2 * LARGEST, u64::MAX] {
            assert_eq!(units_of(size), None, "{size}");
        }
    }

    #[test]
    fn longest_message_fits_at_every_position() {
        let units = 512;
        let need = units_for(longest(units));
        for index in 0..units {
            let until_end = units - index;
            let skipped = if need > until_end { until_end } else { 0 };
            assert!(skipped + need <= units);
        }
    }

    #[test]
    fn positions_go_on_after_the_largest() {
        let last = Position::of(u32::MAX);
        assert_eq!(last.plus(3).since(last), 3);
        assert_eq!(last.plus(1).awake(), 0);
        assert_eq!(last.plus(1).asleep(), 1);
        assert_eq!(last.index(512), 511);
    }
}
