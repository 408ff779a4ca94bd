//! Keeps this library usable in a process that forks without executing a program.
//!
//! A fork copies the locks as they are. A lock that another thread held at that moment would stay locked in the child. So
//! each call holds `CALLS` for reading, and a fork takes it for writing first: then no call runs, and no other lock of this
//! library is held. What may take long, and what may fork itself, runs outside.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use heirloom::forking;

use crate::sys;

static CALLS: RwLock<()> = RwLock::new(());

/// How a thread holds `CALLS`.
enum Hold {
    Call(#[allow(dead_code)] RwLockReadGuard<'static, ()>), // Only dropped.
    Fork(#[allow(dead_code)] RwLockWriteGuard<'static, ()>),
}

impl Hold {
    fn call() -> Self {
        Self::Call(CALLS.read().unwrap_or_else(PoisonError::into_inner))
    }
}

thread_local! {
    /// It has no destructor, so that a thread that is ending can still call and fork.
    static HELD: Cell<Option<ManuallyDrop<Hold>>> = const { Cell::new(None) };
}

/// Whether this thread holds `CALLS` already: a signal handler or another fork handler may interrupt a call or a fork.
fn is_held() -> bool {
    let held = HELD.take();
    let is_held = held.is_some();
    HELD.set(held);
    is_held
}

fn release() {
    drop(HELD.take().map(ManuallyDrop::into_inner));
}

/// A running call.
pub(crate) struct Entered {
    is_outermost: bool,
}

/// Delays forks until the returned object is dropped.
pub(crate) fn enter() -> Entered {
    let is_outermost = !is_held();
    if is_outermost {
        HELD.set(Some(ManuallyDrop::new(Hold::call())));
    }
    Entered { is_outermost }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.is_outermost {
            release();
        }
    }
}

/// Runs a part of a call that does not delay forks. The caller must hold no lock, and have claimed if that part may.
pub(crate) fn outside<T>(work: impl FnOnce() -> T) -> T {
    match HELD.take() {
        Some(held) if matches!(*held, Hold::Call(_)) => {
            drop(ManuallyDrop::into_inner(held));
            let result = work();
            HELD.set(Some(ManuallyDrop::new(Hold::call())));
            result
        }
        held => {
            HELD.set(held);
            work()
        }
    }
}

// At load time no other thread uses this library, and so none forks without the handlers while another one holds a lock.
sys::on_load!(register);

/// Registers the fork handlers, in place of the Rust library's own. These would run first before a fork, because they would
/// be registered last, and a call that waits for their locks would wait for the fork that waits for that call.
fn register() {
    forking::take_over();
    sys::on_fork(before, after_in_parent, after_in_child);
}

extern "C" fn before() {
    if !is_held() {
        let hold = Hold::Fork(CALLS.write().unwrap_or_else(PoisonError::into_inner));
        // A start holds some of them outside. It has claimed before.
        forking::lock();
        HELD.set(Some(ManuallyDrop::new(hold)));
    }
}

extern "C" fn after_in_parent() {
    match HELD.take() {
        Some(held) if matches!(*held, Hold::Fork(_)) => {
            forking::unlock();
            drop(ManuallyDrop::into_inner(held));
        }
        held => HELD.set(held),
    }
}

extern "C" fn after_in_child() {
    renew_redirections();
    after_in_parent();
}

/// The lock of `redirections`, which a start holds outside. Forks don't wait for it.
static REDIRECTIONS: AtomicPtr<Mutex<()>> = {
    static FIRST: Mutex<()> = Mutex::new(());
    AtomicPtr::new((&raw const FIRST).cast_mut())
};

fn redirections_lock() -> &'static Mutex<()> {
    // SAFETY: It points to a static, or to a mutex that is never freed.
    unsafe { &*REDIRECTIONS.load(Ordering::Acquire) }
}

/// Locks the redirections of standard streams. Call it only outside.
pub(crate) fn lock_redirections() -> MutexGuard<'static, ()> {
    redirections_lock().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a forked child another lock, if a thread that it does not have holds this one.
fn renew_redirections() {
    if matches!(redirections_lock().try_lock(), Err(TryLockError::WouldBlock)) {
        REDIRECTIONS.store(Box::into_raw(Box::new(Mutex::new(()))), Ordering::Release);
    }
}
