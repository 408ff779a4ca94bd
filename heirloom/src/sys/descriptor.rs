//! Memory of which its descriptor says all: either the kernel keeps what becomes of it, or nobody does.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::unix::{duplicate, duplicate_inheritable, identity_of, retry};
use super::{Identity, Result, Status};

/// What holds a region's bytes.
#[derive(Debug)]
pub(crate) struct Memory(OwnedFd);

impl Memory {
    pub(super) fn over(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// What tells it from every other one.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(identity_of(&rustix::fs::fstat(self)?))
    }

    /// What somebody else made, and was found to be memory.
    pub(crate) fn received(fd: OwnedFd, _: &Status) -> Self {
        Self(fd)
    }

    /// The number of its descriptor.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// The same over a descriptor of its own, close-on-exec.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        duplicate(self).map(Self)
    }

    /// The same over a descriptor of its own that every child inherits.
    pub(crate) fn duplicate_inheritable(&self) -> io::Result<Self> {
        duplicate_inheritable(self).map(Self)
    }

    /// Reads what there is at an offset, without moving the position that all holders share.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        Ok(retry(|| rustix::io::pread(self, &mut *into, offset))?)
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.0
    }
}
