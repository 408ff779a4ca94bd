//! Linux.

mod at_start;
mod blocks;
mod confinement;
mod destination;
mod group;
mod options;
mod outputs;
mod path;
mod ps;
mod script;
mod secret;
mod signals;
mod split;
mod streams;
mod tree;
mod workers;

use std::fmt::Display;
use std::fs::Metadata;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::thread;

use heirloom::os::unix::CommandExt;
use heirloom::{AnyRegion, Command, ErrorKind};

pub use self::at_start::{has_input, has_output};
pub use self::confinement::{ConfinementOptions, confine};
pub use self::destination::{Destination, Unfinished};
pub use self::options::{ExecOptions, RegionOptions, RunOptions, frozen_options, secrets};
pub use self::path::{hand_down, keep_open, prepare, reference};
pub use self::ps::ps;
pub use self::script::interpreted;
pub use self::secret::Secrets;
pub use self::split::split;
pub use self::streams::{Patient, input, output};
pub use self::workers::{Waiting, apply, confine_worker, end_by, end_like, killed_by, wrap};
use crate::failure::{self, Failure};

/// The help that `run` and `exec` share, between the differing descriptions of placeholders and exit codes.
macro_rules! help {
    ($placeholders:literal, $exit_code:literal) => {
        concat!(
            $placeholders,
            "

The size of a region is fixed. In a shell, open a region for writing with 1<>{NAME}: >{NAME} would truncate it, which
fails.

A program cannot use such a path if it closes inherited descriptors, resolves the path first (realpath, sqlite3), or
requires a suffix such as .pem. Python's subprocess and Node's child_process close descriptors in the programs that they
start. A program that uses the heirloom library finds the regions by name.

To pass a path in an environment variable, use --env KEY={NAME}.

--secret is for keys and passwords: no other process reads the bytes, root's included, and they are neither swapped nor
dumped. No path opens such a region. {NAME} is replaced by the number of a descriptor, which the program maps (mmap with
MAP_SHARED) and then closes, since it is what other processes could take. Every holder can write it. For a program that
reads a file, or where no holder may change the bytes, use --frozen. Linux 5.14 or later is needed, and twice the size as
locked memory while it is filled (ulimit -l).

The program gets its signals as heirloom's caller left them, and the regions that heirloom itself inherited. A script
without #! runs by /bin/sh.

--frozen fails if its file changes while heirloom reads it. Changes through a mapping of the file go undetected. With
--max, a larger file is refused before it is copied, and of standard input at most one byte more is read.

--confine and --confine-to need Landlock (Linux 5.13 or later) and are errors without it. A confined program has no rights of
setuid programs and mounts nothing. With --confine-to it keeps what it inherits, its standard streams included, and usually
needs --confine-to /usr, /lib, /lib64 and /etc/ld.so.cache to start at all.

Exit code: 125 if heirloom itself fails, 126 if the program cannot be run, 127 if it does not exist; otherwise ",
            $exit_code
        )
    };
}

pub const RUN_HELP: &str = help!(
    "\
In PROGRAM and each ARG, {NAME} is replaced by a path that opens the region (/proc/self/fd/N), {job} by the worker's
number, from 0 or --first-job, and {jobs} by the number of workers of this call. All other braces are left as they are.
Options of heirloom come before PROGRAM: everything from there on is the program's.

With --split, {job} is the number of the block, from 0 or --first-job. The worker reads its block as standard input, which
is a frozen region. What it prints is kept in memory until it is written: whole, and in the order of the blocks. A worker
that fails doesn't keep the others from going on, and its block is not given to another. Without input no worker is started.

--save opens its file before the work starts, as > does in a shell, and replaces the content after all workers succeeded.
If that fails, heirloom says where the bytes are.

SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1 and SIGUSR2 are forwarded to the workers. If heirloom is killed by SIGKILL, the
workers go on, unless --kill-on-exit is given.",
    "that of
the first worker to fail, which is 128 + N if signal N ended it. If that is SIGINT or SIGQUIT, heirloom ends by it too, so
that a shell's loop ends. With several workers, each one that failed is named on standard error; with one, only a signal
that killed it."
);

pub const EXEC_HELP: &str = help!(
    "\
In PROGRAM and each ARG, {NAME} is replaced by a path that opens the region (/proc/self/fd/N). All other braces are left
as they are. Options of heirloom come before PROGRAM: everything from there on is the program's.",
    "the
program's own."
);

/// Returns the error's text, with advice for the command's users in place of the library's, which names Rust types.
pub fn message(error: &heirloom::Error) -> String {
    match error.kind() {
        ErrorKind::Unsupported => {
            let advice = "regions need memfd_create and its seals (Linux 3.17 or later), which a sandbox may forbid";
            format!("{}; {advice}", error.message())
        }
        _ => error.to_string(),
    }
}

/// Returns the metadata that every write to a file changes.
pub fn stamp(status: &Metadata) -> impl PartialEq {
    (status.len(), status.mtime(), status.mtime_nsec(), status.ctime(), status.ctime_nsec())
}

/// Replaces this process with the program; returns only on failure.
pub fn become_program(command: &mut Command) -> Result<heirloom::Result<ExitCode>, Failure> {
    signals::restore_pipe()?;
    Ok(Err(command.keep_sigpipe(true).exec()))
}

/// Keeps a region that couldn't be saved in this process, until a signal ends it.
pub fn keep(region: &AnyRegion, tried: &dyn Display) -> Failure {
    let (id, number) = (std::process::id(), region.as_fd().as_raw_fd());
    failure::print(format_args!(
        "{tried}; copy its bytes from /proc/{id}/fd/{number}, and then interrupt this process"
    ));
    loop {
        thread::park();
    }
}

/// Returns a string that is not UTF-8.
#[cfg(test)]
pub fn not_unicode() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])
}
