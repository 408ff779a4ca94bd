//! Threads that access the same bytes at once, in which a sanitizer must find no error.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

const THREADS: usize = 4;
const ROUNDS: u32 = if cfg!(miri) { 50 } else { 20_000 };

/// A xorshift generator with a fixed seed.
struct Random(u64);

impl Random {
    fn new(thread: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ thread as u64)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// Runs `each(thread, random numbers)` in several threads at once.
fn at_once(each: impl Fn(usize, &mut Random) + Sync) {
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (each, ready) = (&each, &ready);
        let threads = std::array::from_fn::<_, THREADS, _>(|number| {
            scope.spawn(move || {
                // Without the barrier the first thread could end before the last starts.
                ready.fetch_add(1, SeqCst);
                while ready.load(SeqCst) < THREADS {
                    thread::yield_now();
                }
                each(number, &mut Random::new(number));
            })
        });
        // A sanitizer sees these joins, and not how the scope itself waits.
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn threads_read_only_written_values() {
    const LEN: usize = 600;
    let mut heap = Heap::new(LEN / 8);
    let shared = heap.share(LEN);
    let written = |bytes: &[u8]| bytes.iter().all(|byte| byte % 0x11 == 0 && usize::from(byte / 0x11) <= THREADS);
    at_once(|number, random| {
        let mine = 0x11 * (number as u8 + 1);
        let (short, long) = (u32::from_ne_bytes([mine; 4]), u64::from_ne_bytes([mine; 8]));
        let reader: &ReadOnlyBytes = &shared;
        for _ in 0..ROUNDS {
            // Mostly short and at the start, so that the threads meet.
            let most = if random.below(20) == 0 { LEN } else { 40 };
            let offset = random.below(most);
            let len = random.below(most - offset + 1);
            let u32s = shared.atomic_u32(offset / 4 * 4).unwrap();
            let u64s = shared.atomic_u64(offset / 8 * 8).unwrap();
            match random.below(12) {
                0 | 1 => shared.write_at(offset, &vec![mine; len]).unwrap(),
                2 | 3 => {
                    let mut seen = vec![0; len];
                    reader.read_at(offset, &mut seen).unwrap();
                    assert!(written(&seen), "{seen:x?}");
                }
                4 => u32s.store(short),
                5 => u64s.store(long),
                6 => assert!(written(&reader.load_u32(offset / 4 * 4).unwrap().to_ne_bytes())),
                7 => assert!(written(&reader.load_u64(offset / 8 * 8).unwrap().to_ne_bytes())),
                8 => assert!(written(&u32s.swap(short).to_ne_bytes())),
                9 => assert!(written(&u64s.swap(long).to_ne_bytes())),
                10 => assert!(written(&u32s.update(|before| before.max(short)).to_ne_bytes())),
                _ => assert!(written(&u64s.update(|before| before.min(long)).to_ne_bytes())),
            }
        }
    });
}

#[test]
fn concurrent_additions_add_up() {
    let mut heap = Heap::new(2);
    let shared = heap.share(16);
    at_once(|_, _| {
        let (short, long) = (shared.atomic_u32(0).unwrap(), shared.atomic_u64(8).unwrap());
        (0..5 * ROUNDS).for_each(|_| _ = short.fetch_add(1));
        (0..5 * ROUNDS).for_each(|_| _ = long.fetch_add(1 << 31));
        (0..5 * ROUNDS).for_each(|_| _ = short.update(|before| before.wrapping_sub(2)));
    });
    let all = 5 * ROUNDS * THREADS as u32;
    assert_eq!((shared.load_u32(0).unwrap(), shared.load_u64(8).unwrap()), (all.wrapping_neg(), u64::from(all) << 31));
}

#[test]
fn counters_among_copied_bytes_lose_nothing() {
    // A word with a 32-bit counter and copied bytes, a word that is a 64-bit counter, and copied bytes.
    let mut heap = Heap::new(4);
    let shared = heap.share(32);
    at_once(|number, random| {
        for round in 0..5 * ROUNDS {
            shared.atomic_u32(0).unwrap().fetch_add(1);
            shared.atomic_u64(8).unwrap().update(|before| before.wrapping_add(1 << 31));
            let mine = 4 + number;
            shared.write_at(mine, &[round as u8]).unwrap();
            shared.write_at(16 + 4 * number, &round.to_ne_bytes()).unwrap();
            let offset = random.below(32);
            let mut seen = [0; 32];
            shared.read_at(offset, &mut seen[offset..]).unwrap();
            shared.read_at(mine, &mut seen[..1]).unwrap();
            assert_eq!(seen[0], round as u8, "what nobody else writes");
        }
    });
    let all = u64::from(5 * ROUNDS) * THREADS as u64;
    assert_eq!((u64::from(shared.load_u32(0).unwrap()), shared.load_u64(8).unwrap()), (all, all << 31));
}

#[test]
fn numbers_are_never_torn() {
    let mut heap = Heap::new(2);
    let shared = heap.share(16);
    shared.atomic_u64(0).unwrap().store(u64::from(u32::MAX));
    shared.atomic_u32(8).unwrap().store(u32::from(u16::MAX));
    at_once(|_, random| {
        let (long, short) = (shared.atomic_u64(0).unwrap(), shared.atomic_u32(8).unwrap());
        for _ in 0..ROUNDS {
            let half = random.below(usize::MAX) as u32;
            let wide = u64::from(half) << 32 | u64::from(!half);
            let seen = if half % 2 == 0 { long.swap(wide) } else { long.load() };
            assert_eq!((seen >> 32) as u32, !(seen as u32), "{seen:x}");
            long.store(wide);
            let half = half as u16;
            let narrow = u32::from(half) << 16 | u32::from(!half);
            let seen = if half % 2 == 0 { short.swap(narrow) } else { short.load() };
            assert_eq!((seen >> 16) as u16, !(seen as u16), "{seen:x}");
            short.store(narrow);
            // The 32-bit number is in the same word.
            shared.write_at(12, &narrow.to_ne_bytes()).unwrap();
        }
    });
}
