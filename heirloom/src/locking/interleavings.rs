//! Locks in every interleaving of their threads, as far as each test says.
//!
//! Two threads that have a lock at once are a race, and a wake that is lost is a deadlock.

#![allow(unsafe_code)]

use std::mem;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::{LockMapping, Locked};
use crate::sys::LockOwner;
use crate::sys::thread::panic_through;
use crate::{Mapping, Region, interleavings};

/// A region with a lock at its start, and a number that the lock protects.
struct Shared {
    region: Region,
    view: Mapping,
    number: UnsafeCell<u32>,
}

// SAFETY: Loom reports an access to the number that nothing orders.
unsafe impl Send for Shared {}
// SAFETY: As above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the region as a process does.
    fn process(&self) -> Arc<LockMapping> {
        // SAFETY: The region's mapping outlives the test's threads.
        let mapping = unsafe { self.view.again() };
        Arc::new(LockMapping { mapping, owner: LockOwner::new(self.region.0.memory.lend()).unwrap() })
    }

    fn add(&self) {
        // SAFETY: As for `Send`.
        self.number.with_mut(|number| unsafe { *number += 1 });
    }

    fn number(&self) -> u32 {
        // SAFETY: As for `Send`.
        self.number.with(|number| unsafe { *number })
    }
}

/// Takes the lock, adds 1 and releases it. Returns whether it was told of a death.
fn add(shared: &Shared, view: &LockMapping) -> bool {
    let locked = view.lock(0).unwrap();
    shared.add();
    matches!(locked, Locked::OwnerDied(_))
}

fn check(preemptions: usize, test: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    interleavings::check(preemptions, Region::create(4096).unwrap(), &[(0, 0)], move |region, view| {
        // SAFETY: The mapping outlives the test's threads.
        let view = unsafe { view.again() };
        test(Arc::new(Shared { region: region.clone(), view, number: UnsafeCell::new(0) }));
    });
}

#[test]
fn threads_of_one_process_have_it_one_at_a_time() {
    check(4, |shared| {
        let view = shared.process();
        let threads = [(); 2].map(|()| {
            let (shared, view) = (Arc::clone(&shared), Arc::clone(&view));
            thread::spawn(move || assert!(!add(&shared, &view)))
        });
        assert!(!add(&shared, &view));
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!add(&shared, &view));
        assert_eq!(shared.number(), 4);
    });
}

#[test]
fn processes_have_it_one_at_a_time() {
    check(6, |shared| {
        let views = [(); 2].map(|()| shared.process());
        let threads = views.each_ref().map(|view| {
            let (shared, view) = (Arc::clone(&shared), Arc::clone(view));
            thread::spawn(move || {
                assert!(!add(&shared, &view));
                assert!(!add(&shared, &view));
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.number(), 4);
    });
}

#[test]
fn one_is_told_of_a_death() {
    check(3, |shared| {
        let views = [(); 2].map(|()| shared.process());
        let heirs = views.each_ref().map(|view| {
            let (shared, view) = (Arc::clone(&shared), Arc::clone(view));
            thread::spawn(move || add(&shared, &view))
        });
        let mortal = shared.process();
        let locked = mortal.lock(0).unwrap();
        shared.add();
        mem::forget(locked);
        drop(mortal);
        let told = heirs.map(|heir| heir.join().unwrap());
        let told = told.into_iter().chain([add(&shared, &views[0])]).filter(|told| *told).count();
        assert_eq!(told, 1);
    });
}

#[test]
fn one_is_told_of_a_panic() {
    check(3, |shared| {
        let view = shared.process();
        let heirs = [(); 2].map(|()| {
            let (shared, view) = (Arc::clone(&shared), Arc::clone(&view));
            thread::spawn(move || add(&shared, &view))
        });
        let locked = view.lock(0).unwrap();
        shared.add();
        panic_through(|| drop(locked));
        let told = heirs.map(|heir| heir.join().unwrap());
        let told = told.into_iter().chain([add(&shared, &view)]).filter(|told| *told).count();
        assert_eq!(told, 1);
    });
}

#[test]
fn try_lock_takes_it_only_if_nobody_has_it() {
    check(6, |shared| {
        let views = [(); 2].map(|()| shared.process());
        let threads = views.each_ref().map(|view| {
            let (shared, view) = (Arc::clone(&shared), Arc::clone(view));
            thread::spawn(move || {
                let mut taken = 0;
                if let Some(locked) = view.try_lock(0).unwrap() {
                    assert!(matches!(locked, Locked::Clean(_)));
                    shared.add();
                    taken += 1;
                }
                assert!(!add(&shared, &view));
                taken + 1
            })
        });
        let taken: u32 = threads.map(|thread| thread.join().unwrap()).into_iter().sum();
        assert_eq!(shared.number(), taken);
    });
}
