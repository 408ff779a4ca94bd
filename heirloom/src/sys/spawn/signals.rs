//! The signals that a new program inherits: Rust ignores SIGPIPE, which other programs don't expect.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// The action for SIGPIPE, and the signals that this thread blocks.
pub(super) struct Signals {
    pipe: libc::sigaction,
    mask: libc::sigset_t,
}

impl Signals {
    /// Returns the present state.
    pub(super) fn now() -> Self {
        let (mut pipe, mut mask) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: With null for the new value, neither call changes anything. Neither can fail with such arguments, so both
        // initialize what they fill in.
        unsafe {
            libc::sigaction(libc::SIGPIPE, ptr::null(), pipe.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), mask.as_mut_ptr());
            Self { pipe: pipe.assume_init(), mask: mask.assume_init() }
        }
    }

    pub(super) fn restore(&self) {
        // SAFETY: Both values were in force before, so the action refers to no handler that doesn't exist.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut());
            libc::sigaction(libc::SIGPIPE, &raw const self.pipe, ptr::null_mut());
        }
    }
}

/// Sets signals as a new program expects them, until it is dropped.
pub(super) struct DefaultSignals(Signals);

impl DefaultSignals {
    pub(super) fn new() -> Self {
        let (mut pipe, mut mask) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: The new action is the default one (all zeros), which runs no code of this process, and the new mask is
        // initialized. Neither call can fail with such arguments, so both initialize the old values.
        unsafe {
            libc::sigaction(libc::SIGPIPE, MaybeUninit::zeroed().as_ptr(), pipe.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, &no_signals(), mask.as_mut_ptr());
            Self(Signals { pipe: pipe.assume_init(), mask: mask.assume_init() })
        }
    }
}

impl Drop for DefaultSignals {
    fn drop(&mut self) {
        self.0.restore();
    }
}

/// Returns the empty set.
pub(super) fn no_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initializes the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}
