//! Linux, Android and FreeBSD: memory whose guarantees the kernel keeps by seals.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{self, SealFlags};
use rustix::io::Errno;

#[cfg(target_os = "freebsd")]
use super::bsd::{map, unnamed_file};
use super::failure::{Failure, Reason, Result};
use super::fd_memory::Memory;
#[cfg(target_os = "freebsd")]
use super::freebsd::{
    Blocks, READ_ONLY_SEAL, SEALED_IS_UNNAMED, commit_memory, granularity, is_secret, memfd, memory_name, seals,
    transfer,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::linux::{
    Blocks, READ_ONLY_SEAL, SEALED_IS_UNNAMED, commit_memory, granularity, is_secret, map, memfd, memory_name, seals,
    transfer, unnamed_file,
};
use super::status::{Commit, Protection, Seals, Status};
use super::unix::errno::retry;
use super::unix::fd::{is_regular, unsealed_status};
use super::unix::view::View;

/// The prefix of the names that the kernel lists, also of memory without a name. Because of the slash, the path that Linux
/// lists is in a directory that doesn't exist. Otherwise, a program that resolves `/proc/self/fd/N` and opens the result
/// could create a file of that name.
const NAME_PREFIX: &str = "heirloom/";

impl Memory {
    /// Creates anonymous memory of a fixed size, filled with zeros, close-on-exec, that accepts seals.
    pub(crate) fn create(name: Option<&str>, size: u64, commit: Commit) -> Result<Self> {
        let fd = memfd(&full_name(name), commit)?;
        fix_size(fd.as_fd(), size)?;
        commit_memory(fd.as_fd(), size, commit)?;
        Ok(Self::new(fd))
    }

    /// Creates an unnamed file in `directory`.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        Ok(Self::new(unnamed_file(directory, size)?))
    }

    pub(crate) fn status(&self) -> Result<Status> {
        status(self)
    }

    /// Seals the memory against new writers.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        let Some(seal) = READ_ONLY_SEAL else {
            return Err(Failure::new(Reason::NoReadOnlySeal, Errno::OPNOTSUPP));
        };
        add_seals(self.as_fd(), seal).map_err(|failure| match failure.reason {
            Reason::NoSeals => Failure::new(Reason::NoReadOnlySeal, failure.os),
            _ => failure,
        })?;
        confirm_seals(self.as_fd(), seal)
    }

    /// Seals the memory against all writing, and against further seals.
    pub(crate) fn freeze(&self) -> Result<()> {
        freeze(self.as_fd())
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
        map(self.as_fd(), offset, len, protection, populate)
    }

    /// Returns the name that the memory was created with, for debugging.
    pub(crate) fn debug_name(&self) -> Option<String> {
        Some(memory_name(self.as_fd())?.strip_prefix(NAME_PREFIX)?.to_owned()).filter(|name| !name.is_empty())
    }
}

/// Memory that grows as it is written.
pub(crate) struct Filling {
    file: File,
    /// Bytes.
    size: u64,
    /// The file offset. All holders share it, and a program that reads the descriptor starts there: it ends at 0.
    offset: u64,
    /// Huge pages, where they are wanted and the system has them.
    blocks: Option<Blocks>,
}

