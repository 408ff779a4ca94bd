//! Keeps this library usable in a process that forks without executing a program.
//!
//! A fork copies the locks as they are. A lock that another thread holds at that moment would stay locked in the child, so
//! the forking thread takes all of them before, and releases them in the parent and in the child.

use std::cell::RefCell;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use super::claim::{Entries, claimed_entries, entries};
use super::exported::exported;
use crate::sys::{self, LentGuard};

/// The locks of a thread that is forking, in the order in which other code takes them.
struct Held {
    _entries: Option<MutexGuard<'static, Entries>>,
    _exported: MutexGuard<'static, Vec<i32>>,
    _lent: LentGuard,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Whether the handlers are registered, or another library calls them.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Registers the handlers. Every call that takes one of the locks calls it first, in `claim`.
pub(super) fn prepare_for_fork() {
    // Two threads may register the handlers twice, which does no harm. No lock here: a fork would copy it.
    if !REGISTERED.load(Ordering::Acquire) {
        sys::on_fork(lock_all, unlock_all);
        REGISTERED.store(true, Ordering::Release);
    }
}

extern "C" fn lock_all() {
    hold(|| entries().ok());
}

fn hold(entries: impl FnOnce() -> Option<MutexGuard<'static, Entries>>) {
    // A thread that is ending can't store the guards.
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if held.is_none() {
            let entries = entries();
            *held = Some(Held { _entries: entries, _exported: exported(), _lent: sys::lent() });
        }
    });
}

extern "C" fn unlock_all() {
    let _ = HELD.try_with(|held| held.borrow_mut().take());
}

/// The handlers, for a library over this one that registers them itself.
pub mod forking {
    use super::{Ordering, REGISTERED, claimed_entries, hold, unlock_all};

    /// Leaves the handlers to the caller. To call once, before every other call of this library.
    pub fn take_over() {
        REGISTERED.store(true, Ordering::Release);
    }

    /// Takes the locks, before a fork. No other thread may be claiming.
    pub fn lock() {
        hold(claimed_entries);
    }

    /// Releases the locks, in the parent and in the child.
    pub fn unlock() {
        unlock_all();
    }
}
