//! Workloads that two processes run on the same bytes at once. Each process checks every value that it reads.

#![allow(clippy::cast_possible_truncation)] // Only the low bits are used.

use std::thread;

use heirloom::SharedBytes;

use crate::Chance;

/// The size of the region in bytes.
pub const SIZE: u64 = 8192;

/// The offset of the number of processes that started.
const STARTED: usize = 0;
/// The offset of the number of processes that ended.
const ENDED: usize = 8;
/// The offset of the bytes that the workloads use.
pub const BYTES: usize = 64;

struct Side<'a> {
    bytes: &'a SharedBytes,
    number: u8,
    rounds: u32,
    chance: Chance,
}

impl Drop for Side<'_> {
    fn drop(&mut self) {
        self.bytes.atomic_u64(ENDED).unwrap().fetch_add(1);
    }
}

/// Runs one side, 0 or 1, of a workload.
///
/// # Panics
/// If the side reads a value that neither side wrote.
pub fn run(workload: &str, number: u8, rounds: u32, bytes: &SharedBytes) {
    let mut side = Side { bytes, number, rounds, chance: Chance::new(0x9e37_79b9_7f4a_7c15 ^ u64::from(number)) };
    bytes.atomic_u64(STARTED).unwrap().fetch_add(1);
    side.wait_until(|| bytes.load_u64(STARTED).unwrap() == 2);
    match workload {
        "tearing" => side.tearing(),
        "ordering" => side.ordering(),
        "counting" => side.counting(),
        "copying" => side.copying(),
        "messaging" => side.messaging(),
        _ => panic!("unknown workload: {workload}"),
    }
}

/// A number whose upper half is computed from its lower half; 0 is one. A torn value does not match.
fn matching_halves_u64(half: u64) -> u64 {
    u64::from((half as u32).wrapping_mul(0x9e37_79b1)) << 32 | u64::from(half as u32)
}

/// The same with halves of 16 bits.
fn matching_halves_u32(half: u64) -> u32 {
    u32::from((half as u16).wrapping_mul(0x9e37)) << 16 | u32::from(half as u16)
}

