//! Standard input and output, and the truth about them.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

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

/// Standard input as a file.
pub fn input() -> Result<File, Failure> {
    if NO_INPUT.load(Ordering::Relaxed) {
        return Err(Failure::new("cannot read standard input: it is closed"));
    }
    let input = io::stdin().as_fd().try_clone_to_owned();
    Ok(input.map_err(|error| Failure::new(format_args!("cannot read standard input: {error}")))?.into())
}

/// Writes all that `write` writes, or says why it can't.
pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if NO_OUTPUT.load(Ordering::Relaxed) {
        return Err(Failure::new("cannot write to standard output: it is closed"));
    }
    let mut output = io::stdout().lock();
    write(&mut output)
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format_args!("cannot write to standard output: {error}")))
}
