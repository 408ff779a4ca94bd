//! OpenBSD: waiting for a number to change, by `futex(2)`.

#![allow(unsafe_code)]

use std::ptr;
use std::time::Duration;

use rustix::io::Errno;

use super::failure::Result;
use super::status::Wake;
use super::unix::errno::last_errno;

/// Sleeps while the number at `address` is `value`, at most for `timeout`. It may return early.
#[allow(clippy::cast_possible_wrap, clippy::cast_lossless)] // Waits are short, and the kernel takes the number's bits.
pub(crate) fn wait_while(address: *mut u32, value: u32, timeout: Duration) -> Result<()> {
    let timeout =
        libc::timespec { tv_sec: timeout.as_secs() as libc::time_t, tv_nsec: timeout.subsec_nanos() as libc::c_long };
    // SAFETY: The kernel reads `timeout`, which outlives the call, and the number, and returns an error for any bad address.
    match unsafe { libc::futex(address, libc::FUTEX_WAIT, value as i32, &raw const timeout, ptr::null_mut()) } {
        0 => Ok(()),
        _ => match last_errno() {
            Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR | Errno::CANCELED => Ok(()),
            errno => Err(errno.into()),
        },
    }
}

/// Wakes whoever sleeps at `address`.
pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    let most = if wake == Wake::One { 1 } else { i32::MAX };
    // SAFETY: The kernel only takes note of the address, and returns an error for a bad one.
    match unsafe { libc::futex(address, libc::FUTEX_WAKE, most, ptr::null(), ptr::null_mut()) } {
        -1 => Err(last_errno().into()),
        _ => Ok(()),
    }
}
