//! What a process does to itself before it executes a program.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use rustix::io::Errno;

use crate::sys::launch::Launch;
use crate::sys::unix::errno::last_errno;

/// Enters the process group, redirects the standard streams, and changes to `directory`. Allocates nothing.
pub(super) fn set_up(launch: &Launch<'_>, directory: Option<&CStr>) -> Result<(), Errno> {
    if let Some(group) = launch.options.process_group {
        // SAFETY: `setpgid` takes plain numbers.
        check(unsafe { libc::setpgid(0, group) })?;
    }
    for (number, fd) in (0..).zip(launch.standard) {
        match fd.map(AsRawFd::as_raw_fd) {
            None => {}
            // dup2(2) would do nothing then, and leave close-on-exec set.
            Some(fd) if fd == number => make_inheritable(fd)?,
            // SAFETY: Both are plain numbers. It replaces standard input, output and error, as the caller asked.
            Some(fd) => check(unsafe { libc::dup2(fd, number) })?,
        }
    }
    match directory {
        // SAFETY: The string ends with NUL and lives during the call.
        Some(directory) => check(unsafe { libc::chdir(directory.as_ptr()) }),
        None => Ok(()),
    }
}

/// Clears close-on-exec. Allocates nothing.
pub(super) fn make_inheritable(number: RawFd) -> Result<(), Errno> {
    // SAFETY: `F_SETFD` takes plain numbers.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })
}

fn check(result: i32) -> Result<(), Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
