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

/// The numbers of a timeout that the call takes, also where the C library's have 64 bits. x32 has short ones otherwise.
#[cfg(target_arch = "x86_64")]
type Number = i64;
#[cfg(not(target_arch = "x86_64"))]
type Number = libc::c_long;

/// How often a wake is tried while other holders punch holes where the number is.
const ATTEMPTS: usize = 16;

/// Sleeps while the number at `address` is `value`, at most for `timeout`. It may return early.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_lossless)] // Waits are short.
pub(crate) fn wait_while(address: *mut u32, value: u32, timeout: Duration) -> Result<()> {
    let timeout = [timeout.as_secs() as Number, timeout.subsec_nanos() as Number];
    // SAFETY: The kernel reads `timeout`, which outlives the call, and the number, and returns an error for any bad address.
    let answer = unsafe { libc::syscall(libc::SYS_futex, address, WAIT, value, &raw const timeout) };
    match last_errno() {
        _ if answer == 0 => Ok(()),
        // EFAULT: another holder punched a hole there just now.
        Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR | Errno::FAULT => Ok(()),
        errno => Err(failure(errno)),
    }
}

/// Wakes whoever sleeps at `address`.
pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    let most = if wake == Wake::One { 1 } else { i32::MAX };
    let mut attempts = 0;
    loop {
        // SAFETY: The kernel only takes note of the address, and returns an error for a bad one.
        if unsafe { libc::syscall(libc::SYS_futex, address, WAKE, most) } != -1 {
            return Ok(());
        }
        attempts += 1;
        match last_errno() {
            Errno::FAULT if attempts < ATTEMPTS => {}
            errno => return Err(failure(errno)),
        }
    }
}

fn failure(errno: Errno) -> Failure {
    match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => Failure::new(Reason::NoWaiting, errno),
        errno => errno.into(),
    }
}
