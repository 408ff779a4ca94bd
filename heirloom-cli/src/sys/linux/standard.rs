//! Standard input and output, as this process was started.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process was started without one. Rust's runtime puts `/dev/null` there before `main`: reading would find
/// nothing, and writing seem to succeed.
static NO_INPUT: AtomicBool = AtomicBool::new(false);
static NO_OUTPUT: AtomicBool = AtomicBool::new(false);

extern "C" fn look() {
    NO_INPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdin()).is_err(), Ordering::Relaxed);
    NO_OUTPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err(), Ordering::Relaxed);
}

// SAFETY: The loader calls each pointer of this section once, before `main` and any other thread, as C's constructors.
// `look` makes two system calls and needs nothing that the runtime sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

pub fn has_input() -> bool {
    !NO_INPUT.load(Ordering::Relaxed)
}

pub fn has_output() -> bool {
    !NO_OUTPUT.load(Ordering::Relaxed)
}

pub fn input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}