/// A number made of its writer, its round and a checksum of both. 0 is the initial value.
fn signed(writer: u8, round: u32) -> u64 {
    let payload = u64::from(writer + 1) << 30 | u64::from(round);
    payload << 32 | payload.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The byte that a side writes at `offset` in a round. It is never 0.
fn byte_at(offset: usize, writer: u8, round: u32) -> u8 {
    ((offset % 31 + 1) as u8) << 3 | writer << 2 | round as u8 & 3
}

fn assert_written(offset: usize, seen: &[u8]) {
    for (at, byte) in (offset..).zip(seen) {
        assert!(*byte == 0 || byte >> 3 == byte_at(at, 0, 0) >> 3, "neither side wrote {byte:#x} at {at}");
    }
}

impl Side<'_> {
    /// Waits for a condition. Panics if the other side ends before it is met.
    fn wait_until(&self, done: impl Fn() -> bool) {
        while !done() {
            let ended = self.bytes.load_u64(ENDED).unwrap() > 0;
            assert!(!ended || done(), "the other side failed");
            thread::yield_now();
        }
    }

    fn tearing(&mut self) {
        let (long, short) = (self.bytes.atomic_u64(BYTES).unwrap(), self.bytes.atomic_u32(BYTES + 8).unwrap());
        for round in 0..self.rounds {
            let (long_before, short_before) = (long.load(), short.load());
            let (new_long, new_short) =
                (matching_halves_u64(self.chance.number()), matching_halves_u32(self.chance.number()));
            let (long_seen, short_seen) = match round % 3 {
                0 => (long.swap(new_long), short.swap(new_short)),
                1 => {
                    let (Ok(long_seen) | Err(long_seen)) = long.compare_exchange(long_before, new_long);
                    let (Ok(short_seen) | Err(short_seen)) = short.compare_exchange(short_before, new_short);
                    (long_seen, short_seen)
                }
                _ => {
                    long.store(new_long);
                    short.store(new_short);
                    (self.bytes.load_u64(BYTES).unwrap(), self.bytes.load_u32(BYTES + 8).unwrap())
                }
            };
            for seen in [long_before, long_seen] {
                assert_eq!(seen, matching_halves_u64(seen), "torn value");
            }
            for seen in [short_before, short_seen] {
                assert_eq!(seen, matching_halves_u32(seen.into()), "torn value");
            }
        }
    }

    fn ordering(&mut self) {
        let number = self.bytes.atomic_u64(BYTES).unwrap();
        let (mut mine, mut latest) = (0, 0);
        let mut check = |seen: u64, mine: u32| {
            let (writer, round) = ((seen >> 62) as u8, (seen >> 32) as u32 & 0x3fff_ffff);
            if seen == 0 {
                assert_eq!((mine, latest), (0, 0), "the initial value came back");
                return;
            }
            let writer = writer.checked_sub(1).expect("neither side wrote it");
            assert_eq!(seen, signed(writer, round), "neither side wrote it");
            if writer == self.number {
                assert_eq!(round, mine, "not the last value that this side wrote");
            } else {
                assert!(round >= latest, "older than a value read before");
                latest = round;
            }
        };
        for round in 1..=self.rounds {
            let before = number.load();
            check(before, mine);
            let new = signed(self.number, round);
            match round % 3 {
                0 => number.store(new),
                1 => check(number.swap(new), mine),
                _ => match number.compare_exchange(before, new) {
                    Ok(_) => {}
                    Err(now) => {
                        check(now, mine);
                        continue;
                    }
                },
            }
            mine = round;
        }
    }

    /// The caller checks the sums.
    fn counting(&mut self) {
        let bytes = self.bytes;
        // Two bytes for each side, which it only copies, in the same word as the other side's.
        let loose = BYTES + 20 + 2 * usize::from(self.number);
        for round in 0..self.rounds {
            bytes.atomic_u32(BYTES).unwrap().fetch_add(1);
            bytes.atomic_u32(BYTES + 4).unwrap().fetch_sub(1);
            bytes.atomic_u64(BYTES + 8).unwrap().fetch_add(1 << 31);
            bytes.atomic_u32(BYTES + 16).unwrap().update(|before| before.wrapping_add(1));
            bytes.atomic_u64(BYTES + 24).unwrap().update(|before| before.wrapping_add(1 << 31));
            let mine = (round as u16).to_ne_bytes();
            bytes.write_at(loose, &mine).unwrap();
            let mut around = [0; 32];
            bytes.read_at(BYTES, &mut around).unwrap();
            assert_eq!(around[loose - BYTES..][..2], mine, "changed bytes that only this side writes");
        }
    }

    fn copying(&mut self) {
        const LEN: usize = 1000;
        let bytes = self.bytes;
        let mut buffer = [0; LEN];
        for round in 0..self.rounds {
            // Mostly small copies at the start, where both sides write.
            let most = if round % 64 == 0 { LEN } else { 40 };
            let offset = self.chance.below(most);
            let buffer = &mut buffer[..=self.chance.below(most - offset)];
            let start = BYTES + offset;
            bytes.read_at(start, buffer).unwrap();
            assert_written(start, buffer);

            (start..).zip(&mut *buffer).for_each(|(at, byte)| *byte = byte_at(at, self.number, round));
            bytes.write_at(start, buffer).unwrap();

            let seen: [u16; 7] = bytes.read_value(start).unwrap();
            seen.iter().enumerate().for_each(|(at, two)| assert_written(start + 2 * at, &two.to_ne_bytes()));
            bytes
                .write_value(start, &std::array::from_fn::<_, 7, _>(|at| byte_at(start + at, self.number, round)))
                .unwrap();

            let word = BYTES + offset / 8 * 8;
            let whole = u64::from_ne_bytes(std::array::from_fn(|at| byte_at(word + at, self.number, round)));
            assert_written(word, &bytes.atomic_u64(word).unwrap().swap(whole).to_ne_bytes());

            // Strips of five bytes that belong to the two sides in turn.
            let strip = BYTES + 2 * LEN + 10 * self.chance.below(20) + 5 * usize::from(self.number);
            let mine: [u8; 5] = std::array::from_fn(|at| byte_at(strip + at, self.number, round));
            bytes.write_at(strip, &mine).unwrap();
            let mut seen = [0; 5];
            bytes.read_at(strip, &mut seen).unwrap();
            assert_eq!(seen, mine, "changed bytes that only this side writes");
        }
    }

    /// Takes turns: bytes that one side copied in before a store are there for the other side after a load that saw the
    /// store.
    fn messaging(&mut self) {
        let turn = self.bytes.atomic_u32(BYTES).unwrap();
        for round in (u32::from(self.number)..self.rounds).step_by(2) {
            self.wait_until(|| turn.load() == round);
            let mut seen = [0; 90];
            self.bytes.read_at(BYTES + 13, &mut seen).unwrap();
            let low = round as u8;
            assert_eq!(seen, [low; 90], "missed the bytes copied before the store");
            self.bytes.write_at(BYTES + 13, &[low.wrapping_add(1); 90]).unwrap();
            turn.store(round + 1);
        }
        // Ends only after the other side's last turn.
        self.wait_until(|| turn.load() == self.rounds);
    }
}
