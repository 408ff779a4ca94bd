//! Another open file description of what a descriptor refers to. See `proc_pid_fd(5)`.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::retry;
use crate::sys::unix::fd::{above_standard, identity_of};

/// Opens what a descriptor refers to once more. It is for `missing` that the system doesn't allow it.
pub(crate) fn open_anew(fd: BorrowedFd<'_>, flags: OFlags, missing: Reason) -> Result<OwnedFd> {
    // Not "self", whose descriptors are those of the first thread: another may have its own, or the first may have ended.
    let path = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
    let failed = |errno| match errno {
        Errno::NOENT | Errno::ACCESS | Errno::PERM => Failure::new(missing, errno),
        errno => errno.into(),
    };
    let opened = retry(|| fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())).map_err(failed)?;
    let opened = above_standard(opened)?;
    if identity_of(&fs::fstat(&opened)?) == identity_of(&fs::fstat(fd)?) {
        Ok(opened)
    } else {
        Err(failed(Errno::NOENT))
    }
}
