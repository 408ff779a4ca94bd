#![allow(clippy::cast_possible_truncation)] // The patterns use the low byte.

#[cfg(heirloom_portable)]
mod controls;
mod fallback;
mod threads;
#[cfg(all(unix, target_arch = "x86_64", target_pointer_width = "64", not(any(miri, heirloom_portable))))]
mod ways;

use std::thread;

use super::*;

/// Private memory in place of a mapping: whole words, since a page ends with one.
struct Heap {
    words: Vec<u64>,
}

impl Heap {
    fn new(words: usize) -> Self {
        Self { words: vec![0; words] }
    }

    /// Holds exactly `bytes`, rounded up to words, so that a sanitizer sees an access behind them.
    fn of(bytes: &[u8]) -> Self {
        let mut heap = Self::new(bytes.len().div_ceil(8));
        heap.share(bytes.len()).write_at(0, bytes).unwrap();
        heap
    }

    /// Returns the first `len` bytes as shared bytes.
    fn share(&mut self, len: usize) -> SharedBytes {
        assert!(len <= self.words.len() * 8);
        let start = NonNull::new(self.words.as_mut_ptr().cast()).unwrap();
        // SAFETY: The words are aligned, and each test keeps them alive while it uses the result.
        unsafe { SharedBytes::new(start, len) }
    }
}

#[test]
fn copies_at_every_length_and_offset() {
    let mut heap = Heap::new(100);
    let shared = heap.share(800);
    let pattern: Vec<u8> = (0..800_u32).map(|at| (at % 251 + 1) as u8).collect();
    for len in (0..=80).chain([127, 128, 129, 255, 256, 511, 512, 513, 600]) {
        for offset in 0..24 {
            shared.write_at(0, &[0; 800]).unwrap();
            shared.write_at(offset, &pattern[..len]).unwrap();
            let mut all = [7; 800];
            shared.read_at(0, &mut all).unwrap();
            assert_eq!(&all[offset..offset + len], &pattern[..len], "{len} bytes at {offset}");
            assert!(all[..offset].iter().chain(&all[offset + len..]).all(|byte| *byte == 0), "{len} bytes at {offset}");
            let mut part = vec![7; len + 2];
            shared.read_at(offset, &mut part[1..=len]).unwrap();
            assert_eq!(&part[1..=len], &pattern[..len], "{len} bytes at {offset}");
            assert_eq!((part[0], part[len + 1]), (7, 7), "{len} bytes at {offset}");
        }
    }
}

#[test]
fn out_of_bounds_copies_change_nothing() {
    let mut heap = Heap::new(2);
    let shared = heap.share(13);
    for (offset, len) in [(0, 14), (13, 1), (14, 0), (usize::MAX, 1), (usize::MAX, 2), (1, usize::MAX >> 1)] {
        if len < 100 {
            assert_eq!(shared.write_at(offset, &vec![1; len]).unwrap_err().kind(), ErrorKind::OutOfBounds);
            let mut into = vec![7; len];
            assert_eq!(shared.read_at(offset, &mut into).unwrap_err().kind(), ErrorKind::OutOfBounds);
            assert!(into.iter().all(|byte| *byte == 7));
        }
        assert_eq!(shared.at(offset, len, 1).unwrap_err().kind(), ErrorKind::OutOfBounds);
    }
    assert!(shared.write_at(13, &[]).is_ok());
    assert!(shared.write_at(0, &[1; 13]).is_ok());
}

