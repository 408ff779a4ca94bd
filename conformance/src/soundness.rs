//! What two processes do to the same bytes at once, and what each must never see there.

#![allow(clippy::cast_possible_truncation)] // The low bits are the number.

use std::thread;

use heirloom::SharedBytes;

use crate::Chance;

/// How many bytes a game is played on.
pub const SIZE: u64 = 8192;

/// How many sides have come, and how many are gone.
const CAME: usize = 0;
const GONE: usize = 8;
/// From here on is what the sides play with.
pub const BYTES: usize = 64;

struct Side<'a> {
    bytes: &'a SharedBytes,
    number: u8,
    rounds: u32,
    chance: Chance,
}

impl Drop for Side<'_> {
    fn drop(&mut self) {
        self.bytes.atomic_u64(GONE).unwrap().fetch_add(1);
    }
}

/// Plays one side, 0 or 1, of a game.
///
/// # Panics
/// Where the side sees what nobody wrote.
pub fn play(game: &str, number: u8, rounds: u32, bytes: &SharedBytes) {
    let mut side = Side { bytes, number, rounds, chance: Chance::new(0x9e37_79b9_7f4a_7c15 ^ u64::from(number)) };
    bytes.atomic_u64(CAME).unwrap().fetch_add(1);
    side.wait_until(|| bytes.load_u64(CAME).unwrap() == 2);
    match game {
        "tearing" => side.tearing(),
        "ordering" => side.ordering(),
        "counting" => side.counting(),
        "copying" => side.copying(),
        "messaging" => side.messaging(),
        _ => panic!("what is {game}?"),
    }
}

/// Both halves, of which one follows from the other; 0 is such a number.
fn halves_of_u64(half: u64) -> u64 {
    u64::from((half as u32).wrapping_mul(0x9e37_79b1)) << 32 | u64::from(half as u32)
}

/// The same of 16 bits each.
fn halves_of_u32(half: u64) -> u32 {
    u32::from((half as u16).wrapping_mul(0x9e37)) << 16 | u32::from(half as u16)
}

/// A number that carries who wrote it, when, and a checksum of the two; 0 of nobody.
fn signed(writer: u8, round: u32) -> u64 {
    let payload = u64::from(writer + 1) << 30 | u64::from(round);
    payload << 32 | payload.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The byte that a side writes at `offset` in a round; it never is 0.
fn byte_at(offset: usize, writer: u8, round: u32) -> u8 {
    ((offset % 31 + 1) as u8) << 3 | writer << 2 | round as u8 & 3
}

fn assert_written(offset: usize, seen: &[u8]) {
    for (at, byte) in (offset..).zip(seen) {
        assert!(*byte == 0 || byte >> 3 == byte_at(at, 0, 0) >> 3, "nobody wrote {byte:#x} at {at}");
    }
}

impl Side<'_> {
    /// Fails where the other side is gone before it did what is waited for.
    fn wait_until(&self, done: impl Fn() -> bool) {
        while !done() {
            let gone = self.bytes.load_u64(GONE).unwrap() > 0;
            assert!(!gone || done(), "the other side failed");
            thread::yield_now();
        }
    }

    fn tearing(&mut self) {
        let (long, short) = (self.bytes.atomic_u64(BYTES).unwrap(), self.bytes.atomic_u32(BYTES + 8).unwrap());
        for round in 0..self.rounds {
            let (long_before, short_before) = (long.load(), short.load());
            let (new_long, new_short) = (halves_of_u64(self.chance.number()), halves_of_u32(self.chance.number()));
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
                assert_eq!(seen, halves_of_u64(seen), "halves of two numbers");
            }
            for seen in [short_before, short_seen] {
                assert_eq!(seen, halves_of_u32(seen.into()), "halves of two numbers");
            }
        }
    }

    fn ordering(&mut self) {
        let number = self.bytes.atomic_u64(BYTES).unwrap();
        let (mut mine, mut latest) = (0, 0);
        let mut check = |seen: u64, mine: u32| {
            let (writer, round) = ((seen >> 62) as u8, (seen >> 32) as u32 & 0x3fff_ffff);
            if seen == 0 {
                assert_eq!((mine, latest), (0, 0), "back to the beginning");
                return;
            }
            let writer = writer.checked_sub(1).expect("nobody wrote it");
            assert_eq!(seen, signed(writer, round), "nobody wrote it");
            if writer == self.number {
                assert_eq!(round, mine, "not what this side wrote last");
            } else {
                assert!(round >= latest, "older than what was seen before");
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

    /// What it counts is for the caller to add up.
    fn counting(&mut self) {
        let bytes = self.bytes;
        // Both share its word with what is only copied, and each side has two bytes of that.
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
            assert_eq!(around[loose - BYTES..][..2], mine, "what the other side never writes");
        }
    }

    fn copying(&mut self) {
        const LEN: usize = 1000;
        let bytes = self.bytes;
        let mut buffer = [0; LEN];
        for round in 0..self.rounds {
            // Most of them small and at the start, where the sides meet.
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

            // Of these, every other five bytes are this side's alone.
            let strip = BYTES + 2 * LEN + 10 * self.chance.below(20) + 5 * usize::from(self.number);
            let mine: [u8; 5] = std::array::from_fn(|at| byte_at(strip + at, self.number, round));
            bytes.write_at(strip, &mine).unwrap();
            let mut seen = [0; 5];
            bytes.read_at(strip, &mut seen).unwrap();
            assert_eq!(seen, mine, "what the other side never writes");
        }
    }

    /// In turns: what one copied in before a store, the other finds after a load that saw it.
    fn messaging(&mut self) {
        let turn = self.bytes.atomic_u32(BYTES).unwrap();
        for round in (u32::from(self.number)..self.rounds).step_by(2) {
            self.wait_until(|| turn.load() == round);
            let mut seen = [0; 90];
            self.bytes.read_at(BYTES + 13, &mut seen).unwrap();
            let low = round as u8;
            assert_eq!(seen, [low; 90], "not what was there before the store");
            self.bytes.write_at(BYTES + 13, &[low.wrapping_add(1); 90]).unwrap();
            turn.store(round + 1);
        }
        // Gone only once the other side was answered.
        self.wait_until(|| turn.load() == self.rounds);
    }
}
