//! A model of a thread that panics. Loom runs all threads of a test on one, which would panic for all of them.

use std::cell::RefCell;

use loom::thread::{ThreadId, current};

thread_local! {
    static PANIC: RefCell<Option<ThreadId>> = const { RefCell::new(None) };
}

/// Returns whether this thread panics.
pub(crate) fn panicking() -> bool {
    PANIC.with_borrow(|panic| *panic == Some(current().id()))
}

/// Runs the end of a scope as a panic does, in one thread at a time.
pub(crate) fn panic_through(end: impl FnOnce()) {
    PANIC.set(Some(current().id()));
    end();
    PANIC.set(None);
}