impl Filling {
    /// Creates memory that will have the size `huge`, if that is given, and then gets huge pages where the system has them.
    pub(crate) fn new(name: Option<&str>, huge: Option<u64>) -> Result<Self> {
        let file = memfd(&full_name(name), Commit::OnTouch)?.into();
        Ok(Self { file, size: 0, offset: 0, blocks: huge.and_then(Blocks::new) })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = usize::try_from(self.before_next_block()).map_or(rest.len(), |most| most.min(rest.len()));
            let (now, later) = rest.split_at(most);
            self.file.write_all_at(now, self.size)?;
            self.size += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Returns how many bytes can be written now.
    fn before_next_block(&mut self) -> u64 {
        self.blocks.as_mut().map_or(u64::MAX, |blocks| blocks.prepare(&self.file, self.size))
    }

    /// Moves up to `most` bytes out of a file inside the kernel, if it can. Returns 0 at the end of the file.
    pub(crate) fn transfer(&mut self, from: &File, most: u64) -> io::Result<u64> {
        // The kernel writes at the file offset.
        let most = most.min(self.before_next_block());
        self.seek(self.size)?;
        let moved = transfer(&self.file, from, most)?;
        self.size += moved;
        self.offset = self.size;
        Ok(moved)
    }

    /// Freezes the memory, and checks its size: another process of the same user may have found it in /proc and resized it
    /// before.
    pub(crate) fn freeze(mut self, size: u64) -> Result<Memory> {
        self.seek(0)?;
        if let Some(blocks) = self.blocks.take() {
            blocks.finish(&self.file, size)?;
        }
        freeze(self.file.as_fd())?;
        if u64::try_from(fs::fstat(&self.file)?.st_size) == Ok(size) {
            return Ok(Memory::new(self.file.into()));
        }
        Err(Failure::new(Reason::SizeChanged, Errno::STALE))
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        if self.offset != offset {
            self.offset = self.file.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }
}

fn full_name(name: Option<&str>) -> Cow<'static, str> {
    name.map_or(Cow::Borrowed(NAME_PREFIX), |name| format!("{NAME_PREFIX}{name}").into())
}

/// Gives new memory its size and seals it.
fn fix_size(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    // The order matters, because another process of the same user may find the memory in /proc meanwhile: it can never make
    // the memory shorter than `size`, and if it has made the memory longer, `ftruncate` fails.
    add_seals(fd, SealFlags::SHRINK)?;
    retry(|| fs::ftruncate(fd, size))?;
    add_seals(fd, SealFlags::GROW)?;
    confirm_seals(fd, SealFlags::SHRINK | SealFlags::GROW)
}

fn freeze(fd: BorrowedFd<'_>) -> Result<()> {
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    add_seals(fd, all)?;
    confirm_seals(fd, all)
}

fn add_seals(fd: BorrowedFd<'_>, seals: SealFlags) -> Result<()> {
    fs::fcntl_add_seals(fd, seals).map_err(|errno| match errno {
        Errno::BUSY => Failure::new(Reason::StillMapped, errno),
        Errno::PERM => Failure::new(Reason::SealsForbidden, errno),
        Errno::INVAL => Failure::new(Reason::NoSeals, errno),
        errno => errno.into(),
    })
}

/// Reads the seals back: a sandbox's filter may return success without calling the kernel.
fn confirm_seals(fd: BorrowedFd<'_>, wanted: SealFlags) -> Result<()> {
    if fs::fcntl_get_seals(fd)?.contains(wanted) {
        return Ok(());
    }
    Err(Failure::new(Reason::SealsNotApplied, io::ErrorKind::Unsupported))
}

/// Returns the status of a descriptor.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    let unsealed = unsealed_status(fd, &stat)?;
    let seals = seals(fd)?;
    // Newer kernels add seals of their own, so test for the needed ones, never for equality.
    let size = seals.contains(SealFlags::SHRINK | SealFlags::GROW);
    let writing = seals.contains(SealFlags::WRITE);
    let new_writers = writing || READ_ONLY_SEAL.is_some_and(|seal| seals.contains(seal));
    Ok(Status {
        granularity: granularity(fd, &stat)?,
        unnamed: unsealed.unnamed || (SEALED_IS_UNNAMED && size && is_regular(&stat)),
        seals: Seals { size, new_writers, writing },
        sealable: !seals.contains(SealFlags::SEAL),
        // It has no seals and takes none.
        secret: seals == SealFlags::SEAL && is_regular(&stat) && is_secret(fd),
        ..unsealed
    })
}
