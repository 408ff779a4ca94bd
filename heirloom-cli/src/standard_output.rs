//! Standard output, and the truth about it.

#![allow(unsafe_code)]

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// Whether this process was started without one. Rust's runtime puts `/dev/null` there before `main`, and writing would
/// seem to succeed.
static CLOSED: AtomicBool = AtomicBool::new(false);

extern "C" fn look() {
    let open = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_ok();
    CLOSED.store(!open, Ordering::Relaxed);
}

// SAFETY: The loader calls each pointer of this section once, before `main` and any other thread, as C's constructors.
// `look` makes one system call and needs nothing that the runtime sets up.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

/// Writes all that `write` writes, or says why it can't.
pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(Failure::new("cannot write to standard output: it is closed"));
    }
    let mut output = io::stdout().lock();
    write(&mut output)
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format_args!("cannot write to standard output: {error}")))
}