#[test]
fn numbers_out_of_bounds_or_misaligned_are_errors() {
    let mut heap = Heap::new(2);
    let shared = heap.share(15);
    assert_eq!(shared.load_u64(8).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(shared.load_u32(12).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(shared.load_u64(4).unwrap_err().kind(), ErrorKind::Misaligned);
    assert_eq!(shared.load_u32(2).unwrap_err().kind(), ErrorKind::Misaligned);
    assert_eq!(shared.atomic_u64(1).unwrap_err().kind(), ErrorKind::Misaligned);
    assert_eq!(shared.atomic_u32(usize::MAX).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert!(shared.atomic_u64(0).is_ok() && shared.atomic_u32(8).is_ok());
}

/// Compares both sizes with the standard library's atomics.
macro_rules! like_the_standard_library {
    ($test:ident, $number:ident, $atomic:ident, $shared:ident) => {
        #[test]
        fn $test() {
            use std::sync::atomic::{Ordering::SeqCst, $atomic};
            let mut heap = Heap::new(3);
            let bytes = heap.share(24);
            bytes.write_at(0, &[0xee; 24]).unwrap();
            let ours = bytes.$shared(8).unwrap();
            let theirs = $atomic::new(ours.load());
            let values =
                [0, 1, 2, 0x7f, $number::MAX, $number::MAX - 1, $number::MAX / 2, $number::MAX / 2 + 1, 0x1234_5678];
            for a in values {
                for b in values {
                    ours.store(a);
                    theirs.store(a, SeqCst);
                    assert_eq!(ours.fetch_add(b), theirs.fetch_add(b, SeqCst));
                    assert_eq!(ours.fetch_sub(a), theirs.fetch_sub(a, SeqCst));
                    assert_eq!(ours.fetch_xor(b), theirs.fetch_xor(b, SeqCst));
                    assert_eq!(ours.fetch_or(a), theirs.fetch_or(a, SeqCst));
                    assert_eq!(ours.fetch_and(b), theirs.fetch_and(b, SeqCst));
                    assert_eq!(ours.fetch_max(a), theirs.fetch_max(a, SeqCst));
                    assert_eq!(ours.fetch_min(b), theirs.fetch_min(b, SeqCst));
                    assert_eq!(ours.compare_exchange(a, b), theirs.compare_exchange(a, b, SeqCst, SeqCst));
                    assert_eq!(ours.compare_exchange(b, a), theirs.compare_exchange(b, a, SeqCst, SeqCst));
                    assert_eq!(ours.swap(b), theirs.swap(b, SeqCst));
                    assert_eq!(ours.load(), theirs.load(SeqCst));
                }
            }
            let mut around = [0; 24];
            bytes.read_at(0, &mut around).unwrap();
            let end = 8 + size_of::<$number>();
            assert!(around[..8].iter().chain(&around[end..]).all(|byte| *byte == 0xee));
        }
    };
}

like_the_standard_library!(u32_operations_equal_std, u32, AtomicU32, atomic_u32);
like_the_standard_library!(u64_operations_equal_std, u64, AtomicU64, atomic_u64);

#[test]
fn counters_in_one_word_survive_concurrent_copies() {
    const ROUNDS: u32 = if cfg!(miri) { 100 } else { 100_000 };
    let mut heap = Heap::new(2);
    let shared = heap.share(16);
    thread::scope(|scope| {
        let counting = [0, 4].map(|offset| {
            let shared = &shared;
            scope.spawn(move || {
                let number = shared.atomic_u32(offset).unwrap();
                for _ in 0..ROUNDS {
                    number.fetch_add(1);
                }
            })
        });
        for round in 0..ROUNDS {
            shared.write_at(8, &round.to_ne_bytes()).unwrap();
            shared.read_at(0, &mut [0; 16]).unwrap();
        }
        // A sanitizer sees these joins, and not how the scope itself waits.
        for thread in counting {
            thread.join().unwrap();
        }
    });
    assert_eq!((shared.load_u32(0).unwrap(), shared.load_u32(4).unwrap()), (ROUNDS, ROUNDS));
}

#[test]
fn acquire_load_sees_writes_before_release_store() {
    const ROUNDS: u64 = if cfg!(miri) { 50 } else { 100_000 };
    let mut heap = Heap::new(20);
    let shared = heap.share(160);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (turn, answer) = (shared.atomic_u64(0).unwrap(), shared.atomic_u64(8).unwrap());
            for round in 1..=ROUNDS {
                shared.write_at(21, &[round as u8; 100]).unwrap();
                turn.store(round);
                while answer.load() != round {
                    thread::yield_now();
                }
            }
        });
        let (turn, answer) = (shared.atomic_u64(0).unwrap(), shared.atomic_u64(8).unwrap());
        for round in 1..=ROUNDS {
            while turn.load() != round {
                thread::yield_now();
            }
            let mut seen = [0; 100];
            shared.read_at(21, &mut seen).unwrap();
            assert_eq!(seen, [round as u8; 100]);
            answer.store(round);
        }
        asking.join().unwrap();
    });
}
