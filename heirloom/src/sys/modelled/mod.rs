//! Models of the system's calls for loom, see `.ci/loom`: a channel and a lock sleep and wake by them.
//!
//! No limit of time ever passes, so loom reports a wake that was lost as a deadlock. Like the kernel's own calls, these order
//! memory between the thread that wakes and the one that wakes up.

#![allow(clippy::unnecessary_wraps, clippy::unused_self)] // The system may fail, and needs the arguments.

pub(crate) mod doorbell;
pub(crate) mod futex;
pub(crate) mod lock_owner;
pub(crate) mod thread;

/// Starts an execution, before its threads.
pub(crate) fn begin() {
    futex::begin();
    lock_owner::begin();
}
