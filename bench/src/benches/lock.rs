//! Locks between processes.

use std::cell::UnsafeCell;
use std::hint;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use heirloom::{Locked, Region};
use heirloom_bench::measure::{Routine, routine, time};

use super::Results;
use crate::peer::{fork_peer, futex_wait, futex_wake, init_mutex, pin, shared};
use crate::table::Table;

const ALONE: u32 = 10_000;
const CONTENDED: u32 = 20_000;

pub fn measure() -> Results {
    let mut results = Results::default();
    let mut table = Table::new(
        "lock",
        "Take a lock and release it",
        "",
        "Alone, or while a forked process does the same all the time; both add to a number while they have the lock, and the time \
         is that of one of the two for each of its locks. \"futex\" is a lock of three states without anything that tells of a \
         death; pthread's are PTHREAD_PROCESS_SHARED.",
    );
    pin(Some(0));
    let candidates = || {
        [by_futex as fn() -> Lock, by_heirloom, || by_pthread("pthread", false), || by_pthread("pthread, robust", true)]
    };
    table.add_row(1.0, "alone", candidates().map(|lock| alone(&lock())).into());
    table.add_row(2.0, "contended, one processor", candidates().map(|lock| contended(&lock(), 0)).into());
    table.add_row(3.0, "contended, two processors", candidates().map(|lock| contended(&lock(), 1)).into());
    pin(None);
    results.at_most(
        "lock: alone, ratio to futex",
        1.1,
        table.ratio("heirloom", "futex", 0),
        "2 ns: both calls also look for a fork and a panic, and the release leaves a lock alone that isn't its own",
    );
    results.at_most("lock: contended on two processors, ratio to futex", 1.1, table.ratio("heirloom", "futex", 2), "");
    results.tables.push(table);
    results
}

/// A call that takes a lock, adds one to the number that it protects, and releases it.
type Add = Box<dyn FnMut()>;

/// A lock, and what a process does to use it.
struct Lock {
    name: &'static str,
    attach: Box<dyn Fn() -> Add>,
}

fn alone(lock: &Lock) -> Routine<'static> {
    let mut add = (lock.attach)();
    routine(lock.name, move || time(ALONE, &mut add))
}

/// Lets a peer take the lock as often as this process, at the same time.
fn contended(lock: &Lock, processor: usize) -> Routine<'static> {
    let view = Region::create(4096).unwrap().map().unwrap();
    fork_peer(processor, || {
        let mut add = (lock.attach)();
        let mut round = 0;
        loop {
            round = view.wait(0, round).unwrap();
            (0..CONTENDED).for_each(|_| add());
            view.atomic_u32(64).unwrap().store(round);
            view.wake_one(64).unwrap();
        }
    });
    let (mut add, mut round) = ((lock.attach)(), 0);
    routine(lock.name, move || {
        round += 1;
        view.atomic_u32(0).unwrap().store(round);
        view.wake_one(0).unwrap();
        let taken = time(CONTENDED, &mut add);
        while view.wait(64, round - 1).unwrap() != round {}
        taken
    })
}

/// A lock of three states, and the number that it protects.
struct Futex {
    state: AtomicU32,
    number: AtomicU64,
}

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const AWAITED: u32 = 2;
/// How often it looks before it sleeps.
const LOOKS: u32 = 100;

fn by_futex() -> Lock {
    let shared: &Futex = shared();
    let add = || {
        let state = &shared.state;
        let take = |taken| state.compare_exchange(FREE, taken, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !take(TAKEN) {
            let mut looks = 0;
            while looks < LOOKS && state.load(Ordering::Relaxed) == TAKEN {
                hint::spin_loop();
                looks += 1;
            }
            if !take(TAKEN) {
                while state.swap(AWAITED, Ordering::Acquire) != FREE {
                    futex_wait(state, AWAITED);
                }
            }
        }
        increment(&shared.number);
        if state.swap(FREE, Ordering::Release) == AWAITED {
            futex_wake(state);
        }
    };
    Lock { name: "futex", attach: Box::new(move || Box::new(add)) }
}

fn increment(number: &AtomicU64) {
    number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn by_heirloom() -> Lock {
    let region = Region::create(4096).unwrap();
    let attach = move || -> Add {
        let view = region.map_with_locks().unwrap();
        Box::new(move || {
            let Locked::Clean(_guard) = view.lock(0).unwrap() else { panic!("nobody died") };
            let number = view.atomic_u64(8).unwrap();
            number.store(number.load() + 1);
        })
    };
    Lock { name: "heirloom", attach: Box::new(attach) }
}

fn by_pthread(name: &'static str, robust: bool) -> Lock {
    struct Pthread {
        mutex: UnsafeCell<libc::pthread_mutex_t>,
        number: AtomicU64,
    }
    let shared: &Pthread = shared();
    let mutex = shared.mutex.get();
    init_mutex(mutex, robust);
    let add = move || {
        // SAFETY: The mutex was initialized, and lives for ever.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(mutex), 0);
            increment(&shared.number);
            assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
        }
    };
    Lock { name, attach: Box::new(move || Box::new(add)) }
}
