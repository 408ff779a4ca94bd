//! FreeBSD: memory from `memfd_create(3)`, with seals, but none against new writers alone.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{self, MemfdFlags, SealFlags, Stat};
use rustix::io::Errno;

use super::failure::{Failure, Reason, Result};
use super::status::Commit;
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
