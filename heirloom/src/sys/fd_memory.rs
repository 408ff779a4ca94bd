//! Memory as a descriptor alone: either the kernel keeps its state in seals, or it has no state.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::failure::Result;
use super::status::{Identity, Status};
use super::unix::errno::retry;
use super::unix::fd::{duplicate, duplicate_inheritable, identity_of};

/// The memory of a region.
#[derive(Debug)]
pub(crate) struct Memory(OwnedFd);

impl Memory {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Wraps a descriptor from elsewhere with the status that was validated.
    pub(crate) fn received(fd: OwnedFd, _: &Status) -> Self {
        Self(fd)
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        identity(self)
    }

    /// Returns the number of the descriptor.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Returns the descriptor, for a child.
    pub(crate) fn lend(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    /// Returns the same memory over a duplicate descriptor, close-on-exec.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        duplicate(self).map(Self)
    }

    /// Returns the same memory over a duplicate descriptor that every child inherits.
    pub(crate) fn duplicate_inheritable(&self) -> io::Result<Self> {
        duplicate_inheritable(self).map(Self)
    }

    /// Records that another process may now have the descriptor: there is nothing to record.
    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn hand_out(&self) {}

    /// Reads bytes at an offset, without moving the position that all holders share.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        Ok(retry(|| rustix::io::pread(self, &mut *into, offset))?)
    }
}

/// Returns the identity of the object behind a descriptor.
pub(crate) fn identity(fd: impl AsFd) -> Result<Identity> {
    Ok(identity_of(&rustix::fs::fstat(fd)?))
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
