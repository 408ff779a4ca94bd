//! OpenBSD and NetBSD: a file whose name was removed, and only on request. These systems have neither anonymous memory
//! whose size can be fixed nor seals.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use super::bsd::{map, unnamed_file};
use super::failure::{Failure, Reason, Result};
use super::fd_memory::Memory;
use super::status::{Commit, Protection, Status};
use super::unix::fd::unsealed_status;
use super::unix::view::View;

impl Memory {
    pub(crate) fn create(_: Option<&str>, _: u64, _: Commit) -> Result<Self> {
        Err(unsupported(Reason::NoAnonymousMemory))
    }

    /// Creates an unnamed file in `directory`.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        Ok(Self::new(unnamed_file(directory, size)?))
    }

    pub(crate) fn status(&self) -> Result<Status> {
        status(self)
    }

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        Err(unsupported(Reason::NoSeals))
    }

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn freeze(&self) -> Result<()> {
        Err(unsupported(Reason::NoSeals))
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
        map(self.as_fd(), offset, len, protection, populate)
    }

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn debug_name(&self) -> Option<String> {
        None
    }
}

impl View {
    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(unsupported(Reason::NoDumpExclusion))
    }
}

/// Memory that grows as it is written: no such memory can be frozen here, so none exists.
pub(crate) enum Filling {}

impl Filling {
    pub(crate) fn new(_: Option<&str>, _: Option<u64>) -> Result<Self> {
        Err(unsupported(Reason::NoAnonymousMemory))
    }

    pub(crate) fn write(&mut self, _: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn transfer(&mut self, _: &File, _: u64) -> io::Result<u64> {
        match *self {}
    }

    pub(crate) fn freeze(self, _: u64) -> Result<Memory> {
        match self {}
    }
}

/// Returns the status of a descriptor.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    unsealed_status(fd, &rustix::fs::fstat(fd)?)
}

fn unsupported(reason: Reason) -> Failure {
    Failure::new(reason, Errno::OPNOTSUPP)
}
