//! Descriptors.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::FdFlags;

use super::errno::retry;
use crate::sys::failure::Result;
use crate::sys::status::{Access, Identity, Seals, Status};

/// The lowest number for descriptors of this library: the numbers below are standard input, output and error.
const LOWEST: RawFd = 3;

/// Returns device and inode.
pub(crate) fn identity_of(stat: &Stat) -> Identity {
    // The types differ between systems. All that matters is that a file always gets the same numbers.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_lossless)]
    Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Returns what a descriptor allows.
pub(crate) fn access(fd: BorrowedFd<'_>) -> Result<Access> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if flags.contains(OFlags::PATH) {
        return Ok(Access::None);
    }
    Ok(match flags & OFlags::RWMODE {
        OFlags::RDWR => Access::ReadWrite,
        OFlags::RDONLY => Access::Read,
        _ => Access::None,
    })
}

/// Returns the status of a descriptor of memory without seals.
pub(crate) fn unsealed_status(fd: BorrowedFd<'_>, stat: &Stat) -> Result<Status> {
    Ok(Status {
        identity: identity_of(stat),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        granularity: allocation_granularity(),
        unnamed: is_regular(stat) && stat.st_nlink == 0,
        access: access(fd)?,
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
        secret: false,
    })
}

pub(crate) fn borrowed(fd: &OwnedFd) -> BorrowedFd<'_> {
    fd.as_fd()
}

/// Returns the number of a descriptor.
pub(crate) fn number_of(fd: impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

/// Returns the alignment of mapping offsets, in bytes: the page size.
pub(crate) fn allocation_granularity() -> u64 {
    rustix::param::page_size() as u64
}

/// Duplicates a descriptor; every child inherits the duplicate.
pub(crate) fn duplicate_inheritable(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` takes and returns plain numbers here; `fd` is open during the call.
    let number = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD, LOWEST) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The kernel has just created this descriptor, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Duplicates a descriptor, close-on-exec.
pub(crate) fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, LOWEST)?)
}

/// Passes the descriptor with a number from elsewhere to `look`, if it is open.
pub(crate) fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
    // SAFETY: `F_GETFD` takes and returns plain numbers, and fails on a closed descriptor.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: It was open a moment ago, so it isn't -1. If its owner closes it meanwhile, calls in `look` fail.
    look(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes ownership of a descriptor by its number.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
pub(crate) unsafe fn take_over(number: RawFd) -> OwnedFd {
    // SAFETY: The caller guarantees that it is open and has no other owner.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(crate) fn is_close_on_exec(fd: impl AsFd) -> Result<bool> {
    Ok(rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC))
}

pub(crate) fn set_close_on_exec(fd: impl AsFd, on: bool) -> io::Result<()> {
    let flags = if on { FdFlags::CLOEXEC } else { FdFlags::empty() };
    Ok(rustix::io::fcntl_setfd(fd, flags)?)
}

/// Replaces a descriptor that has the number of standard input, output or error by a duplicate with another number.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= LOWEST {
        return Ok(fd);
    }
    duplicate(fd)
}

/// Returns whether a descriptor with this number may be standard input, output or error.
pub(crate) fn is_standard(number: RawFd) -> bool {
    number < LOWEST
}

/// Creates a pipe and returns its reading and its writing end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_os = "macos"))]
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // macOS takes two steps: a child that another thread spawns between them inherits the pipe.
    #[cfg(target_os = "macos")]
    let (reader, writer) = {
        let (reader, writer) = rustix::pipe::pipe()?;
        set_close_on_exec(&reader, true)?;
        set_close_on_exec(&writer, true)?;
        (reader, writer)
    };
    Ok((above_standard(reader)?, above_standard(writer)?))
}

/// Opens the null device.
pub(crate) fn null() -> Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(above_standard(null.into())?)
}

/// Returns whether a regular file has a byte at that offset, whatever its size says. Its position stays.
pub(crate) fn has_byte_at(file: &File, offset: u64) -> bool {
    retry(|| rustix::io::pread(file, &mut [0; 1], offset)).is_ok_and(|read| read > 0)
}
