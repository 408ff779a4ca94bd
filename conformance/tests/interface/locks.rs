//! Locks, as one process sees them.

use std::thread;
use std::time::{Duration, Instant};

use heirloom::{ErrorKind, LockMapping, Locked, Region};

/// Returns a mapping with locks; `None` on a system without them.
fn view() -> Option<LockMapping> {
    let view = Region::create(4096).unwrap().map_with_locks();
    if cfg!(any(target_os = "linux", target_os = "android")) {
        return Some(view.unwrap());
    }
    let error = view.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("let one process own the data, and send it messages"), "{error}");
    None
}

#[test]
fn locks_exclude_each_other_and_nothing_else() {
    let Some(view) = view() else { return };
    let first = view.lock(0).unwrap();
    assert!(matches!(first, Locked::Clean(_)));
    for offset in [4, 8, 4092] {
        assert!(matches!(view.try_lock(offset).unwrap(), Some(Locked::Clean(_))), "{offset}");
    }
    assert!(view.try_lock(0).unwrap().is_none());
    // The bytes are free to all: the locks are advisory.
    view.write_at(8, b"bytes").unwrap();
    drop(first);
    assert!(matches!(view.try_lock(0).unwrap(), Some(Locked::Clean(_))));
    // A free lock is 0, as fresh memory is.
    assert_eq!(view.load_u32(0).unwrap(), 0);
}

#[test]
fn locks_of_one_region_exclude_each_other_across_its_mappings() {
    let region = Region::create(4096).unwrap();
    if view().is_none() {
        return;
    }
    let (one, two) = (region.map_with_locks().unwrap(), region.map_with_locks().unwrap());
    let locked = one.lock(0).unwrap();
    assert!(two.try_lock(0).unwrap().is_none());
    drop(locked);
    assert!(two.try_lock(0).unwrap().is_some());
}

#[test]
fn timeout_ends_the_wait_for_a_lock() {
    let Some(view) = view() else { return };
    let locked = view.lock(0).unwrap();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(5)] {
        let start = Instant::now();
        assert!(view.lock_timeout(0, timeout).unwrap().is_none());
        assert!(start.elapsed() >= timeout);
    }
    drop(locked);
    for timeout in [Duration::ZERO, Duration::MAX] {
        assert!(view.lock_timeout(0, timeout).unwrap().is_some());
    }
}

#[test]
fn waiters_get_the_lock_one_after_the_other() {
    let Some(view) = view() else { return };
    let locked = view.lock(0).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let _locked = view.lock(0).unwrap();
                    let mut number = [0; 8];
                    view.read_at(8, &mut number).unwrap();
                    view.write_at(8, &(u64::from_ne_bytes(number) + 1).to_ne_bytes()).unwrap();
                }
            });
        }
        // Until one of them sleeps.
        while view.load_u32(0).unwrap() >> 31 == 0 {
            thread::yield_now();
        }
        drop(locked);
    });
    assert_eq!(view.load_u64(8).unwrap(), 800);
    // A waiter that is not woken sleeps for 64 ms, and would do so 800 times.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn locks_outside_or_misaligned_are_errors() {
    let Some(view) = view() else { return };
    for (offset, kind) in [
        (4096, ErrorKind::OutOfBounds),
        (4093, ErrorKind::OutOfBounds),
        (usize::MAX, ErrorKind::OutOfBounds),
        (2, ErrorKind::Misaligned),
    ] {
        assert_eq!(view.lock(offset).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(view.try_lock(offset).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(view.lock_timeout(offset, Duration::MAX).unwrap_err().kind(), kind, "{offset}");
    }
}
