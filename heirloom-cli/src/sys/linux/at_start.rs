//! What this process was started with, recorded before Rust's runtime changes it.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard input was closed. The runtime opens `/dev/null` in its place before `main`, so that reads would find
/// nothing and writes seem to succeed.
static NO_INPUT: AtomicBool = AtomicBool::new(false);
/// The same for standard output.
static NO_OUTPUT: AtomicBool = AtomicBool::new(false);
/// Whether SIGPIPE was ignored. The runtime ignores it before `main`.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn record() {
    NO_INPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdin()).is_err(), Ordering::Relaxed);
    NO_OUTPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err(), Ordering::Relaxed);
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: Without a new action, the call only fills in the current one; it can't fail for SIGPIPE.
    let action = unsafe {
        libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    PIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

// SAFETY: The loader calls each pointer in this section once, before `main` and any other thread, as for C.
// `record` makes three system calls and needs nothing that the runtime sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static RECORD: extern "C" fn() = record;

/// Returns whether this process started with standard input open.
pub fn has_input() -> bool {
    !NO_INPUT.load(Ordering::Relaxed)
}

/// Returns whether this process started with standard output open.
pub fn has_output() -> bool {
    !NO_OUTPUT.load(Ordering::Relaxed)
}

/// Returns whether this process started with SIGPIPE ignored.
pub fn pipe_ignored() -> bool {
    PIPE_IGNORED.load(Ordering::Relaxed)
}
