//! What macOS and the BSDs have in common.

#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource};

use super::failure::{Failure, Reason, Result};
use super::status::{Identity, Protection};
use super::unix::errno::retry;
use super::unix::fd::above_standard;
use super::unix::process::{kill_child, number_of, wait_for};
use super::unix::view::View;

/// The size of a huge page in bytes, for the check of arguments: no call can ask for one.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// The longest environment variable in bytes: the limit of Linux, so that programs can hand down the same regions.
pub(crate) const LONGEST_VARIABLE: usize = 128 << 10;

/// Returns this process's limit on the size of a file.
pub(crate) fn size_limit() -> u64 {
    rustix::process::getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// Returns no limit: these systems don't report the available memory.
pub(crate) fn available_memory() -> u64 {
    u64::MAX
}

/// Returns `false`: these systems don't report the descriptors of the parent.
pub(crate) fn parent_passes(_: i32, _: Identity) -> bool {
    false
}

/// Returns whether this process has rights that its caller lacks, for example by setuid.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: The call has no arguments and changes nothing.
    unsafe { libc::issetugid() != 0 }
}

/// Fails: these systems have no simple way to count the threads of a process.
pub(crate) fn remove_variable(_: &str) -> Result<()> {
    Err(Failure::new(Reason::NoThreadCount, Errno::NOSYS))
}

/// Maps `len` bytes from `offset` on. These systems can't fault in all pages at once.
pub(crate) fn map(fd: BorrowedFd<'_>, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
    View::map(fd, offset, len, protection, populate).map_err(|errno| match errno {
        Errno::PERM | Errno::ACCESS => Failure::new(Reason::Sealed, errno),
        Errno::NOMEM => Failure::new(Reason::OutOfAddressSpace, errno),
        errno => errno.into(),
    })
}

/// Creates a file in `directory` and removes its name.
pub(crate) fn unnamed_file(directory: &Path, size: u64) -> Result<OwnedFd> {
    // Open the directory, so that the name is created and removed in the same one.
    let directory = retry(|| fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))?;
    let name = format!(".heirloom-{:016x}", random());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = retry(|| fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR))?;
    fs::unlinkat(&directory, &name, AtFlags::empty())?;
    let fd = above_standard(fd)?;
    if fs::fstat(&fd)?.st_nlink != 0 {
        return Err(Failure::new(Reason::SecondName, Errno::MLINK));
    }
    retry(|| fs::ftruncate(&fd, size))?;
    write_zeros(&fd, size)?;
    Ok(fd)
}

/// Reserves the space of a file, since an access on a full file system would raise SIGBUS.
fn write_zeros(fd: &OwnedFd, size: u64) -> Result<()> {
    let zeros = vec![0; 1 << 16];
    let mut done = 0;
    while done < size {
        let part = usize::try_from(size - done).map_or(zeros.len(), |rest| rest.min(zeros.len()));
        done += retry(|| rustix::io::pwrite(fd, &zeros[..part], done))? as u64;
    }
    Ok(())
}

/// Returns an unpredictable number; it need not be secret.
pub(crate) fn random() -> u64 {
    let mut number = [0; 8];
    // The standard library's random numbers continue in a forked child as in its parent; these don't.
    // SAFETY: The call fills exactly the bytes of `number`.
    unsafe { libc::arc4random_buf(number.as_mut_ptr().cast(), number.len()) };
    u64::from_ne_bytes(number)
}

/// A child, identified by its process id.
#[derive(Debug)]
pub(crate) struct Process(Pid);

impl Process {
    pub(crate) fn new(pid: Pid) -> Self {
        Self(pid)
    }

    pub(crate) fn id(&self) -> u32 {
        number_of(self.0)
    }
}

pub(crate) fn wait(process: &Process, block: bool) -> Result<Option<ExitStatus>> {
    wait_for(process.0, block)
}

/// Kills a child that has not been waited for.
pub(crate) fn kill(process: &Process) -> Result<()> {
    kill_child(process.0)
}
