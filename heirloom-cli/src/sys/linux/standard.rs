//! Standard input and output as they were when this process started.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process started with standard input closed.
///
/// Rust's runtime opens `/dev/null` in its place before `main`, so that reads would find nothing and writes seem to
/// succeed.
static NO_INPUT: AtomicBool = AtomicBool::new(false);
/// The same for standard output.
static NO_OUTPUT: AtomicBool = AtomicBool::new(false);

extern "C" fn check() {
    NO_INPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdin()).is_err(), Ordering::Relaxed);
    NO_OUTPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err(), Ordering::Relaxed);
}

// SAFETY: The loader calls each pointer in this section once, before `main` and any other thread, as for C.
// `check` makes two system calls and needs nothing that the runtime sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static CHECK: extern "C" fn() = check;

/// Returns whether this process started with standard input open.
pub fn has_input() -> bool {
    !NO_INPUT.load(Ordering::Relaxed)
}

/// Returns whether this process started with standard output open.
pub fn has_output() -> bool {
    !NO_OUTPUT.load(Ordering::Relaxed)
}

pub fn input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}
