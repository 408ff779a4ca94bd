//! Memory that the kernel shows to its holders only, see `memfd_secret(2)`.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs;
use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::fd_memory::Memory;
use crate::sys::unix::errno::retry;
use crate::sys::unix::fd::above_standard;

/// The number of the call, which is the same for every processor that has it. libc lacks it for some.
const MEMFD_SECRET: libc::c_long = 447;

/// `f_type` of the file system that has only this memory. Nobody can mount another of that type.
const SECRETMEM_MAGIC: u64 = 0x5345_434d;

/// Creates memory of this size, which is final: the kernel lets it be set once.
pub(crate) fn create_secret(size: u64) -> Result<Memory> {
    // SAFETY: The argument is a number.
    let number = unsafe { libc::syscall(MEMFD_SECRET, libc::O_CLOEXEC) };
    let Some(number) = RawFd::try_from(number).ok().filter(|number| *number >= 0) else {
        let error = io::Error::last_os_error();
        return Err(match Errno::from_io_error(&error) {
            Some(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Failure::new(Reason::NoSecretMemory, error),
            _ => error.into(),
        });
    };
    // SAFETY: The kernel has just created this descriptor, so nothing else owns it.
    let fd = above_standard(unsafe { OwnedFd::from_raw_fd(number) })?;
    retry(|| fs::ftruncate(&fd, size))?;
    Ok(Memory::new(fd))
}

/// Returns whether a descriptor is of such memory.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // The type differs between processors.
pub(crate) fn is_secret(fd: BorrowedFd<'_>) -> bool {
    fs::fstatfs(fd).is_ok_and(|status| u64::try_from(status.f_type) == Ok(SECRETMEM_MAGIC))
}
