//! The action for SIGPIPE that a new program inherits: Rust ignores the signal, which other programs don't expect.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// An action for SIGPIPE.
pub(super) struct Sigpipe(libc::sigaction);

impl Sigpipe {
    /// Returns the present action.
    pub(super) fn now() -> Self {
        let mut action = MaybeUninit::uninit();
        // SAFETY: With null for the new action, the call changes nothing. It can't fail for SIGPIPE, so it initializes what
        // it fills in.
        unsafe {
            libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr());
            Self(action.assume_init())
        }
    }

    pub(super) fn restore(&self) {
        // SAFETY: It was in force before, so it refers to no handler that doesn't exist.
        unsafe { libc::sigaction(libc::SIGPIPE, &raw const self.0, ptr::null_mut()) };
    }
}

/// Sets the default action for SIGPIPE, until it is dropped.
pub(super) struct DefaultSigpipe(Sigpipe);

impl DefaultSigpipe {
    pub(super) fn new() -> Self {
        let before = Sigpipe::now();
        // SAFETY: The new action is the default one (all zeros), which runs no code of this process.
        unsafe { libc::sigaction(libc::SIGPIPE, MaybeUninit::zeroed().as_ptr(), ptr::null_mut()) };
        Self(before)
    }
}

impl Drop for DefaultSigpipe {
    fn drop(&mut self) {
        self.0.restore();
    }
}
