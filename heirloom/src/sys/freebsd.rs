//! FreeBSD: memory from `memfd_create(3)`, with seals, but none against new writers alone.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::fs::{self, MemfdFlags, SealFlags, Stat};
use rustix::io::Errno;

use super::failure::{Failure, Reason, Result};
use super::status::{Commit, Wake};
use super::unix::errno::last_errno;
use super::unix::fd::{above_standard, allocation_granularity};
use super::unix::view::View;

/// There is no seal against new writers alone.
pub(crate) const READ_ONLY_SEAL: Option<SealFlags> = None;

/// The kernel doesn't count the links of memory, but refuses these seals for memory with a name.
pub(crate) const SEALED_IS_UNNAMED: bool = true;

/// Creates memory of size 0 that accepts seals.
pub(crate) fn memfd(name: &str, commit: Commit) -> Result<OwnedFd> {
    if commit != Commit::OnTouch {
        return Err(Failure::new(Reason::NoCommit, Errno::OPNOTSUPP));
    }
    let created = fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let fd = created.map_err(|errno| match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::CAPMODE => Failure::new(Reason::NoAnonymousMemory, errno),
        errno => errno.into(),
    })?;
    Ok(above_standard(fd)?)
}

/// Returns `false`: no memory is hidden from the kernel.
pub(crate) fn is_secret(_: BorrowedFd<'_>) -> bool {
    false
}

/// Allocates nothing: `memfd` has refused every other commit.
#[allow(clippy::unnecessary_wraps)] // Linux may fail.
pub(crate) fn commit_memory(_: BorrowedFd<'_>, _: u64, _: Commit) -> Result<()> {
    Ok(())
}

impl View {
    /// Excludes the pages from core dumps.
    pub(crate) fn no_dump(&self) -> Result<()> {
        // SAFETY: This object owns the pages, and the advice changes no byte of them.
        match unsafe { libc::madvise(self.start().as_ptr().cast(), self.len(), libc::MADV_NOCORE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error().into()),
        }
    }
}

/// Fails: FreeBSD can't move bytes from a file to memory inside the kernel.
pub(crate) fn transfer(_: &File, _: &File, _: u64) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Huge pages for memory that is being filled: no call can ask for them.
pub(crate) enum Blocks {}

impl Blocks {
    pub(crate) fn new(_: u64) -> Option<Self> {
        None
    }

    pub(crate) fn prepare(&mut self, _: &File, _: u64) -> u64 {
        match *self {}
    }

    pub(crate) fn finish(self, _: &File, _: u64) -> io::Result<()> {
        match self {}
    }
}

/// Returns the seals; memory that can't have any counts as closed to further seals.
#[allow(clippy::unnecessary_wraps)] // Linux may fail.
pub(crate) fn seals(fd: BorrowedFd<'_>) -> Result<SealFlags> {
    Ok(fs::fcntl_get_seals(fd).unwrap_or(SealFlags::SEAL))
}

/// Returns the alignment of mapping offsets.
#[allow(clippy::unnecessary_wraps)] // Linux may fail.
pub(crate) fn granularity(_: BorrowedFd<'_>, _: &Stat) -> Result<u64> {
    Ok(allocation_granularity())
}

/// Returns `None`: the system doesn't report names.
pub(crate) fn memory_name(_: BorrowedFd<'_>) -> Option<String> {
    None
}

/// Sleeps while the number at `address` is `value`, at most for `timeout`. It may return early. See `_umtx_op(2)`.
#[allow(clippy::cast_possible_wrap, clippy::cast_lossless, clippy::cast_sign_loss)] // Waits are short.
pub(crate) fn wait_while(address: *mut u32, value: u32, timeout: Duration) -> Result<()> {
    let after =
        libc::timespec { tv_sec: timeout.as_secs() as libc::time_t, tv_nsec: timeout.subsec_nanos() as libc::c_long };
    // By a clock that nobody sets.
    let mut timeout = libc::_umtx_time { _timeout: after, _flags: 0, _clockid: libc::CLOCK_MONOTONIC as u32 };
    // The kernel takes the size of the timeout in the place of an address.
    let size = ptr::without_provenance_mut(size_of_val(&timeout));
    let number = libc::c_ulong::from(value);
    // SAFETY: The kernel reads `timeout`, which outlives the call, and the number, and returns an error for any bad address.
    let answer =
        unsafe { libc::_umtx_op(address.cast(), libc::UMTX_OP_WAIT_UINT, number, size, (&raw mut timeout).cast()) };
    match last_errno() {
        _ if answer == 0 => Ok(()),
        Errno::TIMEDOUT | Errno::INTR => Ok(()),
        // The kernel wants to write the page of the number.
        errno @ Errno::FAULT => Err(Failure::new(Reason::NoWaiting, errno)),
        errno => Err(errno.into()),
    }
}

/// Wakes whoever sleeps at `address`.
pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    let most = if wake == Wake::One { 1 } else { i32::MAX as libc::c_ulong };
    // SAFETY: The kernel only takes note of the address, and returns an error for a bad one.
    match unsafe { libc::_umtx_op(address.cast(), libc::UMTX_OP_WAKE, most, ptr::null_mut(), ptr::null_mut()) } {
        -1 => Err(last_errno().into()),
        _ => Ok(()),
    }
}
