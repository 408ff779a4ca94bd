//! OpenBSD and NetBSD: a file whose name is gone again, for those who accept one. There is no memory without a name whose
//! size could be fixed, and there are no seals.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, FileType};

pub(crate) use super::bsd::*;
pub(crate) use super::descriptor::Memory;
pub(crate) use super::unix::*;
use super::{Commit, Protection, Result, Seals, Status};

const NO_MEMORY: &str = "this system has no memory without a name whose size could be fixed: a region that needs no seals \
                         can be an unnamed file, by RegionOptions::unsealed_file_in";
const NO_SEALS: &str = "this system has no seals";

impl Memory {
    pub(crate) fn create(_: Option<&str>, _: u64, _: Commit) -> Result<Self> {
        Err(unsupported(NO_MEMORY))
    }

    /// Makes a file in `directory` whose name is there for a moment.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        Ok(Self::over(unlinked(directory, size)?))
    }

    /// From now on another process may have it, which changes nothing.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn hand_out(&self) {}

    pub(crate) fn status(&self) -> Result<Status> {
        status(self)
    }

    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        Err(unsupported(NO_SEALS))
    }

    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn freeze(&self) -> Result<()> {
        Err(unsupported(NO_SEALS))
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
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(unsupported("this system keeps no pages out of core dumps: forbid them (ulimit -c 0)"))
    }
}

/// What nobody makes here: nothing can be frozen.
pub(crate) enum Filling {}

impl Filling {
    pub(crate) fn new(_: Option<&str>) -> Result<Self> {
        Err(unsupported(NO_MEMORY))
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

/// Asks the kernel what a descriptor is.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    Ok(Status {
        identity: identity_of(&stat),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        granularity: allocation_granularity(),
        unnamed: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 0,
        access: access(fd)?,
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
    })
}
