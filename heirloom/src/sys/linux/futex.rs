//! Waiting for a number to change, by `futex(2)`.

#![allow(unsafe_code)]

use std::time::Duration;

use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::status::Wake;
use crate::sys::unix::errno::last_errno;

// The flag FUTEX_PRIVATE_FLAG would confine them to this process.
const WAIT: libc::c_int = 0;
const WAKE: libc::c_int = 1;

/// Sleeps while the number at `address` is `value`, at most for `timeout`. It may return early.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_lossless)] // Waits are short.
pub(crate) fn wait_while(address: *mut u32, value: u32, timeout: Duration) -> Result<()> {
    // The call `futex` takes numbers of this size on every processor, also where the C library's have 64 bits.
    let timeout = [timeout.as_secs() as libc::c_long, timeout.subsec_nanos() as libc::c_long];
    // SAFETY: The kernel reads `timeout`, which outlives the call, and the number, and returns an error for any bad address.
    let answer = unsafe { libc::syscall(libc::SYS_futex, address, WAIT, value, &raw const timeout) };
    match last_errno() {
        _ if answer == 0 => Ok(()),
        Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR => Ok(()),
        errno => Err(failure(errno)),
    }
}

/// Wakes whoever sleeps at `address`.
pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    let most = if wake == Wake::One { 1 } else { i32::MAX };
    // SAFETY: The kernel only takes note of the address, and returns an error for a bad one.
    match unsafe { libc::syscall(libc::SYS_futex, address, WAKE, most) } {
        -1 => Err(failure(last_errno())),
        _ => Ok(()),
    }
}

fn failure(errno: Errno) -> Failure {
    match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => Failure::new(Reason::NoWaiting, errno),
        errno => errno.into(),
    }
}
