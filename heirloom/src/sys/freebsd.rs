//! FreeBSD: memory from `memfd_create`, promises from file seals, of which it has none against new writers alone.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, FileType, MemfdFlags, SealFlags};
use rustix::io::Errno;

pub(crate) use super::bsd::*;
pub(crate) use super::descriptor::Memory;
pub(crate) use super::unix::*;
use super::{Commit, Failure, Protection, Result, Seals, Status};
use crate::ErrorKind;

impl Memory {
    /// Makes memory of that size for ever, all zero, that has no name, is close-on-exec and can be sealed.
    pub(crate) fn create(name: Option<&str>, size: u64, supply: Commit) -> Result<Self> {
        if supply != Commit::OnTouch {
            return Err(unsupported(SUPPLY));
        }
        let fd = memfd(name)?;
        // In this order, since another process of the same user may find the memory meanwhile: never can it make it shorter
        // than `size`.
        add_seals(fd.as_fd(), SealFlags::SHRINK)?;
        retry(|| fs::ftruncate(&fd, size))?;
        add_seals(fd.as_fd(), SealFlags::GROW)?;
        Ok(Self::over(fd))
    }

    /// Makes a file in `directory` whose name is there for a moment.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        Ok(Self::over(unlinked(directory, size)?))
    }

    /// From now on another process may have it. Nothing has to be remembered for that: the kernel itself knows who can write.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn hand_out(&self) {}

    pub(crate) fn status(&self) -> Result<Status> {
        status(self)
    }

    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        Err(unsupported("this system has no seal against new writers alone: freeze it once it is filled"))
    }

    /// Seals out every writer, and every further seal.
    pub(crate) fn freeze(&self) -> Result<()> {
        freeze(self.as_fd())
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, _: bool) -> Result<View> {
        map(self.as_fd(), offset, len, protection)
    }

    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn debug_name(&self) -> Option<String> {
        None
    }
}

impl View {
    /// Keeps them out of core dumps.
    pub(crate) fn no_dump(&self) -> Result<()> {
        // SAFETY: The pages are this object's; the advice changes no byte.
        match unsafe { libc::madvise(self.start().as_ptr().cast(), self.len(), libc::MADV_NOCORE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error().into()),
        }
    }
}

/// Memory that grows by what is written to it.
pub(crate) struct Filling(File);

impl Filling {
    pub(crate) fn new(name: Option<&str>) -> Result<Self> {
        Ok(Self(memfd(name)?.into()))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Moves bytes out of a file inside the kernel: this one can't.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn transfer(&mut self, _: &File, _: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Seals what was filled, which must have that size: before, another process of the same user may have found it.
    pub(crate) fn freeze(self, size: u64) -> Result<Memory> {
        freeze(self.0.as_fd())?;
        if u64::try_from(fs::fstat(&self.0)?.st_size) == Ok(size) {
            return Ok(Memory::over(self.0.into()));
        }
        Err(Failure {
            kind: ErrorKind::System,
            os: Errno::STALE.into(),
            hint: "another process changed its size while it was filled",
        })
    }
}

/// Makes memory of no size yet.
fn memfd(name: Option<&str>) -> Result<OwnedFd> {
    let name = name.map_or_else(|| "heirloom".to_owned(), |name| format!("heirloom:{name}"));
    let made = fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let fd = made.map_err(|errno| match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::CAPMODE => Failure {
            kind: ErrorKind::Unsupported,
            os: errno.into(),
            hint: "this system has no memfd_create (FreeBSD before 13), or its sandbox forbids it: a region that needs no \
                   seals can be an unnamed file, by RegionOptions::unsealed_file_in",
        },
        errno => errno.into(),
    })?;
    Ok(above_standard(fd)?)
}

/// Seals out every writer, and every further seal.
fn freeze(fd: BorrowedFd<'_>) -> Result<()> {
    add_seals(fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)
}

fn add_seals(fd: BorrowedFd<'_>, seals: SealFlags) -> Result<()> {
    fs::fcntl_add_seals(fd, seals).map_err(|errno| match errno {
        Errno::BUSY => Failure {
            kind: ErrorKind::StillWritable,
            os: errno.into(),
            hint: "some process still maps it for writing: unmap it there first, or take FrozenRegion::copy_of",
        },
        Errno::PERM => Failure {
            kind: ErrorKind::Sealed,
            os: errno.into(),
            hint: "a holder forbade any further seal, or it was opened for reading only: take FrozenRegion::copy_of",
        },
        Errno::INVAL => unsupported("this backing has no seals"),
        errno => errno.into(),
    })
}

/// Asks the kernel what a descriptor is.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    // What can't be sealed at all takes no more.
    let seals = fs::fcntl_get_seals(fd).ok();
    let has = |seal| seals.is_some_and(|seals| seals.contains(seal));
    let (fixed, writing) = (has(SealFlags::SHRINK | SealFlags::GROW), has(SealFlags::WRITE));
    Ok(Status {
        identity: identity_of(&stat),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        granularity: allocation_granularity(),
        // Of memory the kernel counts no links, and of memory with a name it lets nobody set these seals.
        unnamed: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && (stat.st_nlink == 0 || fixed),
        access: access(fd)?,
        seals: Seals { size: fixed, new_writers: writing, writing },
        sealable: seals.is_some_and(|seals| !seals.contains(SealFlags::SEAL)),
    })
}
